"""Tensor: an array that can require a gradient, and the ways in and out of it."""

from collections import UserList, deque
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_rl import spelling
from tinygrad_rl.core import display
from tinygrad_rl.core.context import (
    Changes,
    caller,
    frozen_anywhere,
    mode,
    next_in_sequence,
    warn,
)
from tinygrad_rl.core.cuts import Cut, CutKind
from tinygrad_rl.core.dtypes import DTYPES, Size
from tinygrad_rl.core.lines import at
from tinygrad_rl.core.storage import Storage

if TYPE_CHECKING:
    from tinygrad_rl.core.node import Node
    from tinygrad_rl.core.op import Op


class Bare:
    """A tensor's slots, without the guard that refuses to set them.

    `Tensor.__setattr__` would cost a microsecond for each result: results are filled in bare and
    then become tensors.
    """

    # Not advertised, but named for the engine to read; written through the functions below.
    # `_flag`, `_cuts` and `accumulated` are `requires_grad`, `cuts` and `grad` as core sees them:
    # no call, no observer, no `frozen` block.
    __slots__ = (
        "__weakref__",
        "_array",
        "_cuts",
        "_flag",
        "accumulated",
        "hooks",
        "node",
        "op",
        "storage",
    )
    _array: np.ndarray[Any, Any]
    _flag: bool
    accumulated: "Tensor | None"
    _cuts: tuple[Cut, ...]  # where its paths were cut, for messages
    hooks: list[Any] | None  # of a leaf; a result's are on its node
    node: "Node | None"
    op: "Op | None"  # the op that made it, recorded or not
    storage: Storage | None


