"""The architecture, on the syntax trees: who imports whom, who touches what, how long things are.

The tables are in tests/house/table.py, the exceptions in tests/house/boundaries.py.
"""

from pathlib import Path

import pytest

from tests.house import boundaries, docstrings, imports, messages, sizes
from tests.house.source import AGENT, ENGINE, Source, read_project
from tests.house.table import ALLOWED, FLOORS, ROOMS

ROOT = Path(__file__).parents[1]
RULES = {
    ENGINE: [
        imports.upward,
        imports.foreign_to_kernels,
        imports.hidden,
        boundaries.underscored,
        boundaries.op_names,
        boundaries.around_slots,
        boundaries.frames,
        docstrings.docstring_form,
        messages.grammar,
    ],
    AGENT: [
        imports.upward,
        imports.outside_the_algorithm,
        boundaries.underscored,
        boundaries.op_names,
        boundaries.around_slots,
        boundaries.frames,
        docstrings.docstring_form,
        messages.grammar,
    ],
}
EVERYWHERE = [
    imports.forbidden,
    boundaries.strangers_pickles,
    sizes.long_file,
    sizes.long_functions,
]


def sources_of(files: dict[str, str]) -> list[Source]:
    return [Source(*file) for file in sorted(files.items())]


def violations(sources: list[Source]) -> list[str]:
    """One message per broken rule."""
    init = next((s for s in sources if s.module == ENGINE), None)
    exported = boundaries.exported_names(init) if init else set()
    found = list(boundaries.unexported(init)) if init else []
    for source in sources:
        for rule in (*EVERYWHERE, *RULES.get(source.top, ())):
            found += rule(source)
        if source.top == AGENT:
            found += imports.past_the_front_door(source, exported)
            found += boundaries.unexported_attributes(source, exported)
    ours = [s for s in sources if s.top in RULES]
    found += imports.circles(imports.module_graph(ours))
    found += boundaries.shared_names(ours)
    return list(dict.fromkeys(found))


SOURCES = sources_of(read_project(ROOT))


def test_project_keeps_the_rules():
    assert {s.module for s in SOURCES} >= {ENGINE, AGENT}
    found = violations(SOURCES)
    if found:
        pytest.fail("\n".join([f"{len(found)} broken rules", *found]), pytrace=False)


@pytest.mark.parametrize("project", [ENGINE, AGENT])
def test_few_rooms_on_few_floors(project):
    sources = [s for s in SOURCES if s.top == project]
    assert len({s.room for s in sources}) <= ROOMS[project]
    height = imports.floors(sources)
    assert max(height.values()) <= FLOORS[project], sorted(height.items(), key=lambda x: x[1])


@pytest.mark.parametrize("project", [ENGINE, AGENT])
def test_table_has_no_upward_rows_and_no_empty_rooms(project):
    """A circle in the table itself would allow what the table is there to forbid."""
    table = ALLOWED[project]
    rank = {room: i for i, room in enumerate(table)}
    for room, allowed in table.items():
        assert all(rank[below] < rank[room] for below in allowed), room
    assert set(table) == {s.room for s in SOURCES if s.top == project}


def test_exceptions_are_few_and_needed():
    assert len(boundaries.EXCEPTIONS) <= 20
    assert all(len(reason) > 10 for reason in boundaries.EXCEPTIONS.values())
    assert list(boundaries.unused_exceptions(SOURCES)) == []


# -- the checker is tested too ---------------------------------------------------------------------

INIT = "from .core import Tensor as Tensor\nfrom . import nn as nn\n"
BAD_DOC = 'def f(a, b):\n    """Sum.\n\n    {}\n    {}\n    {}\n    """\n'
LONG = "def f():\n" + "    x = 1\n" * 60


