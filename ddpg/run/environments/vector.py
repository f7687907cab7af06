"""Environments side by side, one after the other or each in a process of its own.

    with closing(Vector(make, 4, "async")) as envs:
        for step in learn(agent, envs, 10_000, seed=0): ...

They are gymnasium's vector environments, in the mode in which nobody begins an episode but who asks
for it: so each has a seed of its own, and no row that only resets is ever stored. An environment
that fails says so in its answer. An exception would end its process, and leave open whose it was.
"""

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from ddpg.config import Vectorization
from ddpg.errors import TrainingError, UsageError, counted, in_one_line
from ddpg.learn import One, Outcome
from ddpg.spaces import Env, Observations

_FAILED = "failed"
"""Under which name an environment says what went wrong."""
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Vector:
    """Environments side by side, as `learn` steps them.

    Parameters
    ----------
    make : makes one; called once more than there are environments where each has a process.
    num_envs : how many.
    vectorization : "sync", or "async": a process for each.

    Raises
    ------
    UsageError : if they can't be made, or are not alike.
    """

    def __init__(
        self, make: Callable[[], Env], num_envs: int, vectorization: Vectorization
    ) -> None:
        self.num_envs = num_envs
        makers = [_Maker(make, i) for i in range(num_envs)]
        kind = AsyncVectorEnv if vectorization == "async" else SyncVectorEnv
        before = {*multiprocessing.active_children()}
        try:
            with warnings.catch_warnings():
                # Of threads that may hold a lock when the process is copied: ours do not.
                warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)
                self._envs = kind(makers, autoreset_mode=AutoresetMode.DISABLED)
        except (EOFError, OSError, RuntimeError) as error:
            _end({*multiprocessing.active_children()} - before)
            raise UsageError(
                f"{counted(num_envs, 'environment')} side by side cannot be made: {_why(error)}"
            ) from error
        if isinstance(self._envs, SyncVectorEnv):
            _check_that_each_is_new(self._envs.envs)

    def reset(self, seeds: Mapping[int, int], where: str) -> np.ndarray:
        """As in `Environments`."""
        mask = np.isin(np.arange(self.num_envs), list(seeds))
        all_seeds = [seeds.get(i) for i in range(self.num_envs)]
        obs, infos = self._ask(
            lambda: self._envs.reset(seed=all_seeds, options={"reset_mask": mask}), where
        )
        _check(infos, where)
        return np.asarray(obs)  # of those that are not reset, what they had observed before

    def step(self, action: np.ndarray, where: str) -> Outcome:
        """As in `Environments`."""
        obs, reward, terminated, truncated, infos = self._ask(
            lambda: self._envs.step(action.copy()), where
        )
        _check(infos, where)
        return reward.copy(), obs, terminated.copy(), truncated.copy()

    def close(self) -> None:
        """No more of them; if one of their processes has ended, the others are killed."""
        if isinstance(self._envs, SyncVectorEnv):
            self._envs.close()
            return
        if all(process.is_alive() for process in self._envs.processes):
            self._envs.close()
            return
        _end(self._envs.processes)
        for pipe in self._envs.parent_pipes:
            pipe.close()
        self._envs.closed = True

    def _ask(self, question: Callable[[], Any], where: str) -> Any:
        try:
            return question()
        except (EOFError, OSError) as error:
            assert isinstance(self._envs, AsyncVectorEnv)
            processes = self._envs.processes
            ended = wait([process.sentinel for process in processes], timeout=10)
            for i, process in enumerate(processes):
                if process.sentinel in ended:
                    process.join()
                    raise TrainingError(
                        f"{where}the process of environment {i} ended {_how(process.exitcode)}"
                    ) from error
            raise


class _Maker:
    """Makes an environment, in this process or in one of its own."""

    def __init__(self, make: Callable[[], Env], number: int) -> None:
        self._make, self._number, self._home = make, number, os.getpid()

    def __call__(self) -> Env:
        if os.getpid() != self._home:
            # They reach a whole group of processes. This one ends when the run has been saved.
            for name in _SIGNALS:
                if hasattr(signal, name):
                    signal.signal(getattr(signal, name), signal.SIG_IGN)
        return _Answering(self._make(), f"environment {self._number}'s")


class _Answering(gymnasium.Wrapper[np.ndarray, np.ndarray, Any, Any]):
    """An environment that answers in every case: with `_FAILED` among its infos if it failed."""

    def __init__(self, env: Env, whose: str) -> None:
        super().__init__(env)
        self._one, self._whose = One(env, whose), whose
        self._size = Observations(env.observation_space).size
        # What the replay stores of them; the space of the environment may have no room for it.
        self.observation_space = Box(-np.inf, np.inf, (self._size,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, Any]:
        """Whatever happens, an observation and the infos."""
        assert seed is not None
        try:
            return self._checked(self._one.reset({0: seed}, "")), {}
        except TrainingError as error:
            return np.zeros(self._size, np.float32), {_FAILED: str(error)}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, Any]:
        """Whatever happens, an outcome and the infos."""
        try:
            reward, obs, terminated, truncated = self._one.step(action, "")
            return self._checked(obs), reward, terminated, truncated, {}
        except TrainingError as error:
            return np.zeros(self._size, np.float32), 0.0, False, False, {_FAILED: str(error)}

    def _checked(self, obs: np.ndarray) -> np.ndarray:
        if obs.shape != (self._size,):
            said = f"obs must have shape {(self._size,)}, got {obs.shape}"
            raise TrainingError(f"{self._whose} {said}")
        with np.errstate(over="ignore"):  # an infinity is seen when it is to be stored
            return obs.astype(np.float32)


def _check(infos: Mapping[str, Any], where: str) -> None:
    for failed in infos.get(_FAILED, ()):
        if failed is not None:
            raise TrainingError(f"{where}{failed}")


def _check_that_each_is_new(envs: Any) -> None:
    if len({id(env.unwrapped) for env in envs}) < len(envs):
        raise UsageError("env must make a new environment at each call, and gave one again")


def _end(processes: Any) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.join()


def _why(error: Exception) -> str:
    if isinstance(error, RuntimeError):  # which gymnasium raises where they are not alike
        return in_one_line(error, longest=300)
    return "one of their processes ended; --vectorization sync does without processes"


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"by {signal.Signals(-exit_code).name}"
    return f"with exit status {exit_code}"
