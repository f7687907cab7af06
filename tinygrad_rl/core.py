"""A tensor, an op, and the record of one call: everything else is built from these three.

    y = record(op, inputs, params, array)   # what every op does once its numbers are there

A `Tensor` is a NumPy array with a flag. An `Op` says how to compute an output and, for each input,
how a gradient comes back. Calling an op computes at once; when an input wants a gradient, the call
is also noted in a `Node`, which remembers *which* inputs wanted one at that moment. Nodes point to
the nodes before them, never forward, so a graph that nobody holds is gone at once.

Read next: `ops/elementwise.py` (what an op looks like), then `autodiff.py` (the way back).
"""

import difflib
import inspect
import itertools
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit

_PACKAGE = str(Path(__file__).parent)
_DTYPES = {np.dtype(t) for t in (np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_)}
Where = tuple[CodeType, int]


class Mode(threading.local):
    """What this thread does with op calls: record them for a gradient, show them to observers."""

    grad: bool = True
    notes: bool = True  # whether results without history say where their paths were cut
    interpret: bool = False  # compute elementwise ops by NumPy: a trace shall compile nothing
    observers: tuple["Observer", ...] = ()


mode = Mode()


class FlagChanges:
    """Counts settings of any tensor's flag: compiled functions look at flags again only then."""

    count = 0


class Observer:
    """Sees a thread's op calls while it stands in `mode.observers`; does nothing by default."""

    def on_call(
        self, op: "Op", inputs: Sequence["Tensor"], params: dict[str, Any], out: "Tensor"
    ) -> None:
        """After an op has computed `out`."""

    def on_create(self, tensor: "Tensor") -> None:
        """After a tensor was made of numbers that are no tensor's."""

    def on_random(self) -> None:
        """Before random numbers are drawn for a tensor."""

    def on_assign(self, target: "Tensor", value: "Tensor") -> None:
        """Before `target`'s numbers are overwritten with `value`'s."""

    def on_read(self, tensor: "Tensor", how: str) -> None:
        """Before a tensor's numbers leave the engine through `how`, such as 'item()'."""

    def on_grad_mode(self, flag: bool | None) -> None:
        """After a block has set grad mode to `flag`; None when the innermost block ends."""

    def on_backward(
        self,
        outputs: Sequence["Tensor"],
        inputs: Sequence["Tensor"] | None,
        gradients: Sequence[Any],
    ) -> None:
        """Before `grad(outputs, inputs)`, or `backward` where `inputs` is None."""

    def on_step(self, node: "Node | None") -> None:
        """When the sweep comes to the rules of a recorded call; None when the sweep is over."""

    def on_gradient(self, leaf: "Tensor", g: "Tensor") -> None:
        """Before `backward` adds `g` to the gradient of a leaf."""

    def on_flag(self, tensor: "Tensor") -> None:
        """Before `requires_grad` of a leaf is set."""

    def on_grad(self, leaf: "Tensor", writing: bool) -> None:
        """Before `.grad` of a tensor is read or set."""


# -- where in the user's code ----------------------------------------------------------------------


class _Inside(dict[str, bool]):
    """Whether a source file belongs to this package."""

    def __missing__(self, file: str) -> bool:
        self[file] = file.startswith(_PACKAGE)
        return self[file]


_inside = _Inside()


def caller() -> Where | None:
    """The innermost line of code outside this package, in a form that is cheap to take."""
    frame = sys._getframe(1)
    while frame is not None and _inside[frame.f_code.co_filename]:
        frame = frame.f_back  # type: ignore[assignment]
    return None if frame is None else (frame.f_code, frame.f_lasti)


def warn(message: str) -> None:
    """A UserWarning at the user's line, however deep inside the package it comes from."""
    where = caller()
    file, line = place(where)
    warnings.warn_explicit(message, UserWarning, file, line)


def place(where: Where | None) -> tuple[str, int]:
    """File name and line number of what `caller` noted."""
    if where is None:
        return "?", 0
    code, lasti = where
    line = next((ln for start, end, ln in code.co_lines() if start <= lasti < end and ln), 0)
    return code.co_filename, line


