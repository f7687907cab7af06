"""What a run does with each step: write it down, evaluate, save, and end well.

    Loop(parts, run_dir, point, progress, stop, films).run()

Whatever is due at a step is done after it, and again where a run goes on from there and it is
missing. So a run may end anywhere: by its last step, a signal, an environment that fails, networks
that diverge, a full disk.
"""

from dataclasses import dataclass
from pathlib import Path

from ddpg import rng
from ddpg.agent import DDPG
from ddpg.config import TrainConfig
from ddpg.errors import DivergedError, TrainingError
from ddpg.learn import Environments, learn
from ddpg.run import plots
from ddpg.run.disk import folder
from ddpg.run.disk.checkpoint import Checkpoint
from ddpg.run.disk.versions import differences, installed
from ddpg.run.environments.retrace import retrace
from ddpg.run.evaluate import evaluate_agent
from ddpg.run.finite import LastFinite, is_finite
from ddpg.run.hints import STEPS, Hints
from ddpg.run.log import RunLog
from ddpg.run.look.films import Films
from ddpg.run.process import Stop
from ddpg.run.progress import TrainProgress
from ddpg.spaces import Env


@dataclass(frozen=True)
class Parts:
    """What a configuration makes."""

    config: TrainConfig
    envs: Environments
    evaluation_env: Env
    agent: DDPG
    env_seed: rng.Seed


