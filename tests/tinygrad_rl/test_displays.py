"""What tensors, programs and backward traces show of themselves in a notebook."""

import time

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.ddpg.pages import Page


def shown(thing) -> str:
    """The text of what a notebook shows, whose tags are closed in order."""
    return "".join(Page(thing._repr_html_()).text)


def result(x):
    return x * (2 if 1 < 3 else 0)


def constant(x):
    with tg.no_grad():
        return x * 2


def never_trained(x):
    return tg.Tensor(x.detach()).requires_grad_().requires_grad_(False)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda x: x, "Tensor shape (2,), float32, requires a gradient; a leaf"),
        (result, "requires a gradient; result of mul in x * (2 if 1 < 3 else 0)"),
        (lambda x: tg.Tensor([1, 2]), "Tensor shape (2,), int64; a leaf"),
        (lambda x: x.detach(), "Tensor shape (2,), float32; a leaf, detached in x.detach()"),
        (constant, "Tensor shape (2,), float32; a leaf, no_grad in x * 2"),
        (never_trained, "float32; a leaf, frozen in tg.Tensor(x.detach())"),
        (lambda x: tg.Tensor([1.0]) * 2, "Tensor shape (1,), float32; result of mul, not recorded"),
    ],
)
def test_tensor_says_what_it_is_and_where_it_comes_from(made, said):
    assert said in shown(made(tg.Tensor([1.0, 2.5], requires_grad=True)))


def test_tensor_shows_its_values():
    assert shown(tg.Tensor([[1.0, 2.5], [3.0, 4.0]])).endswith("[[1. , 2.5],\n [3. , 4. ]]")


def test_large_tensor_is_abbreviated_and_shown_as_quickly_as_its_repr():
    big = tg.zeros(2_500_000)  # 10 MB

    def seconds(show):
        start = time.perf_counter()
        show()
        return time.perf_counter() - start

    html, text = (min(seconds(show) for _ in range(20)) for show in (big._repr_html_, big.__repr__))
    assert shown(big).endswith("[0., 0., 0., ..., 0., 0., 0.]")
    assert html < 3 * text


def test_tensor_in_a_trace_shows_no_values():
    seen = []

    @tg.jit
    def step(x):
        seen.append(shown(x))
        return x * 2

    step(tg.Tensor([1.0, 2.0]))
    assert seen[0].endswith("a leaf...")


def test_program_is_its_listing():
    @tg.jit
    def step(x):
        return tg.maximum(x @ x, 0.0).sum()

    step(tg.Tensor(np.eye(2, dtype=np.float32)))
    program = step.program()
    assert shown(program) == f"Program 3 instructions, 16 FLOPs in matrix products{program}"
    assert str(program) == program.listing()
    assert repr(program) == "Program(step, 3 instructions)"


def test_backward_trace_is_its_page():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    trace = tg.trace_backward((x * x).sum() * (2 if 1 < 3 else 0))
    assert shown(trace) == str(trace)
    assert "1 < 3" in shown(trace)
    assert repr(trace) == "BackwardTrace(3 steps, x)"


def test_code_is_escaped():
    x = tg.Tensor([1.0, 5.0], requires_grad=True)
    masked = x * (x < 3.0)
    for shown in (tg.trace_backward(masked.sum()), masked):
        html = shown._repr_html_()
        assert "x * (x &lt; 3.0)" in html
        assert "x < 3.0" not in html
