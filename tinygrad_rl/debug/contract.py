"""Promise what a piece of training code does to which tensors, and be told when it does not.

    with gradient_contract(receives=actor, untouched=critic, max_flops=110e6):
        loss = actor_loss(critic, obs, actor(obs))
        loss.backward()
        optimizer.step()

In a test it stands as it is, or as a decorator: a broken promise is an AssertionError that names
the tensor and the clause. It watches: a gradient that comes and is cleared again does not escape.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np

from tinygrad_rl.core import Observer, Tensor, watching
from tinygrad_rl.debug.flops import FlopCounter
from tinygrad_rl.naming import Names, callers_variables
from tinygrad_rl.tree import collect_tensors


class GradientContractError(AssertionError):
    """A tensor broke a clause of a `gradient_contract`."""


class _Watch(Observer):
    """Records which leaves get a gradient, and how large."""

    def __init__(self) -> None:
        self.norms: dict[Tensor, float] = {}

    def on_gradient(self, leaf: Tensor, g: Tensor) -> None:
        norm = float(np.linalg.norm(g._array.astype(np.float64)))
        self.norms[leaf] = max(norm, self.norms.get(leaf, 0.0)) if norm == norm else norm


class gradient_contract:
    """Check, at the end of the block, who got a gradient, who moved, and what it cost.

    Parameters
    ----------
    receives : modules or tensors that must get a gradient by `backward`: finite, and not all zeros.
    untouched : modules or tensors that must get none, and whose values must stay as they are.
    max_flops : most matrix-product FLOPs that the block may take, forward and backward.

    Attributes
    ----------
    flops : what the block took.

    Raises
    ------
    GradientContractError : at the end, with a line for each broken clause. An exception inside the
        block goes through unchanged.
    ValueError : when there is nothing to check.

    Notes
    -----
    Each of the two also takes a dict {name: module or tensor}; without one, tensors have the names
    of the caller's variables. What runs inside a compiled step can't be watched call by call:
    there, gradients and values before and after are compared, and the FLOPs are not counted.
    """

    def __init__(
        self, receives: Any = (), untouched: Any = (), max_flops: float | None = None
    ) -> None:
        names = Names()
        for group in (receives, untouched):
            for name, value in group.items() if isinstance(group, Mapping) else ():
                names.add(name, value)
        names.search_variables(callers_variables())
        self._receives, self._untouched = collect_tensors(receives), collect_tensors(untouched)
        if not self._receives and not self._untouched and max_flops is None:
            raise ValueError(
                "a contract without a clause: was a generator such as parameters() used up before?"
            )
        self._names = {
            t: names.tensors.get(id(t), f"a tensor of shape {t.shape}")
            for t in (*self._receives, *self._untouched)
        }
        if both := [t for t in self._receives if t in set(self._untouched)]:
            name = self._names[both[0]]
            raise ValueError(f"{name} can't both receive a gradient and stay untouched")
        self._max_flops = max_flops
        self._counter = FlopCounter()

    @property
    def flops(self) -> int:
        """Matrix-product FLOPs of the block, so far."""
        return self._counter.total

    def __enter__(self) -> "gradient_contract":
        self._counter, self._watch = FlopCounter(), _Watch()
        self._grads = {t: (t.accumulated, _copied(t.accumulated)) for t in self._names}
        self._values = {t: t._array.copy() for t in self._untouched}
        self._block = watching(self._counter, self._watch)
        self._block.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._block.__exit__(*exc)
        if exc[0] is not None:
            return
        __tracebackhide__ = True
        broken = [
            *(self._missing(t) for t in self._receives),
            *(self._touched(t) for t in self._untouched),
            self._too_dear(),
        ]
        lines = [f"  {line}" for line in broken if line]
        if lines:
            raise GradientContractError("the gradient contract is broken:\n" + "\n".join(lines))

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Check each call of a function."""

        @wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return checked

    # -- the clauses -----------------------------------------------------------------------------

    def _got(self, t: Tensor) -> float | None:
        """Norm of the gradient that a tensor got in the block; None for none."""
        if t in self._watch.norms:
            return self._watch.norms[t]
        (before, values), now = self._grads[t], t.accumulated
        if now is None or (now is before and np.array_equal(now._array, values, equal_nan=True)):
            return None
        return float(np.linalg.norm(now._array.astype(np.float64)))

    def _missing(self, t: Tensor) -> str:
        norm, name = self._got(t), self._names[t]
        if norm is None:
            why = "" if t.requires_grad else " (its requires_grad is False)"
            return f"receives: {name} got no gradient{why}; tinygrad_rl.explain says where it stops"
        if norm == 0:
            return f"receives: the gradient of {name} is exactly zero"
        return "" if np.isfinite(norm) else f"receives: the gradient of {name} is not finite"

    def _touched(self, t: Tensor) -> str:
        norm, name, before = self._got(t), self._names[t], self._values[t]
        is_float = t.dtype.kind == "f"
        said = [f"got a gradient of norm {norm:.4g}"] if norm is not None else []
        if not np.array_equal(t._array, before, equal_nan=is_float):
            most = f" by up to {np.abs(t._array - before).max():.4g}" if is_float else ""
            said.append(f"changed its value{most}")
        return f"untouched: {name} {' and '.join(said)}" if said else ""

    def _too_dear(self) -> str:
        if self._max_flops is None or self.flops <= self._max_flops:
            return ""
        parts = ", ".join(f"{op} {n:,}" for op, n in self._counter.by_op.most_common(4) if n)
        return f"max_flops: the block took {self.flops:,}, at most {self._max_flops:,.0f} ({parts})"


def _copied(grad: Tensor | None) -> np.ndarray[Any, Any]:
    return np.empty(0) if grad is None else grad._array.copy()
