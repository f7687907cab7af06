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
        text = f"a {type(value).__name__} that is too long to write"
    return in_one_line(text, longest=80)