class Loop:
    """The rest of a run.

    Parameters
    ----------
    parts : new ones, or an agent at the checkpoint.
    run_dir : the run's folder, locked.
    point : the checkpoint to go on from.
    progress : where it is shown.
    stop : tells when to stop early.
    films : takes one with each evaluation, if there is one.
    """

    def __init__(
        self,
        parts: Parts,
        run_dir: Path,
        point: Checkpoint,
        progress: TrainProgress,
        stop: Stop,
        films: Films | None,
    ) -> None:
        self._parts, self._run_dir, self._point = parts, run_dir, point
        self._progress, self._stop, self._films = progress, stop, films
        self._place, self._log = point.place, point.log
        self._finite = LastFinite(parts.agent, point.place.step)
        self._saved_at = -1
        self._hints = Hints(progress.say)

    def run(self) -> RunLog:
        """Learn until the end, or until stopped.

        Raises
        ------
        TrainingError : as `learn`; the run is saved before.
        OSError : if it can't be saved; the checkpoint before is still there.
        """
        try:
            self._begin()
            self._learn()
            self._finish()
        except TrainingError as error:
            if isinstance(error, DivergedError) or not is_finite(self._parts.agent):
                self._keep_last_finite()
            else:
                self._save()
            self._draw()
            raise
        finally:
            self._log.stopped_by = self._stop.signal
        return self._log

    def _begin(self) -> None:
        """Bring folder and environment to the checkpoint, and do what was due there."""
        self._point.model.begin()
        self._point.best.begin()
        self._log.begin(self._progress, self._place.step)
        config = self._parts.config
        self._hints.before_steps(config.total_timesteps, config.ddpg.warmup_steps)
        if self._films is not None:
            self._films.begin(self._log.evaluations)
        if self._place.step == 0:
            return
        self._tell_versions()
        self._retrace()
        if not (self._log.evaluations and self._log.evaluations[-1]["step"] == self._place.step):
            self._do_what_is_due()

    def _tell_versions(self) -> None:
        now = installed(self._parts.evaluation_env)
        if changed := differences(self._point.versions, now):
            self._progress.say(
                f"going on with other versions ({', '.join(changed)}): the rest of the run may "
                "differ from one that was never interrupted, by rounding at first"
            )
        self._point.versions = now

    def _retrace(self) -> None:
        """Put each environment where it was, or begin a new episode where that can't be done."""
        parts, place, replay = self._parts, self._place, self._parts.agent.replay
        if not any(place.length):
            return
        self._progress.note("replaying the episode")
        rows = self._point.transitions.rows()
        histories = [
            [*replay.transitions(rows[i :: replay.num_envs][len(rows) // replay.num_envs - n :])]
            for i, n in enumerate(place.length)
        ]
        dtype = parts.evaluation_env.action_space.dtype
        assert dtype is not None
        others = retrace(parts.envs, parts.env_seed, place, histories, dtype)
        for i, other in others.items():
            which = f"environment {i}" if replay.num_envs > 1 else "this environment"
            self._progress.say(
                f"{which} cannot be replayed ({other}): a new episode begins, and "
                "the rest of the run is another than without the interruption"
            )
            place.give_up(i)
            self._log.given_up()

    def _learn(self) -> None:
        config, agent = self._parts.config, self._parts.agent
        steps = learn(
            agent, self._parts.envs, config.total_timesteps, self._parts.env_seed, self._place
        )
        if self._place.step >= config.ddpg.warmup_steps:
            self._tell_compiling()
        for step in steps if self._stop.signal is None else ():
            self._point.transitions.append()
            self._log.step(step)
            if step.episodes:
                bounds = agent.replay.value_bounds(config.ddpg.gamma)
                self._hints.after_episode(self._log.episodes, bounds)
            self._finite.keep(step.number)
            if 0 <= step.number - config.ddpg.warmup_steps < config.num_envs:
                self._tell_compiling()
                self._look_at_observations()
            self._do_what_is_due()
            if self._stop.signal is not None:
                break

    def _tell_compiling(self) -> None:
        if self._parts.config.ddpg.compile:
            self._progress.note("compiling")

    def _look_at_observations(self) -> None:
        replay = self._parts.agent.replay
        if self._parts.agent.normalizer is None:
            last = replay.last_rows(min(len(replay), STEPS))
            self._hints.before_updates(replay.observations(last))

    def _do_what_is_due(self) -> None:
        config = self._parts.config
        if self._due(config.eval_every):
            self._evaluate()
        if self._due(config.checkpoint_every or config.eval_every):
            self._save()

    def _due(self, every: int) -> bool:
        """Whether the last step reached a multiple, by as many transitions as environments."""
        return every > 0 and self._place.step % every < self._parts.config.num_envs

    def _evaluate(self) -> None:
        parts = self._parts
        self._check_finite()
        try:
            evaluation = evaluate_agent(
                parts.agent,
                parts.evaluation_env,
                parts.config.eval_episodes,
                tell=self._progress.say,
            )
        except TrainingError as error:
            raise TrainingError(f"step {self._place.step}: {error}") from error
        self._log.evaluation(self._place.step, evaluation)
        if self._log.is_best():
            self._point.best.save(parts.agent)
        self._hints.after_evaluation(self._log.episodes, self._log.evaluations)
        if self._films is not None:
            self._progress.note("filming")
            self._films.take(parts.agent.act, self._place.step, self._stop, self._progress.say)

    def _save(self) -> None:
        """A checkpoint, unless there is one of this step."""
        if self._saved_at == self._place.step:
            return
        self._check_finite()
        self._point.save(self._parts.agent, self._parts.config, self._run_dir)
        self._saved_at = self._place.step

    def _check_finite(self) -> None:
        if not is_finite(self._parts.agent):
            raise DivergedError(
                f"step {self._place.step}: the networks or their optimizers are no longer finite: "
                "they diverged; a smaller --critic-lr or --actor-lr may help"
            )

    def _finish(self) -> None:
        config = self._parts.config
        self._save()
        finished = self._place.step >= config.total_timesteps
        if finished and config.eval_every > 0 and not self._due(config.eval_every):
            # A longer run would not evaluate here: the checkpoint does not know of it.
            self._evaluate()
        self._draw()

    def _keep_last_finite(self) -> None:
        transitions, agent = self._point.transitions, self._parts.agent
        if transitions.count < self._place.step:
            transitions.append()
        self._finite.restore(transitions.rows())
        self._point.model.save(agent)

    def _draw(self) -> None:
        curve = self._run_dir / folder.CURVE
        plots.save_learning_curve(curve, self._log.episodes, self._log.evaluations)
