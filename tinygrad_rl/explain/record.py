"""Run a function and record all that its tensors go through, whether or not a gradient could.

    recorder = Recorder(names)
    result = recorder.run(fn, args)
    recorder.calls                        # every op call, as a Call with the user's line

The engine itself records a call only when a gradient will come back through it. Here all calls are
kept, so that a path can be followed beyond the place where it is cut: through `no_grad`, `detach`,
frozen inputs, comparisons, and even out of the engine and back, when the same values return.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rl import core, spelling
from tinygrad_rl.autodiff import backward, grad
from tinygrad_rl.core import Cut, CutKind, Line, Node, Observer, Op, Tensor, Where, mode, watching
from tinygrad_rl.debug.walkthrough import Visit, visit
from tinygrad_rl.naming import Names
from tinygrad_rl.nn.module import Module

_SWEEPS = backward.__code__, grad.__code__
_PASS_ON = core.__name__, spelling.__name__
"""Whose frames stand between a user's call and the function that it is named after."""


@dataclass(eq=False)
class Tracked:
    """A tensor as the function saw it: a leaf, or what one call made."""

    tensor: Tensor
    maker: "Call | None" = None
    name: str = ""

    @property
    def title(self) -> str:
        """What a sentence calls it."""
        return self.name or f"a tensor of shape {self.tensor.shape}"


class Part(NamedTuple):
    """The engine function that the user called, such as mse_loss, shared by all ops inside it.

    Identities, of parts and of module calls, tell two calls of one function apart; -1 is none.
    """

    identity: int
    name: str


class Site(NamedTuple):
    """Where a call stands in the user's code and in the engine.

    Attributes
    ----------
    where : innermost line of the user's code.
    stack : all lines of the user's code, from the explained function to the innermost.
    modules : the modules being called, outermost first, as pairs (identity of the call, name).
    sweep : identity of the backward() or grad() that the call is part of; -1 for none.
    """

    where: Where | None
    stack: tuple[Line, ...]
    part: Part
    modules: tuple[tuple[int, str], ...] = ()
    sweep: int = -1


NOWHERE = Site(None, (Line("?", 0),), Part(-1, ""))


@dataclass(eq=False)
class Call:
    """One op call, or another way for values to get from one tensor to the next.

    Attributes
    ----------
    order : a number that is higher than that of each call that made an input.
    op : None for values that are written in place, or leave the engine and are brought back.
    name : of the op, or of the other way.
    flags : whether each input required a gradient at the time.
    recorded : whether the engine keeps this call for a gradient.
    cuts : for each input, what stops a gradient here, whatever happened before.
    """

    order: float
    op: Op | None
    name: str
    inputs: list[Tracked]
    out: Tracked
    flags: list[bool]
    recorded: bool
    cuts: list[list[Cut]]
    site: Site


@dataclass(eq=False)
class Root:
    """Tensors whose gradient was asked for, and what the sweep from them found at that moment.

    Attributes
    ----------
    given : the gradient that the user gave for each output, or None.
    site : where it was asked for; its `sweep` tells whose calls are part of the answer.
    asked : what grad() was asked about; None for all leaves.
    when : after how many calls.
    error : what the engine said when it refused.
    """

    outputs: list[Tracked]
    given: list[Any]
    site: Site
    asked: set[Tensor] | None
    frozen_late: dict[Tensor, Cut]
    visits: list[Visit]
    gradients: dict[Tensor, Tensor]
    error: str | None
    when: int

    @property
    def where(self) -> Where | None:
        """The line of the user's code."""
        return self.site.where

    def found(self, tensor: Tensor) -> np.ndarray[Any, Any] | None:
        """The gradient of a leaf or of a result, when the sweep came by."""
        if (g := self.gradients.get(tensor)) is not None:
            return g._array
        node = tensor.node
        return next((v.g._array for v in self.visits if node and v.node is node), None)


@dataclass(eq=False)
class Read:
    """Values that left the engine: whose, how, where, after how many calls."""

    source: Tracked
    how: str
    site: Site
    when: int
    values: np.ndarray[Any, Any]

    def matches(self, constant: Tracked) -> bool:
        """Whether a constant that appears later holds these very values."""
        a, b = self.values.ravel(), constant.tensor._array.ravel()
        if constant is self.source or a.size != b.size or not a.size:
            return False
        if a.size == 1 and not a.any():
            return False  # a lone zero says nothing
        return bool(np.array_equal(a.astype(b.dtype), b, equal_nan=a.dtype.kind == "f"))