def doc(section: str, line: str) -> str:
    return BAD_DOC.format(section, "-" * len(section), line)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        # who imports whom
        ("tinygrad_rl/kernels/a.py", "from ..core import Tensor", "kernels imports core"),
        ("tinygrad_rl/kernels/a.py", "import gymnasium", "kernels import llvmlite"),
        ("tinygrad_rl/core.py", "from tinygrad_rl import ops", "core imports ops"),
        ("tinygrad_rl/core.py", "from . import autodiff", "core imports autodiff"),
        ("tinygrad_rl/core.py", "import tinygrad_rl", "core imports __init__"),
        ("tinygrad_rl/ops/a.py", "import tinygrad_rl.autodiff", "ops imports autodiff"),
        ("tinygrad_rl/compiler/a.py", "from ..nn.functional import relu", "compiler imports nn"),
        ("tinygrad_rl/compiler/a.py", "from .. import optim", "compiler imports optim"),
        ("tinygrad_rl/optim.py", "from .nn import Module", "optim imports nn"),
        ("tinygrad_rl/debug/a.py", "from ..explain import explain", "debug imports explain"),
        ("tinygrad_rl/io.py", "from ddpg import DDPG", "does not know ddpg"),
        ("tinygrad_rl/helpers.py", "", "no room 'helpers'"),
        ("tinygrad_rl/debug/a.py", "def f():\n    from .. import nn", "inside a function"),
        ("tinygrad_rl/core.py", "from importlib import *\nimport_module('tinygrad_rl.nn')", "nn"),
        ("tinygrad_rl/debug/a.py", "import torch", "benchmarks/ only"),
        ("tests/test_a.py", "import jax.numpy as jnp", "benchmarks/ only"),
        ("ddpg/agent.py", "import pickle", "nothing is pickled"),
        ("ddpg/agent.py", "np.load('a', allow_pickle=True)", "stranger"),
        ("ddpg/agent.py", "from tinygrad_rl.core import Tensor", "is internal"),
        ("ddpg/agent.py", "from tinygrad_rl import apply", "does not export apply"),
        ("ddpg/agent.py", "import tinygrad_rl as tg\ntg.core.apply()", "does not export core"),
        ("ddpg/agent.py", "from ddpg.run import train", "agent imports run"),
        ("ddpg/run/a.py", "def f():\n    from ddpg import compare", "run imports compare"),
        ("ddpg/agent.py", "import gymnasium", "no environment"),
        ("ddpg/learn.py", "from pathlib import Path", "no disk"),
        ("tinygrad_rl/__init__.py", INIT + "from .core import Op", "export it"),
        # who touches what
        ("tinygrad_rl/nn/a.py", "t._flag", "another module's"),
        ("tinygrad_rl/nn/a.py", "t._array = 1", "another module's"),
        ("tinygrad_rl/nn/a.py", "getattr(t, '_flag')", "another module's"),
        ("tinygrad_rl/nn/a.py", "from tinygrad_rl.core import _flag", "another module's"),
        ("tinygrad_rl/nn/a.py", "object.__setattr__(t, 'flag', 1)", "a class's rules"),
        ("tinygrad_rl/nn/a.py", "import sys\nsys._getframe(1)", "core/context.py"),
        ("tinygrad_rl/nn/a.py", "i.op.name == 'sum'", "op's name"),
        ("tinygrad_rl/nn/a.py", "op.name not in SOME", "op's name"),
        ("tinygrad_rl/nn/a.py", "name = i.op.name\nif name in SOME: pass", "op's name"),
        ("tinygrad_rl/nn/a.py", "call.op in ('max', 'min')", "op's name"),
        ("tinygrad_rl/nn/a.py", "KINDS = {'max'}\ncall.op in KINDS", "op's name"),
        ("tinygrad_rl/nn/a.py", "WRITERS[op.name](op)", "op's name"),
        ("tinygrad_rl/nn/a.py", "WRITERS.get(op.name)", "op's name"),
        ("tinygrad_rl/nn/a.py", "REGISTRY['copy']", "op's name"),
        ("tinygrad_rl/nn/a.py", "match op.name:\n    case 'sum': pass", "op's name"),
        ("ddpg/run/a.py", "i.op.name == 'sum'", "op's name"),
        # messages
        ("ddpg/run/a.py", "f'not a {type(x).__name__}'", "an article before {type(x).__name__}"),
        ("tinygrad_rl/nn/a.py", "f'{len(xs)} tensors are'", "{len(xs)} tensors"),
        ("tinygrad_rl/nn/a.py", "f'{n:,} entries'", "{n} entries"),
        # names and sizes
        ("tinygrad_rl/nn/Tensor.py", "", "called as the public tinygrad_rl.Tensor"),
        ("tests/test_a.py", LONG, "61 lines, more than 60"),
        ("tinygrad_rl/nn/a.py", "x = 1\n" * 501, "501 lines, more than 500"),
        # docstrings
        ("tinygrad_rl/nn/a.py", doc("Parameters", "c : none"), "no parameter 'c'"),
        ("tinygrad_rl/nn/a.py", doc("Parameters", "b, a : two"), "order of the signature"),
        ("tinygrad_rl/nn/a.py", doc("Arguments", "a : one"), "no section 'Arguments'"),
        ("tinygrad_rl/nn/a.py", doc("Raises", "when : ever"), "no exception"),
        ("tinygrad_rl/nn/a.py", doc("Notes", "n\n\n    Returns\n    -------\n    x"), "ordered"),
    ],
)
def test_broken_rule_is_reported(path, text, message):
    found = violations(sources_of({"tinygrad_rl/__init__.py": INIT, path: text}))
    assert len(found) == 1, found
    assert message in found[0]


