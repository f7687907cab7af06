"""Networks that diverge leave the last finite model, whoever notices first."""

import re
import warnings

import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg.errors import DivergedError
from ddpg.run.disk import folder
from tests.ddpg.run import environments
from tests.ddpg.run.runs import (
    assert_can_be_read,
    begin,
    config,
    files_of,
    flat,
    go_on,
    place_of,
)

LEARNED = (
    *("actor", "critics", "target_actor", "target_critics"),
    *("actor_optimizer", "critic_optimizer", "sampling_rng"),
)


pytestmark = pytest.mark.usefixtures("no_drawing", "happens")


def assert_learned_the_same(one, two):
    one, two = (flat({name: tg.load(path)[name] for name in LEARNED}) for path in (one, two))
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)


def from_the_start(run_dir, settings, happens):
    environments.steps, environments.happens = 0, dict(happens)
    return begin(run_dir, settings)


CASES = {
    "rewards too large": ({}, {47: lambda: 1e30}),
    "rewards whose squares are too large": ({}, {47: lambda: 3e38}),
    "a critic that learns too fast": ({"critic_lr": 1e38}, {}),
    "an actor that learns too fast": ({"actor_lr": 1e38}, {}),
    "evaluated before it is noticed": ({"actor_lr": 1e38, "eval_every": 47}, {}),
    "saved before it is noticed": ({"actor_lr": 1e38, "checkpoint_every": 47}, {}),
    "normalized observations": (
        {"normalize_observations": True, "warmup_steps": 22, "checkpoint_every": 60},
        {47: lambda: 1e30},
    ),
    "many updates a step": ({"critic_lr": 1e20, "updates_per_step": 5}, {}),
}


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("case", CASES)
def test_the_last_finite_model_is_kept(tmp_path, case):
    """What is kept is what a run had that ended one step before the one that broke it."""
    changed, happens = CASES[case]
    changed = {"warmup_steps": 45, "eval_every": 0} | changed
    with pytest.raises(DivergedError, match="smaller --critic-lr or --actor-lr") as error:
        from_the_start(tmp_path / "run", config(**changed), happens)
    assert_can_be_read(tmp_path / "run")
    assert place_of(tmp_path / "run")["step"] <= 40

    step = int(re.match(r"step (\d+):", str(error.value))[1])
    for last in (step, step - 1, step - 2):
        try:
            from_the_start(tmp_path / f"{last}", config(**changed, total_timesteps=last), happens)
            break
        except DivergedError:
            pass
    assert last >= 45
    assert_learned_the_same(tmp_path / "run" / folder.MODEL, tmp_path / f"{last}" / folder.MODEL)


def test_a_run_that_diverged_diverges_again(tmp_path):
    settings = config(warmup_steps=45, eval_every=0, actor_lr=1e38)
    said = []
    for _ in range(2):
        with warnings.catch_warnings(action="ignore"), pytest.raises(DivergedError) as error:
            go_on(tmp_path, settings)
        said.append((str(error.value), files_of(tmp_path)))
    assert said[0] == said[1]
