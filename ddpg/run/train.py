"""A training run: learn, evaluate now and then, and write everything down.

    train(TrainConfig(total_timesteps=10_000), Path("runs/p1"))

The same configuration gives the same files, byte for byte; no file holds a time of day.
"""

from contextlib import ExitStack, closing
from pathlib import Path

from rich.console import Console

from ddpg import rng
from ddpg.agent import DDPG
from ddpg.config import TrainConfig
from ddpg.learn import learn
from ddpg.run import checkpoint, plots
from ddpg.run.evaluate import evaluate
from ddpg.run.log import RunLog
from ddpg.run.process import limited_threads, stop_on_ctrl_c
from ddpg.run.progress import TrainProgress
from ddpg.spaces import make_env


def train(config: TrainConfig, run_dir: Path, console: Console | None = None) -> RunLog:
    """Run `config` and keep everything in the folder `run_dir`.

    Ctrl-C ends the run after the current step. What there is by then is kept, as it is when an
    error ends the run.

    Parameters
    ----------
    config : the whole of the run.
    run_dir : a folder without a run; made if it does not exist.
    console : where progress is shown; standard error by default.

    Returns
    -------
    RunLog : the run's tables, and whether it was interrupted.

    Raises
    ------
    UsageError : for an unknown or unsupported environment, or a folder that already holds a run.
    TrainingError : as `learn`.
    """
    console = Console(stderr=True) if console is None else console
    with ExitStack() as stack:
        env, evaluation_env = (
            stack.enter_context(closing(make_env(config.env_id))) for _ in range(2)
        )
        stack.enter_context(limited_threads(config.threads))
        agent_seed, env_seed = rng.spawn(config.seed, 2)
        agent = DDPG(env.observation_space, env.action_space, config.ddpg, agent_seed)
        checkpoint.create_run(run_dir, config)
        progress = stack.enter_context(TrainProgress(config.total_timesteps, console))
        log = stack.enter_context(closing(RunLog(run_dir, progress)))
        stop = stack.enter_context(stop_on_ctrl_c(console))
        try:
            for step in learn(agent, env, config.total_timesteps, rng.as_integer(env_seed)):
                log.step(step)
                if step.number == config.ddpg.warmup_steps and config.ddpg.compile:
                    progress.compiling()
                if _evaluation_is_due(config, step.number):
                    returns = evaluate(agent.act, evaluation_env, config.eval_episodes)
                    log.evaluation(step.number, returns)
                    checkpoint.save_agent(agent, run_dir)
                if stop.is_set():
                    log.interrupted = True
                    break
        finally:
            checkpoint.save_agent(agent, run_dir)
            plots.save_learning_curve(run_dir / checkpoint.CURVE, log.episodes, log.evaluations)
    return log


def _evaluation_is_due(config: TrainConfig, step: int) -> bool:
    """Every `eval_every` steps and after the last one; never if that is 0."""
    if config.eval_every == 0:
        return False
    return step % config.eval_every == 0 or step == config.total_timesteps
