"""What environments give that is not what gymnasium asks for: each is told as what it is."""

import re

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

from ddpg import DDPG, DDPGConfig
from ddpg.errors import TrainingError, UsageError
from ddpg.learn import learn
from ddpg.run.environments.vector import Vector
from ddpg.run.evaluate import evaluate_agent
from ddpg.run.look.play import play
from ddpg.spaces import begun, check_finite, stepped

OBS = np.zeros(2)
GOOD = OBS, 1.0, False, False, {}


def leaves(*_):
    raise SystemExit(0)


class Scripted(gymnasium.Env):
    """Gives what it is told to."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Box(-1, 1, (1,), np.float32)

    def __init__(self, begins=lambda: (OBS, {}), goes_on=lambda: GOOD):
        self.begins, self.goes_on = begins, goes_on

    def reset(self, *, seed=None, options=None):
        return self.begins()

    def step(self, action):
        return self.goes_on()


RESETS = {
    "nothing but the observation": (lambda: OBS, "reset must give (obs, info), gave an ndarray"),
    "three things": (lambda: (OBS, {}, 0), "reset must give (obs, info), gave a tuple of 3"),
    "beyond float32": (lambda: (OBS + 1e300, {}), "1e+300 at index [0], which is not a finite"),
    "not a number": (lambda: (OBS * np.nan, {}), "observation is nan at index [0], which is not"),
    "text": (lambda: (["a", "b"], {}), "observation must be numbers, got ['a', 'b']"),
    "leaves the program": (leaves, "SystemExit"),
}
STEPS = {
    "nothing": (lambda: None, "step must give (obs, reward, terminated, truncated, info), gave N"),
    "as before gymnasium": (lambda: GOOD[:3] + ({},), "truncated, info), gave a tuple of 4"),
    "an array of a reward": (lambda: (OBS, OBS, *GOOD[2:]), "reward must be a number, got array("),
    "no reward": (lambda: (OBS, None, *GOOD[2:]), "reward must be a number, got None"),
    "a number for an end": (lambda: (*GOOD[:2], 1, *GOOD[3:]), "terminated must be True or False"),
    "infos too early": (lambda: (*GOOD[:3], {}, {}), "truncated must be True or False, got {}"),
    "leaves the program": (leaves, "SystemExit"),
}
SCRIPTS = [(Scripted(begins=gives), said) for gives, said in RESETS.values()]
SCRIPTS += [(Scripted(goes_on=gives), said) for gives, said in STEPS.values()]
NAMES = [f"reset {name}" for name in RESETS] + [f"step {name}" for name in STEPS]


def an_agent(num_envs=1, warmup_steps=0):
    config = DDPGConfig(hidden=(4,), batch_size=4, warmup_steps=warmup_steps, compile=False)
    return DDPG(Scripted.observation_space, Scripted.action_space, config, num_envs=num_envs)


@pytest.mark.parametrize(("env", "said"), SCRIPTS, ids=NAMES)
def test_training_and_evaluation_say_what_was_given(env, said):
    """And not that the networks diverged, which is what an infinite observation looks like."""
    with pytest.raises(TrainingError, match=rf"^step 1: the environment's.*{re.escape(said)}"):
        next(learn(an_agent(), env, 5, seed=0))
    with pytest.raises(TrainingError, match=re.escape(said)):
        evaluate_agent(an_agent(), env, 1)


@pytest.mark.parametrize(("env", "said"), SCRIPTS, ids=NAMES)
def test_environments_side_by_side_say_it_too(env, said):
    number = iter(range(2))
    envs = Vector(lambda: env if next(number) else Scripted(), 2, "sync")
    with pytest.raises(TrainingError, match=rf"^step 2: environment 1's.*{re.escape(said)}"):
        next(learn(an_agent(2), envs, 5, seed=0))


@pytest.mark.parametrize("name", STEPS)
def test_so_does_an_agent_at_play(name):
    gives, said = STEPS[name]
    with pytest.raises(TrainingError, match=re.escape(said)):
        list(play(an_agent().act, Scripted(goes_on=gives), 1))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ((OBS, np.nan, *GOOD[2:]), "the environment's reward is nan, in step 1 of"),
        ((OBS * np.nan, *GOOD[1:]), "the environment's observation is nan at index [0]"),
    ],
)
def test_an_evaluation_is_not_made_of_nans(wrong, said):
    with pytest.raises(TrainingError, match=re.escape(said)):
        evaluate_agent(an_agent(), Scripted(goes_on=lambda: wrong), 1)


def test_what_is_right_goes_through():
    assert begun((OBS, {})) is OBS
    assert stepped((OBS, np.float32(0.5), np.bool_(True), False, {})) == (OBS, 0.5, True, False)
    assert np.isnan(stepped((OBS, float("nan"), True, False, {})).reward)
    check_finite(np.array([3e38, -3e38]), "it")
    with pytest.raises(UsageError, match=r"^it is 1e\+39 at index \[1\]"):
        check_finite(np.array([0.0, 1e39]), "it")
