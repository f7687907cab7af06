"""A state that training can't lead to is refused by the name of its entry, and changes nothing."""

import numpy as np
import pytest
from gymnasium.spaces import Box

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig
from ddpg.errors import UsageError

CONFIG = DDPGConfig(
    hidden=(4, 3), batch_size=4, buffer_size=10, warmup_steps=0, noise="ou", compile=False
)


def make(seed=0):
    agent = DDPG(Box(-np.inf, np.inf, (3,)), Box(-1, 1, (2,)), CONFIG, seed)
    obs = np.ones(3)
    for _ in range(3):
        agent.replay.add(obs, agent.explore(obs), 1.0, obs, False, False)
        agent.update()
    return agent


def bits(path, agent):
    tg.save(path, agent.state_dict())
    return path.read_bytes()


def put(state, name, value):
    """Set the entry at a path of keys and indices, or take it out if there is no value."""
    *above, last = name
    for key in above:
        state = state[key]
    if value is None:
        del state[last]
    else:
        state[last] = value


def filled(shape, value, dtype=np.float32, at=-1):
    array = np.zeros(shape, dtype)
    array.reshape(-1)[at] = value
    return array


GOOD_WORDS = [0, 1, 2, 3, 0, 0]
WEIGHT = ("actor", "mlp.2.weight")
SQUARE = ("critic_optimizer", "exp_avg_sq", 0)
STEP = ("actor_optimizer", "step", 5)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (("noise",), None, r"missing or unknown in the state: \['noise'\]"),
        (("novel\n",), {}, r"missing or unknown in the state: \['novel\\n'\]"),
        (("noise", "x"), None, r"missing or unknown in noise: \['x'\]"),
        (("critics", 0, "mlp.9.bias"), 3, r"missing or unknown in critics.0: \['mlp.9.bias'\]"),
        (("actor_optimizer", "step"), None, r"in actor_optimizer: \['step'\]"),
        (("actor_optimizer", "step"), {}, "actor_optimizer.step must be a list of 6 entries"),
        (STEP, None, "actor_optimizer.step must be a list of 6 entries"),
        (("target_critics",), {}, "target_critics must be a list of 1 entry"),
        (WEIGHT, np.zeros((4, 3), np.float32), r"actor.mlp.2.weight is float32 of shape \(4, 3\)"),
        (WEIGHT, np.zeros((3, 4)), r"actor.mlp.2.weight is float64 of shape .*expected float32"),
        (WEIGHT, np.zeros((3, 4), np.int32), "actor.mlp.2.weight is int32"),
        (WEIGHT, [[0.0]], "actor.mlp.2.weight must be an array, not a list"),
        (WEIGHT, 0.5, "actor.mlp.2.weight must be an array, not a float"),
        (WEIGHT, filled((3, 4), np.nan), "actor.mlp.2.weight holds NaN or infinity"),
        (WEIGHT, filled((3, 4), -np.inf), "actor.mlp.2.weight holds NaN or infinity"),
        (("noise", "x"), filled((1, 2), np.inf, np.float64), "noise.x holds NaN or infinity"),
        (("noise", "x"), np.zeros(3), r"noise.x is float64 of shape \(3,\)"),
        (SQUARE, filled((4, 5), -0.5), "critic_optimizer.exp_avg_sq.0 holds -0.5, .*below 0"),
        (SQUARE, filled((4, 5), np.nan), "critic_optimizer.exp_avg_sq.0 holds NaN"),
        (STEP, np.array(-1.0), "actor_optimizer.step.5 must be a whole number of at least 0"),
        (STEP, np.array(2.5), "actor_optimizer.step.5 must be a whole number of at least 0"),
        (STEP, np.array(np.inf), "actor_optimizer.step.5 holds NaN or infinity"),
        (STEP, np.array(3), "actor_optimizer.step.5 is int64"),
        (("steps_explored",), -1, "steps_explored must be a whole number of at least 0"),
        (("steps_explored",), 3.0, "steps_explored must be a whole number of at least 0"),
        (("steps_explored",), True, "steps_explored must be a whole number of at least 0"),
        (("steps_explored",), "3", "steps_explored must be a whole number of at least 0"),
        (("noise", "rng"), [*GOOD_WORDS, 0], "noise.rng must be 6 numbers of uint64"),
        (("noise", "rng", 3), 2, "noise.rng has the increment 2"),
        (("warmup_rng", 0), 2**64, "warmup_rng must be 6 numbers of uint64"),
        (("sampling_rng", 4), 2, "sampling_rng has 2 spare half words"),
        (("sampling_rng",), 3, "sampling_rng must be 6 numbers of uint64"),
    ],
)
def test_an_entry_that_does_not_fit_is_named_and_the_agent_is_as_it_was(
    tmp_path, name, value, message
):
    path, agent = tmp_path / "a.safetensors", make(seed=1)
    before = bits(path, agent)
    bits(path, make(seed=2))
    state = tg.load(path)  # every entry differs from the agent's own
    put(state, name, value)
    with pytest.raises(UsageError, match=message) as error:
        agent.load_state_dict(state)
    assert "\n" not in str(error.value)
    assert bits(path, agent) == before


@pytest.mark.parametrize("state", [None, [], 3, {1: 2}, {}])
def test_what_is_no_state_of_an_agent(state):
    with pytest.raises(UsageError, match="the state"):
        make().load_state_dict(state)


def test_a_state_that_fits_loads_to_the_last_bit(tmp_path):
    path, agent, other = tmp_path / "a.safetensors", make(seed=1), make(seed=2)
    saved = bits(path, agent)
    other.load_state_dict(tg.load(path))
    assert bits(path, other) == saved
    agent.load_state_dict(other.state_dict())  # as arrays in memory, too
    assert bits(path, agent) == saved
