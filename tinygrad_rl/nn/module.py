"""Module: a tree of named parameters.

    class Critic(Module):
        def __init__(self):
            super().__init__()
            self.q = Linear(20, 1)

        def forward(self, x):
            return self.q(x)

Assigning is registering: `Critic().named_parameters()` gives q.weight and q.bias.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_rl.core import Tensor
from tinygrad_rl.grad_mode import no_grad
from tinygrad_rl.spelling import MODULE, absent, without_absent
from tinygrad_rl.tree import TensorHolder


class Module(TensorHolder):
    """Base class of layers and networks.

    Tensors assigned as attributes belong to the state: those that require a gradient when they are
    assigned are parameters (and stay so when they are frozen later), the others buffers. Results
    with history are neither. Modules assigned as attributes become children. A class overrides
    `forward`.

    `copy.deepcopy` gives a module with tensors of its own, with the same values, flags and
    gradients: a target network is `copy.deepcopy(critic).requires_grad_(False)`.

    Raises
    ------
    AttributeError : for attributes that look like a flag, such as `module.requires_grad = False`,
        which would freeze nothing.
    """

    training = True

    def __init__(self) -> None:
        self._parameters: dict[str, Tensor] = {}
        self._buffers: dict[str, Tensor] = {}
        self._children: dict[str, Module] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if difflib.get_close_matches(name, ["requires_grad"], 1, 0.8):
            raise AttributeError(
                f"setting {name!r} on a module freezes nothing: call requires_grad_({value!r}), "
                "or use `with frozen(module):`"
            )
        if "_children" not in self.__dict__:
            if isinstance(value, (Tensor, Module)):
                raise AttributeError(f"call super().__init__() before assigning {name!r}")
        else:
            self._forget(name)
        if isinstance(value, Module):
            self._children[name] = value
        elif isinstance(value, Tensor) and value.is_leaf:
            (self._parameters if value.requires_grad else self._buffers)[name] = value
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return without_absent(self, super().__dir__())

    def __delattr__(self, name: str) -> None:
        self._forget(name)
        super().__delattr__(name)

    def _forget(self, name: str) -> None:
        for group in (self._parameters, self._buffers, self._children):
            group.pop(name, None)

    def forward(self, *args: Any) -> Any:
        """Compute the output; overridden by each module."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *args: Any) -> Any:
        """`forward`."""
        return self.forward(*args)

    def _named(self, group: str) -> Iterator[tuple[str, Tensor]]:
        yield from getattr(self, group).items()
        for path, module in self.named_holders():
            yield from ((f"{path}.{name}", t) for name, t in getattr(module, group).items())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Pairs (dotted name, parameter), in the order of assignment; each parameter once."""
        seen: set[int] = set()
        for name, p in self._named("_parameters"):
            if id(p) not in seen:
                seen.add(id(p))
                yield name, p

    def parameters(self) -> list[Tensor]:
        """All parameters; a list, so it can't be used up."""
        return [p for _, p in self.named_parameters()]

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Pairs (dotted name, tensor) of the state that is not trained."""
        return self._named("_buffers")

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Pairs (dotted name, tensor) of the whole state: parameters, then buffers."""
        yield from self._named("_parameters")
        yield from self._named("_buffers")

    def named_holders(self) -> Iterator[tuple[str, "Module"]]:
        """Pairs (dotted name, module) of all modules below this one."""
        for name, child in self._children.items():
            yield name, child
            yield from ((f"{name}.{path}", below) for path, below in child.named_holders())

    def modules(self) -> Iterator["Module"]:
        """The module itself and all below it."""
        yield self
        yield from (module for _, module in self.named_holders())

    def requires_grad_(self, flag: bool = True) -> "Module":
        """Set the flag of every parameter: False freezes the module until it is set again."""
        for p in self.parameters():
            p.requires_grad_(flag)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            p.grad = None

    def train(self, mode: bool = True) -> "Module":
        """Set `training` here and below."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """`train(False)`."""
        return self.train(False)

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by dotted name, as constants that share the module's memory."""
        return {name: t.detach() for name, t in self.named_tensors()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Overwrite parameters and buffers; everything is checked before anything is changed.

        Raises
        ------
        KeyError : naming the entries that are missing or unknown.
        ValueError : naming the entry, for a wrong shape, for what is no array, and for floats
            where the module has integers.
        """
        mine = dict(self.named_tensors())
        missing, unknown = sorted(mine.keys() - state.keys()), sorted(state.keys() - mine.keys())
        if missing or unknown:
            raise KeyError(
                f"the state does not fit {type(self).__name__}: missing {missing}, unknown "
                f"{unknown}"
            )
        arrays = {name: _fitting(name, state[name], t) for name, t in mine.items()}
        with no_grad():
            for name, t in mine.items():
                t.assign_(arrays[name])

    def __repr__(self) -> str:
        lines = [
            f"  ({name}): {child!r}".replace("\n", "\n  ") for name, child in self._children.items()
        ]
        return f"{type(self).__name__}(" + ("\n" + "\n".join(lines) + "\n)" if lines else ")")


absent(Module, "the module {}", MODULE)


def _fitting(name: str, value: Any, like: Tensor) -> np.ndarray[Any, Any]:
    array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.shape != like.shape:
        raise ValueError(f"{name!r} has shape {array.shape}, the module's is {like.shape}")
    if array.dtype.kind not in "fiub" or (array.dtype.kind == "f" and like.dtype.kind != "f"):
        raise ValueError(f"{name!r} holds {array.dtype}, the module's is {like.dtype}")
    return array.astype(like.dtype)
