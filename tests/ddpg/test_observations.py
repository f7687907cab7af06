"""Observations of many parts: gymnasium's order, what is refused, and learning from them."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    Graph,
    MultiBinary,
    MultiDiscrete,
    OneOf,
    Sequence,
    Text,
    Tuple,
)
from gymnasium.spaces.utils import flatdim, flatten
from gymnasium.vector.utils import concatenate, create_empty_array

from ddpg import DDPG, DDPGConfig
from ddpg.errors import TrainingError, UsageError
from ddpg.learn import One, Place, learn
from ddpg.run.environments.retrace import retrace
from ddpg.run.evaluate import evaluate, evaluate_agent
from ddpg.spaces import Observations

BOX = Box(-1, 1, (3,))
NESTED = Dict(
    {
        "wind": Dict({"gust": Box(0, 9, (1,), np.float64), "gear": Discrete(5, start=-2)}),
        "position": BOX,
        "tools": Tuple((MultiBinary(3), MultiDiscrete([2, 3], start=[1, -1]), Box(0, 1, (2, 2)))),
    }
)
SPACES = {
    "flat": BOX,
    "of several dimensions": Box(-1, 1, (2, 3, 2)),
    "a number": Box(-1, 1, ()),
    "bytes of a row": Box(0, 255, (4,), np.uint8),
    "one of some": Discrete(4),
    "one of some from -2": Discrete(4, start=-2),
    "several of some": MultiDiscrete([3, 2], start=[1, -1]),
    "a table of some": MultiDiscrete([[3, 2], [2, 4]]),
    "switches": MultiBinary(4),
    "a table of switches": MultiBinary([2, 3]),
    "tuple": Tuple((BOX, Discrete(2))),
    "one key": Dict({"only": BOX}),
    "nested": NESTED,
    "order of its own": Dict([("z", BOX), ("a", Discrete(3))]),
}
ACTIONS = Box(-1, 1, (2,))
CONFIG = DDPGConfig(hidden=(4,), batch_size=4, buffer_size=50, warmup_steps=5, compile=False)


def samples(space, count=5):
    space.seed(0)
    return [space.sample() for _ in range(count)]


def stacked(space, elements):
    """As a vector environment gives them."""
    return concatenate(space, elements, create_empty_array(space, len(elements)))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_rows_are_those_of_gymnasiums_flatten(space):
    observations = Observations(space)
    assert observations.size == flatdim(space) == sum(e.size for e in observations.layout)
    for element in samples(space):
        row = observations.flat(element)
        np.testing.assert_array_equal(row.astype(np.float32), flatten(space, element).astype("f4"))
        assert row.dtype == (space.dtype if observations.is_flat else np.float32)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_an_element_a_batch_and_what_is_flat_already_are_told_apart(space):
    observations, elements = Observations(space), samples(space)
    expected = np.array([observations.flat(e) for e in elements], np.float32)
    forms = [observations.rows(elements[0]), observations.rows(expected[0])]
    for one in forms:
        np.testing.assert_array_equal(one, expected[0])
        assert one.dtype == np.float32
    for several in (stacked(space, elements), expected, expected.astype(np.float64)):
        np.testing.assert_array_equal(observations.rows(several), expected)
    one_of_them, none = stacked(space, elements[:1]), create_empty_array(space, 0)
    if space.shape != ():  # of () a batch of one is like a row of one
        np.testing.assert_array_equal(observations.rows(one_of_them), expected[:1])
    assert len(observations.rows(none)) == 0


def test_a_row_is_a_copy():
    for space, obs in ((BOX, np.zeros(3, np.float32)), (NESTED, samples(NESTED)[0])):
        part = obs if space is BOX else obs["position"]
        row = Observations(space).flat(obs)
        before = row.copy()
        part[:] = 0.5
        np.testing.assert_array_equal(row, before)


def test_the_layout_says_which_numbers_are_whose():
    assert [tuple(entry) for entry in Observations(NESTED).layout] == [
        ("position", 3, False),
        ("tools.0", 3, False),
        ("tools.1", 5, True),
        ("tools.2", 4, False),
        ("wind.gear", 5, True),
        ("wind.gust", 1, False),
    ]
    assert [e.name for e in Observations(SPACES["order of its own"]).layout] == ["z", "a"]
    assert Observations(BOX).layout == [("", 3, False)]


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            Box(0, 255, (8, 8, 3), np.uint8),
            r"observation is an image, of shape \(8, 8, 3\).*Resize",
        ),
        (Dict({"a": Dict({"b": Box(0, 255, (84, 84), np.uint8)})}), "'a.b' is an image.*Flatten"),
        (Tuple((BOX, Box(0, 1, (3, 64, 64)))), "observation '1' is an image.*Grayscale"),
        (Text(5), "observation comes from Text"),
        (Dict({"a": BOX, "says": Text(5)}), "observation 'says' comes from Text"),
        (Tuple((Sequence(BOX),)), "observation '0' comes from Sequence"),
        (Graph(BOX, None), "observation comes from Graph"),
        (Dict({"x": OneOf((BOX, Discrete(2)))}), "observation 'x' comes from OneOf"),
        (Dict({"x": Dict({3: BOX})}), "observation 'x' has the key 3, which is no text"),
        (Box(0, 1, (0,)), r"nothing to observe in Box\(.*\(0,\)"),
        (Dict({}), "nothing to observe in Dict"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_by_name(space, said):
    with pytest.raises(UsageError, match=said) as error:
        DDPG(space, ACTIONS)
    assert "\n" not in str(error.value)


def put(value, *path):
    """An element of the nested space with another value at a path; nothing takes the key away."""

    def change(obs, key, *rest):
        new = dict(obs) if isinstance(obs, dict) else list(obs)
        if not rest and value is None:
            del new[key]
        else:
            new[key] = change(obs[key], *rest) if rest else value
        return new if isinstance(new, dict) else tuple(new)

    return change(samples(NESTED)[0], *path)


WRONG = [
    (put(None, "wind"), "observation lacks 'wind'"),
    (put(None, "wind", "gust"), "observation 'wind' lacks 'gust'"),
    (put(1.0, "fog"), "observation has 'fog' besides"),
    (put({"gust": [1.0], "dust": 3}, "wind"), "'wind' lacks 'gear' and has 'dust' besides"),
    (put(7, "wind"), "observation 'wind' must be a dict, got an int"),
    (put((1, 2), "tools"), "observation 'tools' must be a tuple of 3, got 2"),
    (put(1, "tools"), "observation 'tools' must be a tuple of 3, got int"),
    (put(np.zeros(2), "position"), r"observation 'position' must have shape \(3,\), got \(2,\)"),
    (put("north", "position"), "observation 'position' must be numbers, got 'north'"),
    (put(3, "wind", "gear"), "'wind.gear' must be whole numbers from -2 to 2, got 3"),
    (put(-3, "wind", "gear"), "'wind.gear' must be whole numbers from -2 to 2, got -3"),
    (put(1.5, "wind", "gear"), "'wind.gear' must be whole numbers from -2 to 2, got 1.5"),
    (put([1, 2], "tools", 1), r"'tools.1' .* from \[1, -1\] to \[2, 1\], got \[1, 2\]"),
    (put([np.nan], "wind", "gust"), "'wind.gust' is nan at index 0, which is not a finite"),
    (put([1e300], "wind", "gust"), "'wind.gust' is inf at index 0, which is not a finite"),
]


@pytest.mark.parametrize(("obs", "said"), WRONG)
def test_what_is_not_of_the_space_is_refused_by_name(obs, said):
    agent = DDPG(NESTED, ACTIONS, CONFIG)
    for take in (agent.flatten, agent.act):
        with pytest.raises(UsageError, match=said) as error:
            take(obs)
        assert "\n" not in str(error.value)


def test_discrete_observations_are_never_taken_from_the_end():
    """gymnasium's flatten gives the last element for the one before the first."""
    assert flatten(Discrete(4), -1).tolist() == [0, 0, 0, 1]
    with pytest.raises(UsageError, match="whole numbers from 0 to 3, got -1"):
        Observations(Discrete(4)).flat(-1)


