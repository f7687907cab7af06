"""Rules about imports: each yields a message for what breaks it."""

import sys
from collections.abc import Iterable, Iterator, Mapping

from tests.house.source import AGENT, ENGINE, Source, room_of
from tests.house.table import (
    ALLOWED,
    DISK,
    FRAMEWORKS,
    KERNEL_LIBRARIES,
    LAZY,
    NO_DISK,
    NO_ENVIRONMENT,
    PICKLERS,
    PUBLIC_MODULES,
)


def upward(source: Source) -> Iterator[str]:
    """Imports against the table."""
    table = ALLOWED[source.top]
    if source.room not in table:
        yield (
            f"{source.path}: no room '{source.room}' in tests/house/table.py; add a row that says "
            f"what it may import, or put the code into one of {', '.join(sorted(table))}"
        )
        return
    allowed = table[source.room]
    for i in source.imports:
        top = i.module.partition(".")[0]
        if source.top == ENGINE and top == AGENT:
            yield f"{source.path}:{i.line}: the engine does not know ddpg"
        if top != source.top:
            continue
        target = room_of(i.module)
        if target == "__init__" and i.name in table:
            target = i.name  # `from tinygrad_rl import core`
        if target != source.room and target not in allowed:
            yield (
                f"{source.path}:{i.line}: {source.room} imports {target}; it may import "
                f"{', '.join(sorted(allowed)) or 'nothing of ours'}"
            )


def foreign_to_kernels(source: Source) -> Iterator[str]:
    """Libraries other than the numerical ones in kernels/."""
    for i in source.imports if source.room == "kernels" else ():
        top = i.module.partition(".")[0]
        if top not in KERNEL_LIBRARIES and top not in sys.stdlib_module_names and top != ENGINE:
            known = ", ".join(sorted(KERNEL_LIBRARIES))
            yield f"{source.path}:{i.line}: kernels import {known} only"


def hidden(source: Source) -> Iterator[str]:
    """Imports inside the engine's functions, where an upward one would hide."""
    for i in source.imports:
        if i.inside and i.module.partition(".")[0] not in LAZY:
            yield f"{source.path}:{i.line}: import inside a function; move it to the top"


def forbidden(source: Source) -> Iterator[str]:
    """Frameworks and picklers."""
    for i in source.imports:
        top = i.module.partition(".")[0]
        if top in FRAMEWORKS and source.top != "benchmarks":
            yield f"{source.path}:{i.line}: {top} belongs in benchmarks/ only"
        if top in PICKLERS:
            yield f"{source.path}:{i.line}: {top}: nothing is pickled; write JSON or safetensors"


def outside_the_algorithm(source: Source) -> Iterator[str]:
    """Environments and the disk in the rooms of ddpg that know neither."""
    for i in source.imports:
        if source.room in NO_ENVIRONMENT and i.module == "gymnasium" and i.name != "spaces":
            yield f"{source.path}:{i.line}: {source.room} knows gymnasium.spaces, no environment"
        if source.room in NO_DISK and i.module.partition(".")[0] in DISK:
            yield f"{source.path}:{i.line}: {source.room} knows no disk; {i.module} belongs to run/"


def past_the_front_door(source: Source, exported: set[str]) -> Iterator[str]:
    """What a file of ddpg takes from the engine that the engine does not export."""
    for i in source.imports:
        if i.module.partition(".")[0] != ENGINE:
            continue
        if i.module not in PUBLIC_MODULES:
            yield f"{source.path}:{i.line}: {i.module} is internal; import from {ENGINE}"
        elif i.module == ENGINE and i.name is not None and i.name not in exported:
            yield f"{source.path}:{i.line}: {ENGINE} does not export {i.name}"


def module_graph(sources: Iterable[Source]) -> dict[str, set[str]]:
    """Which module imports which at run time; the front doors import, and are not counted."""
    modules = {s.module: s for s in sources}
    return {m: s.run_time_targets(modules) - {ENGINE, AGENT} for m, s in modules.items()}


def circles(graph: Mapping[str, set[str]]) -> Iterator[str]:
    """Modules that import themselves by way of others: each named once, with the way."""
    done: set[str] = set()
    for start in sorted(graph):
        way: list[str] = []
        stack = [(start, iter(sorted(graph[start])))]
        while stack and start not in done:
            way[len(stack) - 1 :] = [stack[-1][0]]
            target = next(stack[-1][1], None)
            if target is None:
                done.add(stack.pop()[0])
            elif target in way:
                yield "a circle: " + " -> ".join([*way[way.index(target) :], target])
            elif target not in done and target in graph:
                stack.append((target, iter(sorted(graph[target]))))


def floors(sources: Iterable[Source]) -> dict[str, int]:
    """Room -> the number of rooms on the longest way down from it, itself included."""
    below: dict[str, set[str]] = {}
    for module, targets in module_graph(sources).items():
        rooms = {room_of(t) for t in targets if t.partition(".")[0] == module.partition(".")[0]}
        below.setdefault(room_of(module), set()).update(rooms - {room_of(module)})
    height: dict[str, int] = {}
    for _ in below:  # after as many rounds as rooms, heights stand still, for want of circles
        height = {r: 1 + max((height.get(b, 1) for b in below[r]), default=0) for r in below}
    return height
