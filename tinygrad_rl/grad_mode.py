"""Which calls are recorded, and for which tensors: `no_grad`, `enable_grad`, and `frozen`.

    with frozen(critic):                  # gradients go through the critic, none is left in it
        loss = -critic(obs, actor(obs)).mean()

`no_grad` stops recording altogether. `frozen` only takes `requires_grad` off some leaves for a
while: what is computed with them is recorded, but not *for* them. Both are the thread's own.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from threading import get_ident
from typing import Any

from tinygrad_rl.core import Cut, CutKind, Frozen, Tensor, caller, freeze, mode, unfreeze
from tinygrad_rl.spelling import kind
from tinygrad_rl.tree import collect_tensors, replaced


class GradMode:
    """A context manager, and decorator, that sets grad mode for the current thread.

    `owner` is the function whose whole body runs in this mode, for observers.
    """

    def __init__(self, flag: bool, owner: Callable[..., Any] | None = None) -> None:
        self.flag, self.owner = flag, owner
        self._before: dict[int, list[bool]] = {}  # by thread, since threads may share this object

    def __enter__(self) -> None:
        self._before.setdefault(get_ident(), []).append(mode.grad)
        mode.grad = self.flag
        for observer in mode.observers:
            observer.on_grad_mode(self.flag, self.owner)

    def __exit__(self, *exc: object) -> None:
        mode.grad = self._before[get_ident()].pop()
        for observer in mode.observers:
            observer.on_grad_mode(None)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a function or generator function.

        Raises
        ------
        TypeError : for a class, and for a coroutine, which would run when the mode is long
            restored.
        """
        if not callable(function):
            raise TypeError(
                f"grad mode is a block or decorates a function, not {kind(function)}: write "
                "`with tg.no_grad():` above what is computed"
            )
        if isinstance(function, type):
            raise TypeError("grad mode decorates functions: decorate the methods of the class")
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("grad mode can't decorate a coroutine: use `with` inside it")
        flag = self.flag

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with GradMode(flag, function):
                return function(*args, **kwargs)

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Any:
            # The body runs piece by piece: only the pieces are in this mode, not who asks for them.
            generator = function(*args, **kwargs)
            resume, value = generator.send, None
            while True:
                try:
                    with GradMode(flag, function):
                        item = resume(value)
                except StopIteration as end:
                    return end.value
                try:
                    resume, value = generator.send, (yield item)
                except BaseException as error:  # thrown in by who asks, close() included
                    resume, value = generator.throw, error

        return generate if inspect.isgeneratorfunction(function) else wrapped


class set_grad_enabled(GradMode):
    """Set grad mode by a flag: at once, and until the end of the block when used with `with`."""

    def __init__(self, flag: bool) -> None:
        super().__init__(bool(flag))
        super().__enter__()

    def __enter__(self) -> None:
        if not self._before.get(get_ident()):  # entered again, or in another thread
            super().__enter__()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a function; as a decorator it sets nothing at once."""
        self.__exit__()
        return super().__call__(function)


def no_grad(function: Callable[..., Any] | None = None) -> Any:
    """Record nothing inside: `with no_grad():` or `@no_grad`. Nests; ends on exceptions too."""
    return GradMode(False) if function is None else GradMode(False)(function)


def enable_grad(function: Callable[..., Any] | None = None) -> Any:
    """Record again inside a `no_grad` block; used as that is."""
    return GradMode(True) if function is None else GradMode(True)(function)


def is_grad_enabled() -> bool:
    """Whether op calls of this thread are recorded."""
    return mode.grad


class frozen:
    """Freeze parameters inside the block: gradients flow through them, none is computed for them.

    Put the *forward* pass inside the block. `backward` may come after it: what required a gradient
    was recorded at the call. Each tensor gets its own flag back at the end, also on exceptions.
    Other threads notice nothing: they get gradients for the same tensors meanwhile.

    Parameters
    ----------
    modules_or_tensors : modules (all their parameters), tensors, or iterables of tensors.

    Raises
    ------
    ValueError : when there is nothing to freeze, such as an iterator that was used up before.
    RuntimeError : for the result of an op, which has its history already.
    """

    def __init__(self, *modules_or_tensors: Any) -> None:
        # Modules are asked again when the block begins: they may have grown until then.
        self._given = replaced(modules_or_tensors, Iterator, list)
        self._open: dict[int, list[list[Frozen]]] = {}  # by thread, as they may share this object
        self._collected()

    def _collected(self) -> list[Tensor]:
        tensors = collect_tensors(self._given)
        if not tensors:
            raise ValueError(
                "frozen() matched no tensor: was a generator such as parameters() used up before? "
                "Pass the module itself, or a list"
            )
        if not all(t.is_leaf for t in tensors):
            raise RuntimeError(
                "frozen() takes leaves (parameters); use detach() on the result of an op"
            )
        return tensors

    def __enter__(self) -> None:
        tensors = self._collected()
        cut = Cut(CutKind.FROZEN, "inside a frozen() block", caller())
        block: list[Frozen] = []
        self._open.setdefault(get_ident(), []).append(block)
        try:
            for t in tensors:
                unfrozen = [c for c in t.cuts if c.kind is CutKind.UNFROZEN]
                block.append(freeze(t, (cut, *unfrozen)))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exc: object) -> None:
        blocks = self._open.get(get_ident())
        if not blocks:  # a generator that began in one thread and is closed in another
            blocks = next(b for b in list(self._open.values()) if b)
        for frozen_leaf in blocks.pop():
            unfreeze(frozen_leaf)
