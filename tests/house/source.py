"""Files as the rules see them: parsed once, with their module's name and what they import.

project = read_project(ROOT)              # {module: Source}
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

ENGINE, AGENT = "tinygrad_rl", "ddpg"
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Import(NamedTuple):
    """One imported name; `name` is None for `import module`."""

    line: int
    module: str
    name: str | None
    inside: bool
    """Whether it stands in a function."""
    typing: bool
    """Whether only a type checker runs it."""


class Source:
    """One parsed file."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.tree = ast.parse(text)
        parts = path.removesuffix(".py").split("/")
        self.is_package = parts[-1] == "__init__"
        self.module = ".".join(parts[:-1] if self.is_package else parts)
        self.top = parts[0]

    @property
    def room(self) -> str:
        """The top-level file or package of the project that this file belongs to."""
        return room_of(self.module)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the file."""
        return [node for node, _, _ in self._walked]

    @cached_property
    def _walked(self) -> list[tuple[ast.AST, bool, bool]]:
        """Every node, whether it is in a function, and whether only a type checker runs it."""
        found = [(self.tree, False, False)]
        for node, inside, typing in found:  # which grows
            inside = inside or isinstance(node, Function | ast.Lambda)
            typing = typing or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
            found += [(child, inside, typing) for child in ast.iter_child_nodes(node)]
        return found

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method, nested ones too."""
        return [node for node in self.nodes if isinstance(node, Function)]

    @cached_property
    def imports(self) -> list[Import]:
        """All imports, those by `import_module` and `__import__` with a literal name too."""
        return [
            Import(node.lineno, module, name, inside, typing)
            for node, inside, typing in self._walked
            for module, name in self._imported(node)
        ]

    def _imported(self, node: ast.AST) -> Iterator[tuple[str, str | None]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((self._absolute(node), alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and last_name(node.func) in ("import_module", "__import__"):
            yield from ((text, None) for text in strings(*node.args[:1]))

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parents = self.module.split(".")
        base = parents[: len(parents) - node.level + self.is_package]
        return ".".join([*base, node.module] if node.module else base)

    def run_time_targets(self, modules: Mapping[str, object]) -> set[str]:
        """The project's modules that importing this one imports, packages on the way left out."""
        return {
            target
            for i in self.imports
            if not i.typing and (target := resolve(i, modules)) and target != self.module
        }


def last_name(node: ast.AST) -> str:
    """`c` of `a.b.c`, `a` of `a`, else nothing."""
    return getattr(node, "attr", None) or getattr(node, "id", "")


def strings(*nodes: ast.AST) -> Iterator[str]:
    """The string constants among the nodes."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def resolve(i: Import, modules: Mapping[str, object]) -> str | None:
    """The module of the project that is imported: `from package import module` is the module."""
    if i.name is not None and f"{i.module}.{i.name}" in modules:
        return f"{i.module}.{i.name}"
    target = i.module
    while target and target not in modules:
        target = target.rpartition(".")[0]
    return target or None


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def read_project(root: Path) -> dict[str, str]:
    """{path below the root: text} of all that the rules are about."""
    tops = (ENGINE, AGENT, "tests", "benchmarks", "docs")
    paths = (path for top in tops for path in (root / top).rglob("*.py"))
    return {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in paths}
