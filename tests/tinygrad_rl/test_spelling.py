"""What fingers type by habit is answered with what works here, in one sentence.

Each row is the code, and words that the sentence must have.
"""

import copy
import json
import re
import sys
import traceback
from typing import Any

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.spelling_rows import ARGUMENTS, NAMES, NUMPY, OTHERS
from tinygrad_rl.spelling import names

F = tg.nn.functional


def _kernel(out: Any, x: Any) -> None:
    for i in range(x.shape[0]):
        out[i] = not_imported(x[i])  # type: ignore[name-defined]  # noqa: F821


def _copying(out: Any, x: Any) -> None:
    out[:] = x


def space() -> dict[str, Any]:
    """The variables of all code in this file and in the tables."""
    rng = np.random.default_rng(0)
    module = tg.nn.Sequential(tg.nn.Linear(3, 1, rng=rng))
    params = module.parameters()
    module(np.ones((2, 3), np.float32)).sum().backward()
    x = tg.Tensor(rng.normal(size=(2, 3)), dtype="float32", requires_grad=True)
    return {
        "tg": tg,
        "np": np,
        "F": F,
        "copy": copy,
        "rng": rng,
        "print": print,
        "x": x,
        "y": tg.Tensor(rng.normal(size=(2, 3)), dtype="float32"),
        "b": 1.0,
        "p": tg.Tensor(rng.uniform(0.1, 0.9, (2, 3)), dtype="float32"),
        "z": tg.ones(2, 3),
        "i": tg.Tensor([0, 1]),
        "mask": tg.Tensor([[True, False, True]] * 2),
        "square": tg.Tensor(np.eye(3) + 0.1),
        "weight": tg.ones(4, 3),
        "w": tg.ones(3, 4),
        "array": np.ones(3),
        "f": lambda x: (x * x).sum(),
        "loss": (x * x).sum(),
        "state": module.state_dict(),
        "module": module,
        "params": params,
        "optimizer": tg.optim.Adam(params),
        "v": tg.ones(2, 3),
        "self": tg.nn.Module(),
        "targets": [tg.zeros(*p.shape) for p in params],
        "path": "model.safetensors",
        "_kernel": _kernel,
        "_copying": _copying,
    }


def answer(code: str, error: type[Exception]) -> str:
    """What the code is answered with: one sentence, on one line, without a second suggestion."""
    with pytest.raises(error) as caught:
        exec(code, space())
    text = str(caught.value)
    shown = "".join(traceback.format_exception_only(caught.type, caught.value))
    assert shown.count(text) == 1
    assert "Did you mean" not in shown
    return text


def check(code: str, words: str, error: type[Exception]) -> None:
    text = answer(code, error)
    for word in words.split(" & "):
        assert word in text, text
    assert len(text) < 260
    assert not re.search(r"[.:;,]$|\(\s|  |\ba [aeiou]", text), text


@pytest.mark.parametrize(("code", "words"), ARGUMENTS, ids=lambda v: v)
def test_wrong_argument_is_answered_with_the_right_one(code: str, words: str) -> None:
    check(code, words, TypeError)


@pytest.mark.parametrize(("code", "words"), NUMPY, ids=lambda v: v)
def test_function_of_numpy_is_answered_with_ours(code: str, words: str) -> None:
    check(code, words, TypeError)


@pytest.mark.parametrize(("code", "words"), NAMES, ids=lambda v: v)
def test_missing_name_is_answered_with_one_that_is_there(code: str, words: str) -> None:
    check(code, words, AttributeError)


@pytest.mark.parametrize(("code", "words"), OTHERS, ids=lambda v: v)
def test_other_near_misses(code: str, words: str) -> None:
    check(code, words, TypeError)