def test_circle_is_reported_with_its_way():
    files = {
        "tinygrad_rl/nn/a.py": "from .b import x",
        "tinygrad_rl/nn/b.py": "from . import c",
        "tinygrad_rl/nn/c.py": "import tinygrad_rl.nn.a",
    }
    way = " -> ".join(f"tinygrad_rl.nn.{x}" for x in "abca")
    assert violations(sources_of(files)) == [f"a circle: {way}"]
    files["tinygrad_rl/nn/c.py"] = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import a"
    )
    assert violations(sources_of(files)) == []


def test_floors_are_counted_on_the_longest_way():
    files = {
        "ddpg/a.py": "",
        "ddpg/b.py": "from ddpg import a",
        "ddpg/c/d.py": "from ddpg.b import x\nfrom ddpg import a",
        "ddpg/c/e.py": "from ddpg.c import d",
    }
    assert imports.floors(sources_of(files)) == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tinygrad_rl/kernels/a.py", "import math\nimport numba\nfrom .b import dot"),
        ("tinygrad_rl/core.py", "from . import kernels"),
        ("tinygrad_rl/explain/a.py", "from .. import compiler, nn\nfrom ..debug import x"),
        ("tinygrad_rl/explain/a.py", "def png():\n    import matplotlib.pyplot as plt"),
        ("tinygrad_rl/nn/a.py", "class A:\n    _x: int\ndef f(a):\n    return a._x, a._array"),
        ("tinygrad_rl/nn/a.py", "class A:\n    def f(self): self._x = 1\nA()._x"),
        ("tinygrad_rl/nn/a.py", "print(op.name)\ncounts[op.name] += 1\ni.op is j.op"),
        ("tinygrad_rl/core/a.py", "op.name == 'sum'\nt._flag"),
        ("tinygrad_rl/nn/a.py", doc("Parameters", "a, b : both")),
        ("tinygrad_rl/nn/a.py", "f'{name} is {kind(x)}, {MOST} runs, {t} ms'"),
        (
            "ddpg/agent.py",
            "import tinygrad_rl as tg\nfrom tinygrad_rl.nn import functional as F\ntg.nn",
        ),
    ],
)
def test_permitted_use_passes(path, text):
    assert violations(sources_of({"tinygrad_rl/__init__.py": INIT, path: text})) == []
