"""The last finite agent: a run that diverges keeps what it had learned until then.

That networks diverge is seen when it is too late: in the loss of the update after the one that
broke them, or in their parameters. To keep a copy from before each update would slow all of them
down; so one is kept now and then, and the updates since, which are known to the last bit, are made
again until the one that broke it.
"""

from copy import deepcopy
from typing import Any

import numpy as np

import tinygrad_rl as tg
from ddpg.agent import DDPG

EVERY = 1000
"""Steps between copies."""
_EXPLORATION = ("noise", "warmup_rng", "steps_explored")


class LastFinite:
    """Keeps a finite state of `agent`, not long ago.

    Parameters
    ----------
    agent : as it is after `step` environment steps.
    """

    def __init__(self, agent: DDPG, step: int) -> None:
        self._agent = agent
        self._step, self._state = step, deepcopy(agent.state_dict())

    def keep(self, step: int) -> None:
        """`step` steps are done, and the agent may be copied."""
        if step % EVERY < self._agent.num_envs and step > self._agent.config.warmup_steps:
            state = self._agent.state_dict()
            if _all_finite(state):
                self._step, self._state = step, deepcopy(state)

    def restore(self, rows: np.ndarray) -> None:
        """Bring the agent back to what it was after its last finite update.

        Parameters
        ----------
        rows : all transitions of the run, up to the step that went wrong, as in its replay file.
        """
        agent = self._agent
        now = agent.state_dict()
        # Exploration has gone on without harm, and the same way wherever the copy is from.
        agent.load_state_dict(self._state | {name: now[name] for name in _EXPLORATION})
        agent.replay.restore(rows[: self._step])
        for step in range(self._step, len(rows), agent.num_envs):
            new = rows[step : step + agent.num_envs]
            if agent.normalizer is not None:
                agent.normalizer.see(agent.replay.observations(new))
            for row in new:
                agent.replay.add_row(row)
            for _ in range(agent.updates_due(step + len(new))):
                before = deepcopy(agent.state_dict())
                agent.update()
                if not is_finite(agent):
                    agent.load_state_dict(before)
                    return


def is_finite(agent: DDPG) -> bool:
    """Whether all parameters are, and all that the optimizers remember."""
    return _all_finite(agent.state_dict())


def _all_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_all_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_all_finite, value))
    if isinstance(value, tg.Tensor):
        value = value.numpy()
    return not isinstance(value, np.ndarray) or bool(np.isfinite(value).all())
