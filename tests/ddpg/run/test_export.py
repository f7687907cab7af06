"""Each format, run as its users run it, against `agent.act`."""

import ctypes
import io
import re
import shutil
import subprocess

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig
from ddpg.run.export import FORMATS, describe, export

LOW, HIGH = np.array([-1.0, 2.0, 0.1]), np.array([3.0, 2.5, 0.7])  # 0.1 and 0.7 are no float32
HALF = (HIGH - LOW) / 2
CC = shutil.which("cc")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2")


def make_agent(low=LOW, high=HIGH, hidden=(16, 8), stretched=2000.0, seen=None):
    """An agent whose last layer is stretched, so that its actions fill their range.

    It normalises observations by those it has `seen`, if there are any.
    """
    observations = Box(-np.inf, np.inf, (5,), np.float32)
    actions, normalizes = Box(low, high, dtype=low.dtype), seen is not None
    config = DDPGConfig(hidden=hidden, compile=False, normalize_observations=normalizes)
    agent = DDPG(observations, actions, config, seed=3)
    if seen is not None:
        agent.normalizer.see(seen)
    last = agent.actor.mlp[-1].weight
    with tg.no_grad():
        last.assign_(stretched * last.numpy())
    return agent


@pytest.fixture(scope="module")
def agent():
    return make_agent()


def layers_of(arrays):
    count = sum(name.startswith("weight") for name in arrays)
    return [(arrays[f"weight_{k}"], arrays[f"bias_{k}"]) for k in range(count)]


def by_numpy(arrays, obs, dtype=np.float32):
    """What the description says, in any precision."""
    y = obs.astype(dtype)
    if "mean" in arrays:
        y = np.clip((y - arrays["mean"]) * arrays["inverse_std"], -10, 10)
    *hidden, (weight, bias) = layers_of(arrays)
    for w, b in hidden:
        y = np.maximum(y @ w.T.astype(dtype) + b, 0)
    y = arrays["center"] + arrays["half"] * np.tanh(y @ weight.T.astype(dtype) + bias)
    return np.minimum(np.maximum(y, arrays["low"]), arrays["high"])


def run_npz(policy, folder, obs):
    export(policy, "npz", folder / "policy.npz")
    with np.load(folder / "policy.npz", allow_pickle=False) as arrays:
        return by_numpy(dict(arrays), obs)


def run_c(policy, folder, obs):
    if CC is None:
        pytest.skip("there is no C compiler")
    export(policy, "c", folder / "policy.c")
    library = folder / "policy.so"
    command = [CC, *STRICT, "-shared", "-fPIC", folder / "policy.c", "-o", library, "-lm"]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stderr
    function, floats = ctypes.CDLL(str(library)).policy, ctypes.POINTER(ctypes.c_float)
    function.argtypes, function.restype = (floats, floats), None
    actions = np.full((len(obs), policy.act_dim), 77, np.float32)
    for row, action in zip(np.ascontiguousarray(obs), actions, strict=True):
        function(row.ctypes.data_as(floats), action.ctypes.data_as(floats))
    return actions


