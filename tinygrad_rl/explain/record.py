"""Run a function and note everything that its tensors go through, whether or not a gradient could.

    recorder = Recorder(names)
    with recorder:
        result = fn(*args)
    recorder.calls                        # every op call, as a Call with the user's line

The engine itself records a call only when a gradient will come back through it. Here all calls are
kept, so that a path can be followed beyond the place where it is cut: through `no_grad`, `detach`,
frozen inputs, comparisons, and even out of the engine and back, when the same numbers return.
"""

import linecache
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rl import autodiff, core
from tinygrad_rl.core import Observer, Op, Tensor, mode
from tinygrad_rl.debug.walkthrough import Visit, gradients_of, visit
from tinygrad_rl.naming import Names
from tinygrad_rl.nn.module import Module

_PACKAGE = str(Path(__file__).parent.parent)
_MODULE_CALL = Module.__call__.__code__
_SWEEPS = {f.__code__ for f in (autodiff.sweep, autodiff.grad, autodiff.backward)}
_METHOD = "call"  # the wrapper that makes an op a method, see core.method
_READS_OF_ENGINE = {"bool() or if"}  # steer Python, carry no numbers on


class Line(NamedTuple):
    """A line of the user's code."""

    file: str
    number: int

    @property
    def code(self) -> str:
        """The text of the line, stripped; empty when the source can't be read."""
        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        path = Path(self.file)
        try:
            path = path.relative_to(Path.cwd())
        except ValueError:
            path = Path(path.name)
        return f"{path}:{self.number}"


class Cause(NamedTuple):
    """Why no gradient passes at one place: the kind of cut, a word about it, the line to blame."""

    kind: str
    detail: str
    line: Line


@dataclass(eq=False)
class Value:
    """A tensor as the function saw it: a leaf, or what one call made."""

    tensor: Tensor
    maker: "Call | None" = None
    name: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return self.tensor.shape


@dataclass(eq=False)
class Call:
    """One op call, or another way for numbers to get from one tensor to the next.

    Attributes
    ----------
    kind : "op", "assign" (written in place) or "left" (read out of the engine and brought back).
    flags : whether each input required a gradient at the time.
    recorded : whether the engine keeps this call for a gradient.
    causes : for each input, what stops a gradient here, whatever happened before.
    line : innermost line of the user's code.
    stack : all lines of the user's code, from the explained function to the innermost.
    part : the engine function that the user called, such as mse_loss, shared by all ops inside it.
    modules : the modules being called, outermost first, as pairs (identity of the call, name).
    """

    index: int
    kind: str
    op: str
    inputs: list[Value]
    out: Value
    flags: list[bool]
    recorded: bool
    causes: list[list[Cause]]
    line: Line
    stack: tuple[Line, ...]
    part: tuple[int, str]
    modules: list[tuple[int, str]]
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Root:
    """A tensor whose gradient was asked for, and what the sweep from it found at that moment."""

    values: list[Value]
    line: Line | None
    asked: set[int] | None  # ids of the leaves that grad() was asked about; None for all
    frozen_late: dict[int, Cause]
    visits: list[Visit]
    gradients: dict[Tensor, Tensor]
    by_grad: bool = False
    error: str | None = None  # what the engine said when it refused


@dataclass(eq=False)
class Read:
    """Numbers that left the engine: whose, how, at which line, after how many calls."""

    source: Value
    how: str
    line: Line
    when: int
    numbers: np.ndarray[Any, Any]

    def matches(self, constant: Value) -> bool:
        """Whether a constant that appears later holds these very numbers."""
        a, b = self.numbers.ravel(), constant.tensor._array.ravel()
        if constant is self.source or a.size != b.size or not a.size:
            return False
        if a.size == 1 and not a.any():
            return False  # a lone zero says nothing
        return bool(np.array_equal(a.astype(b.dtype), b, equal_nan=a.dtype.kind == "f"))


class _Place(NamedTuple):
    """Where a call stands in the user's code and in the engine."""

    line: Line
    stack: tuple[Line, ...]
    part: tuple[int, str]
    modules: list[tuple[int, str]]


