"""DDPG's three equations (Lillicrap et al. 2015, algorithm 1), one function each.

Read them in this order: what Q should say, how far it is off, and which action it likes better.
"""

import tinygrad_rl as tg
from ddpg.networks import Actor, Critic
from ddpg.replay import Batch
from tinygrad_rl.nn import functional as F


def td_target(target_actor: Actor, target_critic: Critic, batch: Batch, gamma: float) -> tg.Tensor:
    """`y = r + gamma (1 - terminated) Q'(s', mu'(s'))`, shape (B, 1).

    `terminated` ends the sum of rewards; a time limit does not, so it must not be passed as such.
    """
    # Easily forgotten: y is data. If the gradient ran on into it, the critic would not only move
    # towards its target but pull the target towards itself.
    with tg.no_grad():
        next_q = target_critic(batch.next_obs, target_actor(batch.next_obs))
        return batch.reward + gamma * (1.0 - batch.terminated) * next_q


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
