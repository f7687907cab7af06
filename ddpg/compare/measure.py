"""What each case does to one batch, in numbers: the table of `ddpg compare`.

for row in measure(Size()): print(row.name, row.backward_flops, row.actor_gradient_norm)
print(explain(case, Size()))
"""

import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MethodType

import numpy as np

import tinygrad_rl as tg
from ddpg import rng
from ddpg.compare.cases import CASES, Case, Lab
from ddpg.errors import counted
from ddpg.networks import Actor, Critic
from tinygrad_rl import optim

_FOLDER = str(Path(__file__).parent) + os.sep


@dataclass(frozen=True)
class Size:
    """Shape of the problem; the default is a MuJoCo walker's."""

    obs_dim: int = 17
    act_dim: int = 6
    hidden: tuple[int, ...] = (256, 256)
    batch_size: int = 256

    def __str__(self) -> str:
        return (
            f"{counted(self.obs_dim, 'observation')}, {counted(self.act_dim, 'action')}, hidden "
            f"layers of {' and '.join(map(str, self.hidden))}, a batch of {self.batch_size}"
        )


@dataclass(frozen=True)
class Measurement:
    """What one case did."""

    name: str
    meaning: str  # in a sentence, what the case does
    actor_gradient_norm: float | None  # 2-norm over all parameters; None if it got no gradient
    difference: float | None  # to the frozen case's gradient, relative; 0 for the same bits
    critic_tensors: list[str]  # the critic's parameters that held a gradient after backward
    critic_moved: float  # largest change of a critic parameter
    backward_flops: int  # of the backward pass's matrix products
    milliseconds: float  # the whole update, forward pass and optimizer included; the fastest
    warning: str  # the error or warning that the user saw, or ""
    explanation: str = ""  # what the gradient did, "reaches actor" say, and where it stopped


def make_lab(size: Size, seed: int) -> Lab:
    """Fresh networks and a batch, the same ones whenever size and seed are the same."""
    actor_seed, critic_seed, obs_seed = rng.spawn(seed, 3)
    bound = np.ones(size.act_dim)
    actor = Actor(size.obs_dim, -bound, bound, size.hidden, rng.generator(actor_seed))
    critic = Critic(size.obs_dim, size.act_dim, size.hidden, rng.generator(critic_seed))
    obs = rng.generator(obs_seed).standard_normal((size.batch_size, size.obs_dim))
    return Lab(
        actor,
        critic,
        actor_optimizer=optim.Adam(actor.parameters()),
        critic_optimizer=optim.Adam(critic.parameters()),
        joint_optimizer=optim.Adam([*actor.parameters(), *critic.parameters()]),
        obs=tg.Tensor(obs.astype(np.float32)),
    )


def measure(size: Size, seed: int = 0, repetitions: int = 30) -> Iterator[Measurement]:
    """Run every case on networks and a batch of its own, all alike; yields as each is done.

    `repetitions` updates of each are timed.
    """
    reference: np.ndarray | None = None
    for case, taken in zip(CASES, _time_updates(size, seed, repetitions), strict=True):
        lab = make_lab(size, seed)
        before = _vector(lab.critic.parameters())
        warning = _run(case, lab)
        gradient = _gradient(lab.actor)
        reference = gradient if reference is None else reference
        yield Measurement(
            name=case.name,
            meaning=case.meaning,
            actor_gradient_norm=None if gradient is None else float(np.linalg.norm(gradient)),
            difference=_relative_difference(gradient, reference),
            critic_tensors=lab.critic_tensors,
            critic_moved=float(np.abs(_vector(lab.critic.parameters()) - before).max()),
            backward_flops=lab.flops,
            milliseconds=min(taken),
            warning=warning,
            explanation=in_short(explain(case, size, seed)),
        )


def explain(case: Case, size: Size, seed: int = 0) -> tg.Explanation:
    """Where the gradient goes in a case, and where and why it stops."""
    # As a method of the lab, for then its networks are called "actor" and "critic".
    update = MethodType(case.update, make_lab(size, seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they stand in the table
        return tg.explain(update)


def in_short(explanation: tg.Explanation) -> str:
    """What the gradient does, then the lines to blame."""
    verdict = explanation.to_dict()["headline"].removeprefix("The gradient ").rstrip(".")
    verdict = re.sub(r" \(\d+ tensors\)", "", verdict)
    stops = [
        f"{cause.title}, {cause.line.short}"
        for cause in explanation.causes
        if cause.kind != "unused"  # that it is so says all there is to say
    ]
    return " ".join([verdict, *(f"[{stop}]" for stop in stops)])


def milliseconds(call: Callable[[], object], repetitions: int) -> list[float]:
    """How long each repetition of a call took, after two that don't count."""
    return [_milliseconds(call) for _ in range(repetitions + 2)][2:]


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def _time_updates(size: Size, seed: int, repetitions: int) -> list[list[float]]:
    """How long the repetitions of each case's update took; the cases take turns.

    So what else the machine does meets all of them.
    """

    def update(case: Case, lab: Lab) -> None:
        lab.joint_optimizer.zero_grad()  # it holds the parameters of both
        _run(case, lab)

    calls = [partial(update, case, make_lab(size, seed)) for case in CASES]
    for _ in range(2):  # which load kernels and warm the caches
        for call in calls:
            call()
    rounds = [[_milliseconds(call) for call in calls] for _ in range(repetitions)]
    return [list(times) for times in zip(*rounds, strict=True)]


def _run(case: Case, lab: Lab) -> str:
    """The first line of what the user would have been told, "" for nothing."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            case.update(lab)
        except RuntimeError as error:
            return f"error: {_first_line(error)}"
    return f"warning: {_first_line(caught[0].message)}" if caught else ""


def _first_line(message: object) -> str:
    """Without the path of the file with the cases."""
    return str(message).split("\n", 1)[0].replace(_FOLDER, "")


def _gradient(actor: Actor) -> np.ndarray | None:
    gradients = [p.grad for p in actor.parameters() if p.grad is not None]
    return _vector(gradients) if gradients else None


def _vector(tensors: Sequence[tg.Tensor]) -> np.ndarray:
    return np.concatenate([t.numpy().ravel() for t in tensors]).astype(np.float64)


def _relative_difference(gradient: np.ndarray | None, reference: np.ndarray | None) -> float | None:
    if gradient is None or reference is None:
        return None
    return float(np.linalg.norm(gradient - reference) / np.linalg.norm(reference))
