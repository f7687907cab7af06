"""What a run tells its user when learning does not get anywhere."""

from collections.abc import Mapping, Sequence

_EVALUATIONS = 5
_STILL = 0.01
"""A share of the largest return, of either sign, that was seen so far."""

_Rows = Sequence[Mapping[str, float]]


def hint(episodes: _Rows, evaluations: _Rows) -> str | None:
    """Words for a policy that seems never to have found a reward.

    Its returns have been the same for five evaluations, whatever the start state, and every
    training episode has run into the time limit. (A task that is learned well varies with its start
    states, or had episodes of other lengths.)

    Parameters
    ----------
    episodes, evaluations : the run's tables.
    """
    last = evaluations[-_EVALUATIONS:]
    if len(last) < _EVALUATIONS or len({row["length"] for row in episodes}) > 1:
        return None
    low, high = min(row["min"] for row in last), max(row["max"] for row in last)
    seen = [row["return"] for row in episodes] + [row["mean"] for row in evaluations]
    if high - low > _STILL * max(map(abs, seen)):
        return None
    return (
        f"the return has not moved for {_EVALUATIONS} evaluations, from any start state, and no "
        "episode has ended before its time limit: the policy may never have found what it is "
        "rewarded for; more exploration helps then, --noise ou --noise-std 0.5 for instance"
    )
