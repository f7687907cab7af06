"""Optimizers: PyTorch's updates, to rounding, as ops on tensors: a compiled step holds them too.

    optimizer = Adam(critic, lr=1e-3)
    loss.backward()
    optimizer.step()
    polyak(target_critic, critic, tau=0.005)

An optimizer never moves a tensor whose `requires_grad` is False, whatever its `.grad`, momentum or
weight decay say.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from tinygrad_rl.core import Tensor
from tinygrad_rl.grad_mode import no_grad
from tinygrad_rl.ops.arithmetic import maximum, sqrt
from tinygrad_rl.ops.define import builtin
from tinygrad_rl.spelling import OPTIMIZER, absent, counted, door, without_absent
from tinygrad_rl.tree import TensorHolder, collect_tensors

__all__ = ["Optimizer", "SGD", "Adam", "AdamW", "polyak", "clip_grad_norm"]


def __dir__() -> list[str]:
    return __all__


class Optimizer(TensorHolder):
    """What all optimizers share: the parameters, and which of them a step moves.

    An optimizer of one's own names its moments in `state_names` and overrides `_move`.

    Parameters
    ----------
    params : a module, or tensors: leaves, in the order in which the state is saved.
    lr : learning rate, at least 0.

    Attributes
    ----------
    params : the tensors.
    state : name of a moment -> a tensor for each parameter.

    Raises
    ------
    ValueError : when there is no parameter, one is the result of an op, or a setting is out of its
        range.
    """

    borrows: ClassVar[bool] = True
    state_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Iterable[Tensor] | Any, lr: float) -> None:
        self.params = tuple(collect_tensors(params))
        if not self.params:
            raise ValueError(
                "the optimizer got no parameters: was a generator such as parameters() used up "
                "before?"
            )
        for p in self.params:
            if not p.is_leaf:
                raise ValueError("an optimizer takes leaves; this is the result of an op")
        # A tensor, so that a compiled step, which holds tensors by reference, sees a new value.
        self.rate = Tensor(np.zeros((), np.float64))
        self.lr = lr
        self.state = {
            name: tuple(Tensor(np.zeros(p.shape, p.dtype)) for p in self.params)
            for name in self.state_names
        }
        # How often each was moved: in float64, as counting in float32 would stop at 2**24.
        self.steps = Tensor(np.zeros(len(self.params), np.float64))

    def __dir__(self) -> list[str]:
        return without_absent(self, super().__dir__())

    @property
    def lr(self) -> float:
        """The learning rate; it can be set at any time, for compiled steps too."""
        return float(self.rate)

    @lr.setter
    def lr(self, lr: float) -> None:
        _check_number("lr", lr, 0)
        with no_grad():
            self.rate.assign_(lr)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.params:
            p.grad = None

    @no_grad()
    def step(self) -> None:
        """Move each parameter that requires a gradient and has one."""
        moves = np.array([p.requires_grad and p.grad is not None for p in self.params])
        self.steps.add_(1.0 if moves.all() else Tensor(moves.astype(np.float64)))
        shared = self._shared()
        for i, p in enumerate(self.params):
            if moves[i]:
                assert p.grad is not None
                self._move(i, p, p.grad, shared)

    def _shared(self) -> Any:
        """What the moves of all parameters need, computed once in a step."""

    @abstractmethod
    def _move(self, i: int, p: Tensor, g: Tensor, shared: Any) -> None:
        """Move parameter number `i`, which is `p`, by its gradient `g`."""

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Pairs of `params[0]`, ... and what is moved."""
        yield from ((f"params[{i}]", p) for i, p in enumerate(self.params))

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters, then the learning rate, the numbers of steps, and the moments."""
        yield from self.named_parameters()
        yield from (("rate", self.rate), ("steps", self.steps))
        for name, moments in self.state.items():
            yield from ((f"state[{name!r}][{i}]", t) for i, t in enumerate(moments))

    def state_dict(self) -> dict[str, Any]:
        """Copies of the state: `step` and the moments, a list with an entry for each parameter."""
        moments = {name: [t.numpy().copy() for t in ts] for name, ts in self.state.items()}
        return {"step": [np.array(n) for n in self.steps.numpy()], **moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state; everything is checked before anything is changed.

        Parameters
        ----------
        state : as from `state_dict`, with arrays or tensors.

        Raises
        ------
        ValueError : naming the entry, when names, lengths or shapes differ, and for a number of
            steps that is not whole or below 0.
        """
        mine = self.state_dict()
        if set(state) != set(mine):
            raise ValueError(
                f"optimizer state has entries {sorted(state)}, expected {sorted(mine)}"
            )
        checked = {}
        for name, known in mine.items():
            if len(state[name]) != len(known):
                raise ValueError(
                    f"{name!r} has {counted(len(state[name]), 'entry')} for "
                    f"{counted(len(known), 'parameter')}"
                )
            checked[name] = [np.asarray(new) for new in state[name]]
            for i, (old, new) in enumerate(zip(known, checked[name], strict=True)):
                if new.shape != old.shape or new.dtype.kind not in "fiu":
                    raise ValueError(
                        f"{name}[{i}] is {new.dtype} of shape {new.shape}, expected {old.dtype} of "
                        f"shape {old.shape}"
                    )
        steps = np.array(checked.pop("step"), np.float64)
        for i, count in enumerate(steps):
            if not (count >= 0 and float(count).is_integer()):
                raise ValueError(f"step[{i}] is {count}, expected a whole number of at least 0")
        with no_grad():
            self.steps.assign_(steps)
            for name, arrays in checked.items():
                for t, array in zip(self.state[name], arrays, strict=True):
                    t.assign_(array.astype(t.dtype))