@pytest.mark.parametrize(
    ("call", "forward"),
    [
        ("op(y[0])", None),
        ("tg.jit(lambda y: op(y))(y[0])", None),
        ("tg.jit(lambda y: op(y))(y[0])", "np.sin"),  # the kernel is first used when it is compiled
    ],
)
def test_undefined_name_in_a_kernel_is_said_with_the_op(call: str, forward: str | None) -> None:
    forward = f"lambda x: {forward}(x)" if forward else "None"
    make = f"op = tg.Kernel('mine', kernel=_kernel, shape=lambda x: x.shape, forward={forward})\n"
    check(make + call, "'mine' & 'not_imported' & test_spelling.py", NameError)


def test_kernel_that_numba_cannot_compile_is_said_with_the_op() -> None:
    def kernel(out: Any, x: Any) -> None:
        out[:] = x.no_such_method()

    op = tg.Kernel("mine", kernel=kernel, shape=lambda x: x.shape)
    with pytest.raises(TypeError, match=r"'mine'.*no_such_method"):
        op(tg.ones(3))


def clips(x):
    return np.clip(x, 0, 1)


def calls_a_method(x):
    return x.sin()


def chooses(x):
    return np.where(x > 0, x, 0)


def has_no_derivative(x):
    return np.sinc(x)


def is_composed(x):
    return np.arcsinh(x)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (clips, "'clips' & np.clip(x, 0, 1) & min(max(x, low), high)"),
        (calls_a_method, "'calls_a_method' & x.sin() & np.sin(x)"),
        (chooses, "'chooses' & np.where & a if condition else b"),
        (has_no_derivative, "'has_no_derivative' & np.sinc(x) & 'sinc' & arcsin"),
        (is_composed, "'is_composed' & np.arcsinh & log(x + sqrt(x * x + 1))"),
    ],
)
def test_call_that_no_elementwise_op_can_hold(function: Any, words: str) -> None:
    with pytest.raises(tg.DeriveError) as caught:
        tg.elementwise(function)
    assert all(word in str(caught.value) for word in words.split(" & ")), str(caught.value)


# -- the tables are true -------------------------------------------------------------------------

ROOMS: dict[str, tuple[dict[str, str], Any]] = {
    "x": (names.TENSOR, tg.Tensor),
    "tg": (names.ENGINE, tg),
    "tg.nn": (names.NN, tg.nn),
    "F": (names.FUNCTIONAL, F),
    "tg.optim": (names.OPTIM, tg.optim),
    "module": (names.MODULE, tg.nn.Sequential),
    "optimizer": (names.OPTIMIZER, tg.optim.Adam),
}


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_of_a_table_is_absent_and_answered(room: str) -> None:
    table, owner = ROOMS[room]
    for name, way in table.items():
        assert not hasattr(owner, name), name
        check(f"{room}.{name}", way, AttributeError)


@pytest.mark.parametrize("room", ROOMS)
def test_everything_that_a_table_says_to_write_runs(room: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    table, _ = ROOMS[room]
    tg.save("model.safetensors", space()["state"])
    for name, way in table.items():
        for code in re.findall("`([^`]+)`", way):
            variables = space()
            if code.startswith("y = x.copy()"):
                variables["x"] = variables["x"].detach()
            try:
                exec(code, variables)
            except Exception as error:
                pytest.fail(f"{name}: {code}: {error}")


# -- nothing else is changed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        *("np.asarray(x)", "np.array(x)", "np.array([x, y])", "np.float32(x[0, 0])"),
        *("np.testing.assert_allclose(x, x)", "np.testing.assert_array_equal(x, x)"),
        *("np.allclose(x, x)", "np.array_equal(x, x)", "np.isclose(x, x)"),
        *("np.shape(x)", "np.ndim(x)", "np.size(x)", "np.result_type(x)"),
        *(
            "array @ weight[0]",
            "np.float32(2) ** x",
            "array > x",
            "array % x",
            "np.copyto(array, x[0])",
        ),
        *("array[:] = x[0]", "array[i]", "rng.permutation(x)", "list(x)", "sum(x)"),
        *("np.atleast_1d(x)", "np.broadcast_arrays(x, array)"),  # matplotlib's
    ],
)
def test_ways_out_of_the_engine_and_operators_work_as_before(code: str) -> None:
    exec(code, space())


