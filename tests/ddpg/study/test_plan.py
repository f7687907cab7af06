"""What a study consists of, and what it can become."""

import itertools

import pytest

from ddpg.config import config_to_dict, preset_for
from ddpg.errors import UsageError
from ddpg.study.plan import (
    Asked,
    OtherStudyError,
    extended,
    identity,
    new_plan,
    plan_from_dict,
    product,
)

AXES = {"critic_lr": [1e-3, 3e-4], "hidden": [(64, 64), (256,)]}


def plan(**asked):
    return new_plan(Asked(**{"env_ids": ["Pendulum-v1"], **asked}))


def test_every_combination_of_environments_settings_and_seeds():
    made = plan(env_ids=["Hopper-v5", "Ant-v5"], settings=product(AXES), seeds=3)
    found = [
        (m.config.env_id, m.config.ddpg.critic_lr, m.config.ddpg.hidden, m.config.seed)
        for m in made.members
    ]
    expected = itertools.product(["Hopper-v5", "Ant-v5"], *AXES.values(), range(3))
    assert sorted(found) == sorted(expected)
    assert [seed for *_, seed in found] == sorted(seed for *_, seed in found)


def test_an_environment_begins_with_its_own_preset():
    made = plan(env_ids=["HalfCheetah-v5", "Pendulum-v1"], fixed={"gamma": 0.5})
    cheetah = preset_for("HalfCheetah-v5").settings
    assert made.bases["HalfCheetah-v5"].ddpg.warmup_steps == cheetah["warmup_steps"]
    assert made.bases["Pendulum-v1"].ddpg.hidden == (64, 64)
    assert {base.ddpg.gamma for base in made.bases.values()} == {0.5}
    assert plan(env_ids=["HalfCheetah-v5"], preset="none").bases["HalfCheetah-v5"].ddpg.tau == 0.01


def test_an_algorithm_is_a_set_of_settings_and_others_win_over_it():
    made = plan(settings=product({"actor_every": [3], "algorithm": ["ddpg", "td3"]}))
    found = [(m.config.ddpg.critics, m.config.ddpg.actor_every) for m in made.members]
    assert found == [(1, 3), (2, 3)]
    assert plan(fixed={"algorithm": "td3"}).bases["Pendulum-v1"].ddpg.critics == 2


def test_names_tell_runs_apart():
    made = plan(
        settings=[{"critic_lr": 1e-3, "hidden": (8, 8), "critic_layer_norm": True}], seeds=2
    )
    assert [m.name for m in made.members] == [
        f"Pendulum-v1/critic_lr=0.001,hidden=8x8,critic_layer_norm=on/seed-{i}" for i in (0, 1)
    ]
    long = {"critic_layer_norm": True, "normalize_observations": True, "actor_every": 2}
    one, other = (plan(settings=[long | {"n_step": n}]).members[0].name for n in (1, 2))
    assert one != other and len(one) == len(other) == len("Pendulum-v1/") + 60 + len("/seed-0")
    assert plan(env_ids=["a/b:C d-v0"]).members[0].name == "a-b-C-d-v0/seed-0"


def test_a_plan_is_what_was_written():
    made = plan(settings=product(AXES), seeds=[3, 8], preset="none", fixed={"gamma": 0.9})
    again = plan_from_dict(made.to_dict())
    assert [config_to_dict(m.config) for m in again.members] == [
        config_to_dict(m.config) for m in made.members
    ]
    assert again.to_dict() == made.to_dict()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"env_ids": None}, "env_ids is missing"),
        ({"env_ids": []}, "env_ids must be a list with one entry or more"),
        ({"env_ids": "Pendulum-v1"}, "env_ids must be a list"),
        ({"env_ids": ["A-v0", "A-v0"]}, "env_ids has 'A-v0' twice"),
        ({"seeds": 0}, "seeds must be 1 or more"),
        ({"seeds": []}, "seeds must be a list with one"),
        ({"seeds": [1, 1]}, "seeds has 1 twice"),
        ({"seeds": [0.5]}, "seed must be an integer"),
        ({"seeds": True}, "seeds must be a list"),
        ({"seeds": 10**9}, "seeds must be 100,000 or fewer"),
        ({"settings": []}, "settings must be a list"),
        ({"settings": [{"critic_lrr": 1}]}, "unknown setting 'critic_lrr'; did you mean"),
        ({"settings": [{"gamma": 2}]}, "gamma must be a number from 0 to 1"),
        ({"settings": [{"seed": 2}]}, "seed is no setting of a study"),
        ({"settings": ["gamma"]}, "settings must hold values by name"),
        ({"settings": [{"algorithm": "sac"}]}, "algorithm must be 'ddpg' or 'td3'"),
        ({"settings": [{"threads": 1}, {"threads": 2}]}, "threads 1 and threads 2 are the same"),
        ({"settings": [{"gamma": 0.99}, {}]}, "are the same run"),
        ({"preset": "Hoper-v5"}, "did you mean Hopper-v5"),
    ],
)
def test_what_is_no_plan_is_refused(asked, said):
    with pytest.raises(UsageError, match=said):
        plan(**asked)


