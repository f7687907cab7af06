"""What Q should say on Pendulum, and, which is all that the actor asks it for, its slope.

    true = truth(actor, obs, action, gamma=0.99)         # true.value, true.slope: (B,) each
    agreement = slope_agreement(critic_slope(critic, obs, action), true)

`Q(s, a)` is the return of `a` in `s` and of the actor from then on. In a world made of tensors
both can be computed: the value by following the actor, and the slope `dQ/da` by taking along, from
step to step, how the state would have moved with the first action. The actor's update knows Q by
this slope alone.
"""

import math
from typing import NamedTuple

import numpy as np

import tinygrad_rl as tg
from ddpg.compare.critics import pendulum
from ddpg.errors import UsageError
from ddpg.networks import Actor, Critic

NEGLIGIBLE = 1e-3
"""A rollout ends when the discount has fallen below this: after 688 steps for gamma = 0.99. The
rest is worth at most a tenth of a reward, `NEGLIGIBLE / (1 - gamma)` of them: 1.6 where the worst
value is -1627, and next to nothing for an actor that balances. The time limit of 200 steps is no
end: Q looks beyond it, so the truth does too."""

REACH = 0.1
"""How far the action is moved for differences, 5 % of half its range. A slope that holds for a
millionth and not for this much is of no use to an actor."""
ALIKE = 0.1
"""Slope and differences may differ by this share of the larger one."""
STEEP = 0.1
"""Where the true slope is smaller, the action hardly matters: its whole range, 4, is worth 0.4, a
fortieth of what one step can cost. On which side a critic errs there is chance."""

Policy = tuple[tuple[tg.Tensor, ...], tg.Tensor, tg.Tensor]
"""An actor's parameters, and the center and half width of its range, in float64."""


class Truth(NamedTuple):
    """What Q should say of each row, float64, (B,), and where its slope can be judged.

    Attributes
    ----------
    value : discounted return of the action, and of the actor's from then on.
    slope : its derivative in the action, through the dynamics.
    slope_by_differences : the same from whole rollouts, from up to `REACH` on both sides of the
        action, as far as its bounds allow.
    meaningful : bool; where both agree, and the slope isn't too small to matter.
    """

    value: np.ndarray
    slope: np.ndarray
    slope_by_differences: np.ndarray
    meaningful: np.ndarray


class Agreement(NamedTuple):
    """How well a critic's slopes agree with the true ones, where these are meaningful.

    Attributes
    ----------
    cosine : of the two as vectors over the states, as the actor's update weighs them; NaN where
        there are no states, 0 for a critic without any slope.
    same_sign : share of the states where the critic sends the actor to the right side.
    states : how many they are.
    """

    cosine: float
    same_sign: float
    states: int


def truth(actor: Actor, obs: np.ndarray, action: np.ndarray, gamma: float) -> Truth:
    """Values and slopes of `action` in `obs` on Pendulum when `actor` goes on.

    All in float64, for a small difference of the first action may grow a thousandfold. The first
    call for a shape of actor and a number of rows compiles; later ones, with any weights, do not.

    Parameters
    ----------
    obs : observations, (B, 3).
    action : torques within the bounds, (B, 1); any, not only the actor's.
    gamma : discount, from 0 to less than 1.

    Raises
    ------
    UsageError : for other shapes, an action beyond the bounds, another gamma.
    """
    action = _checked(obs, action)
    state, policy = pendulum.state_of(obs), _in_float64(actor)
    value, slope = _value_and_slope(policy, state, action, gamma)
    bound = pendulum.MAX_TORQUE
    low, high = np.maximum(action - REACH, -bound), np.minimum(action + REACH, bound)
    values = _values(policy, np.tile(state, (2, 1)), np.concatenate([low, high]), gamma)
    of_low, of_high = np.split(values, 2)
    differences = (of_high - of_low) / (high - low)[:, 0]
    return Truth(value, slope, differences, _is_meaningful(slope, differences))