def at(where: Where | None) -> str:
    """`file.py:12`, for messages."""
    file, line = place(where)
    return f"{file}:{line}"


class Cut(NamedTuple):
    """Why no gradient passes through a tensor: kind, a word about it, and the line that did it."""

    kind: str
    detail: str
    where: Where | None
    when: int = 0  # in the count of recorded calls


_sequence = itertools.count().__next__


# -- tensors ---------------------------------------------------------------------------------------


class Storage:
    """What all tensors on the same memory share: the count of writes, and where the last was."""

    __slots__ = ("changed", "shared", "version")

    def __init__(self) -> None:
        self.version = 0
        self.changed: Where | None = None
        self.shared = False


class _Bare:
    """A tensor's slots without its guard.

    `Tensor.__setattr__` refuses unknown names, which would cost a microsecond for each result, so
    results are filled in bare and then become tensors.
    """

    __slots__ = (
        "__weakref__",
        "_array",
        "_cuts",
        "_flag",
        "_grad",
        "_hooks",
        "_node",
        "_op",
        "_storage",
    )
    _array: np.ndarray[Any, Any]
    _cuts: tuple[Cut, ...]  # where its paths were cut, for messages
    _flag: bool
    _grad: "Tensor | None"
    _hooks: list[Any] | None  # of a leaf; a result's are on its node
    _node: "Node | None"
    _op: "Op | None"  # the op that made it, recorded or not
    _storage: Storage | None


