"""Memory that NumPy does not own, as state and argument of a jitted function: as in eager mode."""

import array
import ctypes
import mmap
from multiprocessing import shared_memory

import numpy as np
import pytest
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

import tinygrad_rl as tg
from tinygrad_rl.compiler.tracing import TraceError

N = 12
VALUES = np.arange(1.0, N + 1, dtype=np.float32)
ALIVE = []  # what an array lies in but does not know


def mapped(path, mode="r+"):
    VALUES.tofile(path)
    return np.memmap(path, np.float32, mode)


def mapped_and_removed(path):
    numbers = mapped(path)
    path.unlink()
    return numbers


def shared(path):
    memory = shared_memory.SharedMemory(create=True, size=4 * N)
    memory.unlink()
    ALIVE.append(memory)
    return np.ndarray(N, np.float32, buffer=memory.buf)


class Interface:
    """Shows its memory by an address, as libraries do that NumPy knows nothing of."""

    def __init__(self):
        self.memory = (ctypes.c_float * N)()
        where = (ctypes.addressof(self.memory), False)
        self.__array_interface__ = {"shape": (N,), "typestr": "<f4", "data": where, "version": 3}


class Lender:
    """Lends its memory by DLPack: a capsule is the array's owner then."""

    def __init__(self):
        self.numbers = np.zeros(N, np.float32)

    def __dlpack__(self, **how):
        return self.numbers.__dlpack__(**how)

    def __dlpack_device__(self):
        return self.numbers.__dlpack_device__()


@intrinsic
def _pointer(context, address):
    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@njit
def _on(address):
    return carray(_pointer(address), (N,), np.float32)


def without_owner(path):
    ALIVE.append((ctypes.c_float * N)())
    numbers = _on(ctypes.addressof(ALIVE[-1]))
    assert numbers.base is None and not numbers.flags.owndata
    return numbers