class Recorder(Observer):
    """Watches while the function runs, and builds the graph of all that it does.

    Parameters
    ----------
    names : what the user calls the tensors that exist before the call.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self.calls: list[Call] = []
        self.reads: list[Read] = []
        self.roots: list[Root] = []
        self.owners: dict[Tensor, Tensor] = {}  # of each .grad that was read, whose it is
        self._tracked: dict[Tensor, Tracked] = {}
        self._of_node: dict[Node | None, Tracked] = {}
        outside = Cut(CutKind.NO_GRAD, "explain was called with it on", core.caller())
        self._blocks: list[Cut | None] = [None if mode.grad else outside]
        self._bottom: FrameType | None = None
        self._frames: dict[FrameType, int] = {}
        self._searched: set[CodeType] = set()
        self._local_names: dict[Tensor, tuple[int, str]] = {}
        self._where: dict[Line, Where | None] = {}  # one for each line, to make its cuts equal
        self._start = core.next_in_sequence()
        self._frozen_here: set[Tensor] = set()

    def run(self, fn: Callable[..., Any], args: Sequence[Any]) -> Any:
        """Call the function and return what it returns."""
        self._bottom = next(core.frames())  # the walk up the stack ends here
        with watching(self):
            return fn(*args)

    def finish(self) -> None:
        """Name what has no name yet and link what left the engine; lets go of all frames."""
        self._frames.clear()
        self._bottom = None
        for tracked in self._tracked.values():
            _, local = self._local_names.get(tracked.tensor, (0, ""))
            tracked.name = self.names.tensors.get(id(tracked.tensor)) or local
        self._link_reads()
        self.calls.sort(key=lambda call: call.order)

    # -- what the engine tells -------------------------------------------------------------------

    def on_call(
        self, op: Op, inputs: Sequence[Tensor], params: dict[str, Any], out: Tensor
    ) -> None:
        """Record a call with all its inputs, and why a gradient would not pass."""
        site = self._site(inputs, op.name)
        cuts = [self._cuts(op, t, out, site.where) for t in inputs]
        made = Tracked(out)
        self._add(op, op.name, [self.track(t) for t in inputs], made, not out.is_leaf, cuts, site)
        if not out.is_leaf:
            self._of_node[out.node] = made

    def on_assign(self, target: Tensor, value: Tensor) -> None:
        """Follow values that are written into a tensor, unless it is a parameter."""
        known = self._tracked.get(target)
        is_leaf = known is None or known.maker is None
        is_parameter = target.requires_grad or id(target) in self.names.parameters
        if is_leaf and is_parameter and not mode.grad:
            return  # what an optimizer moves stays the same leaf
        site = self._site([target, value], "assign_")
        recorded = mode.grad and value.requires_grad
        cuts = [[cut] if (cut := self._block()) else []]
        self._add(None, "assign_", [self.track(value)], Tracked(target), recorded, cuts, site)

    def on_read(self, tensor: Tensor, how: str) -> None:
        """Record that values leave the engine."""
        if how != "bool() or if":  # that steers Python, and carries no values on
            site, values = self._site([tensor], how), tensor._array.copy()
            self.reads.append(Read(self.track(tensor), how, site, len(self.calls), values))

    def on_grad(self, leaf: Tensor, writing: bool) -> None:
        """Remember whose gradient it is that the function looks at."""
        if not writing and leaf.accumulated is not None:
            self.owners[leaf.accumulated] = leaf

    def on_grad_mode(self, flag: bool | None, owner: Callable[..., Any] | None = None) -> None:
        """Keep the stack of blocks that set grad mode, each with its line."""
        if flag is not None:
            self._blocks.append(None if flag else _block_cut(owner))
        elif len(self._blocks) > 1:
            self._blocks.pop()

    def on_backward(
        self, outputs: Sequence[Tensor], inputs: Sequence[Tensor] | None, gradients: Sequence[Any]
    ) -> None:
        """Take the gradient ourselves before the function does, for that uses up the graph."""
        self.add_root(outputs, gradients, inputs, self._site(outputs, "backward"))

    # -- roots -----------------------------------------------------------------------------------

    def add_root(
        self,
        outputs: Sequence[Tensor],
        given: Sequence[Any],
        inputs: Sequence[Tensor] | None = None,
        site: Site = NOWHERE,
    ) -> None:
        """Sweep back from `outputs`, whose gradients are `given`, or ones, and keep every step."""
        visits: list[Visit] = []
        gradients: dict[Tensor, Tensor] = {}
        error = None
        live = [(t, g) for t, g in zip(outputs, given, strict=True) if t.requires_grad]
        try:
            with watching(alone=True):
                starts = [np.ones(t.shape) if g is None else g for t, g in live]
                seeds = [Tensor(g, dtype=t.dtype) for g, (t, _) in zip(starts, live, strict=True)]
                visits, gradients = visit([t for t, _ in live], seeds, inputs)
        except RuntimeError as refusal:
            error = str(refusal)
        tracked, late = [self.track(t) for t in outputs], self._frozen_late()
        fed = [self.track(g) if isinstance(g, Tensor) else g for g in given]
        asked = None if inputs is None else set(inputs)
        self.roots.append(
            Root(tracked, fed, site, asked, late, visits, gradients, error, len(self.calls))
        )

    def _frozen_late(self) -> dict[Tensor, Cut]:
        """Leaves that had the flag when they were used and have it no more."""
        inputs = [e for call in self.calls for e in zip(call.inputs, call.flags, strict=True)]
        used = {v.tensor for v, flag in inputs if flag and v.maker is None}
        detail = "the call had recorded already that it requires a gradient"
        return {
            t: Cut(CutKind.FROZEN_LATE, detail, t.cuts[0].where)
            for t in used
            if not t.requires_grad and t.cuts
        }

    def unfrozen_late(self, tensor: Tensor) -> Cut | None:
        """Where a leaf got its flag during the run, when it has one now.

        What the run itself had frozen is given its flag back, as it should be.
        """
        if tensor in self._frozen_here:
            return None
        cut = tensor.cuts[0] if tensor.requires_grad and tensor.cuts else None
        if cut is None or cut.kind is not CutKind.UNFROZEN or cut.when < self._start:
            return None
        detail = "the call before had recorded that it requires none"
        return Cut(CutKind.UNFROZEN_LATE, detail, cut.where)

    # -- the graph -------------------------------------------------------------------------------

    def _add(
        self,
        op: Op | None,
        name: str,
        inputs: list[Tracked],
        out: Tracked,
        recorded: bool,
        cuts: list[list[Cut]],
        site: Site,
    ) -> None:
        flags = [v.tensor.requires_grad for v in inputs]
        out.maker = Call(len(self.calls), op, name, inputs, out, flags, recorded, cuts, site)
        self._tracked[out.tensor] = out
        self.calls.append(out.maker)

    def _link_reads(self) -> None:
        """Connect tensors that left the engine with constants that hold the same values later."""
        seen = set()
        for user, v in [(call, v) for call in self.calls for v in call.inputs if not v.maker]:
            if v in seen or v.tensor.requires_grad or id(v.tensor) in self.names.tensors:
                continue
            seen.add(v)
            earlier = (r for r in reversed(self.reads) if r.when <= user.order)
            read = next((r for r in earlier if r.matches(v)), None)
            if read is not None:
                site = Site(read.site.where, read.site.stack[-1:], Part(-1, read.how))
                cut = Cut(CutKind.LEFT_ENGINE, f"through {read.how}", site.where)
                self._add(None, read.how, [read.source], v, False, [[cut]], site)
                self.calls[-1].order = user.order - 0.5  # found last, but belongs before its user

    def same_values(self, source: Tracked, copy: Tracked) -> Call:
        """A call that stands for what the recording can't show: one value was made of another."""
        site = copy.maker.site if copy.maker else NOWHERE
        call = Call(-1, None, "the same values", [source], copy, [True], False, [[]], site)
        self.calls.append(call)
        return call

    def track(self, tensor: Tensor) -> Tracked:
        """What is known of a tensor."""
        if tensor not in self._tracked:
            # A rule that asks for its op's output gets another tensor with the same history.
            self._tracked[tensor] = self._of_node.get(tensor.node) or Tracked(tensor)
        return self._tracked[tensor]

    # -- why and where ---------------------------------------------------------------------------

    def _block(self) -> Cut | None:
        return None if mode.grad else next((b for b in reversed(self._blocks) if b), None)

    def _cuts(self, op: Op, tensor: Tensor, out: Tensor, where: Where | None) -> list[Cut]:
        found = []
        own = tensor.cuts[0] if tensor.cuts else None
        if own and own.kind is CutKind.FROZEN and not tensor.requires_grad and tensor.op is None:
            if own.when >= self._start:
                self._frozen_here.add(tensor)
            found.append(own._replace(when=0))
        if (block := self._block()) is not None:
            found.append(block)
        if op.cuts is not None:
            found.append(Cut(op.cuts, "stop_gradient or detach()", where))
        elif out.dtype.kind != "f":
            found.append(Cut(CutKind.NOT_DIFFERENTIABLE, f"{op.name} gives {out.dtype}", where))
        elif not op.differentiable:
            found.append(Cut(CutKind.NOT_DIFFERENTIABLE, f"{op.name} has no derivative", where))
        return found

    def _site(self, tensors: Sequence[Tensor], name: str) -> Site:
        """Walk the stack once, from the op out to the explained function."""
        self._search_names()
        where: Where | None = None
        stack: list[Line] = []
        modules: list[tuple[int, str]] = []
        part, outermost, sweep = None, Part(-1, name), -1
        for frame in core.frames():
            if frame is self._bottom:
                break
            code, owner = frame.f_code, _owner(frame)
            if owner is self:
                continue
            if code in _SWEEPS and sweep < 0:
                sweep = self._identity(frame)
            is_forward = (
                isinstance(owner, Module) and code is inspect.unwrap(type(owner).forward).__code__
            )
            if is_forward:
                modules.append((self._identity(frame), self.names.modules.get(id(owner), "")))
            if not core.is_inside(code):
                where = where or (code, frame.f_lasti)
                stack.append(Line.of_frame(frame))
                self._record_locals(frame, tensors, len(stack))
            # What a layer's forward calls is what the user would have called without the layer.
            if is_forward or not core.is_inside(code):
                part = part or outermost
            elif isinstance(owner, Op):
                outermost = Part(self._identity(frame), owner.name)
            elif not frame.f_globals["__name__"].startswith(_PASS_ON):
                outermost = Part(self._identity(frame), code.co_name.strip("_"))
        lines = tuple(stack[::-1]) or (Line("?", 0),)
        where = self._where.setdefault(lines[-1], where)
        return Site(where, lines, part or outermost, tuple(modules[::-1]), sweep)

    def _search_names(self) -> None:
        """What the functions on the stack take from their globals has a name, too.

        The explained function's own are known; a method that it calls may take others.
        """
        for frame in core.frames():
            if frame is self._bottom:
                break
            if frame.f_code not in self._searched and not core.is_inside(frame.f_code):
                self._searched.add(frame.f_code)
                self.names.search_code(frame.f_code, frame.f_globals)

    def _identity(self, frame: FrameType) -> int:
        return self._frames.setdefault(frame, len(self._frames))

    def _record_locals(self, frame: FrameType, tensors: Sequence[Tensor], depth: int) -> None:
        """What the function calls its intermediate results; the outermost frame's names win."""
        names = {id(v): n for n, v in reversed(frame.f_locals.items())}
        for t in tensors:
            if id(t) in names and self._local_names.get(t, (0, ""))[0] < depth:
                self._local_names[t] = (depth, names[id(t)])


def _owner(frame: FrameType) -> Any:
    """The first argument of a running function: the object, if the function is a method."""
    code = frame.f_code
    return frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None


def _block_cut(owner: Any) -> Cut:
    """What a block that sets grad mode to False does to a gradient."""
    where = core.caller()
    if owner in (backward, grad):
        detail = "a backward or grad(), which records its own work only with create_graph=True"
        return Cut(CutKind.NO_CREATE_GRAPH, f"made by {detail}", where)
    code = getattr(inspect.unwrap(owner), "__code__", None)
    if code is None:
        return Cut(CutKind.NO_GRAD, "the block records nothing", where)
    if core.is_inside(code):
        return Cut(CutKind.NO_GRAD, f"inside {owner.__name__}()", where)
    return Cut(CutKind.NO_GRAD, f"{owner.__name__} is decorated with it", (code, -1))
