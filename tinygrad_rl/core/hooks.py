"""What a gradient meets on its way: hooks, and results that want to keep theirs."""

import weakref
from collections.abc import Callable
from typing import Any

from tinygrad_rl.core.context import Changes
from tinygrad_rl.core.tensor import Bare, Tensor, method

_set_hooks = vars(Bare)["hooks"].__set__


class HookHandle:
    """Takes a hook off again."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook off; harmless when it is off already."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)
        Changes.count += 1


@method("register_hook")
def register_hook(tensor: Tensor, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
    """Call `hook(gradient)` when this tensor's gradient is complete; what it returns replaces it.

    The hook gets a copy. Where it returns nothing, what it has written there replaces the gradient,
    of this tensor alone.

    Raises
    ------
    RuntimeError : when the tensor does not require a gradient.
    """
    if not tensor.requires_grad:
        raise RuntimeError("a hook needs a tensor that requires a gradient")
    if tensor.node is not None:  # which outlives this tensor
        hooks = tensor.node.hooks = tensor.node.hooks or []
    else:
        hooks = tensor.hooks or []
        _set_hooks(tensor, hooks)
    hooks.append(hook)
    Changes.count += 1
    return HookHandle(hooks, hook)


@method("retain_grad")
def retain_grad(tensor: Tensor) -> None:
    """Make `backward` fill `.grad` of this result of an op too; leaves have it anyway."""
    if not tensor.requires_grad:
        raise RuntimeError("retain_grad needs a tensor that requires a gradient")
    if tensor.node is not None:
        tensor.node.retained = weakref.ref(tensor)
