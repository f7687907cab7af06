"""Random streams: one seed, an independent generator per use.

A stream of its own for each use means that changing one (another network size draws more initial
weights, say) leaves the others as they were. Nothing here touches NumPy's global generator.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddpg.errors import UsageError

Seed = int | np.random.SeedSequence
"""A non-negative integer, or a sequence that was itself spawned."""

_WORD = (1 << 64) - 1


def spawn(seed: Seed, count: int) -> list[np.random.SeedSequence]:
    """Independent seed sequences, the same ones whenever the seed is the same."""
    if not isinstance(seed, np.random.SeedSequence):
        return np.random.SeedSequence(seed).spawn(count)
    # A fresh copy: spawning counts in its parent, and the same seed must give the same children.
    return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key).spawn(count)


def child(seed: Seed, *key: int) -> np.random.SeedSequence:
    """The descendant of `seed` at `key`: as independent as spawned ones, found by its numbers."""
    parent = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    return np.random.SeedSequence(parent.entropy, spawn_key=(*parent.spawn_key, *key))


def as_integer(seed: np.random.SeedSequence) -> int:
    """A seed for those who take nothing but an integer, as gymnasium's `reset(seed=...)`."""
    return int(seed.generate_state(1, np.uint32)[0])


def generator(seed: np.random.SeedSequence) -> np.random.Generator:
    """A PCG64 generator, whose state `get_state` can put into an array."""
    return np.random.Generator(np.random.PCG64(seed))


def get_state(rng: np.random.Generator) -> list[int]:
    """The state of a PCG64 generator in six 64-bit words: two numbers of 128, a spare half word."""
    state = rng.bit_generator.state
    place, step = state["state"]["state"], state["state"]["inc"]
    words = [place >> 64, place & _WORD, step >> 64, step & _WORD]
    return [*words, state["has_uint32"], state["uinteger"]]


def set_state(rng: np.random.Generator, words: Sequence[int]) -> None:
    """Inverse of `get_state`.

    Raises
    ------
    UsageError : if they are not what `get_state` can give; the generator is as it was.
    """
    check(words)
    place_high, place_low, step_high, step_low, has_spare, spare = words
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": place_high << 64 | place_low, "inc": step_high << 64 | step_low},
        "has_uint32": has_spare,
        "uinteger": spare,
    }


def check(words: Any, name: str = "a generator's state") -> None:
    """Refuse what `get_state` can't have given.

    Raises
    ------
    UsageError : beginning with `name`.
    """
    if not (
        isinstance(words, list | tuple)
        and len(words) == 6
        and all(type(word) is int and 0 <= word <= _WORD for word in words)
    ):
        raise UsageError(f"{name} must be 6 numbers of uint64")
    *_, step_low, has_spare, spare = words
    if step_low % 2 == 0:  # else the generator would skip half of its places, or stand still
        raise UsageError(f"{name} has the increment {step_low}, and PCG64's is odd")
    if has_spare > 1 or spare >> 32:
        raise UsageError(f"{name} has {has_spare} spare half words, {spare}: at most 1 of uint32")
