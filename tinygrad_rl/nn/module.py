"""Module: a tree of named parameters.

    class Twin(Module):
        def __init__(self):
            super().__init__()
            self.q = [Linear(20, 1), Linear(20, 1)]

        def forward(self, x):
            return tg.minimum(self.q[0](x), self.q[1](x))

Assigning is enough: `Twin().named_parameters()` gives q.0.weight, q.0.bias, q.1.weight, q.1.bias.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from reprlib import recursive_repr
from typing import Any

import numpy as np

from tinygrad_rl.core import Tensor
from tinygrad_rl.grad_mode import no_grad
from tinygrad_rl.nn.parts import Walked, check_class, is_parameter, parts_added, parts_of
from tinygrad_rl.spelling import MODULE, absent, without_absent
from tinygrad_rl.tree import TensorHolder, contents


class Module(Walked):
    """Base class of layers and networks; a class of one's own overrides `forward`.

    What stands in the attributes belongs to the module: modules, tensors, and lists, tuples and
    dicts of them, nested at will. It is looked at when it is asked for, so that a list may grow.
    Names and their order are PyTorch's, with an attribute in the place where it was first assigned:
    `layers.0.weight`, `heads.left.bias`. Tensors that require a gradient, or did before they were
    frozen, are parameters, the others buffers. Results with history are neither.

    `copy.deepcopy` gives a module with tensors of its own, with the same values, flags and
    gradients: a target network is `copy.deepcopy(critic).requires_grad_(False)`.

    Objects of other classes may hold constants, and functions are not looked into.

    Raises
    ------
    AttributeError : for attributes that look like a flag, such as `module.requires_grad = False`,
        which would freeze nothing.
    TypeError : naming the attribute, for modules and parameters in a set, an iterator, or an object
        that is neither module, list, tuple nor dict. It is raised when that is assigned, and when
        the module is asked for its parts.
    """

    training = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_class(cls)

    def __init__(self) -> None:
        self.training = True

    def __setattr__(self, name: str, value: Any) -> None:
        if difflib.get_close_matches(name, ["requires_grad"], 1, 0.8):
            raise AttributeError(
                f"setting {name!r} on a module freezes nothing: call requires_grad_({value!r}), "
                "or use `with frozen(module):`"
            )
        added = parts_added(self, name, value)
        if "training" not in vars(self) and (added.tensors or added.holders):
            raise AttributeError(f"call super().__init__() before assigning {name!r}")
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return without_absent(self, super().__dir__())

    def forward(self, *args: Any) -> Any:
        """Compute the output; overridden by each module."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *args: Any) -> Any:
        """`forward`."""
        return self.forward(*args)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Pairs (dotted name, parameter), the module's own first; each parameter once."""
        seen: set[int] = set()
        for name, t in parts_of(self).tensors:
            if is_parameter(t) and id(t) not in seen:
                seen.add(id(t))
                yield name, t

    def parameters(self) -> list[Tensor]:
        """All parameters; a list, so it can't be used up."""
        return [p for _, p in self.named_parameters()]

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Pairs (dotted name, tensor) of the state that is not trained."""
        return ((name, t) for name, t in parts_of(self).tensors if not is_parameter(t))

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Pairs (dotted name, tensor) of the whole state: parameters, then buffers."""
        return iter(sorted(parts_of(self).tensors, key=lambda pair: not is_parameter(pair[1])))

    def named_holders(self) -> Iterator[tuple[str, TensorHolder]]:
        """Pairs (dotted name, module) of all modules below this one."""
        return iter(parts_of(self).holders)

    def modules(self) -> Iterator["Module"]:
        """The module itself and all below it, each once."""
        below = [self, *(holder for _, holder in self.named_holders())]
        yield from {id(m): m for m in below if isinstance(m, Module)}.values()

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

    @recursive_repr("...")
    def __repr__(self) -> str:
        name = type(self).__name__
        return _tree(name, vars(self).items(), ()) or f"{name}()"


def _tree(title: str, items: Iterable[tuple[Any, Any]], path: tuple[int, ...]) -> str:
    """The modules among the items, a line each; nothing when there are none."""
    lines = []
    for key, value in items:
        if isinstance(value, TensorHolder):
            text = "" if value.borrows else repr(value)
        elif id(value) in path:  # a list in itself
            continue
        else:
            text = _tree(type(value).__name__, contents(value), (*path, id(value)))
        if text:
            lines.append(f"  ({key}): {text}".replace("\n", "\n  "))
    return f"{title}(\n" + "\n".join(lines) + "\n)" if lines else ""


absent(Module, "the module {}", MODULE)


def _fitting(name: str, value: Any, like: Tensor) -> np.ndarray[Any, Any]:
    array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.shape != like.shape:
        raise ValueError(f"{name!r} has shape {array.shape}, the module's is {like.shape}")
    if array.dtype.kind not in "fiub" or (array.dtype.kind == "f" and like.dtype.kind != "f"):
        raise ValueError(f"{name!r} holds {array.dtype}, the module's is {like.dtype}")
    return array.astype(like.dtype)
