"""Layers: parameters, and a forward that calls `functional`."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_rl.core import Tensor
from tinygrad_rl.nn import functional as F
from tinygrad_rl.nn import init
from tinygrad_rl.nn.activations import ReLU
from tinygrad_rl.nn.module import Module
from tinygrad_rl.spelling import kind


class Linear(Module):
    """`x @ weight.T + bias` with weight of shape (out_features, in_features).

    Parameters
    ----------
    in_features, out_features : sizes of the last axis of input and output.
    bias : whether a bias is added.
    rng : generator of the initial values, U(-1/sqrt(in), 1/sqrt(in)). When it is left out they
        come from the operating system: two layers are never the same by accident, two runs never
        the same at all.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        rng = np.random.default_rng() if rng is None else rng
        self.weight = Tensor(np.zeros((out_features, in_features), dtype), requires_grad=True)
        init.fan_in_uniform_(self.weight, in_features, rng)
        self.bias: Tensor | None = None
        if bias:
            self.bias = Tensor(np.zeros(out_features, dtype), requires_grad=True)
            init.fan_in_uniform_(self.bias, in_features, rng)

    def forward(self, x: Any) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        return F.linear(x, self.weight, self.bias)

    def __repr__(self) -> str:
        out_features, in_features = self.weight.shape
        bias = self.bias is not None
        return f"Linear(in_features={in_features}, out_features={out_features}, bias={bias})"


class LayerNorm(Module):
    """Zero mean and unit variance over the last axes, then scale and shift (Ba et al. 2016).

    Parameters
    ----------
    normalized_shape : lengths of these axes, and the shape of weight and bias.
    eps : added to the variance.
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, *, dtype: Any = np.float32
    ) -> None:
        super().__init__()
        shape = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        self.normalized_shape = shape
        self.eps = eps
        self.weight = Tensor(np.ones(shape, dtype), requires_grad=True)
        self.bias = Tensor(np.zeros(shape, dtype), requires_grad=True)

    def forward(self, x: Any) -> Tensor:
        """The same shape; its last axes are `normalized_shape`."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def __repr__(self) -> str:
        return f"LayerNorm({self.normalized_shape})"


class Sequential(Module):
    """Modules one after the other, named 0, 1, 2, ...

    A layer that is replaced, `net[1] = layer`, keeps its place; `net[1:]` is a Sequential of the
    same layers under the same names.

    Raises
    ------
    TypeError : for a layer that is no module.
    """

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        for i, layer in enumerate(layers):
            setattr(self, str(i), layer)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.isdecimal() and not isinstance(value, Module):
            raise TypeError(f"layer {name} of {kind(self)} must be a module, not {kind(value)}")
        is_new = name not in vars(self)
        super().__setattr__(name, value)
        if is_new and name.isdecimal():
            # A layer that comes back, or comes late, stands before those with a higher number.
            names = list(vars(self))[:-1]
            later = (k for k, n in enumerate(names) if n.isdecimal() and int(n) > int(name))
            for n in names[next(later, len(names)) :]:
                vars(self)[n] = vars(self).pop(n)

    def _layers(self) -> dict[str, Module]:
        return {name: v for name, v in vars(self).items() if isinstance(v, Module)}

    def __len__(self) -> int:
        return len(self._layers())

    def __getitem__(self, i: int | slice) -> Any:
        if not isinstance(i, slice):
            return list(self._layers().values())[i]
        part = Sequential()
        for name, layer in list(self._layers().items())[i]:
            setattr(part, name, layer)
        return part

    def __setitem__(self, i: int, layer: Module) -> None:
        setattr(self, list(self._layers())[i], layer)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers().values())

    def forward(self, x: Any) -> Any:
        """What the last layer makes of what the others made of x."""
        for layer in self:
            x = layer(x)
        return x


class MLP(Sequential):
    """Linear layers with an activation between them: `MLP((17, 256, 256, 6))`.

    Parameters
    ----------
    sizes : width of the input, of each hidden layer, and of the output.
    activation : class of the module after each hidden layer.
    layer_norm : a LayerNorm before each of those.
    rng : generator of the initial values, see `Linear`.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: type[Module] = ReLU,
        *,
        layer_norm: bool = False,
        rng: np.random.Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(
                f"an MLP needs at least an input and an output size, not {tuple(sizes)}"
            )
        rng = np.random.default_rng() if rng is None else rng
        layers: list[Module] = []
        for i, (n, m) in enumerate(pairwise(sizes)):
            layers.append(Linear(n, m, rng=rng, dtype=dtype))
            if i < len(sizes) - 2:
                if layer_norm:
                    layers.append(LayerNorm(m, dtype=dtype))
                layers.append(activation())
        super().__init__(*layers)