class Tensor(_Bare):
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
    """

    __slots__ = ()
    __array_ufunc__ = None  # makes `array + tensor` come to us instead of to NumPy

    def __init__(self, data: Any, requires_grad: bool = False, dtype: Any = None) -> None:
        _fill(self, as_array(data, dtype, copy=True))
        for observer in mode.observers:
            observer.on_create(self)
        if requires_grad is not False:
            _check_flag(self, requires_grad)
            object.__setattr__(self, "_flag", bool(requires_grad))

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(type(self), name):
            raise AttributeError(f"a Tensor has no attribute {name!r} to set{_hint(name)}")
        object.__setattr__(self, name, value)

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
        return self._array.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """A NumPy dtype."""
        return self._array.dtype

    # What autograd knows.
    @property
    def requires_grad(self) -> bool:
        """Whether a gradient is wanted. Settable on leaves; a result has it iff an input had."""
        return self._flag

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        _check_flag(self, flag)
        if self._node is not None:
            if flag:
                return
            raise RuntimeError(
                "requires_grad can't be switched off on the result of an op (its history is "
                "recorded "
                "already): use detach() to get a constant, or frozen() around the forward pass"
            )
        if flag == self._flag:
            return  # nothing is set, so nothing is noted as set
        announce_flag(self)
        self._flag = bool(flag)
        kind = "thawed" if flag else "frozen"
        older = tuple(c for c in self._cuts if c.kind not in ("frozen", "thawed"))
        self._cuts = (
            Cut(kind, f"requires_grad set to {bool(flag)}", caller(), _sequence()),
            *older,
        )

    def requires_grad_(self, flag: bool = True) -> "Tensor":
        """Set `requires_grad` in place and return the tensor."""
        self.requires_grad = flag
        return self

    @property
    def is_leaf(self) -> bool:
        """True when no recorded op made this tensor."""
        return self._node is None

    @property
    def grad(self) -> "Tensor | None":
        """The gradient accumulated by `backward`, of this tensor's shape and dtype, or None."""
        if mode.observers:
            touch_grad(self, writing=False)
        if self._grad is None and self._node is not None and self._node.retained is None:
            warn(
                f"the .grad of a result of an op ({self._node.op.name!r}, called at "
                f"{at(self._node.where)}) is read: only leaves get one. Call retain_grad() on it "
                "before "
                "backward(), or use grad(loss, [it])"
            )
        return self._grad

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
        touch_grad(self, writing=True)
        self._grad = value

    # The way out of the engine.
    def numpy(self) -> np.ndarray[Any, Any]:
        """A read-only view of the numbers; writing goes through `assign_`."""
        _reading(self, "numpy()")
        view = self._array.view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The one number of a tensor of size 1."""
        _reading(self, "item()")
        if self.size != 1:
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
                raise ValueError(f"a {array.dtype} tensor can't become {dtype} without a copy")
            return array.astype(dtype or array.dtype)
        return array

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
        if self.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {self.shape} is ambiguous: use any() or all()"
            )
        return bool(self._array.item())

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a 0-d tensor has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        if any(type(o).on_read is not Observer.on_read for o in mode.observers):
            numbers = "..."  # a traced tensor can be printed, its numbers can't be read
        else:
            numbers = np.array2string(self._array, separator=", ", prefix="Tensor(", precision=6)
        parts = [numbers, f"shape={self.shape}", f"dtype={self.dtype}"]
        if self._flag:
            parts.append("requires_grad=True")
        if self._node is not None:
            parts.append(f"op={self._node.op.name}")
        return f"Tensor({', '.join(parts)})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            "tensors are not pickled: write them with tinygrad_rl.save; for a second tensor use "
            "copy() "
            "(the gradient passes), detach() (it does not; shares memory) or copy.deepcopy"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "Tensor":
        if self._node is not None:
            raise RuntimeError(
                f"only leaves can be deep-copied, this is the result of {self._node.op.name!r}, "
                "called "
                f"at {at(self._node.where)}: a copy of it would have no history. Use "
                "detach().copy()"
            )
        _reading(self, "copy.deepcopy")
        twin = memo[id(self)] = wrap(self._array.copy())
        fill = object.__setattr__
        for slot in ("_flag", "_op", "_cuts"):
            fill(twin, slot, getattr(self, slot))
        if self._grad is not None:
            fill(twin, "_grad", wrap(self._grad._array.copy()))
        return twin

    __hash__ = object.__hash__

    if TYPE_CHECKING:  # operators and methods are filled in by ops/ and autodiff.py, see `method`
        __add__: Callable[..., "Tensor"]
        __radd__: Callable[..., "Tensor"]
        __sub__: Callable[..., "Tensor"]
        __rsub__: Callable[..., "Tensor"]
        __mul__: Callable[..., "Tensor"]
        __rmul__: Callable[..., "Tensor"]
        __truediv__: Callable[..., "Tensor"]
        __rtruediv__: Callable[..., "Tensor"]
        __pow__: Callable[..., "Tensor"]
        __rpow__: Callable[..., "Tensor"]
        __mod__: Callable[..., "Tensor"]
        __floordiv__: Callable[..., "Tensor"]
        __matmul__: Callable[..., "Tensor"]
        __rmatmul__: Callable[..., "Tensor"]
        __neg__: Callable[..., "Tensor"]
        __lt__: Callable[..., "Tensor"]
        __le__: Callable[..., "Tensor"]
        __gt__: Callable[..., "Tensor"]
        __ge__: Callable[..., "Tensor"]
        __getitem__: Callable[..., "Tensor"]
        __setitem__: Callable[..., None]
        __iter__: Callable[..., Any]

        def __getattr__(self, name: str) -> Any: ...


def announce_flag(tensor: Tensor) -> None:
    """Count a setting of a flag and tell the observers, before it happens."""
    FlagChanges.count += 1
    for observer in mode.observers:
        observer.on_flag(tensor)


def touch_grad(tensor: Tensor, writing: bool) -> None:
    """Tell the observers that a tensor's `.grad` is about to be read or set."""
    for observer in mode.observers:
        observer.on_grad(tensor, writing)


def _check_flag(tensor: Tensor, flag: Any) -> None:
    if not isinstance(flag, (bool, np.bool_)):
        raise TypeError(f"requires_grad is True or False, not {flag!r}")
    if flag and tensor.dtype.kind != "f":
        raise TypeError(f"only floats can require a gradient, this tensor is {tensor.dtype}")


def _hint(name: str) -> str:
    if name == "data":
        return (
            ": writing past the version counter is how gradients go wrong silently. Use assign_() "
            "inside no_grad() to write, detach() to read"
        )
    known = [n for n in dir(Tensor) if not n.startswith("_")]
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _reading(tensor: Tensor, how: str) -> None:
    for observer in mode.observers:
        observer.on_read(tensor, how)