@pytest.mark.parametrize(
    ("axes", "said"), [({"gamma": []}, "gamma has no values"), ({"gamma": [1, 1]}, "has 1 twice")]
)
def test_a_product_must_be_one(axes, said):
    with pytest.raises(UsageError, match=said):
        product(axes)


def ids(made):
    return {identity(m.config) for m in made.members}


def test_a_study_has_more_seeds_settings_environments_and_axes():
    before = plan(settings=product({"gamma": [0.9, 0.99]}), seeds=2)
    for asked in (
        Asked(),
        Asked(seeds=5),
        Asked(seeds=[7, 1, 0]),
        Asked(settings=product({"gamma": [0.5, 0.99, 0.9]})),
        Asked(settings=product({"gamma": [0.9, 0.99], "tau": [0.005, 0.01]})),  # 0.01 was there
        Asked(env_ids=["Ant-v5", "Pendulum-v1"]),
        Asked(fixed={"threads": 2}),
    ):
        assert ids(before) <= ids(extended(before, asked))
    assert len(extended(before, Asked(seeds=5)).members) == 10
    longer = extended(before, Asked(fixed={"total_timesteps": 30_000}))
    assert {m.config.total_timesteps for m in longer.members} == {30_000}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"seeds": 1}, "it has Pendulum-v1 with gamma 0.9 and seed 1, which is not asked for"),
        ({"settings": [{"gamma": 0.9}]}, "it has Pendulum-v1 with gamma 0.99 and seed 0"),
        ({"env_ids": ["Ant-v5"]}, "it has Pendulum-v1"),
        ({"fixed": {"tau": 0.5}}, "tau is 0.01 there and 0.5 here, in Pendulum-v1"),
        ({"fixed": {"seed": 5}}, "it has Pendulum-v1 with gamma 0.9 and seed 0"),
        ({"fixed": {"algorithm": "td3"}}, "critics is 1 there and 2 here"),
        (
            {"fixed": {"total_timesteps": 9_000}},
            "its runs have 20,000 steps in Pendulum-v1, and 9,000 are fewer",
        ),
        ({"preset": "Hopper-v5"}, "eval_every is 1000 there and 5000 here"),
    ],
)
def test_nothing_of_a_study_is_lost(asked, said):
    before = plan(settings=product({"gamma": [0.9, 0.99]}), seeds=2)
    with pytest.raises(OtherStudyError, match=said):
        extended(before, Asked(**asked))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("seeds", value) for value in ([], ["a"], [1.5], [True], {"0": 1}, "12", None)),
        *(("bases", value) for value in ({}, [], {"Pendulum-v1": 3}, {"Other-v0": {}})),
        *(("settings", value) for value in ([], ["ab"], [[["tau", 0.1]]], [{"seed": 3}], None)),
        *(("preset", value) for value in (3, [])),
        *(("fixed", value) for value in ([], [["tau", 0.1]], 3)),
    ],
)
def test_what_no_plan_can_have_is_refused_though_its_checksum_fits(name, value):
    there = new_plan(Asked(["Pendulum-v1"], seeds=2)).to_dict()
    assert plan_from_dict(there).to_dict() == there
    with pytest.raises(UsageError):
        plan_from_dict(there | {name: value})
