import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary

from ddpg.errors import UsageError
from ddpg.spaces import action_bounds, make_env, observation_size


def test_flat_boxes_are_taken_with_their_bounds_per_dimension():
    low, high = action_bounds(Box(np.array([-1.0, 0.0]), np.array([3.0, 0.5]), dtype=np.float64))
    assert low.tolist() == [-1.0, 0.0]
    assert high.tolist() == [3.0, 0.5]
    assert observation_size(Box(-np.inf, np.inf, (17,))) == 17


@pytest.mark.parametrize(
    ("space", "found"),
    [
        (Discrete(3), r"Discrete\(3\)"),
        (Dict({"a": Box(0, 1, (2,))}), "Dict"),
        (Box(0, 255, (8, 8, 3), np.uint8), r"shape \(8, 8, 3\); gymnasium.wrappers.Flatten"),
        (Box(0, 1, ()), r"shape \(\)"),
        (Box(0, 1, (0,)), r"shape \(0,\)"),
    ],
)
def test_unsupported_observations_are_named_beside_what_is_supported(space, found):
    with pytest.raises(ValueError, match=f"observations must come from a flat Box.*{found}"):
        observation_size(space)


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
        ("no_such_module:Pendulum-v1", "cannot be imported: .*no_such_module"),
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