def _fill(tensor: Any, array: np.ndarray[Any, Any]) -> Any:
    fill = object.__setattr__
    fill(tensor, "_array", array)
    for name in ("_node", "_grad", "_hooks", "_op", "_storage"):
        fill(tensor, name, None)
    fill(tensor, "_flag", False)
    fill(tensor, "_cuts", ())
    return tensor


def wrap(array: np.ndarray[Any, Any]) -> Tensor:
    """A constant tensor on this very array: the fast way to make one."""
    t = _Bare()
    t._array = array
    t._node = t._grad = t._hooks = t._op = t._storage = None
    t._flag = False
    t._cuts = ()
    t.__class__ = Tensor
    return t  # type: ignore[return-value]


def as_array(data: Any, dtype: Any = None, copy: bool = False) -> np.ndarray[Any, Any]:
    """A NumPy array of a supported dtype; Python floats count as float32."""
    if isinstance(data, Tensor):
        _reading(data, "Tensor()")
        data = data._array
    if isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
    else:
        array = np.array(_unwrapped(data))
        if dtype is None and array.dtype == np.float64:
            # Python floats are weak: beside arrays they take those arrays' dtype.
            dtypes = set(_dtypes_in(data)) or {np.dtype(np.float32)}
            array = array.astype(np.result_type(*dtypes, 0.0))
    wanted = np.dtype(array.dtype if dtype is None else dtype)
    if wanted not in _DTYPES:
        raise TypeError(
            f"dtype {wanted} is not supported; use one of "
            f"{', '.join(sorted(d.name for d in _DTYPES))}"
        )
    return np.array(array, dtype=wanted) if copy else np.asarray(array, dtype=wanted)


