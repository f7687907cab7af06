"""The best known settings for an environment, and who says so.

    preset_for("HalfCheetah-v5")                # its row of the table below
    preset_for("MyHopper-v0", "Hopper-v5")      # another environment's
    preset_for("HalfCheetah-v5", "none")        # None: the defaults stay

A row has what its source says, also where that is the default. What it leaves out is the default.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from ddpg.config.settings import ALGORITHMS, TrainConfig, config_from_dict, config_to_dict
from ddpg.errors import UsageError, shown

NONE = "none"
"""What is asked for by who wants the defaults."""


class Preset(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    env_id : of the environment that it is for.
    source : where the settings are from.
    reached : the mean return at the end of the run that its source reports; "" if there is none.
    settings : by their flat names.
    """

    env_id: str
    source: str
    reached: str
    settings: Mapping[str, Any]

    def replaced(self, config: TrainConfig) -> dict[str, str]:
        """The defaults that these settings replaced in `config`, each with what stands there now.

        The settings that are TD3's, if all of them are, go by the name of their set.
        """
        used, defaults = config_to_dict(config), config_to_dict(TrainConfig())
        td3, mine = ALGORITHMS["td3"], config_to_dict(config_from_dict(self.settings))
        words = {
            name: _written(used[name])
            for name in self.settings
            if used[name] == mine[name] != defaults[name]
        }
        if all(used[name] == mine[name] == td3[name] for name in td3):
            words = {name: text for name, text in words.items() if name not in td3}
            return {"algorithm": "td3", **words}
        return words

    def in_words(self, config: TrainConfig) -> str:
        """One line: whose settings these are, and what they replaced in `config`."""
        words = [f"{name} {text}" for name, text in self.replaced(config).items()]
        return f"preset {self.env_id} ({self.source}): {', '.join(words) or 'the defaults'}"


def _written(value: Any) -> str:
    """As a flag takes it."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:_}" if isinstance(value, int) else str(value)


_ZOO = "rl-baselines3-zoo, TD3"
_ZOO_TD3 = {
    **ALGORITHMS["td3"],
    "hidden": (400, 300),
    "batch_size": 256,
    "gamma": 0.99,
    "tau": 0.005,
    "actor_lr": 1e-3,
    "critic_lr": 1e-3,
    "noise": "gaussian",
    "noise_std": 0.1,
    "warmup_steps": 10_000,
    "total_timesteps": 1_000_000,
    "eval_every": 5_000,
}
"""https://github.com/DLR-RM/rl-baselines3-zoo, hyperparams/td3.yml and benchmark.md."""
_ZOO_BOX2D = _ZOO_TD3 | {"gamma": 0.98, "buffer_size": 200_000}

_TIANSHOU_TD3 = _ZOO_TD3 | {
    "hidden": (256, 256),
    "actor_lr": 3e-4,
    "critic_lr": 3e-4,
    "warmup_steps": 25_000,
}
"""https://github.com/thu-ml/tianshou, examples/mujoco; those of https://github.com/sfujim/TD3."""
_TIANSHOU_DDPG = _TIANSHOU_TD3 | ALGORITHMS["ddpg"] | {"actor_lr": 1e-3, "critic_lr": 1e-3}

_HERE = "measured here"
"""By benchmarks/presets.py; what was reached is in its results."""

_ROWS = (
    # -- classic control
    Preset("Pendulum-v1", _HERE, "", {}),
    Preset(
        "MountainCarContinuous-v0",
        _HERE,
        "",
        {
            **ALGORITHMS["td3"],
            "noise": "ou",
            "noise_std": 1.0,
            "total_timesteps": 100_000,
            "eval_every": 5_000,
        },
    ),
    # -- Box2D
    Preset(
        "LunarLanderContinuous-v3",
        _HERE,
        "",
        {
            **ALGORITHMS["td3"],
            "n_step": 5,
            "noise": "ou",
            "noise_std": 0.3,
            "warmup_steps": 10_000,
            "total_timesteps": 300_000,
            "eval_every": 10_000,
        },
    ),
    Preset("BipedalWalker-v3", _ZOO, "306", _ZOO_BOX2D),
    Preset("BipedalWalkerHardcore-v3", f"{_ZOO} of BipedalWalker-v3", "", _ZOO_BOX2D),
    # -- MuJoCo
    Preset("Ant-v5", _ZOO, "5,813", _ZOO_TD3),
    Preset("HalfCheetah-v5", "Tianshou, DDPG", "11,719", _TIANSHOU_DDPG),
    Preset("Hopper-v5", _ZOO, "3,606", _ZOO_TD3),
    Preset("Walker2d-v5", _ZOO, "4,718", _ZOO_TD3),
    Preset("Humanoid-v5", _ZOO, "5,567", _ZOO_TD3 | {"total_timesteps": 2_000_000}),
    Preset("HumanoidStandup-v5", "sfujim/TD3", "", _TIANSHOU_TD3),
    Preset("Swimmer-v5", _ZOO, "359", _ZOO_TD3 | {"gamma": 0.9999}),
    Preset("Reacher-v5", "Tianshou, TD3", "-2.7", _TIANSHOU_TD3),
    Preset("Pusher-v5", "sfujim/TD3", "", _TIANSHOU_TD3),
    Preset(
        "InvertedPendulum-v5",
        _HERE,
        "",
        {**ALGORITHMS["td3"], "total_timesteps": 40_000, "eval_every": 5_000},
    ),
    Preset(  # as in https://arxiv.org/abs/1802.09477, section 6.1, but for its warm-up of 1,000
        "InvertedDoublePendulum-v5",
        _HERE,
        "",
        _ZOO_TD3 | {"batch_size": 100, "warmup_steps": 5_000, "total_timesteps": 50_000},
    ),
)

PRESETS = {row.env_id: row for row in _ROWS}
"""By the environment's id; `ALIASES` has others that it is known by."""

ALIASES = {
    "LunarLander-v3": "LunarLanderContinuous-v3",  # with continuous=True, or it is refused anyway
    **{each.replace("-v5", "-v4"): each for each in PRESETS if each.endswith("-v5")},
}
"""Id -> the id of the row that is its own, too."""


def preset_for(env_id: str, name: str | None = None) -> Preset | None:
    """The row that is asked for; None if there is none, or none is wanted.

    Parameters
    ----------
    env_id : the run's environment.
    name : None for its own row, "none" for no row, or the id of an environment of the table.

    Raises
    ------
    UsageError : for a name that is not in the table, with near ones.
    """
    if not isinstance(name, str | None):
        raise UsageError(f"preset must be none or an id with a preset, got {shown(name)}")
    found = env_id if name is None else name
    found = ALIASES.get(found, found)
    if found in PRESETS:
        return PRESETS[found]
    if name is None or name == NONE:
        return None
    known = {each.lower(): each for each in (NONE, *PRESETS)}
    near = [known[each] for each in get_close_matches(name.lower(), known, n=2)]
    advice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(PRESETS)}"
    raise UsageError(f"preset must be none or an id with a preset, got {shown(name)}; {advice}")
