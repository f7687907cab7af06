"""The kinds of op that compute nothing: they say where an element comes from, or where it goes.

    unfold = View("unfold", forward=..., index=lambda at, step: (at[0] * step + at[1],))

Places are `Index` objects while the compiler writes a loop, and arrays of integers when the
declaration itself is run: a function of places works on both.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_rl.core.index import Index
from tinygrad_rl.core.kinds import NumpyOp
from tinygrad_rl.core.node import Rule
from tinygrad_rl.core.op import Array, Op, asked, parameters, shape_of
from tinygrad_rl.core.tensor import Tensor

Places = tuple[Any, ...]
Shape = tuple[int, ...]


class View(NumpyOp):
    """An op whose output is its input, read at other places: no copy, and no code when compiled.

    Parameters
    ----------
    forward : the NumPy function that makes the view.
    index : where an element of the output is found in the input: a function of `at` (a tuple with
        the place on each axis of the output), and by their names `x_shape` (the input's shape) and
        the parameters. It gives a place for each axis of the input: sums of places times numbers.
        None, or a function that gives None, stands for the same elements in the same order.
    vjp : left out, the gradient is derived: each element goes back to where it was read, and adds
        up there.
    """

    def __init__(
        self,
        name: str,
        *,
        forward: Callable[..., Array],
        index: Callable[..., Places | None] | None = None,
        vjp: dict[str, Rule] | None = None,
        **said: Any,
    ) -> None:
        super().__init__(name, forward, vjp=vjp, **said)
        self.index = index
        self._asked = asked(self, index, {"at", "x_shape", *self.params}) if index else ()

    def places(self, at: Places, x_shape: Shape, params: dict[str, Any]) -> Places | None:
        """Where the element at a place of the output is in the input; None: in the same order."""
        known = {"at": at, "x_shape": x_shape, **params}
        return self.index(*[known[n] for n in self._asked]) if self.index else None

    def declared(self, arrays: list[Array], params: dict[str, Any]) -> Any:
        """The input read at the places of the index; None where it has none."""
        (x,) = arrays
        self.check_index(x.shape, params)
        shape = self.forward(x, **params).shape
        places = self.places(tuple(np.indices(shape, sparse=True)), x.shape, params)
        return None if places is None else np.broadcast_to(x[places], shape)

    @cached_property
    def _gradient(self) -> "_ViewGradient":
        return _ViewGradient(self)

    def rule(self, position: int) -> tuple[Rule, tuple[str, ...]]:
        """The rule of the input, derived from the index where none is given."""
        if self.vjp or not self.differentiable:
            return super().rule(position)
        names = self.params

        def derived(g: Tensor, x_shape: Shape, *values: Any) -> Tensor:
            return self._gradient(g, shape=x_shape, **dict(zip(names, values, strict=True)))

        return derived, ("g", f"{self.args[0]}_shape", *names)

    def check_index(self, x_shape: Shape, params: dict[str, Any]) -> None:
        """Hold the index against the view that NumPy makes.

        Raises
        ------
        ValueError : when they read different places, with both.
        """
        if not self.index or 0 in x_shape:
            return
        x = np.empty(x_shape, np.int8)
        out = self.forward(x, **params)
        names = [f"axis{a}" for a in range(out.ndim)]
        at = tuple(Index.of(n) if k > 1 else Index() for n, k in zip(names, out.shape, strict=True))
        places = self.places(at, x_shape, params)
        if places is None or not out.size:
            return
        sizes = dict(zip(names, out.shape, strict=True))
        inside = all(Index.of(p).fits(n, sizes) for p, n in zip(places, x_shape, strict=True))
        # Inside the array, places and addresses are one to one.
        memory = sum((Index.of(p) * s for p, s in zip(places, x.strides, strict=True)), Index())
        start = out.__array_interface__["data"][0] - x.__array_interface__["data"][0]
        steps = zip(names, out.strides, out.shape, strict=True)
        numpy = (start, {n: s for n, s, k in steps if k > 1 and s})
        if not inside or (memory.offset, dict(memory.terms)) != numpy:
            shown = ", ".join(map(str, places))
            raise ValueError(
                f"the index of view {self.name!r} reads other places than its NumPy function, for "
                f"an input of shape {x_shape} (parameters {params}): it says ({shown})"
            )


class _Mover(Op):
    """What gather and scatter share: places that are asked for, and the output's shape."""

    def __init__(
        self,
        name: str,
        places: Callable[..., Places],
        known: set[str],
        shape: Callable[..., Shape],
        forward: Callable[..., Array] | None,
        **said: Any,
    ) -> None:
        super().__init__(name, parameters(shape), **said)
        self.shape_rule, self.forward, self._places = shape, forward, places
        self._asked = asked(self, places, known | {"at", "row", *self.params})

    def compute(self, arrays: list[Array], params: dict[str, Any]) -> Any:
        if self.forward is not None:
            return self.forward(*arrays, **params)
        return self.declared(arrays, params)


class Gather(_Mover):
    """Elements read by numbers that the program computes: `out[at] = x[source(at, row)]`.

    Parameters
    ----------
    source : where an element of the output comes from: a place for each axis of `x`, as a function
        of `at`, of `row` (what the input `rows` holds at the first places of `at`; it stands alone
        on one axis), and by name `x_shape`, `rows_shape` and the parameters.
    shape : `shape(x, rows)` gives the output's shape; its arguments behind a star are parameters.
    forward : a NumPy function that does the same, where that is faster.
    """

    def __init__(
        self,
        name: str,
        *,
        source: Callable[..., Places],
        shape: Callable[..., Shape],
        forward: Callable[..., Array] | None = None,
        **said: Any,
    ) -> None:
        known = {f"{a}_shape" for a in parameters(shape)[0]}
        super().__init__(name, source, known, shape, forward, **said)

    def places(self, at: Places, row: Any, inputs: Sequence[Any], params: dict[str, Any]) -> Places:
        """Where the element at a place of the output is read; of the inputs, their shapes count."""
        known = {"at": at, "row": row, **params}
        known |= {f"{a}_shape": x.shape for a, x in zip(self.args, inputs, strict=True)}
        return self._places(*[known[n] for n in self._asked])

    def declared(self, arrays: list[Array], params: dict[str, Any]) -> Any:  # noqa: D102
        x, rows = arrays
        shape = shape_of(self, self.shape_rule(*arrays, **params))
        at = tuple(np.indices(shape, sparse=True))
        places = self.places(at, _aligned(rows, len(shape)), arrays, params)
        return np.array(np.broadcast_to(x[places], shape))


class Scatter(_Mover):
    """Elements written to other places: `out[target(at, row)] = x[at]`, or `+=` with `add`.

    What is written to no place is 0, or what the input called `base` holds there.

    Parameters
    ----------
    target : where an element goes: a place for each axis of the output (or a single one, which
        counts the output's elements in their order), as a function of `at`, of
        `row` (what the input `rows` holds at the first places of `at`; it stands alone on one axis)
        and by name `rows_shape`, `out_shape`, `shapes` and `index` (of several inputs, their shapes
        and which one this is), and the parameters.
    shape : `shape(x)`, `shape(x, rows)`, `shape(base, x, rows)` or `shape(*tensors)`, parameters
        behind a star, gives the output's shape. These names say what an input is.
    add : whether what meets at one place adds up; otherwise the last one stays.
    forward : a NumPy function that does the same, where that is faster.
    """

    def __init__(
        self,
        name: str,
        *,
        target: Callable[..., Places],
        shape: Callable[..., Shape],
        add: bool = False,
        forward: Callable[..., Array] | None = None,
        **said: Any,
    ) -> None:
        known = {"rows_shape", "index", "shapes", "out_shape"}
        super().__init__(name, target, known, shape, forward, **said)
        self.add = add

    def parts(self, inputs: Sequence[Any]) -> tuple[Any, list[Any], Any]:
        """The inputs by what they are: base or None, those written, row numbers or None."""
        values = list(inputs)
        base = values.pop(0) if self.args[0] == "base" else None
        rows = values.pop() if self.args[-1] == "rows" else None
        return base, values, rows

    def places(
        self, at: Places, row: Any, index: int, inputs: Sequence[Any], out: Any, params: Any
    ) -> Places:
        """Where an element of what is written goes, the one numbered `index`; shapes count only."""
        _, values, rows = self.parts(inputs)
        known = {"at": at, "row": row, "index": index, "out_shape": out.shape, **params}
        known["shapes"] = [v.shape for v in values]
        known["rows_shape"] = None if rows is None else rows.shape
        return self._places(*[known[n] for n in self._asked])

    def declared(self, arrays: list[Array], params: dict[str, Any]) -> Any:  # noqa: D102
        base, values, rows = self.parts(arrays)
        shape = shape_of(self, self.shape_rule(*arrays, **params))
        out = np.zeros(shape, np.result_type(*values)) if base is None else base.copy()
        for k, value in enumerate(values):
            at = tuple(np.indices(value.shape, sparse=True))
            row = None if rows is None else _aligned(rows, value.ndim)
            places = self.places(at, row, k, arrays, out, params)
            into = out.reshape(-1) if len(places) == 1 else out
            if self.add:
                np.add.at(into, places, value)
            else:
                into[places] = value
        return out


def _aligned(rows: Array, ndim: int) -> Array:
    """Row numbers that broadcast along the axes behind theirs."""
    return rows.reshape(rows.shape + (1,) * (ndim - rows.ndim))


class _ViewGradient(Scatter):
    """The gradient of a view: what was read goes back, and adds up where it was read twice."""

    def __init__(self, view: View) -> None:
        self.view = view
        arg = view.args[0]
        super().__init__(
            f"{view.name}.vjp_{arg}",
            target=lambda at: at,
            shape=lambda x, *, shape: shape,
            add=True,
        )
        self.params = ("shape", *view.params)
        self.shape_rule = lambda x, **params: params["shape"]

    def places(
        self, at: Places, row: Any, index: int, inputs: Sequence[Any], out: Any, params: Any
    ) -> Places:
        places = self.view.places(at, out.shape, {p: params[p] for p in self.view.params})
        assert places is not None
        return places

    def rule(self, position: int) -> tuple[Rule, tuple[str, ...]]:
        names = self.view.params

        def derived(g: Tensor, *values: Any) -> Tensor:
            return self.view(g, **dict(zip(names, values, strict=True)))

        return derived, ("g", *names)
