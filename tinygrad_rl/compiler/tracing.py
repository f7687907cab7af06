"""Run a function once and record every op call.

    traced = trace(step, (x, y))
    print(traced.program.listing())       # one line an op: result, op, operands, line of user code

The forward pass, the backward sweep, the optimizer: all of them are op calls, so all of them stand
in the listing, in the order in which they ran. What a `frozen` block saves is seen there as lines
that are missing; what a stop_gradient cuts off, as a path that ends. What the run changed is undone
at its end.
"""

import linecache
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_rl.compiler.guards import Guards, Setting, TraceError, setting
from tinygrad_rl.compiler.program import Instruction, Program, Value, unique
from tinygrad_rl.compiler.reads import watch_reads
from tinygrad_rl.core import (
    History,
    Node,
    Observer,
    Op,
    Tensor,
    Where,
    at,
    caller,
    frozen_here,
    history_of,
    mode,
    next_in_sequence,
    place,
    register_hook,
    set_grad,
    set_history,
    set_requires_grad,
    unfreeze,
    watching,
    wrap,
)
from tinygrad_rl.naming import Names
from tinygrad_rl.tree import replaced

Outside = int | Tensor
"""A tensor from outside the traced function: the number of an argument, or the tensor itself."""


@dataclass
class Result:
    """Stands in a returned structure for one tensor."""

    flag: bool
    value: Value | None = None
    outside: Outside | None = None  # it was not made inside: the very tensor is returned


@dataclass
class Trace:
    """A program, and what the caller must know to run it again in the function's place.

    Attributes
    ----------
    program : its inputs are the arguments first, then the gradients in `incoming`.
    result : what the function returned, with a `Result` in the place of each tensor.
    incoming : leaves whose `.grad` was there and was read before it was set: further inputs.
    absent : leaves whose `.grad` was read and was None.
    new_flags : the flags that the function leaves changed.
    grads : leaves whose `.grad` the function changed, and to what: a value of the program, a tensor
        from outside, or None.
    guards : what the function could read in Python, with each tensor from outside.
    outer : by id, the tensors with a flag that the function itself found outside.
    themselves : by number, the arguments that it found outside too. To a gradient these are one
        tensor, so that the program is for this very tensor.
    """

    program: Program
    result: Any
    incoming: list[Outside]
    absent: list[Outside]
    new_flags: list[tuple[Outside, bool]]
    grads: list[tuple[Outside, Value | Outside | None]]
    guards: Guards
    outer: dict[int, Tensor]
    themselves: dict[int, Tensor]


def trace(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    themselves: Collection[int] = (),
) -> Trace:
    """Run `function` once, recording every op, and undo what the run did to tensors.

    Parameters
    ----------
    args, kwargs : its arguments; the tensors in them (also in lists, tuples and dicts) become
        inputs. The function gets leaves in their place, which share their memory.
    themselves : the numbers of the tensors that it gets as they are.

    Raises
    ------
    TraceError : when the function does what a straight line of ops can't hold: it reads a number
        out of a tensor that comes from outside or depends on one, draws random numbers, writes
        through a view, sends a gradient back into history from outside, takes from an iterator.
    """
    recorder, given = _Recorder(themselves), (args, kwargs)
    args, kwargs = replaced((args, kwargs or {}), Tensor, recorder.add_input)
    grad = mode.grad
    with _undone(recorder), watch_reads(function, args, kwargs) as reads, watching(recorder):
        result = function(*args, **kwargs)
        recorder.check_end(grad)
    both = [k for k, t in recorder.arguments.values() if id(t) in recorder.outer()]
    if both:
        return trace(function, *given, [*themselves, *both])
    names = Names()
    names.search_function(function, args, kwargs)
    name = getattr(function, "__name__", "step")
    return recorder.finish(name, result, names.with_moments(), reads.guards())


def record(function: Callable[..., Tensor], *inputs: Tensor) -> Program:
    """The ops of a function of our own, which reads nothing that could change and only computes."""
    recorder = _Recorder()
    leaves = [recorder.add_input(tensor) for tensor in inputs]
    with _undone(recorder), watching(recorder):
        output = recorder.value(function(*leaves))
    states = list(recorder.states.values())
    return Program("record", recorder.inputs, states, recorder.instructions, [output], [])


@contextmanager
def _undone(recorder: "_Recorder") -> Iterator[None]:
    """Run ops one by one, and undo at the end what they did to tensors and to the modes."""
    interpret, grad = mode.interpret, mode.grad
    mode.interpret = True
    try:
        yield
    finally:
        mode.interpret, mode.grad = interpret, grad
        recorder.undo()


