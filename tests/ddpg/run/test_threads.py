import pytest
from threadpoolctl import threadpool_info

import tinygrad_rl as tg
from ddpg.run.threads import limited_threads


def blas_threads():
    return {i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}


def test_compiled_functions_and_numpy_are_limited_inside_the_block_only():
    before = tg.get_num_threads(), blas_threads()
    with limited_threads(1):
        assert (tg.get_num_threads(), blas_threads()) == (1, {1})
    with pytest.raises(KeyError), limited_threads(before[0] + 1):
        assert tg.get_num_threads() == before[0] + 1
        raise KeyError
    assert (tg.get_num_threads(), blas_threads()) == before
