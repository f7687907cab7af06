"""What a tuning searches: one table, a row for each setting.

    space = search_space(base, fixed={"gamma"})          # all rows of the table but gamma's
    space["actor_lr"]                                    # Range(1e-4, 3e-3)
    space_text()                                         # the table, for `ddpg tune --help`

What the runs begin with is in the space always: where a preset has a value that its row lacks, the
row is widened by it.
"""

from collections.abc import Collection, Mapping, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

from ddpg.config import ALGORITHMS, TrainConfig, config_to_dict, hint, written
from ddpg.errors import UsageError, shown
from ddpg.study.plan import ALGORITHM

DIGITS = 3
"""Of a number that is drawn from a range: more say nothing, and nobody wants to type them."""


class Range(NamedTuple):
    """Numbers from `low` to `high`, both included, each power of ten as probable as the others."""

    low: float
    high: float

    def widened(self, value: Any) -> "Range":
        """With `value` in it."""
        return Range(min(self.low, value), max(self.high, value))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


class Choices(NamedTuple):
    """One of these; of Python's types, a list of sizes for instance."""

    values: tuple[Any, ...]

    def widened(self, value: Any) -> "Choices":
        """With `value` among them."""
        return self if value in self.values else Choices((*self.values, value))

    def __str__(self) -> str:
        return " ".join(map(written, self.values))


class Row(NamedTuple):
    """A setting that can be searched.

    Attributes
    ----------
    name : of the setting, or "algorithm".
    values : what is tried.
    why : what it decides.
    always : False if it is searched only where somebody names it.
    """

    name: str
    values: Range | Choices
    why: str
    always: bool = True


Space = Mapping[str, Range | Choices]
"""By the names of the settings."""

ROWS = (
    Row("algorithm", Choices(("ddpg", "td3")), "TD3's twin critics against a Q that is too high"),
    Row("actor_lr", Range(1e-4, 3e-3), "too high, and tanh saturates; too low, and nothing moves"),
    Row("critic_lr", Range(1e-4, 3e-3), "the critic has to be ahead of the actor"),
    Row("tau", Range(1e-3, 5e-2), "how fast the targets follow: speed against stability"),
    Row("gamma", Choices((0.95, 0.98, 0.99, 0.995)), "20 to 200 steps of looking ahead"),
    Row("batch_size", Choices((64, 128, 256)), "less noise in each update, for more time"),
    Row("hidden", Choices(([64, 64], [256, 256], [400, 300])), "wide is slow, and often better"),
    Row("noise", Choices(("gaussian", "ou")), "ou drifts: it goes far where one step does little"),
    Row("noise_std", Range(0.05, 0.5), "exploration, as a share of half the action range"),
    Row("n_step", Choices((1, 3, 5)), "rare rewards come through sooner, with more variance"),
    Row("critic_layer_norm", Choices((False, True)), "keeps Q bounded where it was never trained"),
    Row("normalize_observations", Choices((False, True)), "for observations of unlike sizes"),
    Row("updates_per_step", Choices((1, 2, 4)), "more from each step; time grows as much", False),
)
"""The table. What is left out (buffer, warm-up, clipping) seldom decides."""


def search_space(
    base: TrainConfig, fixed: Collection[str], only: Sequence[str] | None = None
) -> Space:
    """The rows that a tuning searches.

    Parameters
    ----------
    base : what its runs begin with.
    fixed : names that somebody gave a value, which are not searched.
    only : names of rows, in place of all those that are searched always.

    Raises
    ------
    UsageError : for a name without a row or with a value, and if nothing is left.
    """
    rows, taken = {row.name: row for row in ROWS}, locked(base, fixed)
    for name in only or ():
        if name not in rows:
            advice = hint(name, rows) or f"there are {', '.join(rows)}"
            raise UsageError(f"space names {shown(name)}, which can't be searched; {advice}")
        if name in taken:
            raise UsageError(f"space names {name}, which has a value here: leave out one of them")
    names = [row.name for row in ROWS if row.always] if only is None else only
    first = defaults(base, rows)
    space = {name: rows[name].values.widened(first[name]) for name in names if name not in taken}
    if not space:
        raise UsageError("every setting has a value: there is nothing to search")
    return space


def defaults(base: TrainConfig, names: Collection[str]) -> dict[str, Any]:
    """What stands in `base` for these rows."""
    flat = config_to_dict(base)
    algorithm = next((name for name, s in ALGORITHMS.items() if s.items() <= flat.items()), None)
    return {name: algorithm if name == ALGORITHM else flat[name] for name in names}


def locked(base: TrainConfig, fixed: Collection[str]) -> set[str]:
    """Rows that have a value: by their name, or the set by one of its settings."""
    parts = {name for settings in ALGORITHMS.values() for name in settings}
    unnamed = defaults(base, [ALGORITHM])[ALGORITHM] is None
    return {*fixed, *([ALGORITHM] if unnamed or parts & {*fixed} else [])}


def rounded(values: Range | Choices, value: Any) -> Any:
    """A value that was drawn, in few digits; what is in a range stays in it."""
    if isinstance(values, Choices):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), values.low), values.high)


def largest(space: Space) -> dict[str, Any]:
    """The setting that needs most memory, of all in the space."""
    return {
        name: max(v.values, key=sum if name == "hidden" else None)
        for name, v in space.items()
        if isinstance(v, Choices)
    }


def space_to_dict(space: Space) -> dict[str, Any]:
    """In JSON's types: two numbers for a range, a list in a list for choices."""
    return {name: [list(v.values)] if isinstance(v, Choices) else [*v] for name, v in space.items()}


def space_from_dict(values: Mapping[str, Any]) -> Space:
    """Inverse of `space_to_dict`."""
    return {
        name: Choices(tuple(each[0])) if len(each) == 1 else Range(*each)
        for name, each in values.items()
    }


def space_text(width: int = 80) -> str:
    """The table, to be read."""
    lines = []
    for row in ROWS:
        text = f"{row.values}: {row.why}" + ("" if row.always else "; only if named")
        lines += wrap(text, width, initial_indent=f"  {row.name:<24}", subsequent_indent=" " * 26)
    return "\n".join(lines)
