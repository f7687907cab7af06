"""Every setting of the algorithm and of a run, with its meaning and its default, and its file.

    DDPGConfig(hidden=(64, 64), batch_size=64)          # the algorithm alone
    TrainConfig(env_id="Pendulum-v1", seed=1)           # a whole run; its .ddpg is the algorithm's
    read_config(Path("runs/p1"))                        # the settings of an earlier run

`settings.py` says what there is, `presets.py` what is best for an environment, `file.py` reads and
writes config.json, and `elsewhere.py` knows what others call the same.
"""

from ddpg.config.elsewhere import hint
from ddpg.config.file import config_text, read_config, read_json, sealed_text
from ddpg.config.presets import PRESETS, Preset, preset_for
from ddpg.config.settings import (
    ALGORITHMS,
    RESUMABLE,
    DDPGConfig,
    NoiseName,
    TrainConfig,
    Vectorization,
    algorithm_named,
    changed,
    config_from_dict,
    config_to_dict,
    in_words,
    written,
)

__all__ = [
    "ALGORITHMS",
    "DDPGConfig",
    "NoiseName",
    "PRESETS",
    "Preset",
    "RESUMABLE",
    "TrainConfig",
    "Vectorization",
    "algorithm_named",
    "changed",
    "config_from_dict",
    "config_text",
    "config_to_dict",
    "hint",
    "in_words",
    "preset_for",
    "read_config",
    "read_json",
    "sealed_text",
    "written",
]
