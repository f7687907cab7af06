"""A compiled function is never stale: whatever changes in Python between two of its calls."""

import re
import types
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.compiler import guards


class Row(NamedTuple):
    """A program, and a statement that changes what its next call computes."""

    title: str
    program: str
    change: str


def _read() -> tuple[str, list[Row]]:
    text = Path(__file__).with_name("python_changes.txt").read_text()
    prelude, *groups = re.split(r"^== ", text, flags=re.MULTILINE)[1:]
    rows = []
    for group in groups:
        kind, blocks = group.split("\n", 1)
        for block in blocks.strip().split("\n\n"):
            title, *lines = block.splitlines()
            program = [line for line in lines if not line.startswith(">>>")]
            change = [line[4:] for line in lines if line.startswith(">>>")]
            rows.append(Row(f"{kind}: {title[2:]}", "\n".join(program), "\n".join(change)))
    return prelude.split("\n", 1)[1], rows


PRELUDE, ROWS = _read()
REFUSED = [row for row in ROWS if row.title.endswith(", refused")]
CHANGES = [row for row in ROWS if row not in REFUSED]
LIVE = (
    *("global: the values of a tensor", "array: the memory of a tensor"),
    *("optimizer: lr of SGD", "optimizer: lr of Adam"),
    *("array: floats", "array: an index", "array: a mask", "array: an attribute", "array: 0-d"),
    *("array: in a list", "array: a strided view"),
)
"""What a compiled function reads at each call, so that it needs no guard."""

pytestmark = pytest.mark.filterwarnings("ignore:.*times in a row:UserWarning")


def load(row: Row) -> types.ModuleType:
    module = types.ModuleType("program")
    exec(compile(PRELUDE + row.program, "program.py", "exec"), vars(module))
    return module


def results(row: Row, *, compiled: bool, calls: int = 7) -> list[np.ndarray]:
    """What the calls give, with a change after every second one."""
    module = load(row)
    f = tg.jit(module.f) if compiled else lambda x: module.f(x)
    change = compile(row.change, "change.py", "exec")
    found = []
    for k in range(calls):
        found.append(f(tg.Tensor(np.array([0.5, 1.5], np.float32))).numpy().copy())
        if k % 2:
            exec(change, vars(module))
    return found


def differ(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return any(
        x.shape != y.shape or not np.allclose(x, y, rtol=1e-5, atol=1e-6)
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: row.title)
def test_a_change_is_noticed(row):
    expected = results(row, compiled=False)
    assert differ(expected[:1] * len(expected), expected), "the change changes nothing"
    assert not differ(results(row, compiled=True), expected)


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.title)
def test_what_cannot_be_known_before_is_refused(row):
    module = load(row)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (the state is what is looked at)
    with pytest.raises(tg.TraceError, match=r"random numbers|iterator") as error:
        tg.jit(module.f)(tg.Tensor(np.array([0.5, 1.5], np.float32)))
    assert "program.py:" in str(error.value)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.slow
def test_without_guards_the_rows_are_stale(monkeypatch):
    """The table would show a compiled function that looks at nothing."""
    monkeypatch.setattr(guards.Guards, "hold", lambda self: True)

    def is_stale(row: Row) -> bool:
        try:
            return differ(results(row, compiled=True), results(row, compiled=False))
        except AttributeError:  # the program did not make what the change looks for
            return True

    unnoticed = [row.title for row in CHANGES if not is_stale(row)]
    assert sorted(unnoticed) == sorted(LIVE)
    assert len(CHANGES) - len(LIVE) >= 80
