"""A training run: learn, evaluate now and then, write everything down, and go on after an end.

    train(TrainConfig(total_timesteps=10_000), Path("runs/p1"))
    resume(Path("runs/p1"))

The same configuration gives the same files, byte for byte, however often the run was interrupted;
no file holds a time of day, but for TensorBoard's.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

from rich.console import Console

from ddpg import rng
from ddpg.agent import DDPG
from ddpg.config import TrainConfig, config_to_dict, read_config
from ddpg.errors import UsageError, counted
from ddpg.run.disk import checkpoint, folder
from ddpg.run.disk.checkpoint import Checkpoint, new_agent
from ddpg.run.disk.saved_spaces import check_spaces, spaces_of
from ddpg.run.disk.tables import read_last
from ddpg.run.environments import Source, made
from ddpg.run.look.films import Films, filming, prepare_films
from ddpg.run.look.notebook import run_html
from ddpg.run.look.tensorboard import Events, check_tensorboard
from ddpg.run.loop import Loop, Parts
from ddpg.run.machine import check_threads
from ddpg.run.process import limited_threads, stop_on_signals
from ddpg.run.progress import ProgressConsole, TrainProgress


@dataclass(frozen=True)
class Run:
    """What came out of a run.

    Attributes
    ----------
    run_dir : its folder; None if it was not to be kept.
    agent : as it is after the last step, with its replay.
    episodes, evaluations : the rows of metrics.csv and of evaluations.csv, numbers by column.
    steps : environment steps done.
    stopped_by : the signal that ended the run early, or None.
    """

    run_dir: Path | None
    agent: DDPG
    episodes: list[dict[str, float]]
    evaluations: list[dict[str, float]]
    steps: int
    stopped_by: Signals | None

    def __repr__(self) -> str:
        return f"Run({counted(self.steps, 'step')}, {counted(len(self.episodes), 'episode')})"

    def _repr_html_(self) -> str:
        """For notebooks."""
        return run_html(self)


def train(
    config: TrainConfig,
    run_dir: Path,
    console: Console | None = None,
    source: Source | None = None,
    tensorboard: bool = False,
    films: bool = False,
    said: str = "",
) -> Run:
    """Run `config` and keep everything in the folder `run_dir`.

    Ctrl-C, SIGTERM and SIGHUP end the run after the current step; the run is saved then, as it is
    when the environment fails. `resume` goes on.

    Parameters
    ----------
    config : the whole of the run.
    run_dir : a folder without a run; made if it does not exist.
    console : where progress is shown; standard error by default.
    source : where the environment comes from, if not from `config.env_id`.
    tensorboard : whether the tables go into the run's folder as events for TensorBoard, too.
    films : whether an episode is filmed with each evaluation, into the run's folder.
    said : a line that is shown first, where the run can begin.

    Returns
    -------
    Run : what came out, which signal ended it early included, if one did.

    Raises
    ------
    UsageError : for an unknown or unsupported environment, or a folder that already holds a run.
    TrainingError : as `learn`.
    OSError : if the folder can't be written to any more; the last checkpoint is there.
    """
    console, run_dir = _prepared(console, run_dir, tensorboard, films)
    folder.check_new(run_dir)
    with (
        _made(config, source) as parts,
        filming(config, run_dir, films) as camera,
        folder.locked(run_dir),
    ):
        folder.create(run_dir, config, spaces_of(parts.evaluation_env))
        if said:
            console.print(said, highlight=False, soft_wrap=True, markup=False)
        with closing(checkpoint.begin(parts.agent, parts.evaluation_env, run_dir)) as point:
            return _go_on(parts, run_dir, point, console, tensorboard, camera)


def resume(
    run_dir: Path,
    config: TrainConfig | None = None,
    copy_to: Path | None = None,
    console: Console | None = None,
    source: Source | None = None,
    tensorboard: bool = False,
    films: bool = False,
) -> Run:
    """Go on with a run from its last checkpoint, bit for bit.

    Parameters
    ----------
    run_dir : the run's folder.
    config : its configuration, with another `total_timesteps`, `threads`, `vectorization` or
        `checkpoint_every`; as it is by default. A larger `total_timesteps` prolongs a run.
    copy_to : a new folder for the rest of the run; `run_dir` then stays as it is.
    console : where progress is shown; standard error by default.
    source : where the environment comes from, if not from the run's `env_id`.
    tensorboard : whether the tables go into the run's folder as events for TensorBoard, too.
    films : whether an episode is filmed with each evaluation, into the run's folder.

    Returns
    -------
    Run : as of `train`.

    Raises
    ------
    UsageError : if there is no run, another process writes to it, one of its files is damaged, or
        `config` is another run's; nothing is changed then.
    TrainingError, OSError : as `train`.
    """
    console, run_dir = _prepared(console, run_dir, tensorboard, films)
    folder.check_run(run_dir)
    if copy_to is not None:
        with (
            folder.locked(run_dir, to_read=True),
            opened(run_dir, config, source) as (parts, _),
            filming(parts.config, run_dir, films),
        ):
            folder.copy(run_dir, copy_to.absolute())
        return resume(copy_to, config, None, console, source, tensorboard, films)
    with (
        folder.locked(run_dir),
        opened(run_dir, config, source) as (parts, point),
        filming(parts.config, run_dir, films) as camera,
    ):
        if config is not None:
            folder.write_config(run_dir, config)
        return _go_on(parts, run_dir, point, console, tensorboard, camera)


@contextmanager
def opened(
    run_dir: Path, config: TrainConfig | None, source: Source | None = None
) -> Iterator[tuple[Parts, Checkpoint]]:
    """The parts of a run as its checkpoint has them, and the checkpoint; nothing is written."""
    saved = read_config(run_dir / folder.CONFIG, sealed=True)
    config = saved if config is None else config
    if wrong := checkpoint.different(config, config_to_dict(saved)):
        raise UsageError(f"{run_dir} was made with another {wrong[0]}, which can't be changed")
    with ExitStack() as stack:
        parts = stack.enter_context(_made(config, source))
        check_spaces(run_dir, parts.evaluation_env)
        point = stack.enter_context(closing(_load(parts, run_dir)))
        if point.place.step >= config.total_timesteps + config.num_envs:
            raise UsageError(
                f"{run_dir} is at step {point.place.step:,} already, beyond --total-timesteps "
                f"{config.total_timesteps:,}"
            )
        yield parts, point


def _prepared(
    console: Console | None, run_dir: Path, tensorboard: bool, films: bool
) -> tuple[Console, Path]:
    """See that what is asked for is installed; console and folder as the run needs them."""
    if tensorboard:
        check_tensorboard()
    if films:
        prepare_films()
    # Absolute: an environment may change the directory.
    return ProgressConsole() if console is None else console, run_dir.absolute()


@contextmanager
def _made(config: TrainConfig, source: Source | None) -> Iterator[Parts]:
    """Environments and agent, which say no before anything is written."""
    check_threads(config.threads)
    # In this order: processes of environments are born with the limit.
    with limited_threads(config.threads), made(config, source) as (envs, evaluation_env):
        agent_seed, env_seed = rng.spawn(config.seed, 2)
        agent = new_agent(config, spaces_of(evaluation_env), agent_seed)
        yield Parts(config, envs, evaluation_env, agent, env_seed)


def _load(parts: Parts, run_dir: Path) -> Checkpoint:
    # No agent is written before there is a file of transitions.
    removed = (run_dir / folder.MODEL).exists() and not (run_dir / folder.TRANSITIONS).exists()
    if not removed and not os.path.lexists(run_dir / folder.STATE):
        if not _is_beyond_first_checkpoint(parts.config, run_dir):
            return checkpoint.begin(parts.agent, parts.evaluation_env, run_dir)
    return checkpoint.load(parts.agent, parts.evaluation_env, parts.config, run_dir)


def _is_beyond_first_checkpoint(config: TrainConfig, run_dir: Path) -> bool:
    """Whether the tables say so.

    A state that is not there was removed then, or left behind by a copy of the folder, and to begin
    again would write over all that there is.
    """
    tables = (run_dir / name for name in (folder.METRICS_TABLE, folder.EVALUATIONS_TABLE))
    # Not of a pipe, which would be waited for.
    rows = [read_last(path) or {} for path in tables if path.is_file()]
    first = config.checkpoint_every or config.eval_every
    return 0 < first < max((row.get("step", 0) for row in rows), default=0) - config.num_envs


def _go_on(
    parts: Parts,
    run_dir: Path,
    point: Checkpoint,
    console: Console,
    tensorboard: bool,
    camera: Films | None,
) -> Run:
    progress = TrainProgress(parts.config.total_timesteps, point.place.step, console)
    with Events(run_dir / folder.TENSORBOARD) as events:
        point.log.events = events if tensorboard else None
        with progress, stop_on_signals(console) as stop:
            log = Loop(parts, run_dir, point, progress, stop, camera).run()
    return Run(run_dir, parts.agent, log.episodes, log.evaluations, log.steps, log.stopped_by)
