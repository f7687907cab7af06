"""A run knows its spaces: written, read again, compared, and hostile ones refused in one line."""

import json

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

import ddpg
from ddpg.config import sealed_text
from ddpg.errors import UsageError
from ddpg.run import environments
from ddpg.run.disk import folder
from ddpg.run.disk.saved_spaces import DEEPEST, Spaces, check_spaces, read_spaces, spaces_text
from ddpg.spaces import Observations
from tests.ddpg.run.runs import without_drawing

ACTIONS = Box(np.array([-0.1, 0.0]), np.array([0.7, 1e300]), dtype=np.float64)
BOX = {"type": "Box", "shape": [2], "dtype": "float32", "low": 0, "high": 1}
SPACES = {
    "bounds of each": Box(np.array([-0.1, -np.inf], np.float32), np.array([0.7, 3], np.float32)),
    "no bounds": Box(-np.inf, np.inf, (3,)),
    "halves": Box(-1, 1, (3,), np.float16),
    "bytes": Box(0, 255, (4,), np.uint8),
    "the largest integers": Box(-(2**63), 2**63 - 2, (2,), np.int64),
    "a table": Box(np.arange(6.0).reshape(2, 3), np.full((2, 3), 9.0), dtype=np.float64),
    "a number": Box(-1, 1, ()),
    "some": Discrete(4, start=-2),
    "several": MultiDiscrete([[3, 2], [2, 4]], start=[[0, 1], [-1, 0]]),
    "switches": MultiBinary(4),
    "a table of switches": MultiBinary([2, 3]),
    "tuple": Tuple((Discrete(2), Box(0, 1, (2,)))),
    "nested": Dict({"b": Dict({"c": Discrete(2)}), "a": Tuple((Box(0, 1, (2,)),))}),
    "an order of its own": Dict([("z", Discrete(2)), ("a", Discrete(3))]),
}


def write(path, values):
    path.write_text(sealed_text(values))
    return path


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_what_is_read_is_what_was_written(tmp_path, space):
    path = tmp_path / folder.SPACES
    path.write_text(spaces_text(Spaces(space, ACTIONS)))
    read = read_spaces(path)
    assert read == Spaces(space, ACTIONS)
    assert read.actions.low.tolist() == ACTIONS.low.tolist()
    assert read.actions.dtype == np.float64
    assert Observations(read.observations).layout == Observations(space).layout
    json.loads(path.read_text(), parse_constant=pytest.fail)  # as RFC 8259 has it


def test_every_bit_of_bounds_comes_back(tmp_path):
    low = np.array([1e-45, -3.4e38, 1 / 3, 0.1], np.float32)
    path = tmp_path / folder.SPACES
    path.write_text(spaces_text(Spaces(Box(low, np.abs(low) * 1), ACTIONS)))
    assert read_spaces(path).observations.low.tobytes() == low.tobytes()


def nested(depth):
    value = BOX
    for _ in range(depth):
        value = {"type": "Tuple", "spaces": [value]}
    return value


HOSTILE = {
    "no space": 3,
    "no type": {"shape": [2]},
    "an unknown type": {"type": "Text", "max_length": 3},
    "a type that is a list": {"type": ["Box"]},
    "more numbers than there are": BOX | {"shape": [10**12]},
    "more numbers by its product": BOX | {"shape": [10**6, 10**6]},
    "a negative shape": BOX | {"shape": [-2]},
    "a shape of floats": BOX | {"shape": [2.0]},
    "many dimensions": BOX | {"shape": [1] * 40},
    "no shape": {k: v for k, v in BOX.items() if k != "shape"},
    "another number of bounds": BOX | {"low": [0, 0, 0]},
    "bounds that are text": BOX | {"low": "nan"},
    "bounds that are lists": BOX | {"low": [[0], [0]]},
    "bounds upside down": BOX | {"low": 2},
    "bounds beyond the type": BOX | {"high": 1e300},
    "bounds between integers": BOX | {"dtype": "int64", "high": 0.5},
    "bounds of many digits": BOX | {"high": 10**400},
    "no bounds of bytes": BOX | {"dtype": "uint8", "high": "inf"},
    "an object": BOX | {"dtype": "O"},
    "text": BOX | {"dtype": "U5"},
    "no dtype": BOX | {"dtype": "float33"},
    "none of some": {"type": "Discrete", "n": 0, "start": 0},
    "too many of some": {"type": "Discrete", "n": 10**12, "start": 0},
    "some from far away": {"type": "Discrete", "n": 2, "start": 10**30},
    "none of several": {"type": "MultiDiscrete", "nvec": [], "start": []},
    "too many of several": {"type": "MultiDiscrete", "nvec": [2**62, 2**62], "start": [0, 0]},
    "several and another start": {"type": "MultiDiscrete", "nvec": [2, 3], "start": [0]},
    "several of unlike lengths": {"type": "MultiDiscrete", "nvec": [[2], [3, 4]], "start": [0]},
    "several that are text": {"type": "MultiDiscrete", "nvec": ["2"], "start": [0]},
    "a Dict of no pairs": {"type": "Dict", "spaces": [["a"]]},
    "a Dict with a key twice": {"type": "Dict", "spaces": [["a", BOX], ["a", BOX]]},
    "nothing to observe": {"type": "Dict", "spaces": []},
    "an image": BOX | {"shape": [64, 64, 3], "dtype": "uint8"},
    "deep": nested(DEEPEST + 1),
    "deeper than Python goes": nested(5_000),
}