def _check_number(name: str, value: float, low: float, below: float = float("inf")) -> None:
    if not (isinstance(value, (int, float)) and low <= value < below):
        raise ValueError(f"{name} must be in [{low}, {below}), not {value!r}")


class SGD(Optimizer):
    """Stochastic gradient descent; with momentum, `buffer = momentum * buffer + g`.

    Parameters
    ----------
    params, lr : see `Optimizer`.
    momentum : 0 for none; 0.9 remembers about ten gradients.
    weight_decay : share of the parameter that is added to its gradient.
    nesterov : step along `g + momentum * buffer`, a look ahead (Sutskever et al. 2013).
    """

    state_names = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Tensor] | Any,
        lr: float,
        momentum: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, lr)
        _check_number("momentum", momentum, 0)
        _check_number("weight_decay", weight_decay, 0)
        if nesterov and not momentum:
            raise ValueError("nesterov needs a momentum above 0")
        self.momentum, self.weight_decay, self.nesterov = momentum, weight_decay, nesterov

    def _move(self, i: int, p: Tensor, g: Tensor, shared: Any) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * p
        if self.momentum:
            buffer = self.state["momentum_buffer"][i].assign_(
                self.momentum * self.state["momentum_buffer"][i] + g
            )
            g = g + self.momentum * buffer if self.nesterov else buffer
        p.sub_(self.rate.astype(p.dtype) * g)