def by_pointer(path):
    ALIVE.append((ctypes.c_float * N)())
    pointer = ctypes.cast(ALIVE[-1], ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(pointer, (N,))


KINDS = {
    "memmap": mapped,
    "memmap, copied on write": lambda path: mapped(path, "c"),
    "memmap of a file that is gone": mapped_and_removed,
    "shared memory": shared,
    "bytearray": lambda path: np.frombuffer(bytearray(4 * N), np.float32),
    "array.array": lambda path: np.frombuffer(array.array("f", VALUES), np.float32),
    "mmap": lambda path: np.frombuffer(mmap.mmap(-1, 4 * N), np.float32),
    "memoryview": lambda path: np.asarray(memoryview(bytearray(4 * N)).cast("f")),
    "ndarray on a buffer": lambda path: np.ndarray(N, np.float32, bytearray(4 * N)),
    "ctypes": lambda path: np.ctypeslib.as_array((ctypes.c_float * N)()),
    "a pointer of ctypes": by_pointer,
    "an address": lambda path: np.asarray(Interface()),
    "DLPack": lambda path: np.from_dlpack(Lender()),
    "nobody": without_owner,
    "odd addresses": lambda path: np.frombuffer(bytearray(4 * N + 1), np.float32, N, 1),
    "a field": lambda path: np.frombuffer(bytearray(5 * N), [("a", "u1"), ("b", "f4")])["b"],
}
VIEWS = {
    "offset": lambda a: a[5:],
    "strided": lambda a: a[-2::-3],
    "transposed": lambda a: a.reshape(3, 4).T,
}


@pytest.fixture(params=KINDS)
def memory(request, tmp_path):
    """Foreign memory with numbers in it; what it lies in is closed after the test."""
    numbers = KINDS[request.param](tmp_path / "numbers")
    numbers[...] = VALUES
    yield numbers
    ALIVE.clear()


def training(w):
    """A step that reads and writes its state w."""
    optimizer = tg.optim.Adam([w.requires_grad_()], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = ((w * x - 1) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("view", VIEWS)
def test_state_in_foreign_memory_is_read_and_written_there(memory, view):
    lent = VIEWS[view](memory)
    own = lent.copy()
    compiled, eager = tg.jit(training(tg.from_numpy(lent))), training(tg.from_numpy(own))
    for k in range(4):
        lent[...] += 1  # from outside, as another process would
        own[...] += 1
        x = np.float32(k + 1)
        np.testing.assert_allclose(compiled(x).numpy(), eager(tg.Tensor(x)).numpy(), rtol=1e-5)
        np.testing.assert_allclose(lent, own, rtol=1e-5)
    assert compiled.cache_info().traces == 1


@pytest.mark.parametrize("view", ["offset", "strided"])
def test_arguments_in_foreign_memory(memory, view):
    lent = VIEWS[view](memory)
    product = tg.jit(lambda x, w: (x * w, x.sum(), (x.reshape(1, -1) * 2).max()))
    written = tg.jit(lambda x: x.mul_(2) + 1)
    for x in (lent, np.broadcast_to(lent, (9000, *lent.shape))):  # copied, or read where it lies
        for a, b in zip(
            product(tg.from_numpy(x), tg.Tensor(lent)),
            product._function(tg.Tensor(x), tg.Tensor(lent)),
            strict=True,
        ):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)
    for _ in range(2):
        before = lent.copy()
        np.testing.assert_array_equal(written(tg.from_numpy(lent)).numpy(), before * 2 + 1)
        np.testing.assert_array_equal(lent, before * 2)


def test_a_gradient_kept_in_foreign_memory(memory):
    w = tg.Tensor(VALUES, requires_grad=True)
    w.grad = tg.from_numpy(memory)
    backward = tg.jit(lambda x: (w * x).sum().backward())
    for k in (1, 2, 3):
        backward(np.ones(N, np.float32))
        np.testing.assert_array_equal(w.grad.numpy(), VALUES + k)


def names(memory):
    """Other arrays on the same memory, that know no common owner."""
    address = memory.__array_interface__
    yield "the same array", memory
    yield "a view", memory[2:5]
    if memory.flags.c_contiguous:
        yield "another buffer", np.frombuffer(memoryview(memory), np.uint8).view(np.float32)

        class Again:
            __array_interface__ = {**address, "shape": (N,), "strides": None}
            keeps = memory

        yield "an address", np.asarray(Again())


def test_an_argument_that_lies_in_a_written_state_is_refused_by_whatever_name(memory):
    state = tg.from_numpy(memory)

    @tg.jit
    def f(x):
        state.add_(1)
        return x * 2

    for length in (N, 3):
        f(np.zeros(length, np.float32))
    before = memory.copy()
    for name, other in names(memory):
        with pytest.raises(TraceError, match="share memory"):
            f(tg.from_numpy(other))
        np.testing.assert_array_equal(memory, before, err_msg=name)


@pytest.mark.parametrize("kind", ["memoryview", "address", "DLPack"])
def test_foreign_memory_that_is_some_arrays_own_is_no_other_memory(kind):
    own = np.zeros(N, np.float32)
    other = {
        "memoryview": lambda: np.frombuffer(memoryview(own), np.float32),
        "address": lambda: np.asarray(type("A", (), {**_interface(own), "keeps": own})()),
        "DLPack": lambda: np.from_dlpack(own),
    }[kind]()
    for a, b in ((own, other), (other, own)):
        state = tg.from_numpy(a)

        @tg.jit
        def f(x, state=state):
            state.add_(1)
            return x * 2

        f(np.zeros(N, np.float32))
        before = own.copy()
        with pytest.raises(TraceError, match="share memory"):
            f(tg.from_numpy(b))
        np.testing.assert_array_equal(own, before)


def _interface(array):
    return {"__array_interface__": array.__array_interface__}


def test_two_states_in_the_same_foreign_memory(memory):
    first, second = tg.from_numpy(memory[:5]), tg.from_numpy(memory[4:])
    with pytest.raises(TraceError, match="share memory"):
        tg.jit(lambda: first.add_(second.sum()))()
    apart, rest = tg.from_numpy(memory[:5]), tg.from_numpy(memory[5:])
    before = memory.copy()
    tg.jit(lambda: apart.add_(rest.sum()))()
    np.testing.assert_allclose(memory[:5], before[:5] + before[5:].sum())


@pytest.mark.parametrize("kind", ["bytes", "memmap", "flag", "broadcast"])
def test_read_only_memory_is_read_and_never_written(kind, tmp_path):
    numbers = {
        "bytes": lambda: np.frombuffer(VALUES.tobytes(), np.float32),
        "memmap": lambda: mapped(tmp_path / "numbers", "r"),
        "flag": lambda: np.frombuffer(bytearray(VALUES.tobytes()), np.float32),
        "broadcast": lambda: np.broadcast_to(np.float32(2), (N,)),
    }[kind]()
    numbers.flags.writeable = False
    state, count = tg.from_numpy(numbers), tg.Tensor(0.0)
    assert tg.jit(lambda x: (x + state).sum())(np.float32(1)).item() == (numbers + 1).sum()

    def write(x):
        count.add_(1)
        state.add_(x)

    def write_argument(x):
        count.add_(1)
        x.add_(1)

    before = numbers.copy()
    with pytest.raises(RuntimeError, match="read-only"):
        tg.jit(write)(np.float32(1))
    jitted = tg.jit(write_argument)
    jitted(tg.Tensor(VALUES))
    with pytest.raises(RuntimeError, match="read-only"):
        jitted(state)
    assert count.item() == 1 and np.array_equal(numbers, before)


def test_swapped_bytes_are_refused_by_name():
    with pytest.raises(TypeError, match=r">f4 is not supported"):
        tg.from_numpy(VALUES.astype(">f4"))
    with pytest.raises(TypeError, match=r">f4 is not supported"):
        tg.jit(lambda x: x * 2)(VALUES.astype(">f4"))


# -- memory that goes away -------------------------------------------------------------------------


def test_the_owner_lives_as_long_as_the_compiled_form(tmp_path):
    def make():
        state = tg.from_numpy(mapped_and_removed(tmp_path / "numbers"))
        return tg.jit(lambda x: state.add_(x).sum())

    step = make()
    total = VALUES.sum()
    for _ in range(3):
        total += N
        assert step(np.float32(1)).item() == total


def closed_memmap(path):
    numbers = mapped(path)
    return numbers, numbers.base.close


def closed_shared_memory(path):
    memory = shared_memory.SharedMemory(create=True, size=4 * N)
    memory.unlink()
    return np.ndarray(N, np.float32, buffer=memory.buf), memory.close


def moved_mmap(path):
    memory = mmap.mmap(-1, 4 * N)
    return np.ndarray(N, np.float32, buffer=memory), lambda: memory.resize(1 << 24)


def emptied_bytearray(path):
    memory = bytearray(4 * N)
    return np.ndarray(N, np.float32, buffer=memory), memory.clear


def emptied_array(path):
    memory = array.array("f", VALUES)
    return np.ndarray(N, np.float32, buffer=memory), lambda: memory.extend([0.0] * 10**6)


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize(
    "make",
    [closed_memmap, closed_shared_memory, moved_mmap, emptied_bytearray, emptied_array],
)
def test_memory_that_was_closed_or_moved_is_refused_at_the_next_call(make, written, tmp_path):
    numbers, close = make(tmp_path / "numbers")
    numbers[...] = VALUES
    state, count = tg.from_numpy(numbers), tg.Tensor(0.0)

    @tg.jit
    def step(x):
        count.add_(1)
        return (state.add_(x) if written else state + x).sum()

    assert step(np.float32(1)).item() == VALUES.sum() + N
    close()  # NumPy lets it happen
    for _ in range(2):
        with pytest.raises(RuntimeError, match="memory of state belongs to a"):
            step(np.float32(1))
    assert count.item() == 1
