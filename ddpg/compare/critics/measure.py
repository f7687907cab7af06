"""What a critic claims, and what is true of it, at one moment of training.

moment = look(agent, generator)
moment.chosen.gap, moment.at_random.gap      # Q minus the truth, at the actor's actions or any
moment.flattered                             # how often its own action is the more flattered
moment.chosen.cosine                         # of the critic's dQ/da with the true derivative
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import tinygrad_rl as tg
from ddpg.agent import DDPG
from ddpg.compare.critics.true_q import Truth, critic_slope, slope_agreement, truth
from ddpg.networks import Critic

STATES = 256
"""Drawn from the replay for one moment."""


@dataclass(frozen=True)
class Opinion:
    """What the critic says of an action in each of many states, against the truth."""

    claimed: float  # mean of Q
    real: float  # mean discounted return of the action, and of the actor's from then on
    correlation: float | None  # of Q with that return over the states; None for equal values
    cosine: float | None  # of dQ/da with the true slope; None where it could be judged nowhere
    same_sign: float | None  # share of the states where both point to the same side
    states: int  # in how many the slope could be judged

    @property
    def gap(self) -> float:
        """How much too high the claim is."""
        return self.claimed - self.real


@dataclass(frozen=True)
class Moment:
    """How far critic and actor are.

    Attributes
    ----------
    chosen, at_random : of the actor's own actions, and of uniformly random ones, in the same
        states.
    flattered : share of the states where Q errs more in favour of the actor's action than of the
        random one: a half if the actor took no advantage of errors.
    flattered_by_second : the same of the second critic, which the actor does not follow; None where
        there is only one.
    """

    chosen: Opinion
    at_random: Opinion
    flattered: float
    flattered_by_second: float | None

    @property
    def promised(self) -> float:
        """By how much Q puts the actor's actions above random ones."""
        return self.chosen.claimed - self.at_random.claimed

    @property
    def kept(self) -> float:
        """By how much they really are better."""
        return self.chosen.real - self.at_random.real


def look(agent: DDPG, generator: np.random.Generator) -> Moment:
    """Compare the agent's critics with the truth, on states of its replay; Pendulum's only."""
    rows = tg.from_numpy(agent.replay.sample_indices(generator, STATES))
    obs = agent.replay.gather(rows, agent.config.gamma).obs
    with tg.no_grad():
        chosen = agent.actor(obs).numpy()
    bound = agent.actor.range.half.item()
    at_random = generator.uniform(-bound, bound, size=chosen.shape)
    states, gamma = obs.numpy(), agent.config.gamma
    asked = [(action, truth(agent.actor, states, action, gamma)) for action in (chosen, at_random)]
    first, *others = agent.critics
    own, other = (opinion(first, states, action, true) for action, true in asked)
    return Moment(
        own,
        other,
        flattered=_flattered(first, states, asked),
        flattered_by_second=_flattered(others[0], states, asked) if others else None,
    )


def opinion(critic: Critic, obs: np.ndarray, action: np.ndarray, true: Truth) -> Opinion:
    """What `critic` says of `action` (B, 1) in `obs` (B, 3), where `true` is what it should say."""
    q = _values(critic, obs, action)
    agreement = slope_agreement(critic_slope(critic, obs, action), true)
    return Opinion(
        claimed=float(q.mean()),
        real=float(true.value.mean()),
        correlation=_correlation(q, true.value),
        cosine=_or_none(agreement.cosine),
        same_sign=_or_none(agreement.same_sign),
        states=agreement.states,
    )


def _flattered(critic: Critic, obs: np.ndarray, asked: Sequence[tuple[np.ndarray, Truth]]) -> float:
    own, other = (_values(critic, obs, action) - true.value for action, true in asked)
    return float((own > other).mean())


def _values(critic: Critic, obs: np.ndarray, action: np.ndarray) -> np.ndarray:
    with tg.no_grad():
        q = critic(tg.Tensor(obs, dtype="float32"), tg.Tensor(action, dtype="float32"))
    return q.numpy()[:, 0].astype(np.float64)


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else None


def _or_none(x: float) -> float | None:
    return None if math.isnan(x) else x
