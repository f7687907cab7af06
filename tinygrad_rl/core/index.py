"""Index: where on an axis, while the loop that will run over it is still being written.

    i, j = Index.of("i"), Index.of("j")
    str(i * 2 + j + 1)                    # 'i * 2 + j + 1'

An op that moves elements says with these where an element comes from or goes to. A NumPy view reads
memory at constant distances, so a place is a sum of loop variables times numbers: that is all an
Index can be. The same function of places works on arrays of integers, which is how it is checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

Place = Union["Index", int]


@dataclass(frozen=True)
class Index:
    """A sum of loop variables times numbers, plus a number."""

    terms: tuple[tuple[str, int], ...] = ()
    offset: int = 0

    @staticmethod
    def of(place: "str | Place") -> "Index":
        """A loop variable, or a number, as an Index."""
        if isinstance(place, Index):
            return place
        return Index(((place, 1),)) if isinstance(place, str) else Index((), int(place))

    def fits(self, size: int, counts: Mapping[str, int]) -> bool:
        """Whether it stays on an axis of `size` while each variable counts up to its number."""
        steps = [factor * (counts[name] - 1) for name, factor in self.terms]
        low = self.offset + sum(s for s in steps if s < 0)
        return low >= 0 and self.offset + sum(s for s in steps if s > 0) < size

    def __add__(self, other: Place) -> "Index":
        other = Index.of(other)
        terms = dict(self.terms)
        for name, factor in other.terms:
            terms[name] = terms.get(name, 0) + factor
        kept = tuple((name, factor) for name, factor in terms.items() if factor)
        return Index(kept, self.offset + other.offset)

    def __mul__(self, factor: int) -> "Index":
        if not factor:
            return Index()
        return Index(tuple((n, f * factor) for n, f in self.terms), self.offset * factor)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Index":
        return self * -1

    def __sub__(self, other: Place) -> "Index":
        return self + Index.of(other) * -1

    def __rsub__(self, other: Place) -> "Index":
        return Index.of(other) - self

    def __str__(self) -> str:
        plus = [(n if f == 1 else f"{n} * {f}") for n, f in self.terms if f > 0]
        minus = [(n if f == -1 else f"{n} * {-f}") for n, f in self.terms if f < 0]
        if self.offset > 0 or not plus:
            plus.append(str(self.offset))
        elif self.offset < 0:
            minus.append(str(-self.offset))
        return " - ".join([" + ".join(plus), *minus])