_Corrections = dict[np.dtype[Any], tuple[Tensor, Tensor]]
"""For each dtype of parameters their size of a step and their eps, a number for each parameter."""


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1).

    Parameters
    ----------
    params, lr : see `Optimizer`.
    betas : what the means of the gradient and of its square keep in a step, in [0, 1).
    eps : added to the root of the second mean.
    weight_decay : share of the parameter that is added to its gradient.
    """

    state_names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Tensor] | Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
    ) -> None:
        super().__init__(params, lr)
        for i, beta in enumerate(betas):
            _check_number(f"betas[{i}]", beta, 0, 1)
        _check_number("eps", eps, 0)
        _check_number("weight_decay", weight_decay, 0)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay

    def _move(self, i: int, p: Tensor, g: Tensor, shared: Any) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * p
        self._adam(i, p, g, shared)

    def _shared(self) -> _Corrections:
        # The corrections for the start are numbers of the step alone, computed in float64. To
        # correct the size and eps by the root of the second one saves a division for each number
        # of a parameter (the last remark of section 2 of the paper).
        beta1, beta2 = self.betas
        t = maximum(self.steps, 1.0)  # what never moved is not asked, but must not divide by 0
        root = sqrt(1 - beta2**t)
        size = self.rate * root / (1 - beta1**t)
        return {
            dtype: (size.astype(dtype), (self.eps * root).astype(dtype))
            for dtype in {p.dtype for p in self.params}
        }

    def _adam(self, i: int, p: Tensor, g: Tensor, corrections: _Corrections) -> None:
        beta1, beta2 = self.betas
        m, v = self.state["exp_avg"][i], self.state["exp_avg_sq"][i]
        m.assign_(first_moment(m, g, 1 - beta1))
        v.assign_(second_moment(v, g, beta2))
        size, eps = corrections[p.dtype]
        p.assign_(adam_step(p, m, v, size[i], eps[i]))


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    Parameters
    ----------
    params, lr, betas, eps : see `Adam`.
    weight_decay : the parameter shrinks by `lr * weight_decay` of itself in each step.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _move(self, i: int, p: Tensor, g: Tensor, shared: Any) -> None:
        p.mul_((1 - self.rate * self.weight_decay).astype(p.dtype))
        self._adam(i, p, g, shared)


# Adam's means of the gradients (`weight` is 1 - beta1, subtracted in float64) and of their squares,
# and the parameter after a step: `size` and `eps` hold the corrections for the start.
first_moment = builtin("first_moment(m, g, weight)", "m + weight * (g - m)")
second_moment = builtin("second_moment(v, g, beta)", "beta * v + (1 - beta) * g * g")
adam_step = builtin("adam_step(p, m, v, size, eps)", "p - size * m / (sqrt(v) + eps)")

# Between target (tau = 0) and source (tau = 1).
polyak_step = builtin("polyak_step(target, source, tau)", "(1 - tau) * target + tau * source")


@no_grad()
def polyak(targets: Any, sources: Any, tau: float) -> None:
    """Move targets towards sources: `target = (1 - tau) * target + tau * source`.

    tau = 0 leaves the targets as they are, tau = 1 copies the sources; both exactly, whatever the
    other side holds.

    Parameters
    ----------
    targets, sources : modules or lists of tensors, in the same order.
    tau : the sources' share, in [0, 1].

    Raises
    ------
    ValueError : for tau outside [0, 1], or when the tensors differ in number or shape.
    """
    if not 0 <= tau <= 1:
        raise ValueError(f"tau must be in [0, 1], not {tau!r}")
    mine, theirs = collect_tensors(targets), collect_tensors(sources)
    if len(mine) != len(theirs) or not mine:
        raise ValueError(
            f"polyak: {counted(len(mine), 'target tensor')} but "
            f"{counted(len(theirs), 'source tensor')}"
        )
    pairs = list(zip(mine, theirs, strict=True))
    for target, source in pairs:
        if target.shape != source.shape:
            raise ValueError(
                f"polyak: target {target.shape} and source {source.shape} differ in shape"
            )
    for target, source in pairs:
        if tau == 1:
            target.assign_(source)
        elif tau > 0:
            target.assign_(polyak_step(target, source, tau))


@no_grad()
def clip_grad_norm(params: Any, max_norm: float) -> Tensor:
    """Scale all gradients together so that their joint 2-norm is at most `max_norm`.

    Only gradients that a step would use count: a stale one on a frozen tensor does not. A NaN or
    infinity in one of them makes the norm, and with it every gradient, non-finite or 0: look at
    the norm.

    Parameters
    ----------
    params : a module or tensors.

    Returns
    -------
    The norm before clipping, a 0-d tensor.

    Raises
    ------
    ValueError : for a `max_norm` that is not above 0, or when there is no gradient.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be above 0, not {max_norm!r}")
    tensors = [p for p in collect_tensors(params) if p.requires_grad]
    gradients: Sequence[Tensor] = [p.grad for p in tensors if p.grad is not None]
    if not gradients:
        raise ValueError("clip_grad_norm: no parameter has a gradient")
    squares = [(g * g).sum() for g in gradients]
    total = squares[0]
    for s in squares[1:]:
        total = total + s
    norm = sqrt(total)
    factor = (max_norm / (norm + 1e-6)).clip(None, 1.0)
    for g in gradients:
        g.mul_(factor)
    return norm


absent(Optimizer, "the optimizer {}", OPTIMIZER)
door(globals())