class Recorder(Observer):
    """Stands in `mode.observers` while the function runs and builds the shadow graph.

    Parameters
    ----------
    names : what the user calls the tensors that exist before the call.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self.calls: list[Call] = []
        self.reads: list[Read] = []
        self.roots: list[Root] = []
        self._values: dict[int, Value] = {}
        self._of_node: dict[int, Value] = {}
        self._alive: list[Tensor] = []  # an id means something only while its object lives
        self._blocks: list[Cause | None] = []
        self._outside = (
            None if mode.grad else Cause("no_grad", "explain was called with it on", _here())
        )
        self._frames: dict[FrameType, int] = {}
        self._local_names: dict[int, tuple[int, str]] = {}
        self._start = core.next_in_sequence()
        self._before: tuple[Observer, ...] = ()

    def __enter__(self) -> "Recorder":
        self._before = mode.observers
        mode.observers = (*mode.observers, self)
        return self

    def __exit__(self, *exc: object) -> None:
        mode.observers = self._before
        self._frames.clear()  # they hold the user's variables
        for value in self._values.values():
            value.name = self._name(value.tensor)

    # -- what the engine tells -------------------------------------------------------------------

    def on_call(
        self, op: Op, inputs: Sequence[Tensor], params: dict[str, Any], out: Tensor
    ) -> None:
        """Note a call with all its inputs, and why a gradient would not pass."""
        place = self._place(inputs, op.name)
        values = [self._value(t) for t in inputs]
        result = Value(out)
        call = Call(
            index=len(self.calls),
            kind="op",
            op=op.name,
            inputs=values,
            out=result,
            flags=[t.requires_grad for t in inputs],
            recorded=out.node is not None,
            causes=[self._causes(op, t, out, place.line) for t in inputs],
            line=place.line,
            stack=place.stack,
            part=place.part,
            modules=place.modules,
            params=params,
        )
        result.maker = call
        self._values[id(out)] = result
        if out.node is not None:
            self._of_node[id(out.node)] = result
        self.calls.append(call)

    def on_assign(self, target: Tensor, value: Tensor) -> None:
        """Follow numbers that are written into a tensor, unless it is state that lives longer."""
        known = self._values.get(id(target))
        if (known is None or known.maker is None) and not mode.grad:
            return  # a parameter that an optimizer moves stays the same leaf
        place = self._place([target, value], "assign_")
        block = self._block()
        self._link(
            "assign", "assign_", [self._value(value)], target, place, [block] if block else []
        )

    def on_read(self, tensor: Tensor, how: str) -> None:
        """Note that numbers leave the engine."""
        if how not in _READS_OF_ENGINE:
            place = self._place([tensor], how)
            numbers = tensor._array.copy()
            self.reads.append(Read(self._value(tensor), how, place.line, len(self.calls), numbers))

    def on_grad_mode(self, flag: bool | None) -> None:
        """Keep the stack of blocks that set grad mode, each with its line."""
        if flag is None:
            if self._blocks:
                self._blocks.pop()
        else:
            self._blocks.append(None if flag else _block_cause())

    def on_backward(
        self,
        outputs: Sequence[Tensor],
        inputs: Sequence[Tensor] | None,
        gradients: Sequence[Any],
    ) -> None:
        """Take the gradient ourselves before the function does, for that uses up the graph."""
        line = self._place(outputs, "backward").line
        self.add_root(list(outputs), line, inputs, inputs is not None, gradients)

    # -- roots -----------------------------------------------------------------------------------

    def add_root(
        self,
        outputs: list[Tensor],
        line: Line | None,
        inputs: Sequence[Tensor] | None = None,
        by_grad: bool = False,
        given: Sequence[Any] | None = None,
    ) -> None:
        """Sweep back from `outputs`, slowly, and keep every step; `given` are their gradients."""
        observers, mode.observers = mode.observers, ()
        visits: list[Visit] = []
        gradients: dict[Tensor, Tensor] = {}
        refused: str | None = None
        try:
            starts = zip(outputs, given or [None] * len(outputs), strict=True)
            tracked = [(t, g) for t, g in starts if t.requires_grad]
            if tracked:
                tensors = [t for t, _ in tracked]
                ones = gradients_of(tensors)
                seeds = [
                    one if g is None else Tensor(g, dtype=t.dtype)
                    for (t, g), one in zip(tracked, ones, strict=True)
                ]
                visits, gradients = visit(tensors, seeds, inputs)
        except RuntimeError as error:
            refused = str(error)
        finally:
            mode.observers = observers
        self.roots.append(
            Root(
                [self._value(t) for t in outputs],
                line,
                None if inputs is None else {id(t) for t in inputs},
                self._frozen_late(),
                visits,
                gradients,
                by_grad,
                refused,
            )
        )

    def _frozen_late(self) -> dict[int, Cause]:
        """Leaves that had the flag when they were used and have it no more."""
        used = {
            id(v.tensor): v.tensor
            for call in self.calls
            for v, flag in zip(call.inputs, call.flags, strict=True)
            if flag and v.maker is None
        }
        return {
            i: Cause(
                "frozen after the forward",
                "the call had noted already that it wants a gradient",
                _line_of(t.cuts[0].where),
            )
            for i, t in used.items()
            if not t.requires_grad and t.cuts
        }

    def thawed_late(self, tensor: Tensor) -> Cause | None:
        """Where a leaf got its flag during the run, when it has one now."""
        cut = tensor.cuts[0] if tensor.requires_grad and tensor.cuts else None
        if cut is None or cut.kind != "unfrozen" or cut.when < self._start:
            return None
        return Cause(
            "unfrozen after the forward",
            "the call before had noted no gradient",
            _line_of(cut.where),
        )

    # -- links outside op calls ------------------------------------------------------------------

    def link_reads(self) -> None:
        """Connect tensors that left the engine with constants that hold the same numbers later."""
        first_use: dict[int, int] = {}
        for call in self.calls:
            for v in call.inputs:
                first_use.setdefault(id(v), call.index)
        constants = [
            v
            for v in self._values.values()
            if v.maker is None
            and not v.tensor.requires_grad
            and id(v.tensor) not in self.names.tensors
        ]
        for v in constants:
            use = first_use.get(id(v), -1)
            read = next((r for r in reversed(self.reads) if r.when <= use and r.matches(v)), None)
            if read is not None:
                place = _Place(read.line, (read.line,), (-1, read.how), [])
                cause = Cause("left the engine", f"through {read.how}", read.line)
                self._link("left", read.how, [read.source], v.tensor, place, [cause], v)

    def _link(
        self,
        kind: str,
        op: str,
        inputs: list[Value],
        target: Tensor,
        place: _Place,
        causes: list[Cause],
        out: Value | None = None,
    ) -> None:
        out = out or Value(target)
        flags = [v.tensor.requires_grad for v in inputs]
        live = kind == "assign" and mode.grad and any(flags)
        call = Call(
            len(self.calls), kind, op, inputs, out, flags, live, [causes] * len(inputs), *place
        )
        out.maker = call
        self._values[id(target)] = out
        self.calls.append(call)

    # -- why and where ---------------------------------------------------------------------------

    def _value(self, tensor: Tensor) -> Value:
        value = self._values.get(id(tensor))
        if value is None:
            # A rule that asks for its op's output gets another tensor with the same history.
            value = self._of_node.get(id(tensor.node)) or Value(tensor)
            self._values[id(tensor)] = value
            self._alive.append(tensor)
        return value

    def _name(self, tensor: Tensor) -> str:
        local = self._local_names.get(id(tensor))
        return self.names.tensors.get(id(tensor)) or (local[1] if local else "")

    def _block(self) -> Cause | None:
        if mode.grad:
            return None
        return next((b for b in reversed(self._blocks) if b), self._outside)

    def _causes(self, op: Op, tensor: Tensor, out: Tensor, line: Line) -> list[Cause]:
        found = []
        cut = tensor.cuts[0] if tensor.cuts else None
        if (
            cut is not None
            and cut.kind == "frozen"
            and not tensor.requires_grad
            and tensor.op is None
        ):
            found.append(Cause("frozen", cut.detail, _line_of(cut.where)))
        if (block := self._block()) is not None:
            found.append(block)
        if op.name == "stop_gradient":
            found.append(Cause("detached", "stop_gradient or detach()", line))
        elif not op.differentiable or out.dtype.kind != "f":
            what = (
                f"{op.name} gives {out.dtype}"
                if out.dtype.kind != "f"
                else f"{op.name} has no derivative"
            )
            found.append(Cause("not differentiable", what, line))
        return found

    def _place(self, inputs: Sequence[Tensor], op: str) -> _Place:
        """Walk the stack once, from the op out to the explained function."""
        lines: list[Line] = []
        part: tuple[int, str] | None = None
        modules: list[tuple[int, str]] = []
        inner: FrameType | None = None
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code is not RUNNER:
            code = frame.f_code
            if code is _MODULE_CALL:
                module = frame.f_locals["self"]
                modules.append((self._frame_id(frame), self.names.modules.get(id(module), "")))
            elif not code.co_filename.startswith(_PACKAGE):
                lines.append(Line(code.co_filename, frame.f_lineno))
                self._note_locals(frame, inputs, len(lines))
            boundary = code is _MODULE_CALL or not code.co_filename.startswith(_PACKAGE)
            if boundary and part is None:
                part = (self._frame_id(inner), _part_name(inner, op)) if inner else (-1, op)
            # Inside a module's forward, what forward calls is what the user would have called.
            caller = frame.f_back
            if code.co_name != _METHOD and not (caller and caller.f_code is _MODULE_CALL):
                inner = frame if not boundary else None
            frame = frame.f_back
        lines = lines or [Line("?", 0)]
        return _Place(lines[0], tuple(lines[::-1]), part or (-1, op), modules[::-1])

    def _frame_id(self, frame: FrameType) -> int:
        return self._frames.setdefault(frame, len(self._frames))

    def _note_locals(self, frame: FrameType, inputs: Sequence[Tensor], depth: int) -> None:
        """What the function calls its intermediate results; the outermost frame's names win."""
        variables = frame.f_locals
        for t in inputs:
            if self._local_names.get(id(t), (0, ""))[0] < depth:
                name = next((n for n, v in variables.items() if v is t), None)
                if name is not None:
                    self._local_names[id(t)] = (depth, name)


