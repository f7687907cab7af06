"""Whether random numbers were drawn: generators are where they were, or they are not.

draws = Draws()                       # NumPy's and Python's hidden generators are watched
draws.watch(rng, "rng", where)
draws.undo()                          # ('rng', where) if it was used; it is set back
"""

import functools
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rl.compiler.guards import same
from tinygrad_rl.core import Where

GENERATORS = (np.random.Generator, np.random.RandomState, np.random.BitGenerator, random.Random)


class _Watched(NamedTuple):
    name: str
    where: Where | None
    generator: Any
    before: Any
    restore: Callable[[], None]


class Draws:
    """Generators of random numbers, and where each of them stood."""

    def __init__(self) -> None:
        self._watched: list[_Watched] = []
        hidden: dict[str, Any] = {"numpy.random": np.random.rand, "random": random.random}
        for module, draw in hidden.items():
            self.watch(draw.__self__, module, None)

    def watch(self, generator: Any, name: str, where: Where | None) -> None:
        """Remember where a generator stands, and what the user calls it."""
        if isinstance(generator, random.SystemRandom):
            return  # has no state: it draws from the operating system
        if isinstance(generator, random.Random):
            restore = functools.partial(generator.setstate, generator.getstate())
        elif isinstance(generator, np.random.RandomState):
            restore = functools.partial(generator.set_state, generator.get_state())
        else:
            bits = getattr(generator, "bit_generator", generator)
            restore = functools.partial(setattr, bits, "state", bits.state)
        self._watched.append(_Watched(name, where, generator, _state(generator), restore))

    def undo(self) -> tuple[str, Where | None] | None:
        """Set those back that were used; name and line of one, if possible one with a line."""
        used = [w for w in self._watched if not same(w.before, _state(w.generator))]
        for watched in used:
            watched.restore()
        last = max(used, key=lambda w: w.where is not None, default=None)
        return None if last is None else (last.name, last.where)


def _state(generator: Any) -> Any:
    """Where a generator of random numbers stands, as something that can be compared."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return _frozen(generator.get_state(legacy=False))
    return _frozen(getattr(generator, "bit_generator", generator).state)


def _frozen(state: Any) -> Any:
    if isinstance(state, dict):
        return tuple((key, _frozen(value)) for key, value in state.items())
    return state.tobytes() if isinstance(state, np.ndarray) else state
