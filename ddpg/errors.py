"""The ways in which this package says no, and how a message becomes one line.

Everything else that escapes is a bug, and the command line shows its traceback.
"""


class UsageError(ValueError):
    """Something was asked for that cannot be done; the message says what is allowed.

    The command line prints it in one line and exits with status 2.
    """


class TrainingError(RuntimeError):
    """A run could not go on (a NaN reward, diverged networks); what it has so far is kept.

    The command line prints it in one line and exits with status 1.
    """


class DivergedError(TrainingError):
    """The networks, or what their optimizers remember, are no longer finite."""


def in_one_line(text: object, longest: int = 1000) -> str:
    """`text` with single spaces, what cannot be printed escaped, and shortened in its middle."""
    line = " ".join(str(text).split())
    if len(line) > longest:
        line = f"{line[: longest // 2]}...{line[-(longest // 2) :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def shown(value: object) -> str:
    """`repr(value)` for a message: short, in one line, whatever the value is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; lists in lists
        text = f"{kind(value)} that is too long to write"
    return in_one_line(text, longest=80)


def kind(value: object) -> str:
    """What something is, for a sentence: an int, a list, None."""
    return "None" if value is None else with_article(type(value).__name__)


def with_article(noun: str) -> str:
    """`an int`, `a picture`, `an ndarray`: as it is spoken."""
    an = noun == "ndarray" or (noun[0] in "aeiouAEIOU" and not noun.startswith("uint"))
    return f"{'an' if an else 'a'} {noun}"


def counted(number: int, noun: str) -> str:
    """`1 entry`, `2 entries`, `1,000 steps`: how many there are of something, for a sentence."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("ry") else f"{number:,} {noun}s"
