"""New tensors: what NumPy makes, in float32 unless said otherwise; random ones repeat exactly."""

import numpy as np
import pytest

import tinygrad_rl as tg

CREATED = [
    (tg.zeros(2, 3), np.zeros((2, 3), np.float32)),
    (tg.zeros((2, 3), dtype=np.int64), np.zeros((2, 3), np.int64)),
    (tg.zeros(()), np.zeros((), np.float32)),
    (tg.ones(0, 3), np.ones((0, 3), np.float32)),
    (tg.full((2,), 7.5), np.full(2, 7.5, np.float32)),
    (tg.full((2,), 7), np.full(2, 7)),
    (tg.full(2, np.float64(7)), np.full(2, 7.0)),
    (tg.full((2, 2), [1.0, 2.0]), np.full((2, 2), [1.0, 2.0], np.float32)),
    (tg.zeros_like(np.ones((2, 1))), np.zeros((2, 1))),
    (tg.ones_like(tg.arange(3)), np.ones(3, np.int64)),
    (tg.full_like(tg.zeros(3), 2, dtype=bool), np.full(3, True)),
    (tg.arange(4), np.arange(4)),
    (tg.arange(1, 8, 3), np.arange(1, 8, 3)),
    (tg.arange(0.0, 1.0, 0.25), np.arange(0, 1, 0.25, np.float32)),
    (tg.arange(3, dtype=np.float64), np.arange(3.0)),
    (tg.linspace(0, 1, 11), np.linspace(0, 1, 11, dtype=np.float32)),
    (tg.linspace(0, 1, 3, dtype=np.float64), np.linspace(0, 1, 3)),
    (tg.eye(3), np.eye(3, dtype=np.float32)),
    (tg.eye(2, 3, dtype=np.float64), np.eye(2, 3)),
]


@pytest.mark.parametrize("actual, expected", CREATED)
def test_created_tensors_are_numpys(actual, expected):
    assert actual.dtype == expected.dtype
    assert not actual.requires_grad
    np.testing.assert_array_equal(actual, expected, strict=True)


def test_created_tensors_can_require_a_gradient():
    generator = np.random.default_rng(0)
    for t in (
        tg.zeros(2, requires_grad=True),
        tg.full((2,), 1.0, requires_grad=True),
        tg.linspace(0, 1, 2, requires_grad=True),
        tg.randn(2, generator=generator, requires_grad=True),
    ):
        assert t.requires_grad
        assert t.is_leaf
    with pytest.raises(TypeError, match="only floats"):
        tg.arange(3, requires_grad=True)
    with pytest.raises(TypeError, match="not supported"):
        tg.zeros(2, dtype=np.complex128)


def test_random_tensors_come_from_the_callers_generator():
    a, b = (np.random.default_rng(5) for _ in range(2))
    for make in (tg.rand, tg.randn):
        first, second = make(3, 4, generator=a), make((3, 4), generator=b)
        np.testing.assert_array_equal(first, second, strict=True)
        assert first.dtype == np.float32
    assert tg.randn(2, generator=a, dtype=np.float64).dtype == np.float64
    numbers = tg.randint(-2, 3, 1000, generator=a)
    assert set(numbers.tolist()) == {-2, -1, 0, 1, 2}
    assert sorted(tg.randperm(9, generator=a).tolist()) == list(range(9))
    uniform = tg.rand(1000, generator=a)
    assert 0 <= uniform.min().item() < 0.01 < 0.99 < uniform.max().item() < 1
    assert tg.randn(10_000, generator=a).std().item() == pytest.approx(1, abs=0.05)


def test_a_seed_or_the_global_state_is_no_generator():
    for bad in (0, np.random, None):
        with pytest.raises(TypeError, match="default_rng"):
            tg.rand(2, generator=bad)
    with pytest.raises(TypeError):
        tg.rand(2)
