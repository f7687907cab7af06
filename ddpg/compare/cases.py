"""Eight ways to handle the critic in the actor's update, on one seed and one batch.

The actor's loss is `-mean(Q(s, mu(s)))`: its gradient must run through Q and must not move Q.
Each function below is one way to write that update down, right or wrong, as it is found in real
programs; `measure` says what each of them did, in numbers.

    for row in measure(SIZE): print(row.name, row.backward_flops, row.actor_gradient_norm)
"""

import re
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import NamedTuple

import numpy as np

import tinygrad_rl as tg
from ddpg import rng
from ddpg.networks import Actor, Critic
from tinygrad_rl import optim


class Size(NamedTuple):
    """Shape of the problem; the default is a MuJoCo walker's."""

    obs_dim: int = 17
    act_dim: int = 6
    hidden: tuple[int, ...] = (256, 256)
    batch_size: int = 256


class Lab:
    """Networks, optimizers and a batch, the same ones whenever size and seed are the same.

    Attributes
    ----------
    actor, critic : fresh networks.
    actor_optimizer, critic_optimizer : an Adam each.
    obs : the batch, (batch_size, obs_dim).
    """

    def __init__(self, size: Size, seed: int) -> None:
        actor_seed, critic_seed, obs_seed = rng.spawn(seed, 3)
        bound = np.ones(size.act_dim)
        self.actor = Actor(size.obs_dim, -bound, bound, size.hidden, rng.generator(actor_seed))
        self.critic = Critic(size.obs_dim, size.act_dim, size.hidden, rng.generator(critic_seed))
        self.actor_optimizer = optim.Adam(self.actor.parameters())
        self.critic_optimizer = optim.Adam(self.critic.parameters())
        obs = rng.generator(obs_seed).standard_normal((size.batch_size, size.obs_dim))
        self.obs = tg.Tensor(obs.astype(np.float32))
        self.flops = 0
        self.critic_tensors: list[str] = []

    @contextmanager
    def backward(self) -> Iterator[None]:
        """What runs inside is the backward pass: its cost is counted, its effect noted."""
        with tg.count_flops() as counter:
            yield
        self.flops = counter.total
        self.critic_tensors = [n for n, p in self.critic.named_parameters() if p.grad is not None]


def frozen(lab: Lab) -> None:
    """The critic's parameters are frozen before the forward pass."""
    with tg.frozen(lab.critic):
        loss = -lab.critic(lab.obs, lab.actor(lab.obs)).mean()
    with lab.backward():
        loss.backward()
    lab.actor_optimizer.step()


def separate_optimizers(lab: Lab) -> None:
    """Nothing is frozen; the critic's gradients are computed and then thrown away."""
    loss = -lab.critic(lab.obs, lab.actor(lab.obs)).mean()
    with lab.backward():
        loss.backward()
    lab.actor_optimizer.step()
    lab.critic_optimizer.zero_grad()


def chain_rule_by_hand(lab: Lab) -> None:
    """First dQ/da, then from the action into the actor, as the paper writes it."""
    action = lab.actor(lab.obs)
    a = action.detach().requires_grad_()
    with tg.frozen(lab.critic):
        loss = -lab.critic(lab.obs, a).mean()
    with lab.backward():
        (dloss_da,) = tg.grad(loss, a)
        action.backward(dloss_da)
    lab.actor_optimizer.step()