def test_a_batch_with_parts_of_other_lengths_is_refused():
    batch = stacked(NESTED, samples(NESTED))
    batch["wind"]["gust"] = batch["wind"]["gust"][:2]
    with pytest.raises(UsageError, match=r"'wind.gust' has shape \(2, 1\) in a batch of 5"):
        DDPG(NESTED, ACTIONS, CONFIG).act(batch)


class Windy(gymnasium.Env):
    """Observes parts that tell episode and step; the same dict again and again."""

    observation_space = NESTED
    action_space = ACTIONS

    def __init__(self, change=None):
        self.episode, self.change, self.obs = 0, change or {}, put((0, 0), "tools")
        self.obs["tools"] = (np.zeros(3, np.int8), np.array([1, 0]), np.zeros((2, 2), np.float32))
        self.obs["position"] = np.zeros(3, np.float32)

    def reset(self, *, seed=None, options=None):
        self.episode, self.place = self.episode + 1, 0
        return self.seen(), {}

    def step(self, action):
        self.place += 1
        return self.seen(), 1.0, self.place == 4, False, {}

    def seen(self):
        self.obs["position"][:] = self.episode, self.place, 0
        self.obs["wind"] = {"gear": self.place - 2, "gust": np.array([0.5])}
        return self.change.get((self.episode, self.place), lambda obs: obs)(self.obs)


