"""DDPG's three equations (Lillicrap et al. 2015, algorithm 1), one function each.

Read them in this order: what Q should say, how far it is off, and which action it likes better.
Where there are several critics, they learn the same target, and the actor follows the first.
"""

from collections.abc import Sequence
from functools import reduce

import tinygrad_rl as tg
from ddpg.networks import Actor, Critic
from ddpg.replay import Batch
from tinygrad_rl.nn import functional as F


def td_target(
    target_actor: Actor,
    target_critics: Sequence[Critic],
    batch: Batch,
    noise: tg.Tensor | None = None,
    pair: tg.Tensor | None = None,
) -> tg.Tensor:
    """`y = r + gamma (1 - terminated) min_k Q'_k(s', mu'(s') + noise)`, shape (B, 1).

    `terminated` ends the sum of rewards; a time limit does not, so it must not be passed as such.
    Of n-step transitions `r` is the discounted sum of n rewards, and gamma to the power of n.

    Parameters
    ----------
    target_actor, target_critics : the slow copies; one critic is the paper's algorithm.
    batch : transitions.
    noise : (B, act_dim), in the action's units; the noisy action is kept within its bounds (target
        policy smoothing, Fujimoto et al. 2018, section 5.3). None by default.
    pair : two numbers of critics, int64, (2,): only the smaller of these two counts (Chen et al.
        2021, algorithm 1). All of them by default.
    """
    # Easily forgotten: y is data. If the gradient ran on into it, the critic would not only move
    # towards its target but pull the target towards itself.
    with tg.no_grad():
        next_action = target_actor(batch.next_obs)
        if noise is not None:
            next_action = target_actor.range.clip(next_action + noise)
        next_q = [critic(batch.next_obs, next_action) for critic in target_critics]
        if pair is not None:
            next_q = list(tg.take(tg.stack(next_q), pair, axis=0))
        # The smallest: whoever takes the best action by an estimate overestimates it, and where one
        # critic flatters, another one seldom does (clipped double Q, section 4.2).
        return batch.reward + batch.discount * (1.0 - batch.terminated) * reduce(tg.minimum, next_q)


def critic_loss(q: tg.Tensor, target: tg.Tensor) -> tg.Tensor:
    """`mean((Q(s, a) - y)^2)`, a scalar.

    Raises
    ------
    ValueError : if the shapes differ: (B,) against (B, 1) would broadcast to (B, B), which trains,
        badly.
    """
    if q.shape != target.shape:
        raise ValueError(f"q and target must have the same shape, got {q.shape} and {target.shape}")
    return F.mse_loss(q, target)


def actor_loss(critic: Critic, obs: tg.Tensor, action: tg.Tensor) -> tg.Tensor:
    """`-mean(Q(s, mu(s)))`, a scalar; `action` is `mu(obs)`, with its way back to the actor.

    Its gradient is the deterministic policy gradient, `dQ/da` at the actor's own action times
    `dmu/dw`: the chain rule through Q into the actor.
    """
    # Easily forgotten: Q is the road here, not the traveller. Its parameters are frozen, so the
    # gradient runs THROUGH Q to the action and none of it is left in Q. Blocking the way instead
    # (action.detach(), no_grad around Q) would leave the actor with nothing; doing neither gives
    # Q a gradient that says "be larger".
    with tg.frozen(critic):
        return -critic(obs, action).mean()
