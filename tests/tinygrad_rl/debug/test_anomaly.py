"""The NaN autopsy names the op, the line, the position and the operands."""

import inspect
import re
import threading

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl import core


def here() -> str:
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    return f"{frame.f_back.f_code.co_filename}:{frame.f_back.f_lineno}"


def autopsy(fn) -> str:
    with pytest.raises(FloatingPointError) as error, tg.detect_anomaly():
        fn()
    return str(error.value)


def test_the_first_op_is_named_with_line_position_and_operands() -> None:
    places = []

    def forward() -> None:
        a, b = tg.Tensor([[1.0, 2.0], [3.0, 0.0]]), tg.Tensor([4.0, 0.0])
        places.append(here())
        quotient = a / b
        (quotient * 2).sum()

    said = autopsy(forward)
    file, _, number = places[0].rpartition(":")
    assert f"called at {file}:{int(number) + 1}" in said
    assert "'div' made inf at (0, 1) (2 of 4 entries)" not in said  # a NaN counts before infinities
    assert "'div' made nan at (1, 1) (1 of 4 entries)" in said
    assert "a = 0.0  float32, shape (2, 2)" in said and "b = 0.0  float32, shape (2,)" in said


def test_an_infinity_is_named() -> None:
    said = autopsy(lambda: tg.log(tg.Tensor([1.0, 0.0])))
    assert "'log' made -inf at (1,)" in said and "x = 0.0" in said


def test_backward_names_the_forward_op_and_its_line_too() -> None:
    x = tg.Tensor([4.0, 0.0], requires_grad=True)
    with pytest.raises(FloatingPointError) as error, tg.detect_anomaly():
        first = here()
        y = x.sqrt()
        y.sum().backward()
    said = str(error.value)
    assert "'sqrt.vjp_x' made inf at (1,)" in said
    file, _, number = first.rpartition(":")
    forward, backward = f"{file}:{int(number) + 1}", f"{file}:{int(number) + 2}"
    assert re.search(
        rf"called at {re.escape(backward)}:\d+, in the backward of 'sqrt', which was called at "
        rf"{re.escape(forward)}:\d+",
        said,
    )
    assert "g = 1.0" in said and "y = 0.0" in said
    assert x.grad is None


def test_a_forward_op_after_a_backward_is_not_blamed_on_it() -> None:
    x = tg.Tensor([4.0], requires_grad=True)

    def step() -> None:
        x.sqrt().sum().backward()
        tg.log(tg.Tensor([0.0]))

    assert "in the backward" not in autopsy(step)


def test_an_op_that_is_not_elementwise_shows_the_range_of_its_operands() -> None:
    big = np.full((2, 2), 1e200)
    with np.errstate(over="ignore"):
        said = autopsy(lambda: tg.Tensor(big) @ tg.Tensor(big))
    assert "'matmul' made inf" in said and "1e+200 to 1e+200, float64, shape (2, 2)" in said


def test_a_nan_from_outside_is_reported_as_such() -> None:
    reward = tg.Tensor([1.0, float("nan")])
    said = autopsy(lambda: reward * 2)
    assert "'mul' was given a NaN" in said and "at (1,)" in said


def test_infinities_that_are_passed_on_are_allowed_and_their_difference_is_not() -> None:
    mask = tg.Tensor([0.0, -np.inf])
    with tg.detect_anomaly():
        assert (tg.Tensor([1.0, 2.0]) + mask).exp().tolist()[1] == 0.0
    assert "made nan" in autopsy(lambda: mask - mask)


def test_integers_and_empty_tensors_are_fine() -> None:
    with tg.detect_anomaly():
        (tg.Tensor([1, 2]) * 3).sum()
        (tg.Tensor([]) * 3).sum()


def test_it_ends_with_the_block_and_belongs_to_one_thread() -> None:
    with tg.detect_anomaly():
        seen = []
        thread = threading.Thread(target=lambda: seen.append(tg.log(tg.Tensor([0.0]))))
        thread.start()
        thread.join()
        assert len(seen) == 1
    tg.log(tg.Tensor([0.0]))
    assert core.mode.observers == ()