class _Recorder(Observer):
    def __init__(self, themselves: Collection[int] = ()) -> None:
        self.themselves = themselves
        # By the id of a tensor's array: a node that saved its output holds no tensor.
        self.values: dict[int, Value] = {}
        self.alive: list[Tensor] = []  # so that no id is used twice
        self.start = next_in_sequence()
        self.blocks = frozen_here()
        self.arguments: dict[int, tuple[int, Tensor]] = {}  # by the id of the leaf in its place
        self.aliases: dict[int, Tensor] = {}  # these leaves by the ids of the arguments
        self.inputs: list[Value] = []
        self.incoming: list[Tensor] = []
        self.states: dict[int, Value] = {}
        self.instructions: list[Instruction] = []
        self.made_by: dict[int, Value] = {}  # by the id of the node that recorded it
        self.gradients: dict[Value, Value] = {}  # the gradient of a result -> that result
        self.writes: dict[int, tuple[Value, Value]] = {}
        self.flags: dict[int, Setting] = {}
        self.backup: list[tuple[Tensor, np.ndarray[Any, Any], History, Any]] = []
        self.made: set[int] = set()
        self.created: set[int] = set()
        self.made_on_memory: set[int] = set()  # by the id of the tensor: the array is another's
        self.views: set[int] = set()
        self.stale: dict[int, str] = {}
        self.first_grads: dict[int, tuple[Tensor, Tensor | None, bool]] = {}
        self.last_grads: dict[int, Tensor | None] = {}
        self.last_flags: dict[int, bool] = {}

    def add_input(self, tensor: Tensor) -> Tensor:
        """A leaf in the place of an argument, so that its history and identity stay outside."""
        if (alias := self.aliases.get(id(tensor))) is not None:
            return alias
        k = len(self.arguments)
        alias = tensor if k in self.themselves else _alias(tensor)
        self.aliases[id(tensor)] = alias
        self.arguments[id(alias)] = k, tensor
        value = Value("input", tensor.shape, tensor.dtype, f"arg{k}", alias)
        self.inputs.append(value)
        self._bind(alias, value)
        return alias

    def _bind(self, tensor: Tensor, value: Value) -> None:
        self.values[id(tensor._array)] = value
        self.alive.append(tensor)

    def value(self, tensor: Tensor) -> Value:
        """What a tensor holds; one that was not seen before comes from outside."""
        key = id(tensor._array)
        known = self.values.get(key)
        if known is not None:
            if key in self.stale:
                raise TraceError(
                    "inside a jitted function a view is read after its memory was changed in place "
                    f"(at {self.stale[key]}): make the view anew, or a copy() before the change"
                )
            return known
        if tensor._array.ndim == 0 and not tensor._array.flags.writeable:
            value = Value("literal", (), tensor.dtype, number=tensor._array.item())
        else:
            value = Value("state", tensor.shape, tensor.dtype, f"state{len(self.states)}", tensor)
            self.states[key] = value
            self.on_flag(tensor)
        self._bind(tensor, value)
        return value

    def _is_outside(self, tensor: Tensor) -> bool:
        key = id(tensor._array)
        inside = key in self.made or key in self.created or id(tensor) in self.made_on_memory
        return not inside

    # What the engine tells us.

    def on_call(
        self, op: Op, inputs: Sequence[Tensor], params: dict[str, Any], out: Tensor
    ) -> None:
        values = tuple(self.value(t) for t in inputs)
        flops = op.flops(out._array, [t._array for t in inputs], params)
        result = Value("result", out.shape, out.dtype, f"t{len(self.instructions)}")
        self.instructions.append(Instruction(op, values, params, result, caller(), flops))
        self._bind(out, result)
        self.made.add(id(out._array))
        if out.node is not None:
            self.made_by[id(out.node)] = result
        if out.storage is not None:
            self.views.add(id(out._array))

    def on_create(self, tensor: Tensor) -> None:
        self.created.add(id(tensor._array))
        self.alive.append(tensor)

    def on_alias(self, alias: Tensor, tensor: Tensor) -> None:
        self.value(tensor)  # found outside under its own name, and with its own flag
        self.made_on_memory.add(id(alias))
        self.alive.append(alias)

    def on_random(self) -> None:
        raise TraceError(
            "random numbers drawn inside a jitted function would be the same at every call: draw "
            "them outside and pass them as an argument"
        )

    def on_assign(self, target: Tensor, value: Tensor) -> None:
        key = id(target._array)
        if key in self.views:
            raise TraceError(
                "inside a jitted function a view can't be changed in place: change the tensor that "
                "it is a view of, as in `x[index] = value`"
            )
        new = self.value(value)
        old = self.value(target)
        if key not in self.made:
            if key not in self.writes:
                storage = target.storage
                version = None if storage is None else storage.state()
                self.backup.append((target, target._array.copy(), history_of(target), version))
            self.writes[key] = (self.writes[key][0] if key in self.writes else old, new)
        if target.storage is not None and target.storage.shared:
            for t in self.alive:
                if t._array is not target._array and t.storage is target.storage:
                    self.stale[id(t._array)] = at(caller())
        self.values[key] = new

    def on_read(self, tensor: Tensor, how: str) -> None:
        key = id(tensor._array)
        if key in self.created and key not in self.writes:
            return  # values that are the same at every call
        raise TraceError(
            f"{how} on a traced tensor of shape {tensor.shape}: the compiled function would keep "
            "this one number forever. Choose with tg.where(condition, a, b) instead of `if`, "
            "return the tensor and read it outside, or pass a Python number as an argument"
        )

    def on_step(self, node: Node | None, g: Tensor | None) -> None:
        if node is None or g is None:
            return
        if node.sequence <= self.start:
            raise TraceError(
                "a gradient goes back into history from outside the jitted function (to "
                f"{node.op.name!r}, called at {at(node.where)}), which is another one at the next "
                "call: compute that inside, or detach() it"
            )
        if id(node) in self.made_by and (value := self.values.get(id(g._array))) is not None:
            self.gradients.setdefault(value, self.made_by[id(node)])

    def on_flag(self, tensor: Tensor) -> None:
        self.flags.setdefault(id(tensor), setting(tensor))

    def on_grad(self, leaf: Tensor, writing: bool) -> None:
        if id(leaf) in self.first_grads:
            return
        g = leaf.accumulated
        self.first_grads[id(leaf)] = (leaf, g, writing)
        if g is None or writing or not self._is_outside(leaf):
            return
        if id(g._array) not in self.values:
            value = Value("input", g.shape, g.dtype, f"grad{len(self.incoming)}", g)
            self.incoming.append(leaf)
            self.inputs.append(value)
            self._bind(g, value)

    # The end.

    def check_end(self, grad_mode: bool) -> None:
        """Refuse what is left behind outside and can't be left behind again by later calls."""
        if mode.grad is not grad_mode:
            raise TraceError("a jitted function can't leave grad mode changed: use `with`")
        if frozen_here().keys() != self.blocks.keys():
            raise TraceError("a jitted function can't leave a frozen() block open, or end another")
        for tensor, *_ in self.backup:
            if tensor.node is not None and tensor.node.sequence > self.start:
                raise TraceError(
                    f"a tensor of shape {tensor.shape} from outside gets a history inside a jitted "
                    "function, which keeps none: change it in `with no_grad():`"
                )

    def undo(self) -> None:
        """Give every tensor from outside its values, gradient and flag back, as nothing was."""
        for key, frozen in frozen_here().items():
            if key not in self.blocks:
                unfreeze(frozen)
        for tensor, array, history, version in reversed(self.backup):
            tensor._array[...] = array
            set_history(tensor, history)
            storage = tensor.storage
            if storage is not None:
                storage.restore(version)
        for leaf, before, _ in self.first_grads.values():
            self.last_grads[id(leaf)] = leaf.accumulated
            set_grad(leaf, before)
        for tensor, flag, _ in self.flags.values():
            self.last_flags[id(tensor)] = tensor.requires_grad
            if tensor.requires_grad is not flag and self._is_outside(tensor):
                set_requires_grad(tensor, flag, tensor.cuts)

    def outside(self, tensor: Tensor) -> Outside | None:
        """Where a later call finds this tensor, when it is one from outside."""
        if id(tensor) in self.arguments:
            return self.arguments[id(tensor)][0]
        value = self.states.get(id(tensor._array))
        if value is not None and value.tensor is tensor and self._is_outside(tensor):
            return tensor
        return None

    def outer(self) -> dict[int, Tensor]:
        """By id, the tensors with a flag that were found outside, not among the arguments."""
        states = [v.tensor for v in self.states.values() if v.tensor is not None]
        found = [t for t in states if t.requires_grad]
        found += [leaf for leaf, *_ in self.first_grads.values() if self._is_outside(leaf)]
        return {id(t): t for t in found if id(t) not in self.arguments}

    def _leaf(self, leaf: Tensor) -> Outside:
        if id(leaf) not in self.arguments:
            return leaf
        k, argument = self.arguments[id(leaf)]
        if argument.node is not None:
            raise TraceError(
                f"a gradient reaches argument {k} of a jitted function, the result of "
                f"{argument.node.op.name!r} (called at {at(argument.node.where)}), and can't go "
                "on from there: detach() the argument, or compute it inside"
            )
        return k

    def finish(self, name: str, result: Any, outer: dict[int, str], guards: Guards) -> Trace:
        """The program, when the function is through and everything is as it was."""
        outputs: list[Value] = []

        def returned(tensor: Tensor) -> Result:
            value = self.value(tensor)
            outside = self.outside(tensor)
            if outside is None:
                outputs.append(value)
                return Result(tensor.requires_grad, outputs[-1])
            return Result(tensor.requires_grad, outside=outside)

        tree = replaced(result, Tensor, returned)
        leaves = [first for first in self.first_grads.values() if self._is_outside(first[0])]
        grads: list[tuple[Outside, Value | Outside | None]] = []
        for leaf, before, writing in self.first_grads.values():
            if before is not None and id(leaf) in outer:
                outer[id(before)] = f"grad_{outer[id(leaf)]}"
            g = self.last_grads[id(leaf)]
            forgotten = writing and g is None  # also by calls that find one there
            if (g is before and not forgotten) or not self._is_outside(leaf):
                continue
            where = self._leaf(leaf)
            left: Value | Outside | None = None if g is None else self.outside(g)
            if g is not None and left is None:
                left = self.value(g)
                if left.kind == "result" and id(leaf) in outer:
                    outer[id(left)] = f"grad_{outer[id(leaf)]}"
                outputs.append(left)
            grads.append((where, left))
        settings = [s for s in self.flags.values() if self._is_outside(s[0])]
        known = {id(t) for t, *_ in guards.settings}
        guards.settings += [
            s for s in settings if id(s[0]) not in self.arguments and id(s[0]) not in known
        ]
        _name_values(self, outer)
        program = Program(
            re.sub(r"\W", "_", name),
            self.inputs,
            list(self.states.values()),
            self.instructions,
            outputs,
            [w for key, w in self.writes.items() if key not in self.created],
        )
        return Trace(
            program,
            tree,
            [self._leaf(leaf) for leaf in self.incoming],
            [self._leaf(leaf) for leaf, g, writing in leaves if g is None and not writing],
            [
                (self._leaf(t), last)
                for t, flag, _ in settings
                if (last := self.last_flags.get(id(t), flag)) is not flag
            ],
            grads,
            guards,
            self.outer(),
            {k: t for k, t in self.arguments.values() if k in self.themselves},
        )


