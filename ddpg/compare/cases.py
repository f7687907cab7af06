"""Eight ways to handle the critic in the actor's update, each written once.

The actor's loss is `-mean(Q(s, mu(s)))`: its gradient must run through Q and must not move Q.
Each function below is one way to write that update down, right or wrong, as it is found in real
programs. Its first sentence says what is done; the rest, what somebody sees who does it, and where
it happened. `CASES` says which of the comparisons takes it up: the table and the report show all.

    for case in CASES: case.update(lab)       # where `lab` has the networks, optimizers and a batch
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import tinygrad_rl as tg
from ddpg.networks import Actor, Critic
from tinygrad_rl import optim


@dataclass
class Lab:
    """What an actor update works on."""

    actor: Actor
    critic: Critic
    actor_optimizer: optim.Optimizer
    critic_optimizer: optim.Optimizer
    joint_optimizer: optim.Optimizer  # holds both networks
    obs: tg.Tensor  # the batch, (batch_size, obs_dim)
    flops: int = 0  # what the backward pass cost
    critic_tensors: list[str] = field(default_factory=list)  # that held a gradient after it

    @contextmanager
    def backward(self) -> Iterator[None]:
        """What runs inside is the backward pass: its cost is counted, its effect recorded."""
        with tg.count_flops() as counter:
            yield
        self.flops = counter.total
        self.critic_tensors = [n for n, p in self.critic.named_parameters() if p.grad is not None]


def frozen(lab: Lab) -> None:
    """The critic's parameters are frozen before the forward pass.

    DDPG as it is meant. Spinning Up's DDPG switches `requires_grad` off on Q's parameters around
    the actor's loss, and RLlib's TQC was repaired in this way in 2026.
    """
    with tg.frozen(lab.critic):
        loss = -lab.critic(lab.obs, lab.actor(lab.obs)).mean()
    with lab.backward():
        loss.backward()
    lab.actor_optimizer.step()


def separate_optimizers(lab: Lab) -> None:
    """Nothing is frozen; the critic's gradients are computed and then thrown away.

    The actor learns exactly as in the frozen case; only the work is larger, for gradients that are
    thrown away. It is the common form (CleanRL's DDPG). It stays right as long as they really are
    thrown away before the critic's next step: in RLlib's TQC the actor's loss leaked into the
    critics' `.grad`, and Q grew without bound. Spinning Up's TD3 and SAC end up here without
    wanting to: they freeze an iterator over Q's parameters that the optimizer has already
    exhausted, so nothing is frozen, and nobody is told.
    """
    loss = -lab.critic(lab.obs, lab.actor(lab.obs)).mean()
    with lab.backward():
        loss.backward()
    lab.actor_optimizer.step()
    lab.critic_optimizer.zero_grad()


def chain_rule_by_hand(lab: Lab) -> None:
    """First dQ/da, then from the action into the actor, as the paper writes it.

    The form of the paper (Lillicrap et al. 2015, equation 6), and of early implementations that
    asked for dQ/da and fed it into the actor. There are two backward passes: `grad` finds dQ/da and
    stops there, and the second starts at the action with it. They are one story: the gradient goes
    through Q, whose parameters are frozen, and the picture joins the two at the action. The result
    is the frozen case's gradient, to the last bit.
    """
    action = lab.actor(lab.obs)
    a = action.detach().requires_grad_()
    with tg.frozen(lab.critic):
        loss = -lab.critic(lab.obs, a).mean()
    with lab.backward():
        (dloss_da,) = tg.grad(loss, a)
        action.backward(dloss_da)
    lab.actor_optimizer.step()


def gradient_of_the_actor_only(lab: Lab) -> None:
    """`grad` is asked for the actor's parameters and nothing else.

    The form of functional libraries such as JAX, where the gradient is asked for with respect to an
    argument. What is not asked for is not computed: nothing is frozen, yet the cost is that of the
    frozen case.
    """
    loss = -lab.critic(lab.obs, lab.actor(lab.obs)).mean()
    parameters = lab.actor.parameters()
    with lab.backward():
        gradients = tg.grad(loss, parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    lab.actor_optimizer.step()


def blocked_action(lab: Lab) -> None:
    """The action is detached: the path ends between Q and the actor.

    No error and no warning. The critic keeps learning about an actor that never moves, losses look
    healthy, the return stays where it began. In PyTorch it is one `.detach()` too many, put there
    because it was to protect the critic.
    """
    loss = -lab.critic(lab.obs, lab.actor(lab.obs).detach()).mean()
    with lab.backward():
        loss.backward()
    lab.actor_optimizer.step()


def blocked_q(lab: Lab) -> None:
    """Q's output is stopped (or Q runs under `no_grad`): the path ends before it began.

    The loss has no path to anything. PyTorch says that it does not require grad, and the advice
    found most often, `loss.requires_grad_(True)`, silences the error and trains nothing. Here it is
    an error in both cases, with the place of the cut.
    """
    q = lab.critic(lab.obs, lab.actor(lab.obs))
    loss = -tg.stop_gradient(q).mean()
    with lab.backward():
        loss.backward()
    lab.actor_optimizer.step()


def joint_optimizer(lab: Lab) -> None:
    """One optimizer holds both networks, and nothing is frozen.

    The actor learns as before, and so does the critic: to call everything good. Reports come as 'Q
    explodes' or 'the critic's values are far above any possible return', and the learning rate or
    the reward scale is blamed.
    """
    loss = -lab.critic(lab.obs, lab.actor(lab.obs)).mean()
    with lab.backward():
        loss.backward()
    lab.joint_optimizer.step()


def frozen_too_late(lab: Lab) -> None:
    """The critic is frozen after the forward pass has recorded that it requires gradients.

    Which inputs require a gradient is decided when they are used, in the forward pass. PyTorch
    leaves `.grad` at None and does all the work without a word; here there is a warning. The
    actor's gradient is right, the saving is lost.
    """
    loss = -lab.critic(lab.obs, lab.actor(lab.obs)).mean()
    with tg.frozen(lab.critic), lab.backward():
        loss.backward()
    lab.actor_optimizer.step()


@dataclass(frozen=True)
class Case:
    """One way to handle the critic."""

    name: str  # what the table and the report call it
    update: Callable[[Lab], None]  # the whole update, as somebody would write it
    training: str = ""  # its name among the training runs; "" if it is not trained
    diff: str = ""  # its name among the compiled functions; "" if it is not compiled

    @property
    def meaning(self) -> str:
        """What it does, in a sentence."""
        return inspect.cleandoc(self.update.__doc__ or "").partition("\n")[0]

    @property
    def seen(self) -> str:
        """What somebody sees who does this, and where it happened; `code` in backticks."""
        _, _, text = inspect.cleandoc(self.update.__doc__ or "").partition("\n")
        return " ".join(text.split())

    @property
    def code(self) -> str:
        """The update as it is written above, without its description."""
        source = textwrap.dedent(inspect.getsource(self.update))
        (function,) = ast.parse(source).body
        assert isinstance(function, ast.FunctionDef)
        description, lines = function.body[0], source.rstrip().splitlines()
        return "\n".join(lines[: description.lineno - 1] + lines[description.end_lineno :])


CASES = (
    Case("frozen", frozen, training="frozen", diff="frozen"),
    Case("separate optimizers", separate_optimizers, diff="unfrozen"),
    Case("chain rule by hand", chain_rule_by_hand),
    Case("grad w.r.t. actor", gradient_of_the_actor_only),
    Case("blocked action", blocked_action, training="blocked", diff="blocked"),
    Case("blocked Q", blocked_q),
    Case("one joint optimizer", joint_optimizer, training="joint"),
    Case("frozen too late", frozen_too_late),
)
"""All of them; the first is what the others are compared with."""

TRAINED = {case.training: case for case in CASES if case.training}
COMPILED = {case.diff: case for case in CASES if case.diff}