def test_a_type_error_of_the_users_own_is_not_touched() -> None:
    def f(x: tg.Tensor) -> tg.Tensor:
        return x.sum() + len(3)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match=r"^object of type 'int' has no len"):
        tg.value_and_grad(f, tg.ones(3))

    def unexpected(x: tg.Tensor, **named: Any) -> tg.Tensor:
        return f(x, **named)

    with pytest.raises(TypeError, match="unexpected keyword argument 'dim'"):
        tg.value_and_grad(lambda x: unexpected(x, dim=0), tg.ones(3))


def test_names_with_underscores_are_absent_without_a_search() -> None:
    x = tg.ones(3)
    for name in ("__array_interface__", "__array_struct__", "__len_hint__", "_repr_latex_"):
        assert not hasattr(x, name)
        assert not hasattr(tg, name)
    assert not hasattr(tg.nn.Linear(1, 1), "_repr_html_")


def test_modules_are_copied_and_functions_found_where_they_say() -> None:
    module = copy.deepcopy(space()["module"])
    assert len(module.parameters()) == 2
    for function in (tg.sum, tg.reshape, tg.mse_loss, tg.optim.polyak, tg.nn.functional.linear):
        module = sys.modules[function.__module__]  # where pickle looks
        assert getattr(module, function.__qualname__) is function


def test_what_is_absent_is_no_attribute() -> None:
    x, module = tg.ones(3), tg.nn.Linear(1, 1)
    for thing, name in ((x, "view"), (x, "exp_"), (x, "stack"), (module, "to"), (module, "grad")):
        assert not hasattr(thing, name) and not hasattr(type(thing), name)
        assert name not in dir(thing) and getattr(thing, name, 7) == 7


def test_a_users_class_may_have_the_names_that_are_absent() -> None:
    class Robot(tg.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tg.ones(2, requires_grad=True)
            self.head = self.fit = tg.nn.Linear(2, 1)

        def init(self) -> int:
            return 7

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            return name

    robot = Robot()
    assert len(robot.parameters()) == 3 and robot.init() == 7 and robot.cuda == "cuda"
    assert {"weights", "fit", "init"} <= {*dir(robot)} and "cuda" not in dir(robot)
    assert copy.deepcopy(robot).weights.shape == (2,)


def test_reading_attributes_of_tensors_is_not_slower() -> None:
    """A class that has `__getattr__` loses what Python does to read attributes fast."""
    for kind in (tg.Tensor, tg.nn.Module, tg.optim.Optimizer):
        assert not any("__getattr__" in vars(base) for base in kind.__mro__)
        assert not any("__getattribute__" in vars(base) for base in kind.__mro__[:-1])


def test_size_is_an_int_wherever_ints_count() -> None:
    x = tg.ones(2, 3)
    assert x.size == 6 and isinstance(x.size, int) and repr(x.size) == "6" and hash(x.size) == 6
    assert json.dumps(x.size) == "6" and copy.deepcopy(x.size) == 6
    assert type(x.size // 2) is int and list(range(tg.ones(2).size)) == [0, 1]
    assert (x / x.size).dtype == (x.size * x).dtype == np.float32
    assert (tg.Tensor([1, 2]) * x.size).dtype == np.int64
    assert (x**x.size).dtype == np.float32 and (x > x.size).dtype == bool
    assert np.zeros(x.size).shape == tg.zeros(x.size).shape == (6,)
    assert tg.Tensor(x.size).dtype == np.int64
    x += x.size
    assert x.dtype == np.float32


def test_size_is_saved_and_compiled_as_an_int(tmp_path: Any) -> None:
    x = tg.ones(2, 3)
    tg.save(tmp_path / "n.safetensors", {"n": x.size})
    assert tg.load(tmp_path / "n.safetensors") == {"n": 6}
    step = tg.jit(lambda x, n: (x * n, x.size))
    for _ in range(3):
        out, n = step(x, x.size)
        assert out.dtype == np.float32 and n == 6
    assert step.cache_info().traces == 1
