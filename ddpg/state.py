"""What may be loaded: state of the same form as one's own, with values that training can lead to.

    check_state(state, self.state_dict())     # first, so that nothing is loaded in part

A checksum finds what a disk or a network did to a file. This finds what was saved by mistake or
made by hand: numbers that would be taken in silence and spoil everything after them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

import tinygrad_rl as tg
from ddpg import rng
from ddpg.errors import UsageError, counted, kind


def check_state(state: Any, like: Any, name: str = "") -> None:
    """Refuse a state that does not fit, naming the entry: `critic_optimizer.exp_avg_sq.0`.

    Parameters
    ----------
    state : nested, as it came from a file.
    like : one that fits: it has the entries, shapes and dtypes. Numbers in it are counts, an entry
        `rng`, or one whose name ends so, is a generator's state.
    name : of the entry that is checked; nothing for the whole.

    Raises
    ------
    UsageError : for missing or unknown entries, another shape or dtype, NaN or infinity, counts
        that are not whole or below 0, negative squares, impossible generators.
    """
    if isinstance(like, Mapping):
        if not isinstance(state, Mapping):
            raise UsageError(f"{name or 'the state'} must be a dict, not {kind(state)}")
        if wrong := sorted(map(str, like.keys() ^ state.keys())):
            raise UsageError(f"entries missing or unknown in {name or 'the state'}: {wrong!s:.200}")
        for key in like:
            check_state(state[key], like[key], f"{name}.{key}" if name else key)
    elif name.endswith("rng"):
        rng.check(state, name)
    elif isinstance(like, list):
        if not isinstance(state, list) or len(state) != len(like):
            raise UsageError(f"{name} must be a list of {counted(len(like), 'entry')}")
        for index, (mine, other) in enumerate(zip(like, state, strict=True)):
            check_state(other, mine, f"{name}.{index}")
    elif isinstance(like, int):
        if type(state) is not int or state < 0:
            raise UsageError(f"{name} must be a whole number of at least 0")
    else:
        _check_array(state, np.asarray(like), name)


def _check_array(value: Any, like: np.ndarray, name: str) -> None:
    if not isinstance(value, tg.Tensor | np.ndarray | np.generic):
        raise UsageError(f"{name} must be an array, not {kind(value)}")
    array = np.asarray(value)
    if (array.dtype, array.shape) != (like.dtype, like.shape):
        raise UsageError(
            f"{name} is {array.dtype} of shape {array.shape}, expected {like.dtype} of shape "
            f"{like.shape}"
        )
    if not np.isfinite(array).all():
        raise UsageError(f"{name} holds NaN or infinity")
    # What Adam keeps: how often it stepped, and means of squares; and what a normalizer does.
    field = name.split(".")
    if field[-1] == "m2" and (array < 0).any():
        raise UsageError(f"{name} holds {array.min()}, and a sum of squares is never below 0")
    if field == ["normalizer", "mean"] and (np.abs(array) > np.finfo(np.float32).max).any():
        raise UsageError(f"{name} holds {array}, and observations are float32")
    if "exp_avg_sq" in field and (array < 0).any():
        raise UsageError(f"{name} holds {array.min()}, and a mean of squares is never below 0")
    if "step" in field and ((array < 0) | (array % 1 != 0)).any():
        raise UsageError(f"{name} must be a whole number of at least 0, not {array}")