def _alias(tensor: Tensor) -> Tensor:
    """A leaf on the memory of an argument, with its flag, gradient and hooks."""
    alias = wrap(tensor._array.view())
    set_history(alias, History(None, tensor.requires_grad, None, tensor.cuts))
    set_grad(alias, tensor.accumulated)
    for hook in (tensor.hooks or ()) if tensor.requires_grad else ():
        register_hook(alias, hook)
    return alias


# -- names -----------------------------------------------------------------------------------------

_ASSIGNMENT = re.compile(r"^\s*(\w+)\s*(?::[^=]+)?=[^=]")


def _name_values(recorder: _Recorder, outer: dict[int, str]) -> None:
    """Name values after the user's variables.

    Tensors from outside by where they were found, results by the assignment on whose line they
    were made last, gradients after what they are the gradient of.
    """
    taken: set[str] = set()

    def variable(name: str) -> str:
        name = re.sub(r"\W+_*", "_", name).strip("_") or "t"
        return unique(f"v{name}" if name[0].isdigit() else name, taken)

    for value in [*recorder.inputs, *recorder.states.values()]:
        value.name = variable(outer.get(id(value.tensor), value.name))
    assigned = [_assigned(i.where) for i in recorder.instructions]
    for k, i in enumerate(recorder.instructions):
        name = assigned[k] if assigned[k : k + 1] != assigned[k + 1 : k + 2] else None
        result = recorder.gradients.get(i.out)
        gradient = None if result is None else f"grad_{result.name}"
        i.out.name = variable(outer.get(id(i.out)) or name or gradient or f"t{k}")


def _assigned(where: Where | None) -> str | None:
    file, line = place(where)
    match = _ASSIGNMENT.match(linecache.getline(file, line))
    return match[1] if match else None
