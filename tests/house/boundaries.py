"""Rules about what one module knows of another: each yields a message for what breaks it."""

import ast
from collections.abc import Iterable, Iterator

from tests.house.source import AGENT, ENGINE, Function, Source, last_name, strings
from tests.house.table import PUBLIC_MODULES

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("tinygrad_rl/kernels/forks.py", "_lock"): "llvmlite's lock has no other name",
    ("tinygrad_rl/kernels/native.py", "_getvalue"): "Numba gives an array's value in no other way",
}
"""(path, attribute) -> why this file touches another's underscored attribute. At most twenty."""

_PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_field_defaults"}  # named tuples' own
_FRAMES = {"tinygrad_rl/core/context.py", "tinygrad_rl/naming.py"}
_SETTERS = {"getattr", "setattr", "hasattr", "delattr"}


# -- underscored attributes ------------------------------------------------------------------------


def underscored(source: Source) -> Iterator[str]:
    """Underscored attributes of what another module defines, a read of `_array` aside.

    The files of core/ are one module here: a call for each slot of a new tensor would cost speed.
    """
    if source.module.startswith(f"{ENGINE}.core"):
        return
    own = _own_names(source)
    for line, name in sorted(set(_reaches(source))):
        if name not in own and (source.path, name) not in EXCEPTIONS:
            yield f"{source.path}:{line}: {name} is another module's; give it a name without _"


def unused_exceptions(sources: Iterable[Source]) -> Iterator[str]:
    """Exceptions that nothing needs any more."""
    used = {(s.path, name) for s in sources for _, name in _reaches(s)}
    for path, name in sorted(set(EXCEPTIONS) - used):
        yield f"{path}: the exception for {name} is not needed any more"


def _reaches(source: Source) -> Iterator[tuple[int, str]]:
    for node in source.nodes:
        if isinstance(node, ast.Attribute):
            read = node.attr == "_array" and isinstance(node.ctx, ast.Load)
            if not read and last_name(node.value) not in ("self", "cls"):
                yield from ((node.lineno, n) for n in _private(node.attr))
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, n) for a in node.names for n in _private(a.name))
        elif isinstance(node, ast.Call) and last_name(node.func) in _SETTERS:
            if last_name(node.args[0]) not in ("self", "cls"):
                names = strings(*node.args[1:2])
                yield from ((node.lineno, n) for name in names for n in _private(name))


def _private(name: str) -> Iterator[str]:
    if name.startswith("_") and not name.startswith("__") and name not in (*_PUBLIC, "_getframe"):
        yield name


def _own_names(source: Source) -> set[str]:
    """What this file defines: in classes, on `self`, at its top."""
    own: set[str] = set()
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if last_name(node.value) in ("self", "cls"):
                own.add(node.attr)
        if isinstance(node, ast.ClassDef | ast.Module):
            for statement in node.body:
                own.update(_defined(statement))
    return own


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, Function | ast.ClassDef):
        yield statement.name
    for target in [*getattr(statement, "targets", ()), getattr(statement, "target", None)]:
        yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name)) if target else ()
    if isinstance(statement, ast.Assign) and last_name(statement.targets[0]) == "__slots__":
        yield from strings(*ast.walk(statement.value))


# -- names of ops ----------------------------------------------------------------------------------


