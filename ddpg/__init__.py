"""DDPG on this repository's own autograd engine.

    import ddpg

    run = ddpg.train("Pendulum-v1", total_timesteps=10_000, seed=1, run_dir="runs/p1")
    agent = ddpg.load("runs/p1")
    action = agent.act(obs)
    study = ddpg.run_study(["Hopper-v5", "Ant-v5"], seeds=5, study_dir="studies/s1")
    best = ddpg.tune("Hopper-v5", trials=40, tune_dir="tunings/hopper").best

Start reading at `ddpg.losses` (three equations), then `ddpg.agent` (their order).
"""

from typing import TYPE_CHECKING, Any

from ddpg.config import DDPGConfig, TrainConfig

if TYPE_CHECKING:
    from ddpg.agent import DDPG
    from ddpg.run.api import load, resume, train
    from ddpg.study.api import run_study
    from ddpg.study.tuning.api import tune

    __version__: str

__all__ = [
    "DDPG",
    "DDPGConfig",
    "TrainConfig",
    "load",
    "resume",
    "run_study",
    "train",
    "tune",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # All of these bring the engine with them, half a second; `ddpg --help` does without.
    if name == "DDPG":
        from ddpg.agent import DDPG

        return DDPG
    if name in ("load", "resume", "train"):
        from ddpg.run import api

        return getattr(api, name)
    if name == "run_study":
        from ddpg.study.api import run_study

        return run_study
    if name == "tune":
        from ddpg.study.tuning.api import tune

        return tune
    if name == "__version__":
        from importlib import metadata

        return metadata.version("tinygrad-rl")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