def run_onnx(policy, folder, obs):
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    export(policy, "onnx", folder / "policy.onnx")
    onnx.checker.check_model(onnx.load(folder / "policy.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(folder / "policy.onnx")
    (actions,) = session.run(["action"], {"observation": obs})
    return actions


RUNNERS = {"npz": run_npz, "c": run_c, "onnx": run_onnx}


@pytest.fixture(params=FORMATS)
def taken_away(request, tmp_path):
    """Runs a policy by one of the formats on rows of observations."""
    return lambda policy, obs: RUNNERS[request.param](policy, tmp_path, obs)


def observations(scale, count=1000):
    return (scale * np.random.default_rng(0).normal(size=(count, 5))).astype(np.float32)


def extremes():
    """1e6 and its neighbours in all signs, alone and together."""
    signs = np.stack(np.meshgrid(*[[-1, 0, 1]] * 5), axis=-1).reshape(-1, 5)
    return np.concatenate([signs * 1e6, signs * 1e-6, signs]).astype(np.float32)


def off(actions, expected):
    """The largest difference, in units of half the range."""
    return np.abs((actions - expected) / HALF).max()


@pytest.mark.parametrize("obs", [observations(1), observations(10), observations(1e6), extremes()])
def test_actions_are_those_of_the_agent(agent, taken_away, obs):
    expected = np.stack([agent.act(row) for row in obs])
    assert ((expected - LOW) / (HIGH - LOW)).min() < 0.1  # the actions fill their range
    assert ((expected - LOW) / (HIGH - LOW)).max() > 0.9
    actions = taken_away(describe(agent, "Any-v0"), obs)
    assert actions.shape == (len(obs), 3)
    assert actions.dtype == np.float32
    assert off(actions, expected) < 1e-5
    assert (actions >= LOW).all()
    assert (actions <= HIGH).all()


@pytest.mark.parametrize("scale", [1e2, 1e3, 1e4])
def test_where_float32_says_no_more_they_are_as_near_to_the_exact_ones(agent, taken_away, scale):
    """Large sums that nearly cancel: the agent's own actions are more than 1e-5 off, too."""
    obs, policy = observations(scale), describe(agent, "Any-v0")
    exact = by_numpy(policy.arrays(), obs, np.float64)
    own = off(np.stack([agent.act(row) for row in obs]), exact)
    assert off(taken_away(policy, obs), exact) < max(1e-5, 2 * own)


def test_sums_in_c_are_nearer_to_the_exact_ones_than_the_agent(tmp_path):
    agent, obs = make_agent(hidden=(400, 300)), observations(1, 300)
    policy = describe(agent, "Any-v0")
    exact = by_numpy(policy.arrays(), obs, np.float64)
    own = off(np.stack([agent.act(row) for row in obs]), exact)
    assert off(run_c(policy, tmp_path, obs), exact) < own / 2


UNLIKE = np.array([1e3, 0.0, -3e4, 5.0, 1.0]), np.array([1e-2, 1.0, 1e4, 1e-3, 0.0])
"""Means and standard deviations: far from 0 for their size, near it, large, small, and none."""


def unlike(count, seed=0):
    mean, std = UNLIKE
    rows = mean + std * np.random.default_rng(seed).normal(size=(count, 5))
    return rows.astype(np.float32)


@pytest.mark.parametrize("obs", [unlike(1000, seed=1), observations(1e6), extremes()])
def test_observations_are_normalized_as_the_agent_does_it(taken_away, obs):
    agent = make_agent(seen=unlike(500))
    expected = np.stack([agent.act(row) for row in obs])
    assert ((expected - LOW) / (HIGH - LOW)).min() < 0.1
    assert ((expected - LOW) / (HIGH - LOW)).max() > 0.9
    assert off(taken_away(describe(agent, "Any-v0"), obs), expected) < 1e-5


def test_a_mean_that_is_off_by_little_would_be_seen():
    agent, obs = make_agent(seen=unlike(500)), unlike(100, seed=1)
    other = make_agent(seen=unlike(500) + np.float32([1e-2, 0, 0, 0, 0]))  # 1 in 100,000
    assert off(*(np.stack([a.act(row) for row in obs]) for a in (agent, other))) > 1e-2


def test_a_nan_stays_one_through_the_normalization(taken_away):
    agent, obs = make_agent(seen=unlike(500)), unlike(3)
    obs[1, 2] = np.nan
    assert np.isnan(agent.act(obs[1])).all()
    actions = taken_away(describe(agent, "Any-v0"), obs)
    assert np.isnan(actions).all(axis=1).tolist() == [False, True, False]


PARTS = Dict(
    {
        "wind": Dict({"gust": Box(0, 9, (1,), np.float64), "*/ int x;": Discrete(3)}),
        "position": Box(-1, 1, (3,)),
    }
)
LINES = [
    "observation[0..2]  position",
    "observation[3..5]  wind.*/ int x;  (a 1 at what was observed)",
    "observation[6]  wind.gust",
]


def agent_of(space):
    config = DDPGConfig(hidden=(8,), compile=False)
    return DDPG(space, Box(LOW, HIGH, dtype=LOW.dtype), config, seed=3)


def test_where_observations_have_parts_each_file_says_which_elements_are_whose(tmp_path):
    agent = agent_of(PARTS)
    policy, obs = describe(agent, "Any-v0"), np.array([agent.flatten(PARTS.sample())])
    assert policy.layout_lines() == LINES
    for name, run in RUNNERS.items():
        assert off(run(policy, tmp_path, obs.astype(np.float32)), agent.act(obs)) < 1e-5, name
    comment, _, _ = (tmp_path / "policy.c").read_text().partition("*/")
    assert [line.strip(" *") for line in comment.splitlines() if "observation[" in line] == [
        line.replace("*", "_").replace("/", "_").replace(";", "_") for line in LINES
    ]
    with np.load(tmp_path / "policy.npz", allow_pickle=False) as arrays:
        names = arrays["observation"].tolist()
    assert names == ["position"] * 3 + ["wind.*/ int x;"] * 3 + ["wind.gust"]
    onnx = pytest.importorskip("onnx")
    (value,) = onnx.load(tmp_path / "policy.onnx").graph.input
    assert value.doc_string.splitlines() == LINES


def test_one_part_without_a_name():
    assert describe(agent_of(Discrete(3)), "Any-v0").layout_lines() == [
        "observation[0..2]  (a 1 at what was observed)"
    ]
    assert describe(agent_of(Box(0, 1, (2,))), "Any-v0").layout_lines() == []


def test_c_says_that_it_normalizes():
    comment, _, _ = (
        FORMATS["c"].encode(describe(make_agent(seen=unlike(9)), "A")).decode().partition("*/")
    )
    assert "clip((observation - mean) * inverse_std, -10, 10)" in comment
    assert "1,124 bytes of constants, takes 116 bytes of the stack" in comment  # 40 and 20 more


def test_a_nan_stays_one(agent, taken_away):
    obs = observations(1, 3)
    obs[1, 2] = np.nan
    assert np.isnan(agent.act(obs[1])).all()
    assert np.isnan(taken_away(describe(agent, "Any-v0"), obs)).all(axis=1).tolist() == [
        *(False, True, False)
    ]


@pytest.mark.parametrize("hidden", [(1,), (4, 4, 4)])
def test_networks_of_any_depth(taken_away, hidden):
    agent, obs = make_agent(hidden=hidden), observations(1, 50)
    expected = np.stack([agent.act(row) for row in obs])
    assert off(taken_away(describe(agent, "Any-v0"), obs), expected) < 1e-5


def test_bounds_at_the_end_of_float32_do_not_overflow(taken_away):
    most = np.full(3, np.finfo(np.float32).max)
    agent, obs = make_agent(-most, most), observations(10, 50)
    expected = np.stack([agent.act(row) for row in obs])
    actions = taken_away(describe(agent, "Any-v0"), obs)
    assert np.isfinite(actions).all()
    assert (np.abs(actions / most - expected / most) < 1e-5).all()


@pytest.mark.parametrize("count", [0, 1, 7])
def test_an_onnx_model_takes_batches_of_any_length(agent, tmp_path, count):
    assert run_onnx(describe(agent, "Any-v0"), tmp_path, observations(1, count)).shape == (count, 3)


def test_arrays_are_plain_and_of_float32(agent):
    data = io.BytesIO(FORMATS["npz"].encode(describe(agent, "Any-v0")))
    with np.load(data, allow_pickle=False) as file:
        shapes = {name: file[name].shape for name in file}
        assert {file[name].dtype for name in file} == {np.dtype(np.float32)}
    weights = {"weight_0": (16, 5), "weight_1": (8, 16), "weight_2": (3, 8)}
    biases = {"bias_0": (16,), "bias_1": (8,), "bias_2": (3,)}
    assert shapes == weights | biases | dict.fromkeys(("center", "half", "low", "high"), (3,))


def test_constants_of_c_come_back_exactly(agent):
    policy = describe(agent, "Any-v0")
    policy.weights[0].flat[:4] = [1e-45, np.finfo(np.float32).max, -0.0, np.float32(1) / 3]
    source = FORMATS["c"].encode(policy).decode()
    for name, array in policy.arrays().items():
        (numbers,) = re.findall(rf"\b{name}\[[\d *]+\] = {{(.*?)}};", source, re.DOTALL)
        values = [np.float32(word.strip().removesuffix("f")) for word in numbers.split(",")[:-1]]
        assert np.array(values).tobytes() == array.tobytes(), name
    assert max(map(len, source.splitlines())) <= 100


def test_c_compiles_whatever_the_environment_is_called(agent, tmp_path):
    policy = describe(agent, "a/* b */ int x; \\\n ??/\n #error é %s")
    policy.weights[0].flat[:3] = [1e-45, np.finfo(np.float32).max, -0.0]
    run_c(policy, tmp_path, observations(1, 1))


def test_files_say_what_they_are(agent, tmp_path):
    policy = describe(agent, "module:Any-v0")
    comment, _, _ = FORMATS["c"].encode(policy).decode().partition("*/")
    for said in ("module:Any-v0", "_SIZE (5)", "_SIZE (3)", "action[1]  2.0 to 2.5", "1,084 bytes"):
        assert said in comment, said
    assert comment.count("96 bytes of the stack") == 1  # 16 and 8 units
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(FORMATS["onnx"].encode(policy))
    assert "module:Any-v0" in model.graph.doc_string


def test_a_description_is_a_copy():
    agent = make_agent()
    policy = describe(agent, "Any-v0")
    before = policy.weights[0].copy()
    with tg.no_grad():
        agent.actor.mlp[0].weight.assign_(np.zeros((16, 5), np.float32))
    np.testing.assert_array_equal(policy.weights[0], before)