def gradient_of_the_actor_only(lab: Lab) -> None:
    """`grad` is asked for the actor's parameters and nothing else."""
    loss = -lab.critic(lab.obs, lab.actor(lab.obs)).mean()
    parameters = lab.actor.parameters()
    with lab.backward():
        gradients = tg.grad(loss, parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    lab.actor_optimizer.step()


def blocked_action(lab: Lab) -> None:
    """The action is detached: the path ends between Q and the actor."""
    loss = -lab.critic(lab.obs, lab.actor(lab.obs).detach()).mean()
    with lab.backward():
        loss.backward()
    lab.actor_optimizer.step()


def blocked_q(lab: Lab) -> None:
    """Q's output is stopped (or Q runs under `no_grad`): the path ends before it began."""
    q = lab.critic(lab.obs, lab.actor(lab.obs))
    loss = -tg.stop_gradient(q).mean()
    with lab.backward():
        loss.backward()
    lab.actor_optimizer.step()


def joint_optimizer(lab: Lab) -> None:
    """One optimizer holds both networks, and nothing is frozen."""
    optimizer = optim.Adam([*lab.actor.parameters(), *lab.critic.parameters()])
    loss = -lab.critic(lab.obs, lab.actor(lab.obs)).mean()
    with lab.backward():
        loss.backward()
    optimizer.step()


def frozen_too_late(lab: Lab) -> None:
    """The critic is frozen after the forward pass has recorded that it wants gradients."""
    loss = -lab.critic(lab.obs, lab.actor(lab.obs)).mean()
    with tg.frozen(lab.critic), lab.backward():
        loss.backward()
    lab.actor_optimizer.step()


CASES: dict[str, Callable[[Lab], None]] = {
    "frozen": frozen,
    "separate optimizers": separate_optimizers,
    "chain rule by hand": chain_rule_by_hand,
    "grad w.r.t. the actor": gradient_of_the_actor_only,
    "blocked action": blocked_action,
    "blocked Q": blocked_q,
    "one joint optimizer": joint_optimizer,
    "frozen too late": frozen_too_late,
}
"""The cases by the name they are shown under; the first is what the others are compared with."""


@dataclass(frozen=True)
class Row:
    """What one case did.

    Attributes
    ----------
    name, meaning : which case, and in a sentence what it does.
    actor_gradient_norm : 2-norm over all of the actor's parameters; None if it got no gradient.
    difference : 2-norm of the difference to the frozen case's gradient over that one's norm;
        exactly 0 if they are the same bit for bit, None without a gradient.
    critic_tensors : the critic's parameters that held a gradient after the backward pass.
    critic_moved : largest change of a critic parameter.
    backward_flops : floating-point operations of the backward pass's matrix products.
    milliseconds : the whole update, forward pass and optimizer included, median.
    remark : the error or warning that the user saw, or "".
    explanation : what the gradient did, "reaches actor" say, and the lines where it stopped.
    """

    name: str
    meaning: str
    actor_gradient_norm: float | None
    difference: float | None
    critic_tensors: list[str]
    critic_moved: float
    backward_flops: int
    milliseconds: float
    remark: str
    explanation: str = ""


def explain(name: str, size: Size, seed: int = 0) -> tg.Explanation:
    """Where the gradient goes in one of the `CASES`, and where and why it stops."""
    # As a method of the lab, for then its networks are called "actor" and "critic".
    update = MethodType(CASES[name], Lab(size, seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they stand in the table
        return tg.explain(update)


def measure(size: Size, seed: int = 0, repetitions: int = 15) -> Iterator[Row]:
    """Run every case on networks and a batch of its own, all alike; yields a row as each is done.

    Parameters
    ----------
    size : of the networks and the batch.
    seed : of the initial weights and the batch.
    repetitions : updates that are timed.
    """
    reference: np.ndarray | None = None
    for name, update in CASES.items():
        lab = Lab(size, seed)
        before = _vector(lab.critic.parameters())
        remark = _run(update, lab)
        gradient = _gradient(lab.actor)
        reference = gradient if reference is None else reference
        yield Row(
            name=name,
            meaning=(update.__doc__ or "").strip(),
            actor_gradient_norm=None if gradient is None else float(np.linalg.norm(gradient)),
            difference=_relative_difference(gradient, reference),
            critic_tensors=lab.critic_tensors,
            critic_moved=float(np.abs(_vector(lab.critic.parameters()) - before).max()),
            backward_flops=lab.flops,
            milliseconds=1e3 * _median_seconds(update, size, seed, repetitions),
            remark=remark,
            explanation=in_short(explain(name, size, seed)),
        )


def in_short(explanation: tg.Explanation) -> str:
    """What the gradient does, then the lines to blame."""
    verdict = explanation.to_dict()["headline"].removeprefix("The gradient ").rstrip(".")
    verdict = re.sub(r" \(\d+ tensors\)", "", verdict)
    stops = [
        f"{cause.kind}, {Path(cause.line.file).name}:{cause.line.number}"
        for cause in explanation.causes
        if cause.kind != "unused"  # that it is so says all there is to say
    ]
    return " ".join([verdict, *(f"[{stop}]" for stop in stops)])


def _run(update: Callable[[Lab], None], lab: Lab) -> str:
    """The first line of what the user would have been told, "" for nothing."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            update(lab)
        except RuntimeError as error:
            return f"error: {_first_line(error)}"
    return f"warning: {_first_line(caught[0].message)}" if caught else ""


def _first_line(message: object) -> str:
    return str(message).split("\n", 1)[0]


def _median_seconds(
    update: Callable[[Lab], None], size: Size, seed: int, repetitions: int
) -> float:
    lab = Lab(size, seed)
    seconds = []
    for _ in range(repetitions + 2):
        lab.actor_optimizer.zero_grad()
        lab.critic_optimizer.zero_grad()
        start = time.perf_counter()
        _run(update, lab)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[2:])  # the first ones load kernels and warm the caches


def _gradient(actor: Actor) -> np.ndarray | None:
    gradients = [p.grad for p in actor.parameters() if p.grad is not None]
    return _vector(gradients) if gradients else None


def _vector(tensors: Sequence[tg.Tensor]) -> np.ndarray:
    return np.concatenate([t.numpy().ravel() for t in tensors]).astype(np.float64)


def _relative_difference(gradient: np.ndarray | None, reference: np.ndarray | None) -> float | None:
    if gradient is None or reference is None:
        return None
    return float(np.linalg.norm(gradient - reference) / np.linalg.norm(reference))
