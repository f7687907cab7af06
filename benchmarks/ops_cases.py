"""The op calls that `ops.py` times: each written once, for this project and for PyTorch.

A library is a namespace `m` of functions under common names. A case names its inputs by letters:
square matrices `x`, `y`, `w` and `v`, rows `r`, `b` and `d`, a column `c` and a number `s`.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

CHAIN = 300
CHAIN_CASE, MLP = f"chain of {CHAIN}", "two layers, loss"

CASES: dict[str, tuple[str, Callable[..., Any]]] = {
    "x + y": ("xy", lambda m, x, y: x + y),
    "x * y": ("xy", lambda m, x, y: x * y),
    "x / y": ("xy", lambda m, x, y: x / y),
    "-x": ("x", lambda m, x: -x),
    "x + row": ("xr", lambda m, x, r: x + r),
    "x * row": ("xr", lambda m, x, r: x * r),
    "x * column": ("xc", lambda m, x, c: x * c),
    "x * 0-d": ("xs", lambda m, x, s: x * s),
    "x * 2 + 1": ("x", lambda m, x: x * 2 + 1),
    "x ** 2": ("x", lambda m, x: x**2),
    "exp": ("x", lambda m, x: m.exp(x)),
    "log": ("x", lambda m, x: m.log(x)),
    "tanh": ("x", lambda m, x: m.tanh(x)),
    "sigmoid": ("x", lambda m, x: m.sigmoid(x)),
    "relu": ("x", lambda m, x: m.relu(x)),
    "gelu": ("x", lambda m, x: m.gelu(x)),
    "maximum": ("xy", lambda m, x, y: m.maximum(x, y)),
    "where": ("xy", lambda m, x, y: m.where(m.mask, x, y)),
    "clip": ("x", lambda m, x: m.clip(x, 0.5, 1.5)),
    "x @ y": ("xy", lambda m, x, y: x @ y),
    "linear": ("xwb", lambda m, x, w, b: m.linear(x, w, b)),
    "sum": ("x", lambda m, x: x.sum()),
    "sum, axis 0": ("x", lambda m, x: x.sum(0)),
    "mean": ("x", lambda m, x: x.mean()),
    "mean, axis 1": ("x", lambda m, x: x.mean(1)),
    "max": ("x", lambda m, x: x.max()),
    "max, axis 1": ("x", lambda m, x: m.row_max(x)),
    "var, axis 1": ("x", lambda m, x: m.row_var(x)),
    "softmax": ("x", lambda m, x: m.softmax(x, -1)),
    "log_softmax": ("x", lambda m, x: m.log_softmax(x, -1)),
    "logsumexp": ("x", lambda m, x: m.logsumexp(x, -1)),
    "layer_norm": ("xrb", lambda m, x, r, b: m.layer_norm(x, x.shape[-1:], r, b)),
    "mse_loss": ("xy", lambda m, x, y: m.mse_loss(x, y)),
    "huber_loss": ("xy", lambda m, x, y: m.huber_loss(x, y)),
    "x.T": ("x", lambda m, x: x.T),
    "reshape": ("x", lambda m, x: x.reshape(-1)),
    "x[1:-1]": ("x", lambda m, x: x[1:-1]),
    "x[3]": ("x", lambda m, x: x[3]),
    "concatenate": ("xy", lambda m, x, y: m.concatenate([x, y])),
    "stack": ("xy", lambda m, x, y: m.stack([x, y])),
    MLP: (
        "xwbvdy",
        lambda m, x, w, b, v, d, y: m.mse_loss(m.linear(m.tanh(m.linear(x, w, b)), v, d), y),
    ),
    CHAIN_CASE: ("xy", lambda m, x, y: chain(m, x, y)),
}

# Under the same name in `tg`, or its `nn.functional`, and in `torch`, or its `nn.functional`.
SHARED = (
    *("exp", "log", "tanh", "sigmoid", "relu", "maximum", "where", "clip", "softmax"),
    *("log_softmax", "logsumexp", "concatenate", "stack"),
)
FUNCTIONAL = ("gelu", "linear", "layer_norm", "mse_loss", "huber_loss")


def chain(m: Any, x: Any, y: Any) -> Any:
    """Return x after CHAIN small ops: a product, a sum, a tanh, again and again."""
    for _ in range(CHAIN // 3):
        x = m.tanh(x * y + y)
    return x


def ours() -> SimpleNamespace:
    """Return this project's functions."""
    import tinygrad_rl as tg
    from tinygrad_rl.nn import functional as F

    return SimpleNamespace(
        **{name: getattr(tg, name) for name in SHARED},
        **{name: getattr(F, name) for name in FUNCTIONAL},
        tensor=tg.Tensor,
        row_max=lambda x: x.max(1),
        row_var=lambda x: x.var(1),
    )


def torch() -> SimpleNamespace:
    """Return PyTorch's functions; it computes on one thread from now on."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(1)
    return SimpleNamespace(
        **{name: getattr(torch, name) for name in SHARED},
        **{name: getattr(F, name) for name in FUNCTIONAL},
        tensor=lambda data, requires_grad=False: torch.tensor(data, requires_grad=requires_grad),
        row_max=lambda x: x.amax(1),
        row_var=lambda x: x.var(1, correction=0),
    )


LIBRARIES = {"ours": ours, "torch": torch}


def inputs(m: SimpleNamespace, case: str, side: int, requires_grad: bool) -> list[Any]:
    """Return a case's inputs, and set the mask of `where`: random float32 in 0.1 to 2."""
    rng = np.random.default_rng(0)
    shapes = dict.fromkeys("xywv", (side, side)) | dict.fromkeys("rbd", (side,))
    shapes |= {"c": (side, 1), "s": ()}
    data = {k: rng.uniform(0.1, 2, shape).astype(np.float32) for k, shape in shapes.items()}
    m.mask = m.tensor(data["x"] > 1)
    return [m.tensor(data[letter], requires_grad=requires_grad) for letter in CASES[case][0]]


def forward(m: SimpleNamespace, case: str, side: int) -> Callable[[], object]:
    """Return the call, on inputs that require no gradient."""
    given = inputs(m, case, side, False)
    function = CASES[case][1]
    return lambda: function(m, *given)


def backward(m: SimpleNamespace, case: str, side: int) -> Callable[[], object]:
    """Return the call with a backward pass from a random gradient, and the gradients dropped."""
    given = inputs(m, case, side, True)
    function = CASES[case][1]
    shape = tuple(function(m, *given).shape)
    g = np.random.default_rng(1).uniform(0.5, 1, shape).astype(np.float32)
    start = m.tensor(g) if shape else None

    def call() -> None:
        out = function(m, *given)
        if start is None:
            out.backward()
        else:
            out.backward(start)
        for x in given:
            x.grad = None

    return call