def _unwrapped(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        return [_unwrapped(d) for d in data]
    if isinstance(data, Tensor):
        _reading(data, "Tensor()")
        return data._array
    return data


def _dtypes_in(data: Any) -> Iterator[np.dtype[Any]]:
    if isinstance(data, (list, tuple)):
        for d in data:
            yield from _dtypes_in(d)
    elif isinstance(data, (np.ndarray, np.generic, Tensor)):
        yield data.dtype


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the array's memory: what is written to one is seen in the other."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy takes a NumPy array, not {type(array).__name__}")
    return wrap(as_array(array))


@lru_cache(maxsize=4096)
def _constant(text: str, dtype: np.dtype[Any]) -> Tensor:
    value = np.array(
        float(text) if dtype.kind == "f" else int(text) if dtype.kind != "b" else text == "True"
    )
    value = value.astype(dtype)
    value.flags.writeable = False  # shared by all who use this number; a literal to the compiler
    return wrap(value)


def constant(value: float, dtype: np.dtype[Any]) -> Tensor:
    """A Python number as a 0-d tensor; keyed by its text, since 0.0 and -0.0 are equal."""
    return _constant(repr(value), dtype)


def as_tensor(value: Any) -> Tensor:
    """The tensor itself, or a constant made of an array, list or number."""
    return value if type(value) is Tensor else wrap(as_array(value))


def storage_of(tensor: Tensor) -> Storage:
    """The count of writes to a tensor's memory, which begins when somebody asks for it."""
    storage = tensor._storage
    if storage is None:
        storage = Storage()
        object.__setattr__(tensor, "_storage", storage)
    return storage


def method(*names: str) -> Callable[[Any], Any]:
    """Make a function of a tensor a method of Tensor too, under each of the names."""

    def bind(function: Any) -> Any:
        def call(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            return function(self, *args, **kwargs)

        call.__doc__ = function.__doc__
        for name in names:
            setattr(Tensor, name, call if isinstance(function, Op) else function)
        return function

    return bind


# -- ops -------------------------------------------------------------------------------------------


Rule = Callable[..., Tensor]


class Plan(NamedTuple):
    """What a call saves and which rules run, when exactly these inputs want a gradient."""

    positions: tuple[int, ...]  # the inputs that want one
    rules: tuple[tuple[Rule, tuple[str, ...]], ...]  # a rule for each, and the names it asks for
    saves: tuple[tuple[str, int], ...]  # (name, position) of the inputs that some rule asks for
    constant: tuple[bool, ...]  # which of those wanted no gradient
    saves_output: bool
    shapes: tuple[tuple[str, int], ...]  # (name_shape, position)


class Op:
    """One differentiable operation, declared once.

    Everything else follows from the declaration: the eager call, gradients of any order, the
    compiled program, FLOP counts and the test battery. Elementwise ops are easier to declare, as
    scalar functions: see `tinygrad_rl.elementwise`.

    Parameters
    ----------
    name : what listings and errors call it.
    kernel : `kernel(out, a, b, *, axis)` writes the result into `out`; plain Python that Numba can
        compile. Its arguments name the tensor inputs, those behind the star the static parameters.
    shape : `shape(a, b, *, axis)` gives the output's shape, or a pair (shape, dtype), and raises
        ValueError where the inputs don't fit.
    forward : instead of `kernel` and `shape`, a NumPy function that returns the result.
    vjp : for each input the rule that turns the gradient of the output into the gradient of the
        input. A rule asks for what it needs by the names of its arguments: `g` (the incoming
        gradient), `y` (the output), an input, `a_shape` (an input's shape, which keeps no array
        alive), a parameter. It is written in ops, so it can be differentiated again.
    flops : `flops(out, a, b, *, axis)`: floating-point operations in matrix products; 0 when left
        out.
    differentiable : False for an op whose output never requires a gradient, such as a comparison.

    Raises
    ------
    TypeError : when a rule is given for something that is no input, or asks for an unknown name.
    """

    def __init__(
        self,
        name: str,
        *,
        kernel: Callable[..., None] | None = None,
        shape: Callable[..., Any] | None = None,
        forward: Callable[..., Any] | None = None,
        vjp: dict[str, Rule] | None = None,
        flops: Callable[..., int] | None = None,
        differentiable: bool = True,
    ) -> None:
        if (kernel is None) == (forward is None) or (kernel is None) != (shape is None):
            raise TypeError(f"op {name!r} takes either kernel= and shape=, or forward=")
        self.name = name
        self.differentiable = differentiable
        self.kernel, self.shape_rule, self.forward = kernel, shape, forward
        self._flops = flops
        self._plans: dict[tuple[bool, ...], Plan] = {}
        self._compiled: Any = None
        signature = list(inspect.signature(kernel or forward).parameters.values())  # type: ignore[arg-type]
        inputs = [p for p in signature if p.kind is not p.KEYWORD_ONLY][1 if kernel else 0 :]
        self.args = tuple(p.name for p in inputs)
        self.variadic = bool(inputs) and inputs[-1].kind is inputs[-1].VAR_POSITIONAL
        self.params = tuple(p.name for p in signature if p.kind is p.KEYWORD_ONLY)
        if taken := {"g", "y", "index", "shapes"} & {*self.args, *self.params}:
            raise TypeError(f"op {name!r}: {min(taken)!r} means something else in rules; rename it")
        self.vjp = {arg: self._checked(arg, rule) for arg, rule in (vjp or {}).items()}
        REGISTRY[name] = self

    def _checked(self, arg: str, rule: Rule) -> tuple[Rule, tuple[str, ...]]:
        if arg not in self.args:
            raise TypeError(
                f"op {self.name!r} has no input {arg!r} (inputs: {', '.join(self.args)})"
            )
        names = tuple(inspect.signature(rule).parameters)
        known = {
            "g",
            "y",
            "index",
            "shapes",
            *self.args,
            *self.params,
            *(f"{a}_shape" for a in self.args),
        }
        if unknown := [n for n in names if n not in known]:
            raise TypeError(
                f"the rule of op {self.name!r} for {arg!r} asks for {unknown[0]!r}; it can ask for "
                f"{', '.join(sorted(known))}"
            )
        return rule, names

    def arg_name(self, position: int) -> str:
        """What the input at this position is called."""
        if self.variadic and position >= len(self.args) - 1:
            return f"{self.args[-1]}{position - len(self.args) + 1}"
        return self.args[position]

    def rule(self, position: int) -> tuple[Rule, tuple[str, ...]]:
        """The gradient rule of one input, and the names of what it asks for."""
        arg = self.args[min(position, len(self.args) - 1)]
        if arg not in self.vjp:
            raise NotImplementedError(
                f"op {self.name!r} has no gradient rule for its input "
                f"{self.arg_name(position)!r}, which "
                "requires a gradient: give it one (vjp=), or pass the input through stop_gradient"
            )
        rule, names = self.vjp[arg]
        if "index" in names:
            return partial(rule, index=position), tuple(n for n in names if n != "index")
        return rule, names

    def plan(self, needs: tuple[bool, ...]) -> Plan:
        """The plan for one pattern of wanted gradients, made at the first such call."""
        positions = tuple(i for i, wanted in enumerate(needs) if wanted)
        rules = tuple(self.rule(i) for i in positions)
        asked = {name for _, names in rules for name in names}
        inputs = [(self.arg_name(i), i) for i in range(len(needs))]
        saves = tuple((name, i) for name, i in inputs if name in asked)
        shapes = [(f"{name}_shape", i) for name, i in inputs if f"{name}_shape" in asked]
        if "shapes" in asked:
            shapes.append(("shapes", -1))
        return Plan(
            positions,
            rules,
            saves,
            tuple(not needs[i] for _, i in saves),
            "y" in asked,
            tuple(shapes),
        )

    def flops(self, out: Any, inputs: Sequence[Any], params: dict[str, Any]) -> int:
        """Floating-point operations in matrix products; everything else is memory traffic."""
        return self._flops(out, *inputs, **params) if self._flops else 0

    def __call__(self, *inputs: Any, **params: Any) -> Tensor:
        """Compute the output, and note the call when a gradient will have to come back."""
        tensors = [as_tensor(x) for x in inputs]
        arrays = [t._array for t in tensors]
        if self.forward is not None:
            return self._recorded(tensors, params, np.asarray(self.forward(*arrays, **params)))
        return record(self, tensors, params, self._run_kernel(arrays, params))

    def _recorded(
        self, tensors: list[Tensor], params: dict[str, Any], result: np.ndarray[Any, Any]
    ) -> Tensor:
        if result.dtype not in _DTYPES:
            raise TypeError(f"op {self.name!r} gave {result.dtype}, which is not supported")
        if any(result is t._array for t in tensors):
            result = result.view()
        storage = None
        if result.base is not None:
            for t in tensors:
                if np.may_share_memory(result, t._array):
                    storage = storage_of(t)  # a view: a write to either one counts for both
                    storage.shared = True
        return record(self, tensors, params, result, storage)

    def _run_kernel(
        self, arrays: list[np.ndarray[Any, Any]], params: dict[str, Any]
    ) -> np.ndarray[Any, Any]:
        assert self.shape_rule is not None and self.kernel is not None
        shape = self.shape_rule(*arrays, **params)
        dtype: Any = np.result_type(*arrays)
        if len(shape) == 2 and isinstance(shape[0], tuple):
            shape, dtype = shape
        if self._compiled is None:
            self._compiled = njit(self.kernel, error_model="numpy", nogil=True)
        out = np.empty(shape, dtype)
        arrays = [a.astype(np.result_type(*arrays)) if a.dtype.kind == "f" else a for a in arrays]
        self._compiled(out, *arrays, *(params[p] for p in self.params))
        return out

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(self.args)})>"


