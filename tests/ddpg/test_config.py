import dataclasses
import json

import numpy as np
import pytest

from ddpg.config import DDPGConfig, TrainConfig, config_from_dict, config_to_dict
from ddpg.errors import UsageError

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", ()),
        ("hidden", (64, 0)),
        ("hidden", (64, 2.5)),
        ("hidden", 64),
        ("hidden", (True,)),
        ("batch_size", 0),
        ("batch_size", 64.0),
        ("batch_size", True),
        ("gamma", 1.01),
        ("gamma", -0.1),
        ("gamma", NAN),
        ("gamma", "0.99"),
        ("tau", -0.001),
        ("tau", NAN),
        ("actor_lr", 0.0),
        ("actor_lr", NAN),
        ("critic_lr", INFINITY),
        ("critic_lr", -1e-3),
        ("noise", "pink"),
        ("noise", None),
        ("noise_std", -0.1),
        ("noise_std", INFINITY),
        ("warmup_steps", -1),
        ("buffer_size", 0),
        ("updates_per_step", 0),
        ("compile", 1),
        ("critics", 0),
        ("critics", 2.0),
        ("target_noise", -0.2),
        ("target_noise", NAN),
        ("target_noise_clip", -0.5),
        ("actor_every", 0),
        ("n_step", 0),
        ("critic_layer_norm", 1),
        ("critic_weight_decay", -1e-2),
        ("grad_clip", -1.0),
        ("grad_clip", INFINITY),
        ("normalize_observations", 1),
    ],
)
def test_bad_algorithm_setting_is_refused_by_name_and_value(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*, got ") as error:
        DDPGConfig(**{name: value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("env_id", ""),
        ("env_id", 3),
        ("total_timesteps", 0),
        ("seed", -1),
        ("seed", None),
        ("eval_every", -1),
        ("eval_episodes", 0),
        ("threads", 0),
        ("ddpg", {"gamma": 0.9}),
    ],
)
def test_bad_run_setting_is_refused_by_name_and_value(name, value):
    with pytest.raises(UsageError, match=f"^{name} must be .*, got ") as error:
        TrainConfig(**{name: value})
    assert repr(value) in str(error.value)


def test_limits_that_mean_something_are_allowed():
    config = DDPGConfig(gamma=0, tau=1, noise_std=0, warmup_steps=0)
    assert (config.gamma, config.tau) == (0.0, 1.0)
    assert TrainConfig(eval_every=0).eval_every == 0


def test_numpy_numbers_and_lists_become_plain_values():
    config = DDPGConfig(hidden=[np.int64(8), 4], batch_size=np.int32(16), gamma=np.float32(0.5))
    assert config == DDPGConfig(hidden=(8, 4), batch_size=16, gamma=0.5)
    assert type(config.batch_size) is int
    assert type(config.gamma) is float


def test_a_configuration_cannot_be_changed_past_its_checks():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DDPGConfig().gamma = 2.0


def test_dict_is_flat_survives_json_and_comes_back():
    config = TrainConfig(seed=7, ddpg=DDPGConfig(hidden=(8, 4), noise="ou"))
    values = json.loads(json.dumps(config_to_dict(config)))
    assert values["hidden"] == [8, 4]
    assert values["seed"] == 7
    assert "ddpg" not in values
    assert config_from_dict(values) == config


def test_absent_settings_take_their_defaults():
    assert config_from_dict({"gamma": 0.9}) == TrainConfig(ddpg=DDPGConfig(gamma=0.9))


def test_misspelt_setting_is_refused_with_the_right_spelling():
    with pytest.raises(UsageError, match="unknown setting 'batchsize'; did you mean 'batch_size'"):
        config_from_dict({"batchsize": 3})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("learning_rate", "'actor_lr' or 'critic_lr'"),
        ("learning_starts", "'warmup_steps'"),
        ("n_timesteps", "'total_timesteps'"),
        ("policy_delay", "'actor_every'"),
        ("target_policy_noise", "'target_noise'"),
    ],
)
def test_a_setting_of_another_library_is_answered_with_ours(name, meant):
    with pytest.raises(UsageError, match=rf"unknown setting '{name}'; did you mean {meant}\?"):
        config_from_dict({name: 1})


@pytest.mark.parametrize("digits", [400, 5000])
@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(DDPGConfig)])
def test_a_number_without_measure_is_refused_like_any_other(name, digits):
    for value in (10**digits, -(10**digits), [10**digits]):
        with pytest.raises(UsageError, match=f"^{name} must be ") as error:
            DDPGConfig(**{name: value})
        assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    "name",
    [
        *("batch_size", "buffer_size", "warmup_steps", "updates_per_step"),
        *("critics", "actor_every", "n_step"),
    ],
)
def test_counts_are_numbers_that_numpy_can_hold(name):
    assert getattr(DDPGConfig(**{name: 2**63 - 1}), name) == 2**63 - 1
    with pytest.raises(
        UsageError, match=rf"^{name} must be below 2\*\*63, got 9223372036854775808$"
    ):
        DDPGConfig(**{name: 2**63})


def test_every_field_has_a_line_of_help():
    """The line below a field is its flag's help; without one the flag would stand there bare."""
    import inspect

    for config in (DDPGConfig, TrainConfig):
        source = inspect.getsource(config)
        for field in dataclasses.fields(config):
            if field.name != "ddpg":
                after = source.split(f"    {field.name}: ")[1].split("\n")[1]
                assert after.strip().startswith('"""'), field.name
