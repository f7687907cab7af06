"""What an environment gave, looked at before anything is made of it.

    obs = begun(env.reset(seed=0))
    obs, reward, terminated, truncated = stepped(env.step(action))

So what is said is what it gave, and not where this package stumbled over it.
"""

from typing import Any, NamedTuple

import numpy as np

from ddpg.errors import UsageError, kind, shown


class Answer(NamedTuple):
    """What `env.step` gave, but for its infos."""

    obs: Any
    reward: float
    terminated: bool
    truncated: bool


def begun(answer: Any) -> Any:
    """The observation in what `env.reset` gave.

    Raises
    ------
    UsageError : (a `ValueError`) if that is no pair.
    """
    return _tuple_of("reset", ("obs", "info"), answer)[0]


def stepped(answer: Any) -> Answer:
    """What `env.step` gave.

    Raises
    ------
    UsageError : (a `ValueError`) for what is not as gymnasium has it, a reward that is no number
        for instance. A NaN is one.
    """
    names = "obs", "reward", "terminated", "truncated", "info"
    obs, reward, terminated, truncated, _ = _tuple_of("step", names, answer)
    try:
        number = float(reward)
    except (TypeError, ValueError) as error:
        raise UsageError(f"reward must be a number, got {shown(reward)}") from error
    return Answer(obs, number, _flag("terminated", terminated), _flag("truncated", truncated))


def check_finite(row: np.ndarray, what: str) -> None:
    """Of an observation as a row of numbers, which the networks see as float32.

    Raises
    ------
    UsageError : (a `ValueError`) that begins with `what`.
    """
    with np.errstate(over="ignore"):
        wrong = np.argwhere(~np.isfinite(row.astype(np.float32)))
    if len(wrong):
        place = wrong[0].tolist()
        found = f"{row[tuple(place)]} at index {place}"
        raise UsageError(f"{what} is {found}, which is not a finite float32")


def _tuple_of(method: str, names: tuple[str, ...], answer: Any) -> Any:
    if isinstance(answer, tuple) and len(answer) == len(names):
        return answer
    got = f"a tuple of {len(answer)}" if isinstance(answer, tuple) else kind(answer)
    raise UsageError(f"{method} must give ({', '.join(names)}), gave {got}")


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise UsageError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)
