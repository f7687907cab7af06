"""Imports run one way. The table below is the architecture; a new module needs a row in it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = "tinygrad_rl"
ANY = {"*"}

# layer of the engine -> the layers it may import (its own files always)
ALLOWED = {
    "files": set(),
    "kernels": {"files"},
    "derive": set(),
    "core": {"kernels", "derive"},
    "tree": {"core"},
    "ops": {"kernels", "derive", "core"},
    "creation": {"core", "ops"},
    "grad_mode": {"core", "tree"},
    "autodiff": {"core", "ops", "grad_mode"},
    "transforms": {"core", "ops", "grad_mode", "autodiff"},
    "naming": {"core", "tree"},
    "compiler": {"kernels", "derive", "core", "ops", "tree", "naming"},
    "nn": {"core", "tree", "ops", "creation", "grad_mode", "autodiff"},
    "optim": {"core", "tree", "ops", "creation", "grad_mode", "autodiff"},
    "io": {"files", "core", "tree"},
    "debug": ANY,
    "explain": ANY,
    "__init__": ANY,  # the public names
}
# What ddpg may import by path; everything else it takes from the front door's exports.
PUBLIC_MODULES = {ENGINE, f"{ENGINE}.nn", f"{ENGINE}.nn.functional", f"{ENGINE}.optim"}
# Slow to load and needed only to draw: the one kind of import allowed inside a function.
LAZY = {"matplotlib", "rich"}
KERNEL_LIBRARIES = {"numpy", "numba", "scipy", "llvmlite"}
FRAMEWORKS = {"torch", "jax", "jaxlib", "tensorflow"}
PICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


class Source:
    """One parsed file: its dotted module name, and what it imports at which line."""

    def __init__(self, path: str, text: str):
        self.path = path
        self.tree = ast.parse(text)
        parts = path.removesuffix(".py").split("/")
        is_package = parts[-1] == "__init__"
        self.module = ".".join(parts[:-1] if is_package else parts)
        self.package = self.module if is_package else self.module.rpartition(".")[0]

    @property
    def layer(self) -> str:
        return layer_of(self.module)

    def imports(self) -> Iterator[tuple[int, str, str | None]]:
        """Yield (line, module, name): name is None for `import module`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name, None
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield node.lineno, self.absolute(node), alias.name
            elif isinstance(node, ast.Call) and called_name(node) in (
                "import_module",
                "__import__",
            ):
                for argument in node.args[:1]:
                    if isinstance(argument, ast.Constant):
                        yield node.lineno, str(argument.value), None

    def absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parents = self.package.split(".")
        base = parents[: len(parents) - node.level + 1]
        return ".".join([*base, node.module] if node.module else base)


def called_name(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def layer_of(module: str) -> str:
    parts = module.split(".")
    name = parts[1] if len(parts) > 1 else "__init__"
    return "explain" if name.startswith("explain_") else name


def upward_imports(source: Source) -> Iterator[str]:
    """Yield what an engine file imports against the table."""
    if source.layer not in ALLOWED:
        yield (
            f"{source.path}: no layer '{source.layer}' in the table of tests/test_layering.py; "
            f"add a row that says what it may import, or put the code into one of "
            f"{', '.join(sorted(ALLOWED))}"
        )
        return
    allowed = ALLOWED[source.layer]
    for line, module, name in source.imports():
        top = module.partition(".")[0]
        if top == "ddpg":
            yield f"{source.path}:{line}: the engine does not know ddpg"
        if top != ENGINE or allowed == ANY:
            continue
        target = layer_of(module)
        if target == "__init__" and name is not None and layer_of(f"{ENGINE}.{name}") in ALLOWED:
            target = layer_of(f"{ENGINE}.{name}")  # `from tinygrad_rl import core`
        if target != source.layer and target not in allowed:
            yield (
                f"{source.path}:{line}: {source.layer} imports {target}; it may import "
                f"{', '.join(sorted(allowed)) or 'nothing of ours'}"
            )


def foreign_kernel_imports(source: Source) -> Iterator[str]:
    """Yield libraries other than the numerical ones in kernels/."""
    for line, module, _ in source.imports():
        top = module.partition(".")[0]
        if top not in KERNEL_LIBRARIES and top not in sys.stdlib_module_names and top != ENGINE:
            yield f"{source.path}:{line}: kernels import {', '.join(sorted(KERNEL_LIBRARIES))} only"


def hidden_imports(source: Source) -> Iterator[str]:
    """Yield imports inside functions, where an upward one would hide."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for function in ast.walk(source.tree):
        if not isinstance(function, functions):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                tops = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                tops = {source.absolute(node).partition(".")[0]}
            else:
                continue
            if not tops <= LAZY:
                yield f"{source.path}:{node.lineno}: import inside a function; move it to the top"


def forbidden_imports(source: Source) -> Iterator[str]:
    """Yield frameworks and picklers, by import or by NumPy's option."""
    for line, module, _ in source.imports():
        top = module.partition(".")[0]
        if top in FRAMEWORKS:
            yield f"{source.path}:{line}: {top} belongs in benchmarks/ only"
        if top in PICKLERS:
            yield f"{source.path}:{line}: {top}: nothing is pickled; write JSON, CSV or safetensors"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                yield f"{source.path}:{node.value.lineno}: allow_pickle runs a stranger's code"


def private_uses(source: Source, exported: set[str]) -> Iterator[str]:
    """Yield what a ddpg file takes from the engine that the engine does not export."""
    aliases = set()
    for line, module, name in source.imports():
        if module.partition(".")[0] != ENGINE:
            continue
        if module not in PUBLIC_MODULES:
            yield f"{source.path}:{line}: {module} is internal; import from {ENGINE}"
        elif module == ENGINE and name is not None and name not in exported:
            yield f"{source.path}:{line}: {ENGINE} does not export {name}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == ENGINE or (
                    alias.name.startswith(f"{ENGINE}.") and not alias.asname
                ):
                    aliases.add(alias.asname or ENGINE)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in aliases and node.attr not in exported:
                yield f"{source.path}:{node.lineno}: {ENGINE} does not export {node.attr}"


