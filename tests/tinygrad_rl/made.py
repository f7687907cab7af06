"""What tests of gradients begin with, and compare."""

import inspect

import numpy as np

import tinygrad_rl as tg


def leaf(*values: float) -> tg.Tensor:
    return tg.Tensor(np.array(values), requires_grad=True)


def line(offset: int = 0) -> str:
    """`file.py:12` of the caller's line, or one so many lines from it."""
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    return f"{frame.f_back.f_code.co_filename}:{frame.f_back.f_lineno + offset}"


def close(tensor: tg.Tensor | None, expected: object) -> None:
    assert tensor is not None
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-12)