class Tensor(Bare):
    """An array that can require a gradient.

    Parameters
    ----------
    data : number, nested list, NumPy array or tensor; copied. Python floats become float32, ints
        int64, bools bool; arrays keep their dtype.
    requires_grad : whether `backward` accumulates a gradient for this tensor; floats only.
    dtype : float32, float64, int64, int32, uint8 or bool.

    Raises
    ------
    TypeError : for a dtype that is not supported, or `requires_grad` on integers and booleans.
    RuntimeError : for tensors that require a gradient, outside `no_grad`: their history would be
        lost; `stack` and `copy` keep it, `detach` says that a constant is meant.
    """

    __slots__ = ()

    def __new__(cls, data: Any, requires_grad: bool = False, dtype: Any = None) -> "Tensor":
        """A tensor on a copy of the data."""
        t = wrap(as_array(data, dtype, copy=True))
        for observer in mode.observers:
            observer.on_create(t)
        if requires_grad is not False:
            _check_flag(t, requires_grad)
            set_slot_flag(t, bool(requires_grad))
        return t

    def __setattr__(self, name: str, value: Any) -> None:
        setter = _SETTERS.get(name)
        if setter is None:
            raise spelling.unsettable(name, tuple(_SETTERS))
        setter(self, value)

    def __dir__(self) -> list[str]:
        return spelling.without_absent(self, super().__dir__())

    # What the array says.
    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self._array.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return Size(self._array.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """A NumPy dtype."""
        return self._array.dtype

    # What autograd knows.
    @property
    def requires_grad(self) -> bool:
        """Whether gradients are computed. Settable on leaves; a result has it iff an input had."""
        if frozen_anywhere and (blocks := mode.frozen.get(id(self))):
            return blocks[-1].flag
        return self._flag

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        _check_flag(self, flag)
        if self.node is not None:
            if flag:
                return
            raise RuntimeError(
                "requires_grad can't be switched off on the result of an op (its history is "
                "recorded already): use detach() to get a constant, or frozen() around the forward "
                "pass"
            )
        if flag == self.requires_grad:
            return  # nothing is set, so nothing is recorded
        kind = CutKind.UNFROZEN if flag else CutKind.FROZEN
        cut = Cut(kind, f"requires_grad set to {bool(flag)}", caller(), next_in_sequence())
        # One that was unfrozen once stays known for it: it was meant to be trained.
        older = [c for c in self.cuts if c.kind not in (CutKind.FROZEN, kind)]
        set_requires_grad(self, bool(flag), (cut, *older))

    def requires_grad_(self, flag: bool = True) -> "Tensor":
        """Set `requires_grad` in place and return the tensor."""
        self.requires_grad = flag
        return self

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """Where paths to this tensor were cut, and its flag set."""
        if frozen_anywhere and (blocks := mode.frozen.get(id(self))):
            return blocks[-1].cuts
        return self._cuts

    @property
    def is_leaf(self) -> bool:
        """True when no recorded op made this tensor."""
        return self.node is None

    @property
    def grad(self) -> "Tensor | None":
        """The gradient accumulated by `backward`, of this tensor's shape and dtype, or None."""
        if mode.observers:
            touch_grad(self, writing=False)
        if self.accumulated is None and self.node is not None and self.node.retained is None:
            warn(
                f"the .grad of a result of an op ({self.node.op.name!r}, called at "
                f"{at(self.node.where)}) is read: only leaves get one. Call retain_grad() on it "
                "before backward(), or use grad(loss, [it])"
            )
        return self.accumulated

    @grad.setter
    def grad(self, value: "Tensor | None") -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad must be a Tensor or None, not {type(value).__name__}")
            if value.shape != self.shape or value.dtype != self.dtype:
                raise ValueError(
                    f"grad must be {self.dtype} of shape {self.shape} like its tensor, not "
                    f"{value.dtype} of shape {value.shape}"
                )
        if mode.observers:
            touch_grad(self, writing=True)
        set_grad(self, value)

    # The way out of the engine.
    def numpy(self) -> np.ndarray[Any, Any]:
        """A read-only view of the values; writing goes through `assign_`."""
        _reading(self, "numpy()")
        view = self._array.view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The one number of a tensor of size 1."""
        _reading(self, "item()")
        if self._array.size != 1:
            raise ValueError(f"item() needs exactly one number, this tensor has shape {self.shape}")
        return self._array.item()

    def tolist(self) -> Any:
        """Nested Python lists, or a number for a 0-d tensor."""
        _reading(self, "tolist()")
        return self._array.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        if copy or (dtype is not None and dtype != array.dtype):
            if copy is False:
                given = spelling.with_article(array.dtype)
                raise ValueError(f"{given} tensor can't become {dtype} without a copy")
            return array.astype(dtype or array.dtype)
        return array

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> "Tensor":
        operator = REFLECTED.get(ufunc)
        # `array + tensor` comes by NumPy; tensors on the left have their own operators.
        if operator is None or type(inputs[0]) is Tensor or method != "__call__" or named:
            raise spelling.no_array_function(ufunc)
        return operator(*inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, named: Any) -> Any:
        if function.__name__ not in spelling.ABOUT_ARRAYS:
            raise spelling.no_array_function(function)
        return np.empty(0).__array_function__(function, (), args, named)

    def __float__(self) -> float:
        _reading(self, "float()")
        return float(self.item())

    def __int__(self) -> int:
        _reading(self, "int()")
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise TypeError("only a 0-d integer tensor can be an index")
        return int(self)

    def __bool__(self) -> bool:
        _reading(self, "bool() or if")
        if self._array.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {self.shape} is ambiguous: use any() or all()"
            )
        return bool(self._array.item())

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a 0-d tensor has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        return display.as_text(self)

    def _repr_html_(self) -> str:
        """For notebooks."""
        return display.as_html(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            "tensors are not pickled: write them with tinygrad_rl.save; for a second tensor use "
            "copy() (the gradient passes), detach() (it does not; shares memory) or copy.deepcopy"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "Tensor":
        if self.node is not None:
            raise RuntimeError(
                f"only leaves can be deep-copied, this is the result of {self.node.op.name!r}, "
                f"called at {at(self.node.where)}: a copy of it would have no history. Use "
                "detach().copy()"
            )
        _reading(self, "copy.deepcopy")
        copied = memo[id(self)] = wrap(self._array.copy())
        set_history(copied, History(None, self.requires_grad, self.op, self.cuts))
        if self.accumulated is not None:
            set_grad(copied, wrap(self.accumulated._array.copy()))
        return copied

    __hash__ = object.__hash__

    if TYPE_CHECKING:  # operators and methods are filled in by ops/ and autodiff.py, see `method`

        def _operator(self, *others: Any) -> "Tensor": ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _operator
        __truediv__ = __rtruediv__ = __mod__ = __floordiv__ = __pow__ = __rpow__ = _operator
        __matmul__ = __rmatmul__ = __neg__ = __lt__ = __le__ = __gt__ = __ge__ = _operator
        __getitem__ = _operator
        __setitem__: Callable[..., None]
        __iter__: Callable[..., Any]

        def __getattr__(self, name: str) -> Any: ...


_SETTERS: dict[str, Any] = {
    "requires_grad": Tensor.requires_grad.fset,  # type: ignore[attr-defined]
    "grad": Tensor.grad.fset,  # type: ignore[attr-defined]
}
"""What can be set on a tensor."""

spelling.absent(Tensor, "a Tensor", spelling.TENSOR)

REFLECTED: dict[np.ufunc, Callable[..., Tensor]] = {}
"""What NumPy calls for an operator whose left side is an array -> the op; filled in by ops/."""


def touch_grad(tensor: Tensor, writing: bool) -> None:
    """Tell the observers that a tensor's `.grad` is about to be read or set."""
    for observer in mode.observers:
        observer.on_grad(tensor, writing)


def _check_flag(tensor: Tensor, flag: Any) -> None:
    if not isinstance(flag, (bool, np.bool_)):
        raise TypeError(f"requires_grad is True or False, not {flag!r}")
    if flag and tensor.dtype.kind != "f":
        raise TypeError(f"only floats can require a gradient, this tensor is {tensor.dtype}")


def _reading(tensor: Tensor, how: str) -> None:
    for observer in mode.observers:
        observer.on_read(tensor, how)


def wrap(array: np.ndarray[Any, Any], storage: Storage | None = None) -> Tensor:
    """A constant tensor on this very array: the fast way to make one."""
    t = Bare()
    t._array = array
    t.storage = storage
    t.node = t.accumulated = t.hooks = t.op = None
    t._flag = False
    t._cuts = ()
    t.__class__ = Tensor
    return t  # type: ignore[return-value]


def as_array(data: Any, dtype: Any = None, copy: bool = False) -> np.ndarray[Any, Any]:
    """A NumPy array of a supported dtype; Python floats count as float32."""
    if isinstance(data, Tensor):
        data = _unwrapped(data)
    if isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
    else:
        array = np.array(_unwrapped(data))
        if dtype is None and array.dtype == np.float64:
            # Python floats are weak: beside arrays they take those arrays' dtype.
            dtypes = set(_dtypes_in(data)) or {np.dtype(np.float32)}
            array = array.astype(np.result_type(*dtypes, 0.0))
    dtype = np.dtype(array.dtype if dtype is None or array.dtype.kind in "OUS" else dtype)
    if dtype not in DTYPES:
        raise TypeError(
            f"{spelling.no_number_in(data)}dtype {dtype} is not supported; use one of "
            f"{', '.join(sorted(d.name for d in DTYPES))}"
        )
    return np.array(array, dtype=dtype) if copy else np.asarray(array, dtype=dtype)


def _unwrapped(data: Any, listed: bool = False) -> Any:
    """Tensors by their arrays, also in lists; one with a history would lose it without a word."""
    if isinstance(data, Tensor):
        if data._flag and mode.grad:
            instead = "join tensors with stack()" if listed else "keep it with copy()"
            raise RuntimeError(
                f"a tensor of shape {data.shape} that requires a gradient can't become data: its "
                f"history would be lost; {instead}, or detach() it first if a constant is meant"
            )
        _reading(data, "Tensor()")
        return data._array
    if isinstance(data, (list, tuple, deque, UserList)):
        return [_unwrapped(d, True) for d in data]
    return data


def _dtypes_in(data: Any) -> Iterator[np.dtype[Any]]:
    if isinstance(data, (list, tuple, deque, UserList)):
        for d in data:
            yield from _dtypes_in(d)
    elif isinstance(data, (np.ndarray, np.generic, Tensor)):
        yield data.dtype


def method(*names: str) -> Callable[[Any], Any]:
    """Make a function of a tensor a method of Tensor too, under each of the names."""

    def bind(function: Any) -> Any:
        def call(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            return function(self, *args, **kwargs)

        call.__doc__ = function.__doc__
        own = getattr(function, "__name__", "")
        for name in names:
            value = function if isinstance(function, FunctionType) else call
            if not name.startswith("__"):
                value = spelling.spelled(value, own if own in names else name)
            setattr(Tensor, name, value)
        return function

    return bind


# -- past the guard: for the engine ----------------------------------------------------------------


class History(NamedTuple):
    """Where a tensor comes from, as far as a gradient is concerned."""

    node: "Node | None"
    requires_grad: bool
    op: "Op | None" = None
    cuts: tuple[Cut, ...] = ()


def history_of(tensor: Tensor) -> History:
    """What `set_history` gives to another tensor, or back to this one."""
    return History(tensor.node, tensor._flag, tensor.op, tensor._cuts)


def set_history(tensor: Tensor, history: History) -> None:
    """Give a tensor the history of another one, whatever it had, without a word to observers."""
    _set_node(tensor, history.node)
    set_slot_flag(tensor, history.requires_grad)
    _set_op(tensor, history.op)
    _set_cuts(tensor, history.cuts)


def set_requires_grad(tensor: Tensor, flag: bool, cuts: tuple[Cut, ...]) -> None:
    """Set the flag of a leaf and the cuts that say why; observers and compiled functions hear.

    Inside a `frozen` block it is set for this thread, until the block ends.
    """
    for observer in mode.observers:
        observer.on_flag(tensor)
    if blocks := mode.frozen.get(id(tensor)):
        blocks[-1].flag, blocks[-1].cuts = flag, cuts
        if flag and not tensor._flag:  # `record` looks there, and asks further only if it is set
            blocks[-1].lent = True
            set_slot_flag(tensor, True)
    else:
        set_slot_flag(tensor, flag)
        _set_cuts(tensor, cuts)
    Changes.count += 1  # afterwards: another thread must not look before, and then no more


def with_node(node: "Node", array: np.ndarray[Any, Any], storage: Storage | None = None) -> Tensor:
    """A tensor whose history is this node: what it made, made anew."""
    t = wrap(array, storage)
    _set_node(t, node)
    set_slot_flag(t, True)
    return t


def alias(tensor: Tensor) -> Tensor:
    """A constant on the tensor's own memory: a write to one of the two counts for both."""
    new = wrap(tensor._array, storage_of(tensor))
    for observer in mode.observers:
        observer.on_alias(new, tensor)
    return new


def storage_of(tensor: Tensor) -> Storage:
    """The count of writes to a tensor's memory, which begins when somebody asks for it."""
    storage = tensor.storage
    if storage is None:
        storage = Storage()
        _set_storage(tensor, storage)
    return storage


set_grad: Callable[[Tensor, Tensor | None], None] = vars(Bare)["accumulated"].__set__
"""Set `.grad` unchecked, without a word to observers."""

# A slot's own setter is as fast as an assignment and does not ask the guard.
set_slot_flag, _set_cuts, _set_node, _set_op, _set_storage = [
    vars(Bare)[slot].__set__ for slot in ("_flag", "_cuts", "node", "op", "storage")
]