REGISTRY: dict[str, Op] = {}
"""Every op by name: what the test battery and the compiler go through."""


class Node:
    """The record of one op call in which some input wanted a gradient.

    `parents` has, for each of those inputs, what the gradient is handed to: the node that made it,
    or the leaf tensor itself. Only what the rules ask for is kept alive.
    """

    op: Op
    params: dict[str, Any]
    plan: Plan
    parents: tuple[Any, ...]
    saved: tuple[Tensor, ...] | None
    versions: tuple[int, ...]
    output: Any  # (array, storage, version) when a rule asks for y
    shapes: dict[str, Any] | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sequence: int
    where: Where | None
    hooks: list[Any] | None
    retained: Any  # a weak reference to the tensor whose .grad is wanted, see `retain_grad`
    released: Where | None
    unflagged: list[Any] | None
    __slots__ = (
        "dtype",
        "hooks",
        "op",
        "output",
        "params",
        "parents",
        "plan",
        "released",
        "retained",
        "saved",
        "sequence",
        "shape",
        "shapes",
        "unflagged",
        "versions",
        "where",
    )


def record(
    op: Op,
    inputs: Sequence[Tensor],
    params: dict[str, Any],
    array: np.ndarray[Any, Any],
    storage: Storage | None = None,
) -> Tensor:
    """Make the output tensor of a call; note the call when a gradient will have to come back.

    Whether an input wants a gradient is looked at here, once: a flag that is changed later, by
    leaving a `frozen()` block say, changes nothing about what was recorded. A view comes with its
    `storage`.
    """
    out = _Bare()
    out._array = array
    out._storage = storage
    out._node = out._grad = out._hooks = None
    out._op = op
    out._flag = False
    out._cuts = ()
    out.__class__ = Tensor
    needs = tuple([t._flag for t in inputs])
    wanted = True in needs
    if wanted and mode.grad and op.differentiable:
        _remember(op, inputs, params, out, needs)
    elif wanted or any([t._cuts for t in inputs]):  # noqa: C419 (faster than a generator)
        if mode.notes:
            _note_cuts(op, inputs, out, wanted)
    if mode.observers:
        for observer in mode.observers:
            observer.on_call(op, inputs, params, out)  # type: ignore[arg-type]
    return out  # type: ignore[return-value]


