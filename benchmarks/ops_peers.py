"""The same op calls in three libraries; `benchmarks/ops.py` starts one process for each.

A library is a namespace of functions under common names, with `array` to make an input. NumPy has
no gradients: it is the control of the forward columns.
"""

import argparse
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import harness
import numpy as np

SIDES = {64: 8, 65_536: 256}  # elements -> side of the square inputs
CHAIN = 300

# What is called on the library m and the positive square matrices x, y.
CASES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "exp": lambda m, x, y: m.exp(x),
    "log": lambda m, x, y: m.log(x),
    "tanh": lambda m, x, y: m.tanh(x),
    "sigmoid": lambda m, x, y: m.sigmoid(x),
    "softplus": lambda m, x, y: m.softplus(x),
    "relu": lambda m, x, y: m.relu(x),
    "sqrt": lambda m, x, y: m.sqrt(x),
    "square": lambda m, x, y: m.square(x),
    "-x": lambda m, x, y: -x,
    "x + y": lambda m, x, y: x + y,
    "x * y": lambda m, x, y: x * y,
    "x / y": lambda m, x, y: x / y,
    "x * 2": lambda m, x, y: x * 2,
    "x + y[0]": lambda m, x, y: x + y[0],
    "maximum": lambda m, x, y: m.maximum(x, y),
    "where": lambda m, x, y: m.where(m.mask, x, y),
    "x @ y": lambda m, x, y: x @ y,
    "sum": lambda m, x, y: x.sum(),
    "mean of rows": lambda m, x, y: m.row_mean(x),
    "max of rows": lambda m, x, y: m.row_max(x),
    "softmax": lambda m, x, y: m.softmax(x),
    "x.T": lambda m, x, y: x.T,
    "reshape": lambda m, x, y: x.reshape(-1),
    "x[1:-1]": lambda m, x, y: x[1:-1],
    "concatenate": lambda m, x, y: m.concatenate([x, y]),
    "mse_loss": lambda m, x, y: m.mse_loss(x, y),
    f"chain of {CHAIN}": lambda m, x, y: chain(m, x, y),
}


def chain(m: Any, x: Any, y: Any) -> Any:
    """Return x after CHAIN small ops: a product, a sum, a tanh, again and again."""
    for _ in range(CHAIN // 3):
        x = m.tanh(x * y + y)
    return x


def tinygrad_rl() -> SimpleNamespace:
    """Return this project's functions."""
    import tinygrad_rl as tg
    from tinygrad_rl.nn import functional as F

    def array(values: np.ndarray, requires_grad: bool) -> Any:
        return tg.Tensor(values, requires_grad=requires_grad)

    return SimpleNamespace(
        **{name: getattr(tg, name) for name in ("exp", "log", "tanh", "sqrt", "square")},
        **{name: getattr(tg, name) for name in ("sigmoid", "softplus", "relu")},
        **{name: getattr(tg, name) for name in ("maximum", "where", "concatenate")},
        array=array,
        row_mean=lambda x: x.mean(axis=-1),
        row_max=lambda x: x.max(axis=-1),
        softmax=lambda x: F.softmax(x, axis=-1),
        mse_loss=F.mse_loss,
    )


def torch() -> SimpleNamespace:
    """Return PyTorch's functions."""
    import torch
    import torch.nn.functional as F

    def array(values: np.ndarray, requires_grad: bool) -> Any:
        return torch.tensor(values, requires_grad=requires_grad)

    return SimpleNamespace(
        **{name: getattr(torch, name) for name in ("exp", "log", "tanh", "sqrt", "square")},
        **{name: getattr(torch, name) for name in ("sigmoid", "relu")},
        **{name: getattr(torch, name) for name in ("maximum", "where", "concatenate")},
        array=array,
        softplus=F.softplus,
        row_mean=lambda x: x.mean(dim=-1),
        row_max=lambda x: x.amax(dim=-1),
        softmax=lambda x: torch.softmax(x, -1),
        mse_loss=F.mse_loss,
    )


def numpy() -> SimpleNamespace:
    """Return NumPy's functions, compositions where it has no name for one."""

    def array(values: np.ndarray, requires_grad: bool) -> Any:
        return values.copy()

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    return SimpleNamespace(
        **{name: getattr(np, name) for name in ("exp", "log", "tanh", "sqrt", "square")},
        **{name: getattr(np, name) for name in ("maximum", "where", "concatenate")},
        array=array,
        sigmoid=lambda x: 1 / (1 + np.exp(-x)),
        softplus=lambda x: np.logaddexp(x, np.float32(0)),
        relu=lambda x: np.maximum(x, np.float32(0)),
        row_mean=lambda x: x.mean(-1),
        row_max=lambda x: x.max(-1),
        softmax=softmax,
        mse_loss=lambda x, y: np.mean((x - y) ** 2),
    )


LIBRARIES = {"tinygrad_rl": tinygrad_rl, "torch": torch, "numpy": numpy}


def key(case: str, elements: int, backward: bool) -> str:
    """Return the name of a measurement."""
    return f"{case}, {elements}{', backward' * backward}"


def calls(library: str, threads: int) -> dict[str, Callable[[], object]]:
    """Return every measurement's function; forward alone is on inputs without the flag."""
    if library == "torch":
        import torch

        torch.set_num_threads(threads)
    m = LIBRARIES[library]()
    rng = np.random.default_rng(0)
    result: dict[str, Callable[[], object]] = {}
    for elements, side in SIDES.items():
        x, y = (rng.uniform(0.1, 2, (side, side)).astype(np.float32) for _ in range(2))
        namespace = SimpleNamespace(**vars(m), mask=m.array(x > 1, False))
        for case, function in CASES.items():
            inputs = m.array(x, False), m.array(y, False)
            try:
                function(namespace, *inputs)
            except AttributeError:  # the library has no such op
                continue
            result[key(case, elements, False)] = forward(function, namespace, *inputs)
            if library != "numpy":
                inputs = m.array(x, True), m.array(y, True)
                result[key(case, elements, True)] = backward(function, namespace, *inputs)
    return result


def forward(function: Any, m: SimpleNamespace, x: Any, y: Any) -> Callable[[], object]:
    """Return the call."""
    return lambda: function(m, x, y)


def backward(function: Any, m: SimpleNamespace, x: Any, y: Any) -> Callable[[], object]:
    """Return the call followed by a backward pass from random output gradients."""
    shape = tuple(function(m, x, y).shape)
    values = np.random.default_rng(1).uniform(0.5, 1, shape).astype(np.float32)
    g = m.array(values, False)

    def call() -> None:
        function(m, x, y).backward(g)
        x.grad = y.grad = None

    return call


def main() -> None:
    """Be the worker of one library."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=LIBRARIES, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    harness.use_cores(arguments.threads)
    harness.serve(lambda: calls(arguments.library, arguments.threads))


if __name__ == "__main__":
    main()
