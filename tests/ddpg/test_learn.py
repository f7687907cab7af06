import gc
import re

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig
from ddpg.errors import TrainingError
from ddpg.learn import One, Place, learn
from ddpg.run.environments.retrace import retrace


class Corridor(gymnasium.Env):
    """Observes how many steps it has made and in which episode; ends as it is told."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Box(-1, 1, (1,), np.float32)

    def __init__(self, length=3, truncates=False, reward=1.0):
        self.length, self.truncates, self.reward = length, truncates, reward
        self.episode, self.seeds = 0, []

    def reset(self, *, seed=None, options=None):
        self.seeds.append(seed)
        self.episode, self.place = self.episode + 1, 0
        return np.array([self.episode, 0.0]), {}

    def step(self, action):
        self.place += 1
        over = self.place == self.length
        obs = np.array([self.episode, self.place], float)
        return obs, self.reward, over and not self.truncates, over and self.truncates, {}


def make(env, **settings):
    defaults = {"hidden": (4,), "batch_size": 4, "buffer_size": 50, "compile": False}
    config = DDPGConfig(**{**defaults, **settings})
    return DDPG(env.observation_space, env.action_space, config)


def stored(agent):
    batch = agent.replay.gather(tg.from_numpy(np.arange(len(agent.replay))), 0.9)
    return [t.numpy() for t in batch[:5]]


@pytest.mark.parametrize("truncates", [False, True])
def test_a_time_limit_is_not_stored_as_an_end(truncates):
    env = Corridor(length=3, truncates=truncates)
    agent = make(env, warmup_steps=10)
    list(learn(agent, env, 7, seed=0))
    terminated = stored(agent)[4].ravel().tolist()
    assert terminated == ([0.0] * 7 if truncates else [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0])


def test_transitions_do_not_cross_episodes():
    """After an end, what is stored next starts at the reset, and no reset row is stored."""
    env = Corridor(length=3, truncates=True)
    agent = make(env, warmup_steps=10)
    list(learn(agent, env, 7, seed=0))
    obs, _, _, next_obs, _ = stored(agent)
    assert obs.tolist() == [[1, 0], [1, 1], [1, 2], [2, 0], [2, 1], [2, 2], [3, 0]]
    assert next_obs.tolist() == [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3], [3, 1]]


def test_updates_start_after_the_warmup_and_there_are_as_many_as_asked_for():
    env = Corridor()
    steps = list(learn(make(env, warmup_steps=4, updates_per_step=2), env, 6, seed=0))
    assert [step.number for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [len(step.updates) for step in steps] == [0, 0, 0, 0, 2, 2]


def test_episodes_are_reported_at_their_last_step():
    env = Corridor(length=3, reward=-2.5)
    steps = list(learn(make(env, warmup_steps=10), env, 7, seed=0))
    ended = {step.number: step.episodes[0] for step in steps if step.episodes}
    assert ended == {3: (-7.5, 3), 6: (-7.5, 3)}


def test_every_episode_has_a_seed_of_its_own_made_of_the_runs():
    """So an environment's place is its episode's number and the actions since."""
    seeds = []
    for seed in (17, 17, 18):
        env = Corridor(length=2)
        list(learn(make(env, warmup_steps=10), env, 5, seed=seed))
        seeds.append(env.seeds)
    assert seeds[0] == seeds[1] != seeds[2]
    assert len(set(seeds[0])) == 3 and None not in seeds[0]


def test_noise_is_reset_at_every_episode_start():
    env, resets = Corridor(length=3), []
    agent = make(env, warmup_steps=10)
    agent.noise.reset = lambda env: resets.append(len(agent.replay))
    list(learn(agent, env, 7, seed=0))
    assert resets == [0, 3, 6]


@pytest.mark.parametrize("reward", [float("nan"), float("inf")])
def test_a_reward_that_is_no_number_ends_the_run_by_name(reward):
    env = Corridor(reward=reward)
    with pytest.raises(TrainingError, match=f"step 1: the environment's reward is {reward}"):
        list(learn(make(env), env, 5, seed=0))


def test_a_first_observation_that_is_no_number_ends_the_run_by_name():
    env = Corridor()
    env.reset = lambda **_: (np.array([0.0, np.nan]), {})
    with pytest.raises(TrainingError, match=r"step 1: .* first observation is nan at index \[1\]"):
        list(learn(make(env), env, 5, seed=0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda step: (step[0] + 1, *step[1:]), r"observation after step 1 .* was 1.0 at index 0"),
        (lambda step: (step[0][:1], *step[1:]), r"observation after step 1 .* had shape \(2,\)"),
        (lambda step: (step[0], 2.0, *step[2:]), "reward of step 1 of episode 1 was 1.0, and is"),
        (lambda step: (*step[:2], True, *step[3:]), "step 1 of episode 1 now ends the episode"),
    ],
)
def test_an_environment_that_comes_out_otherwise_is_told(change, said):
    env, place = Corridor(length=9), Place.first()
    agent = make(env, warmup_steps=10)
    list(learn(agent, env, 4, 0, place))
    transitions = list(agent.replay.transitions(agent.replay.last_rows(4)))
    same = Corridor(length=9)
    assert retrace(One(same), 0, place, [transitions], np.float32) == {}
    assert (same.place, place.obs.tolist()) == (4, [1.0, 4.0])
    other = Corridor(length=9)
    step = other.step
    other.step = lambda action: change(step(action))
    assert re.search(said, retrace(One(other), 0, place, [transitions], np.float32)[0])


def test_diverged_networks_end_the_run_by_name():
    env = Corridor(reward=1e30)
    with pytest.raises(TrainingError, match=r"step 3: critic_loss is inf: the networks diverged"):
        list(learn(make(env, warmup_steps=2), env, 5, seed=0))


@pytest.mark.parametrize("compile_", [pytest.param(False, marks=pytest.mark.slow), True])
def test_steps_leave_no_cycles_behind(compile_):
    """The command line lets the garbage collector run seldom, because there is nothing for it."""
    env = Corridor()
    agent = make(env, warmup_steps=4, compile=compile_)
    steps = learn(agent, env, 40, seed=0)
    for _ in range(10):
        next(steps)
    gc.collect()
    gc.disable()
    try:
        assert [step.number for step in steps] == list(range(11, 41))
        assert gc.collect() == 0
    finally:
        gc.enable()
