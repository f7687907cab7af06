"""The ways in which this package says no.

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