@pytest.mark.parametrize("values", HOSTILE.values(), ids=HOSTILE)
def test_hostile_spaces_with_the_right_checksum_are_one_line(tmp_path, values):
    path = tmp_path / folder.SPACES
    for each in (
        {"observations": values, "actions": BOX},
        {"observations": BOX, "actions": values},
    ):
        try:
            write(path, each)
        except RecursionError:  # it can't be written here, but elsewhere
            text = '{"type":"Tuple","spaces":[' * 5_000 + "3" + "]}" * 5_000
            path.write_text(f'{{"observations": {text}}}')
        with pytest.raises(UsageError) as error:
            read_spaces(path)
        said = str(error.value)
        assert said.startswith(f"{path}")
        assert "\n" not in said and len(said) < 500 + len(str(path))


@pytest.mark.parametrize("values", [{}, {"observations": BOX}, {"actions": BOX, "more": BOX}])
def test_other_entries_are_refused(tmp_path, values):
    with pytest.raises(UsageError, match="must hold observations and actions, got"):
        read_spaces(write(tmp_path / folder.SPACES, values))


def test_a_file_that_was_edited_is_refused(tmp_path):
    path = tmp_path / folder.SPACES
    path.write_text(spaces_text(Spaces(Discrete(3), ACTIONS)).replace('"n": 3', '"n": 4'))
    with pytest.raises(UsageError, match=r"checksum does not fit: .* by hand$"):
        read_spaces(path)
    path.write_text('{"observations": 1, "actions": 2}')
    with pytest.raises(UsageError, match=r'"checksum" is missing: .* by hand$'):
        read_spaces(path)


def environment(observations, actions=ACTIONS):
    env = gymnasium.Env()
    env.observation_space, env.action_space = observations, actions
    return env


WINDY = {"wind": Box(-1, 1, (2,)), "gear": Discrete(3)}


@pytest.mark.parametrize(
    ("observations", "actions", "said"),
    [
        (Dict({"gear": Discrete(3)}), ACTIONS, r"'wind' was Box\(.*\(2,\), float32\), and is gone"),
        (Dict(WINDY | {"fog": Discrete(2)}), ACTIONS, r"'fog', Discrete\(2\), is new"),
        (
            Dict(WINDY | {"gear": Discrete(4)}),
            ACTIONS,
            r"'gear' was Discrete\(3\), and is Discrete\(4\)",
        ),
        (Dict([*WINDY.items()]), ACTIONS, "have their parts in another order"),
        (Dict(WINDY), Box(-1, 1, (2,)), r"actions were Box\(.*, and are Box\(-1.0, 1.0, \(2,\)"),
    ],
)
def test_an_environment_that_is_another_one_now_is_refused(tmp_path, observations, actions, said):
    text = spaces_text(Spaces(Dict(WINDY), ACTIONS))  # which sorts its keys
    (tmp_path / folder.SPACES).write_text(text)
    check_spaces(tmp_path, environment(Dict(WINDY)))
    with pytest.raises(UsageError, match=f"is not that of {tmp_path}: .*{said}") as error:
        check_spaces(tmp_path, environment(observations, actions))
    assert "\n" not in str(error.value)


def make():
    return gymnasium.make("Pendulum-v1", max_episode_steps=50)


class Longer(gymnasium.ObservationWrapper):
    """Observes a number more."""

    def __init__(self):
        super().__init__(make())
        self.observation_space = Box(-np.inf, np.inf, (4,))

    def observation(self, observation):
        return np.append(observation, np.float32(0))


def test_a_run_is_loaded_without_its_environment_and_goes_on_in_the_same_one_alone(tmp_path):
    settings = {"hidden": (4,), "warmup_steps": 60, "compile": False, "progress": False}
    path = tmp_path / "run"
    with without_drawing():
        run = ddpg.train(make, total_timesteps=60, eval_every=0, run_dir=path, **settings)
    before = (path / folder.SPACES).read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environments, "_new", pytest.fail)
        patch.setattr(gymnasium, "make", pytest.fail)
        agent = ddpg.load(path)
    obs = np.array([0.1, 0.9, -3.0])
    np.testing.assert_array_equal(agent.act(obs), run.agent.act(obs))
    with pytest.raises(UsageError, match=r"is not that of .*run: observation was Box\(.*, and is"):
        ddpg.resume(path, Longer, total_timesteps=70, progress=False)
    with without_drawing():
        assert ddpg.resume(path, make, total_timesteps=70, progress=False).steps == 70
    assert (path / folder.SPACES).read_bytes() == before
    (path / folder.SPACES).unlink()
    with pytest.raises(UsageError, match=r"spaces.json does not exist"):
        ddpg.load(path)