def _remember(
    op: Op, inputs: Sequence[Tensor], params: dict[str, Any], out: _Bare, needs: tuple[bool, ...]
) -> None:
    plan = op._plans.get(needs)
    if plan is None:
        plan = op._plans[needs] = op.plan(needs)
    node = Node()
    node.op = op
    node.params = params
    node.plan = plan
    node.sequence = _sequence()
    node.where = caller()
    node.shape = out._array.shape
    node.dtype = out._array.dtype
    node.parents = tuple([inputs[i]._node or inputs[i] for i in plan.positions])
    saved = node.saved = tuple([inputs[i] for _, i in plan.saves])
    node.versions = tuple([0 if (s := t._storage) is None else s.version for t in saved])
    node.shapes = None
    if plan.shapes:
        shapes = tuple([t._array.shape for t in inputs])
        node.shapes = {name: shapes if i < 0 else shapes[i] for name, i in plan.shapes}
    node.output = None
    if plan.saves_output:
        # The array and its version, not the tensor: a tensor points to its node, and a node that
        # pointed back would be a cycle, kept until the collector comes by.
        storage = storage_of(out)  # type: ignore[arg-type]
        node.output = (out._array, storage, storage.version)
    node.hooks = node.retained = node.released = node.unflagged = None
    if len(plan.positions) < len(needs):
        # To warn of a leaf whose flag is set too late; weak, so that no array is kept alive.
        node.unflagged = [weakref.ref(t) for t in inputs if not t._flag and t._node is None]
    out._node = node
    out._flag = True


def _note_cuts(op: Op, inputs: Sequence[Tensor], out: Any, wanted: bool) -> None:
    """Leave crumbs on a result without history: the lines where its paths were cut, no arrays."""
    cuts = dict.fromkeys(cut for t in inputs for cut in t._cuts if cut.kind != "thawed")
    if wanted:
        if not mode.grad:
            cut = Cut("no_grad", f"{op.name} was called with grad mode off", caller())
        elif op.name == "stop_gradient":
            cut = Cut("detached", "stop_gradient or detach()", caller())
        else:
            cut = Cut("not differentiable", f"{op.name} has no derivative", caller())
        cuts[cut] = None
    object.__setattr__(out, "_cuts", tuple(cuts)[:8])