def exported_names(init: Source) -> set[str]:
    """Return the names in the front door's `__all__`, and its version."""
    names = {"__version__"}
    for node in init.tree.body:
        if isinstance(node, ast.Assign | ast.AugAssign) and "__all__" in ast.unparse(node):
            names |= set(ast.literal_eval(node.value))
    return names


def unexported_imports(init: Source) -> Iterator[str]:
    """Yield names that the front door imports without saying that it exports them."""
    exported = exported_names(init)
    for node in init.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) not in exported:
                    yield f"{init.path}:{node.lineno}: export {alias.name}: put it into __all__"


def violations(files: dict[str, str]) -> list[str]:
    """Return one message per broken rule in {path below the root: text}."""
    sources = [Source(path, text) for path, text in sorted(files.items())]
    init = next((s for s in sources if s.module == ENGINE), None)
    exported = exported_names(init) if init else set()
    found = list(unexported_imports(init)) if init else []
    for source in sources:
        top = source.path.partition("/")[0]
        found += forbidden_imports(source)
        if top == ENGINE:
            found += upward_imports(source)
            found += hidden_imports(source)
            if source.layer == "kernels":
                found += foreign_kernel_imports(source)
        elif top == "ddpg":
            found += private_uses(source, exported)
    return list(dict.fromkeys(found))  # a nested function is walked twice


def project_files() -> dict[str, str]:
    paths = (path for top in (ENGINE, "ddpg", "tests") for path in (ROOT / top).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths}


def test_project_imports_run_one_way():
    files = project_files()
    assert f"{ENGINE}/__init__.py" in files
    assert violations(files) == []


def test_table_has_no_upward_rows():
    """A cycle in the table itself would allow what the table is there to forbid."""
    rank = {layer: i for i, layer in enumerate(ALLOWED)}
    for layer, allowed in ALLOWED.items():
        assert all(rank[below] < rank[layer] for below in allowed - ANY), layer


INIT = "from .core import Tensor\nfrom . import nn\n__all__ = ['Tensor']\n__all__ += ['nn']\n"


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("tinygrad_rl/kernels/a.py", "from ..core import Tensor", "kernels imports core"),
        ("tinygrad_rl/kernels/a.py", "import gymnasium", "kernels import llvmlite"),
        ("tinygrad_rl/core.py", "from tinygrad_rl import ops", "core imports ops"),
        ("tinygrad_rl/core.py", "from . import autodiff", "core imports autodiff"),
        ("tinygrad_rl/core.py", "import tinygrad_rl", "core imports __init__"),
        ("tinygrad_rl/ops/a.py", "import tinygrad_rl.autodiff", "ops imports autodiff"),
        ("tinygrad_rl/program.py", "from .nn.functional import relu", "program imports nn"),
        ("tinygrad_rl/compiler/a.py", "from .. import optim", "compiler imports optim"),
        ("tinygrad_rl/optim.py", "from .nn import Module", "optim imports nn"),
        ("tinygrad_rl/io.py", "from ddpg import DDPG", "does not know ddpg"),
        ("tinygrad_rl/helpers.py", "", "no layer 'helpers'"),
        ("tinygrad_rl/check.py", "def f():\n    from . import nn", "inside a function"),
        (
            "tinygrad_rl/core.py",
            "import importlib\nimportlib.import_module('tinygrad_rl.nn')",
            "nn",
        ),
        ("tinygrad_rl/check.py", "import torch", "benchmarks/ only"),
        ("tests/test_a.py", "import jax.numpy as jnp", "benchmarks/ only"),
        ("ddpg/a.py", "import pickle", "nothing is pickled"),
        ("ddpg/a.py", "import numpy as np\nnp.load('a', allow_pickle=True)", "stranger"),
        ("ddpg/a.py", "from tinygrad_rl.core import Tensor", "is internal"),
        ("ddpg/a.py", "from tinygrad_rl import apply", "does not export apply"),
        ("ddpg/a.py", "import tinygrad_rl as tg\ntg.core.apply()", "does not export core"),
        ("tinygrad_rl/__init__.py", INIT + "from .core import Op", "export Op"),
    ],
)
def test_broken_rule_is_reported(path, text, message):
    found = violations({"tinygrad_rl/__init__.py": INIT, path: text})
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tinygrad_rl/kernels/a.py", "import math\nimport numba\nfrom .b import dot"),
        ("tinygrad_rl/core.py", "from . import kernels"),
        ("tinygrad_rl/explain_svg.py", "from . import compiler, nn\nfrom .explain import Cut"),
        ("tinygrad_rl/explain.py", "def png():\n    import matplotlib.pyplot as plt"),
        (
            "ddpg/a.py",
            "import tinygrad_rl as tg\nfrom tinygrad_rl.nn import functional as F\ntg.nn",
        ),
    ],
)
def test_permitted_import_passes(path, text):
    assert violations({"tinygrad_rl/__init__.py": INIT, path: text}) == []
