"""`ddpg train`: a new run, or with `--resume` one that goes on."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from ddpg.cli.flags import absolute, flag, named_as_flags
from ddpg.config import (
    ALGORITHMS,
    RESUMABLE,
    TrainConfig,
    changed,
    config_from_dict,
    config_to_dict,
    preset_for,
    read_config,
)
from ddpg.errors import TrainingError, UsageError, counted, shown

if TYPE_CHECKING:
    from ddpg.run.runs import Run

Algorithm = Literal["ddpg", "td3"]
OWN = ("run_dir", "resume", "config", "preset", "algorithm", "tensorboard", "video_every_eval")
"""Flags of the command that are no settings of the run."""


@dataclass(frozen=True)
class Train:
    """Learn in an environment and keep the run in a folder.

      ddpg train --env-id Pendulum-v1 --run-dir runs/p1
      ddpg train --env-id HalfCheetah-v5
      ddpg train --env-id MyEnv-v0 --preset HalfCheetah-v5 --algorithm td3
      ddpg train --resume runs/p1 --total-timesteps 40_000

    What is in the folder afterwards:
      config.json          every setting
      spaces.json          what observations and actions are
      metrics.csv          a row per training episode
      evaluations.csv      a row per evaluation, and how far Q was off
      learning_curve.png   both, drawn
      model.safetensors    networks and optimizers, after the last finite update
      best.safetensors     the same, with the best evaluation so far
      checkpoint/          what --resume goes on from

    Ctrl-C saves the run and ends it; --resume goes on.
    Numbers may be written 1e6 or 1_000_000.
    """

    run_dir: Path | None = None
    """Folder of the run, which must not hold one yet; runs/ENV_ID-seedSEED where it is left out.
    With --resume: where a copy of the run goes on, and the run itself stays as it is."""
    resume: Path | None = None
    """Folder of a run that goes on from its last checkpoint, with its own settings; only
    --total-timesteps, --threads, --vectorization and --checkpoint-every can be changed."""
    config: Path | None = None
    """A config.json, or the folder of a run, to take settings from; flags win over it."""
    preset: str | None = None
    """Whose best known settings a new run begins with; all flags win over them. By default those of
    its environment, where some are known; ID takes another one's, none the defaults below."""
    algorithm: Algorithm | None = None
    """Settings that mend Q, as a set: ddpg has none, td3 --critics 2 --target-noise 0.2
    --target-noise-clip 0.5 --actor-every 2. Other flags win over it."""
    tensorboard: bool = False
    """Write the tables as events for TensorBoard, too, into the run's tensorboard/, named as
    Stable-Baselines3 does; a point is an episode. Also with --resume, which begins them again."""
    video_every_eval: bool = False
    """Film an episode with each evaluation, into the run's videos/. Also with --resume."""
    settings: TrainConfig = field(default_factory=TrainConfig)

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> Self:
        """The command that these flags ask for.

        Raises
        ------
        UsageError : for settings that are not allowed, and flags that do not go together.
        """
        own = {name: given[name] for name in OWN if name in given}
        named = ALGORITHMS[own["algorithm"]] if "algorithm" in own else {}
        changes = named | {name: value for name, value in given.items() if name not in own}
        if "resume" in own:
            _leave_out(own, "--resume takes the run's own settings", "config", "preset")
            return cls(**own, settings=_resumed(own["resume"], changes))
        if "config" in own:
            _leave_out(own, "--config has every setting", "preset")
        before = _start(own, changes)
        with named_as_flags():
            settings = changed(before, changes)
        own.setdefault("run_dir", absolute(f"runs/{run_name(settings)}"))
        return cls(**own, settings=settings)

    def run(self) -> int:
        """Exit status."""
        run_dir = self.run_dir or self.resume
        assert run_dir is not None
        go_on = f"ddpg train --resume {shlex.quote(str(run_dir))}"
        try:
            run = self._train()
        except TrainingError as error:
            raise TrainingError(f"{error}; {run_dir} keeps the run up to there") from error
        except OSError as error:
            where = error.filename or run_dir
            resumable = (run_dir / "config.json").exists()
            way_out = f"; the run can go on from its last checkpoint: {go_on}" if resumable else ""
            raise TrainingError(f"{where}: {error.strerror or error}{way_out}") from error
        reached = f", mean return {run.evaluations[-1]['mean']:,.1f}" if run.evaluations else ""
        if run.stopped_by is None:
            print(f"{run_dir}: finished {counted(run.steps, 'step')}{reached}")
            return 0
        print(f"{run_dir}: stopped after {counted(run.steps, 'step')}{reached}; to go on: {go_on}")
        return 128 + run.stopped_by

    def _train(self) -> "Run":
        from ddpg.run.runs import resume, train

        events, films = self.tensorboard, self.video_every_eval
        if self.resume is not None:
            return resume(self.resume, self.settings, self.run_dir, tensorboard=events, films=films)
        assert self.run_dir is not None
        preset = preset_for(self.settings.env_id, self.preset) if self.config is None else None
        said = "" if preset is None else preset.in_words(self.settings)
        return train(self.settings, self.run_dir, tensorboard=events, films=films, said=said)


def run_name(settings: TrainConfig) -> str:
    """What a run's folder is called: one name, whatever stands in the environment's id."""
    env_id = re.sub(r"[^\w.-]+", "-", settings.env_id).strip("-.")[:100]
    return f"{env_id or 'run'}-seed{settings.seed}"


def _leave_out(given: Mapping[str, Any], why: str, *names: str) -> None:
    for name in names:
        if name in given:
            raise UsageError(f"{why}: leave out {flag(name)}")


def _start(given: Mapping[str, Any], changes: Mapping[str, Any]) -> TrainConfig:
    """What the flags change: a file's settings, or a preset's, or the defaults."""
    if "config" in given:
        return read_config(given["config"])
    with named_as_flags():
        preset = preset_for(changes.get("env_id", TrainConfig.env_id), given.get("preset"))
    return config_from_dict({} if preset is None else preset.settings)


def _resumed(run_dir: Path, changes: Mapping[str, Any]) -> TrainConfig:
    if not run_dir.is_dir():
        raise UsageError(f"there is no run folder {run_dir}")
    saved = read_config(run_dir, sealed=True)
    with named_as_flags():
        config = changed(saved, changes)
    before, after = config_to_dict(saved), config_to_dict(config)
    for name in before:
        if before[name] != after[name] and name not in RESUMABLE:
            allowed = " and ".join((", ".join(map(flag, RESUMABLE[:-1])), flag(RESUMABLE[-1])))
            raise UsageError(
                f"--resume goes on with the run's own settings: {flag(name)} is "
                f"{shown(before[name])} there, and only {allowed} can be changed"
            )
    return config
