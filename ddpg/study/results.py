"""What the runs of a study have come to, for everything that is computed or shown of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Rows = Sequence[Mapping[str, float]]
State = Literal["finished", "diverged", "failed", "unfinished", "not begun"]


@dataclass(frozen=True)
class Result:
    """What one run of a study has come to.

    Attributes
    ----------
    env_id : of its environment.
    setting : the values that tell its setting from the study's others, by name; empty if the study
        has one setting only.
    seed : of the run.
    run : its folder, from the study's folder on.
    state : "finished", or what else is true of it; only a finished run has all of its steps.
    message : why it diverged or failed, in one line; "" otherwise.
    steps : environment steps that its tables tell of.
    total_timesteps : environment steps that it shall have.
    episodes, evaluations : the rows of its two tables so far, numbers by column; no episodes where
        there are evaluations, for those are what counts then.
    """

    env_id: str
    setting: Mapping[str, Any]
    seed: int
    run: str
    state: State
    message: str
    steps: int
    total_timesteps: int
    episodes: Rows
    evaluations: Rows
