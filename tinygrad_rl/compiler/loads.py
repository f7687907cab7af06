"""What code could read: the names that its instructions load.

    loads(function.__code__).globals        # {'scale': (code, 6)}: name -> where it is loaded

A compiled function must notice when something changes that its Python code read while it was
traced. What a piece of code reads begins with a name: of a global, of a variable that it closes
over, or of an attribute. What it only counts up or appends to is not read: it goes on as it was.
"""

import dis
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import CodeType

from tinygrad_rl.core import Where

_SILENT = {"CACHE", "PRECALL", "NOP", "RESUME", "EXTENDED_ARG", "PUSH_NULL", "NOT_TAKEN"}
_GLOBALS = {"LOAD_GLOBAL", "LOAD_NAME"}
_CELLS = {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM"}
_CONSTANTS = {"LOAD_CONST", "LOAD_SMALL_INT"}
WHOLE = {
    *("vars", "__dict__", "globals", "locals", "eval", "exec", "dir", "__getattribute__"),
    *("asdict", "astuple", "fields", "getmembers", "attrgetter", "methodcaller"),
}
"""Names by which code gets at attributes whose names it does not load."""
BY_NAME = {"getattr", "hasattr"}
_IMPORTING = {"import_module", "__import__", "modules"}
_SIMPLE = {"LOAD_FAST", "LOAD_FAST_BORROW", *_GLOBALS, *_CELLS, *_CONSTANTS}
_GROWING = {"append", "extend", "add", "insert", "appendleft", "update"}


@dataclass(frozen=True)
class Loads:
    """The names that a piece of code loads, each with the place where it does so first.

    Attributes
    ----------
    globals, cells, attributes, modules : names of globals (or builtins), of variables that the code
        closes over, of attributes (those in `getattr(x, "name")` too), of modules that it imports.
    asked : names of attributes that the code can do without: `hasattr(x, "name")`.
    written : of all these, names of what is only counted up, appended to or set: read all the same
        where it is more than a number or a container, for what is set may be an item of a tensor.
    careful : whether the code may go on after an error, such as that of a missing attribute.
    any : whether it may read attributes under names that it computes.
    """

    globals: dict[str, Where] = field(default_factory=dict)
    cells: dict[str, Where] = field(default_factory=dict)
    attributes: dict[str, Where] = field(default_factory=dict)
    modules: dict[str, Where] = field(default_factory=dict)
    asked: dict[str, Where] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    careful: bool = False
    any: bool = False


@functools.lru_cache(maxsize=4096)
def loads(code: CodeType) -> Loads:
    """What this code loads, without the functions inside it, which are code of their own."""
    found = Loads()
    everything = list(dis.get_instructions(code))
    quiet = [i for i in everything if i.opname not in _SILENT]
    read: set[str] = set()
    whole, careful, caught = False, False, False
    for k, i in enumerate(quiet):
        where, name = (code, i.offset), i.argval
        if i.opname in _GLOBALS | _CELLS | _ATTRIBUTES:
            (found.written if _only_written(quiet, k, everything) else read).add(name)
        if i.opname in _GLOBALS:
            found.globals.setdefault(name, where)
            whole |= name in WHOLE
            whole |= name in BY_NAME and not _asks_for_constant(quiet, k)
            careful |= name in BY_NAME
        elif i.opname in _CELLS and name in code.co_freevars:
            found.cells.setdefault(name, where)
        elif i.opname in _ATTRIBUTES:
            found.attributes.setdefault(name, where)
            whole |= name in WHOLE
        elif i.opname == "IMPORT_NAME":
            level = quiet[k - 2].argval  # `from ..a import b` has level 2
            found.modules.setdefault("." * level + name, where)
        whole |= i.opname == "MATCH_CLASS"
        caught |= name in ("AttributeError", "suppress") or _catches(quiet, k)
    for inner in code.co_consts:
        for name, where in loads(inner).cells.items() if isinstance(inner, CodeType) else ():
            if name in code.co_freevars:  # handed on to a function inside
                found.cells.setdefault(name, where)
                (found.written if name in loads(inner).written else read).add(name)
    if found.globals.keys() & BY_NAME:
        for name in code.co_consts:
            if isinstance(name, str) and name.isidentifier():
                found.attributes.setdefault(name, (code, -1))
    if _IMPORTING & {*found.globals, *found.attributes}:
        texts = [name for name in code.co_consts if isinstance(name, str)]
        found.modules.update((name, (code, -1)) for name in texts if name not in found.modules)
    asked = found.attributes if careful or caught else {}
    names = found.globals, found.cells, found.attributes, found.modules
    return Loads(*names, dict(asked), found.written - read, caught, bool(whole))


def _catches(quiet: Sequence[dis.Instruction], k: int) -> bool:
    """Whether an `except` begins here, which a `with` or a `finally` is not."""
    opname = quiet[k].opname
    bare = opname == "PUSH_EXC_INFO" and quiet[k + 1].opname == "POP_TOP"
    return bare or opname in ("CHECK_EXC_MATCH", "CHECK_EG_MATCH")


def _names(instructions: Sequence[dis.Instruction], k: int, count: int) -> list[str]:
    return [i.opname for i in instructions[k : k + count]]


def _only_written(
    quiet: Sequence[dis.Instruction], k: int, everything: Sequence[dis.Instruction]
) -> bool:
    """Whether what is loaded here is counted up, appended to or set, and nothing else.

    `n += 1`, `self.n += 1`, `counts["n"] += 1`, `log.append(x)`, `seen["x"] = y`.
    """
    i, after = quiet[k], _names(quiet, k + 1, 9)
    if after[:1] and after[0] in _CONSTANTS:
        if after[1:2] == ["BINARY_OP"] and quiet[k + 2].argrepr.endswith("="):
            end = quiet[k + 4 if after[2:3] == ["SWAP"] else k + 3]
            return end.opname.startswith("STORE_") and end.argval == i.argval
        if after[1:3] == ["COPY", "COPY"] and after[4:5] and after[4] in _CONSTANTS:
            added = after[5:6] == ["BINARY_OP"] and quiet[k + 6].argrepr.endswith("=")
            return added and after[6:9] == ["SWAP", "SWAP", "STORE_SUBSCR"]
    if after[:1] and after[0] in _SIMPLE and after[1:2] == ["STORE_SUBSCR"]:
        return True
    if after[:1] and after[0] in ("LOAD_METHOD", "LOAD_ATTR"):
        return quiet[k + 1].argval in _GROWING and _is_dropped(everything, quiet[k + 1].offset)
    return False


def _is_dropped(instructions: Sequence[dis.Instruction], offset: int) -> bool:
    """Whether the method loaded at `offset` is called and its result thrown away."""
    start = next(n for n, i in enumerate(instructions) if i.offset == offset)
    depth = 1  # the object
    for n, i in enumerate(instructions[start:], start):
        if i.opcode in dis.hasjrel or i.opcode in dis.hasjabs:
            return False
        depth += _effect(i)
        if i.opname in ("CALL", "CALL_KW") and depth == 1:
            rest = (j.opname for j in instructions[n + 1 :] if j.opname not in _SILENT)
            return next(rest, "") == "POP_TOP"
    return False


def _asks_for_constant(quiet: Sequence[dis.Instruction], k: int) -> bool:
    """Whether the `getattr` or `hasattr` loaded here is called with a name written in the code."""
    depth = 0
    for n, i in enumerate(quiet[k + 1 :], k + 1):
        if i.opcode in dis.hasjrel or i.opcode in dis.hasjabs:
            return False
        depth += _effect(i)
        if depth == 1 and quiet[n + 1].opname == "LOAD_CONST":
            last = quiet[n + 2 : n + 4]  # the call, or a default and the call
            calls = [j.opname.startswith("CALL") for j in last]
            default = calls == [False, True] and last[0].opname.startswith("LOAD")
            return isinstance(quiet[n + 1].argval, str) and (calls[:1] == [True] or default)
        if depth > 1 or depth < 0:
            return False
    return False


def _effect(i: dis.Instruction) -> int:
    """How the stack grows."""
    return dis.stack_effect(i.opcode, i.arg, jump=False)