def stored(agent):
    return list(agent.replay.transitions(agent.replay.last_rows(len(agent.replay))))


def test_learning_stores_flat_copies_and_goes_over_the_same_way_again():
    env, place = Windy(), Place.first()
    agent = DDPG(env.observation_space, env.action_space, CONFIG)
    for step in learn(agent, env, 10, seed=0, place=place):
        assert step.number <= 5 or np.isfinite(step.updates[0]["critic_loss"])
    rows = stored(agent)
    assert [row.obs[:2].tolist() for row in rows[:5]] == [[1, 0], [1, 1], [1, 2], [1, 3], [2, 0]]
    assert [row.next_obs[:2].tolist() for row in rows[2:4]] == [[1, 3], [1, 4]]
    assert [int(row.obs[15:20].argmax()) for row in rows[:4]] == [0, 1, 2, 3]
    again = Windy()
    again.episode = 2
    assert retrace(One(again), 0, place, [rows[8:]], np.float32) == {}
    again.episode = 4
    others = retrace(One(again), 0, place, [rows[8:]], np.float32)
    assert "was 3.0 at index 0" in others[0]


@pytest.mark.parametrize("method", ["reset", "step"])
def test_a_key_that_changes_ends_learning_with_its_step_and_nothing_lost(method):
    when = (2, 0) if method == "reset" else (2, 3)
    change = {when: lambda obs: {k: v for k, v in obs.items() if k != "wind"}}
    env, place = Windy(change), Place.first()
    agent = DDPG(env.observation_space, env.action_space, CONFIG)
    number = 5 if method == "reset" else 7
    with pytest.raises(TrainingError, match=f"^step {number}: the environment's observation lacks"):
        list(learn(agent, env, 10, seed=0, place=place))
    assert len(agent.replay) == place.step == number - 1


def test_evaluations_act_on_what_the_environment_gives():
    env = Windy()
    agent = DDPG(env.observation_space, env.action_space, CONFIG)
    evaluation = evaluate_agent(agent, env, 3)
    assert evaluation.returns.tolist() == [4.0, 4.0, 4.0]
    assert np.isfinite(evaluation.q_error.q_bias)
    seen = []
    evaluate(lambda obs: seen.append(obs["wind"]["gear"]) or np.zeros(2), env, 1)
    assert seen == [-2, -1, 0, 1]
    broken = Windy({(1, 3): lambda obs: {**obs, "fog": 1}})
    with pytest.raises(
        TrainingError, match="environment's observation has 'fog' besides, in step 3"
    ):
        evaluate_agent(agent, broken, 1)


def test_an_evaluation_of_another_act_takes_any_observation():
    env = Windy()
    env.observation_space = Text(5)
    env.seen = lambda: "north"
    assert evaluate(lambda obs: np.zeros(2), env, 2).tolist() == [4.0, 4.0]
