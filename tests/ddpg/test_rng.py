import numpy as np
import pytest

from ddpg import rng
from ddpg.errors import UsageError


def draws(seeds):
    return [rng.generator(seed).random(3).tolist() for seed in seeds]


def test_same_seed_same_streams_however_often_it_is_spawned():
    parent = rng.spawn(5, 1)[0]
    assert draws(rng.spawn(5, 3)) == draws(rng.spawn(5, 3))
    assert draws(rng.spawn(parent, 2)) == draws(rng.spawn(parent, 2))


def test_streams_and_seeds_differ():
    drawn = draws([*rng.spawn(5, 3), *rng.spawn(6, 3), *rng.spawn(rng.spawn(5, 1)[0], 2)])
    assert len({tuple(d) for d in drawn}) == 8


def test_integer_seed_is_one_that_gymnasium_takes():
    seed = rng.as_integer(rng.spawn(5, 1)[0])
    assert seed == rng.as_integer(rng.spawn(5, 1)[0])
    assert 0 <= seed < 2**32


def test_saved_state_continues_even_inside_a_half_used_word():
    source = rng.generator(np.random.SeedSequence(1))
    # A 32-bit draw leaves the other half of a 64-bit word behind.
    source.integers(10, size=1, dtype=np.uint32)
    state = rng.get_state(source)
    expected = source.integers(10, size=7, dtype=np.uint32).tolist(), source.random(3).tolist()
    other = rng.generator(np.random.SeedSequence(2))
    rng.set_state(other, state)
    found = other.integers(10, size=7, dtype=np.uint32).tolist(), other.random(3).tolist()
    assert found == expected


GOOD = [2**64 - 1, 0, 0, 1, 1, 2**32 - 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (np.zeros(6, np.uint64), "6 numbers of uint64"),
        (np.uint64(0), "6 numbers of uint64"),
        ("123456", "6 numbers of uint64"),
        ({}, "6 numbers of uint64"),
        (GOOD[:5], "6 numbers of uint64"),
        ([*GOOD[:5], 0.0], "6 numbers of uint64"),
        ([*GOOD[:4], True, 0], "6 numbers of uint64"),
        ([*GOOD[:5], None], "6 numbers of uint64"),
        ([2**64, *GOOD[1:]], "6 numbers of uint64"),
        ([-1, *GOOD[1:]], "6 numbers of uint64"),
        ([*GOOD[:3], 2, *GOOD[4:]], "increment 2"),
        ([*GOOD[:4], 2, 0], "2 spare half words"),
        ([*GOOD[:5], 2**32], "1 spare half words, 4294967296"),
    ],
)
def test_impossible_state_is_refused_and_changes_nothing(words, message):
    source = rng.generator(np.random.SeedSequence(1))
    rng.set_state(source, GOOD)
    with pytest.raises(UsageError, match=message):
        rng.set_state(source, words)
    assert rng.get_state(source) == GOOD
