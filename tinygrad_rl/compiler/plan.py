"""What the compiler decides about a program before it writes it: steps, phases, memory."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tinygrad_rl.compiler.program import Instruction, Program, Value
from tinygrad_rl.compiler.views import is_view, root


@dataclass(eq=False)
class Loop:
    """Instructions that run in one loop nest over `shape`."""

    shape: tuple[int, ...]
    members: list[Instruction] = field(default_factory=list)

    @property
    def made(self) -> set[Value]:
        """What its members compute."""
        return {i.out for i in self.members}


Step = Loop | Instruction


@dataclass(eq=False)
class Plan:
    """The steps in order, who runs them when, and where each value that needs memory has it."""

    program: Program
    steps: list[Step] = field(default_factory=list)
    # Of a program that is divided among threads:
    parts: int = 0  # how many run a phase together; 0 where the program is not divided
    phases: list[list[Step]] = field(default_factory=list)
    axes: dict[Step, int | None] = field(default_factory=dict)  # along which each is divided
    # Memory:
    materialised: set[Value] = field(default_factory=set)  # results that are kept in memory
    in_place: dict[Value, Value] = field(default_factory=dict)  # written straight into a state's
    direct: set[Value] = field(default_factory=set)  # outputs, computed where the caller finds them
    offsets: dict[Value, int] = field(default_factory=dict)  # bytes into the shared block
    size: int = 0  # of the shared block, in bytes

    @cached_property
    def made_by(self) -> dict[Value, Instruction]:
        """Which instruction makes a value."""
        return self.program.made_by()

    def is_view(self, v: Value) -> bool:
        """True when reads of `v` are reads of another value at other places."""
        return v in self.made_by and is_view(self.made_by[v])

    def root(self, v: Value) -> Value:
        """The value whose memory `v` is read from."""
        return root(v, self.made_by)

    def times(self) -> dict[Step | None, int]:
        """When each step runs, those of one phase at the same time; None is the end."""
        times: list[list[Any]] = self.phases or [[step] for step in self.steps]
        return {step: k for k, steps in enumerate([*times, [None]]) for step in steps}

    def readers(self) -> dict[Value, list[tuple[Step | None, Value]]]:
        """By which step, and as which value, the memory of each value is read.

        At the end, by None, that of outputs and of what is to be copied into a state.
        """
        reads: dict[Value, list[tuple[Step | None, Value]]] = {}
        for step in self.steps:
            for i in instructions(step):
                for v in i.inputs:
                    reads.setdefault(self.root(v), []).append((step, v))
        late = [v for state, v in self.program.writes if self.in_place.get(v) is not state]
        for v in [*self.program.outputs, *late]:
            reads.setdefault(self.root(v), []).append((None, v))
        return reads

    def makers(self) -> dict[Value, Step]:
        """The step that makes each value."""
        return {i.out: step for step in self.steps for i in instructions(step)}


def instructions(step: Step) -> list[Instruction]:
    """What a step consists of."""
    return step.members if isinstance(step, Loop) else [step]