def run(recorder: Recorder, fn: Any, args: Sequence[Any]) -> Any:
    """Call the function; the walk up the stack ends at this frame."""
    return fn(*args)


RUNNER = run.__code__


def _here() -> Line:
    return _line_of(core.caller())


def _inside_a_sweep(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        if frame.f_code in _SWEEPS:
            return True
        frame = frame.f_back
    return False


def _line_of(where: Any) -> Line:
    return Line(*core.place(where))


def _part_name(frame: FrameType, op: str) -> str:
    name = frame.f_code.co_name
    return op if name == "__call__" else name.strip("_")


def _block_cause() -> Cause:
    """What has just set grad mode to False: a `with`, a decorator, or the engine's sweep."""
    frame = sys._getframe(3)  # this, on_grad_mode, GradMode.__enter__, and who entered
    if _inside_a_sweep(frame):
        return Cause(
            "no create_graph",
            "made by a backward or grad(), which records its own work only with create_graph=True",
            _line_of(core.caller()),
        )
    function = frame.f_locals.get("function")
    if frame.f_code.co_name == "wrapped" and function is not None:
        code = function.__code__
        if not code.co_filename.startswith(_PACKAGE):
            line = Line(code.co_filename, code.co_firstlineno)
            return Cause("no_grad", f"{function.__name__} is decorated with it", line)
        return Cause("no_grad", f"inside {function.__name__}()", _line_of(core.caller()))
    return Cause("no_grad", "the block records nothing", _line_of(core.caller()))
