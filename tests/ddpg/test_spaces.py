import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary

from ddpg.errors import UsageError
from ddpg.spaces import action_bounds, make_env


def test_flat_boxes_are_taken_with_their_bounds_per_dimension():
    low, high = action_bounds(Box(np.array([-1.0, 0.0]), np.array([3.0, 0.5]), dtype=np.float64))
    assert low.tolist() == [-1.0, 0.0]
    assert high.tolist() == [3.0, 0.5]


@pytest.mark.parametrize(
    ("space", "found"),
    [
        (Discrete(2), r"found Discrete\(2\)"),
        (MultiBinary(4), r"found MultiBinary\(4\)"),
        (Box(-1, 1, (2, 2)), r"found shape \(2, 2\)"),
        (Box(0, 9, (2,), np.int64), r"of int64"),
        (
            Box(np.array([-1, -np.inf]), np.ones(2), dtype=np.float64),
            r"\[-inf, 1.0\] in dimension 1",
        ),
    ],
)
def test_unsupported_actions_are_named_beside_what_is_supported(space, found):
    with pytest.raises(ValueError, match=f"a flat Box of floats with finite bounds.*{found}"):
        action_bounds(space)


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("Pendulm-v1", r"unknown environment 'Pendulm-v1'; did you mean Pendulum-v1\?"),
        ("pendulum-v1", r"did you mean Pendulum-v1\?"),
        ("Pendulum-v99", r"did you mean Pendulum-v1\?"),
        ("Hoper-v4", r"did you mean Hopper-v5"),
        ("qqqqqqqq", r"unknown environment 'qqqqqqqq'$"),
        ("", r"unknown environment ''$"),
        ("no_such_module:Pendulum-v1", "finds no module no_such_module; .* PYTHONPATH=. before"),
        ("json.no_such:Pendulum-v1", "finds no module json.no_such; .* PYTHONPATH=. before"),
    ],
)
def test_unknown_environment_is_refused_with_near_names(env_id, message):
    with pytest.raises(UsageError, match=message):
        make_env(env_id)


def test_known_environment_is_made():
    env = make_env("Pendulum-v1")
    assert env.spec is not None
    assert env.spec.id == "Pendulum-v1"
    env.close()


MODULE = """
import gymnasium
class Fails(gymnasium.Env):
    def __init__(self, render_mode=None):
        {body}
gymnasium.register("{name}-v0", entry_point=Fails)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that can be imported; gives its name."""
    monkeypatch.syspath_prepend(tmp_path)
    names = []

    def write(text):
        names.append(f"module_{abs(hash(text))}")
        (tmp_path / f"{names[-1]}.py").write_text(text)
        return names[-1]

    yield write
    for name in names:
        sys.modules.pop(name, None)
        gymnasium.registry.pop(f"{name}-v0", None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("exit()", "SystemExit"),
        ("raise Exception", "Exception"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("def f(: pass", "SyntaxError"),
        ("raise RuntimeError('x' * 10_000)", "RuntimeError: xxx"),
        ("import no_such_module", "cannot be imported: No module named 'no_such_module'$"),
        (
            "raise ModuleNotFoundError('No module named x', name='mujoco')",
            "needs mujoco.*pip install",
        ),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(module, text, reason):
    with pytest.raises(UsageError, match=f"^environment 'module_.*{reason}") as error:
        make_env(f"{module(text)}:Env-v0")
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit", "SystemExit"),
        ("raise gymnasium.error.Error('no licence')", "Error: no licence"),
        ("gymnasium.make('Pendulm-v1')", "NameNotFound: .*Pendulm"),
        ("raise gymnasium.error.DependencyNotInstalled('pip it')", "imported: pip it"),
    ],
)
def test_an_environment_that_cannot_be_made_is_not_an_unknown_one(module, body, reason):
    name = f"E{abs(hash(body))}"
    text = MODULE.format(name=name, body=body)
    with pytest.raises(UsageError, match=f"^environment '.*:{name}-v0' cannot be .*{reason}"):
        make_env(f"{module(text)}:{name}-v0")
    gymnasium.registry.pop(f"{name}-v0", None)


@pytest.mark.parametrize("env_id", [":", "::", "a:", "a/b/c", "\0", "x" * 300, "é", "\udcff"])
def test_an_id_that_is_none_is_one_line(env_id):
    with pytest.raises(UsageError, match="environment '") as error:
        make_env(env_id)
    assert len(str(error.value)) < 500
    assert str(error.value).isprintable()


def test_warnings_are_of_environments_that_are_made():
    with pytest.warns(UserWarning, match="Using the latest versioned"):
        make_env("Pendulum").close()
    with pytest.raises(UsageError, match="did you mean Pendulum-v1"):
        make_env("Pendulum-v0")