def op_names(source: Source) -> Iterator[str]:
    """What is decided by an op's name: a comparison, a table, a match, a look into the registry."""
    if source.room in ("core", "ops"):
        return
    aliases = {
        last_name(target)
        for node in source.nodes
        if isinstance(node, ast.Assign) and _is_op_name(node.value)
        for target in node.targets
    }
    texts = {
        last_name(node.targets[0])
        for node in source.tree.body
        if isinstance(node, ast.Assign) and any(strings(*ast.walk(node.value)))
    }

    def is_name(node: ast.AST) -> bool:
        return _is_op_name(node) or (isinstance(node, ast.Name) and node.id in aliases)

    for node in source.nodes:
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            by_text = any(
                any(strings(*ast.walk(side))) or last_name(side) in texts for side in sides
            )
            by_op = any(last_name(side) == "op" for side in sides)
            found = any(map(is_name, sides)) or (by_text and by_op)
        elif isinstance(node, ast.Subscript):
            looked_up = last_name(node.value) == "REGISTRY" and any(strings(node.slice))
            found = looked_up or (isinstance(node.ctx, ast.Load) and is_name(node.slice))
        elif isinstance(node, ast.Call):
            found = last_name(node.func) in ("get", "startswith", "endswith") and (
                any(map(is_name, node.args)) or is_name(getattr(node.func, "value", node))
            )
        else:
            found = isinstance(node, ast.Match) and is_name(node.subject)
        if found:
            yield f"{source.path}:{node.lineno}: decided by an op's name; ask for its kind"


def _is_op_name(node: ast.AST) -> bool:
    """`op.name`, `i.op.name`, `OP.name`."""
    if not (isinstance(node, ast.Attribute) and node.attr == "name"):
        return False
    return last_name(node.value).lower() == "op"


# -- the rest --------------------------------------------------------------------------------------


def around_slots(source: Source) -> Iterator[str]:
    """`object.__setattr__`, which goes past the names that a class allows."""
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "__setattr__":
            if last_name(node.value) == "object":
                yield f"{source.path}:{node.lineno}: object.__setattr__ goes past a class's rules"


def frames(source: Source) -> Iterator[str]:
    """`sys._getframe` outside the files that say where the user's code is."""
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "_getframe":
            if source.path not in _FRAMES:
                yield f"{source.path}:{node.lineno}: sys._getframe belongs in core/context.py"


def strangers_pickles(source: Source) -> Iterator[str]:
    """NumPy's way to run what a file says."""
    for node in source.nodes:
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                yield f"{source.path}:{node.value.lineno}: allow_pickle runs a stranger's code"


def exported_names(door: Source) -> set[str]:
    """What a front door exports: its `__all__`, else what it imports `as` something."""
    listed = {
        text
        for node in door.tree.body
        if isinstance(node, ast.Assign | ast.AugAssign)
        if last_name(node.targets[0] if isinstance(node, ast.Assign) else node.target) == "__all__"
        for text in strings(*ast.walk(node.value))
    }
    return listed or {alias.asname for alias in _imported_at_the_top(door) if alias.asname}


def unexported(door: Source) -> Iterator[str]:
    """Names that the front door imports without saying that it exports them."""
    exported = exported_names(door)
    for alias in _imported_at_the_top(door):
        name = alias.asname or alias.name
        if name not in exported and not name.startswith("_"):
            yield f"{door.path}:{alias.lineno}: export it: {alias.name} is not in __all__"


def _imported_at_the_top(source: Source) -> Iterator[ast.alias]:
    for node in source.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from node.names


def unexported_attributes(source: Source, exported: set[str]) -> Iterator[str]:
    """`tg.name` in ddpg where the engine does not export the name."""
    aliases = {
        alias.asname or ENGINE
        for node in source.nodes
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == ENGINE or (alias.name.startswith(f"{ENGINE}.") and not alias.asname)
    }
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in aliases and node.attr not in exported:
                yield f"{source.path}:{node.lineno}: {ENGINE} does not export {node.attr}"


def shared_names(sources: Iterable[Source]) -> Iterator[str]:
    """Modules called as something public: which of them does `from package import name` mean?"""
    sources = list(sources)
    modules = {s.module for s in sources}
    public = {
        (door.top, name): door.module
        for door in sources
        if door.module in (*PUBLIC_MODULES, AGENT)
        for name in exported_names(door)
        if f"{door.module}.{name}" not in modules
    }
    for s in sources:
        leaf = s.module.rpartition(".")[2]
        named_otherwise = s.module == f"{ENGINE}.explain" or s.room == "cli"  # layout, commands
        if (s.top, leaf) in public and not named_otherwise:
            yield f"{s.path}: a module called as the public {public[s.top, leaf]}.{leaf}"