def critic_slope(critic: Critic, obs: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The critic's dQ/da, (B,) in float64, of `obs` (B, obs_dim) and `action` (B, 1)."""
    s, a = tg.Tensor(obs, dtype="float32"), tg.Tensor(action, dtype="float32")
    with tg.frozen(critic):
        # No row knows of another: the sum's derivative in an action is that of its own Q.
        _, slope = tg.value_and_grad(lambda a: critic(s, a).sum(), a)
    return slope.numpy()[:, 0].astype(np.float64)


def slope_agreement(slope: np.ndarray, true: Truth) -> Agreement:
    """Compare a critic's slopes, (B,), with the true ones, where these are meaningful."""
    said, meant = slope[true.meaningful], true.slope[true.meaningful]
    if len(meant) == 0:
        return Agreement(math.nan, math.nan, 0)
    lengths = np.linalg.norm(said) * np.linalg.norm(meant)
    cosine = float(said @ meant / lengths) if lengths > 0 else 0.0
    return Agreement(cosine, float((np.sign(said) == np.sign(meant)).mean()), len(meant))


def horizon(gamma: float) -> int:
    """Steps until the discount is below `NEGLIGIBLE`.

    Raises
    ------
    UsageError : for a discount that never is.
    """
    if not 0.0 <= gamma < 1.0:
        raise UsageError(f"gamma must be from 0 to less than 1 for a return that ends, got {gamma}")
    return 1 if gamma == 0.0 else math.floor(math.log(NEGLIGIBLE) / math.log(gamma)) + 1


def _checked(obs: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The action in float64."""
    if np.shape(obs) != (len(obs), 3) or np.shape(action) != (len(obs), 1):
        raise UsageError(
            f"Pendulum has observations of shape (B, 3) and actions of (B, 1), got "
            f"{np.shape(obs)} and {np.shape(action)}"
        )
    action = np.asarray(action, dtype=np.float64)
    if not (np.abs(action) <= pendulum.MAX_TORQUE).all():
        raise UsageError(
            f"Pendulum's actions lie within {pendulum.MAX_TORQUE} of 0, got "
            f"{action.flat[np.argmax(~(np.abs(action) <= pendulum.MAX_TORQUE))]}"
        )
    return action


def _is_meaningful(slope: np.ndarray, differences: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # a slope that has exploded may be infinite, or none
        larger = np.maximum(np.abs(slope), np.abs(differences))
        agree = np.abs(slope - differences) <= ALIKE * larger  # an infinite one is within infinity
        return agree & np.isfinite(slope) & (np.abs(slope) >= STEEP)


# -- rollouts --------------------------------------------------------------------------------------


def _value_and_slope(
    policy: Policy, state: np.ndarray, action: np.ndarray, gamma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns and their derivatives in the first action, (B,) each.

    Forward mode: `d_s` is the derivative of the state in that action, and each step moves it on as
    it moves the state. There is nothing to keep but these two, however long the rollout.
    """
    start, a = tg.Tensor(state), tg.Tensor(action)
    (s, value), (d_s, slope) = tg.jvp(lambda a: pendulum.step(start, a), a, tg.ones_like(a))
    for t in range(1, horizon(gamma)):
        (s, reward), (d_s, d_reward) = _advance(s, d_s, policy)
        value, slope = value + gamma**t * reward, slope + gamma**t * d_reward
    return value.numpy()[:, 0], slope.numpy()[:, 0]


def _values(policy: Policy, state: np.ndarray, action: np.ndarray, gamma: float) -> np.ndarray:
    """Returns alone, (B,)."""
    s, value = pendulum.step(tg.Tensor(state), tg.Tensor(action))
    for t in range(1, horizon(gamma)):
        s, reward = _follow(s, policy)
        value = value + gamma**t * reward
    return value.numpy()[:, 0]


def _loop(state: tg.Tensor, policy: Policy) -> tuple[tg.Tensor, tg.Tensor]:
    """The next state and the reward, where the policy acts."""
    return pendulum.step(state, _mu(pendulum.observe(state), policy))


_follow = tg.jit(_loop)


@tg.jit
def _advance(state: tg.Tensor, d_state: tg.Tensor, policy: Policy) -> tuple:
    """(the next state, the reward), and the derivatives of both."""
    return tg.jvp(lambda s: _loop(s, policy), state, d_state)


def _mu(obs: tg.Tensor, policy: Policy) -> tg.Tensor:
    """`Actor.forward`, of parameters that are arguments: one compiled step serves all actors."""
    parameters, center, half = policy
    *hidden, last = zip(parameters[::2], parameters[1::2], strict=True)
    for weight, bias in hidden:
        obs = tg.relu(tg.linear(obs, weight, bias))
    return center + half * tg.tanh(tg.linear(obs, *last))


def _in_float64(actor: Actor) -> Policy:
    parameters = (tg.Tensor(p.numpy(), dtype="float64") for p in actor.parameters())
    center, half = (tg.Tensor(t, dtype="float64") for t in (actor.range.center, actor.range.half))
    return tuple(parameters), center, half
