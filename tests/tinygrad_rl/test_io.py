"""Files: what was saved comes back, other programs read it, and damage is named."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import tinygrad_rl as tg
from tinygrad_rl import nn, optim

STATE = {
    "actor": {"0.weight": np.arange(6.0).reshape(2, 3), "0.bias": np.zeros(2, np.float32)},
    "empty": {},
    "": {"a.b": np.float64(2.5)},
    "list": [np.array([True, False]), [], np.zeros((0, 3), np.int32)],
    "plain": {"step": 2**100, "lr": 1e-3, "nan": float("nan"), "name": "π", "no": None, "on": True},
}


def same(got: object, expected: object) -> None:
    if isinstance(expected, dict):
        assert isinstance(got, dict) and list(got) == list(expected)
        for key in expected:
            same(got[key], expected[key])
    elif isinstance(expected, list):
        assert isinstance(got, list) and len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            same(one, other)
    elif isinstance(expected, (np.ndarray, np.generic)):
        assert isinstance(got, tg.Tensor) and not got.requires_grad
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        assert np.array_equal(got.numpy(), expected)
    else:
        assert type(got) is type(expected) and (got == expected or got != got)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.safetensors"


def test_nested_state_comes_back_as_it_was(path: Path) -> None:
    tg.save(path, STATE)
    same(tg.load(path), STATE)
    same(tg.load(str(path)), STATE)


def test_one_tensor_alone_and_tensors_that_are_not_contiguous(path: Path) -> None:
    t = tg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    tg.save(path, {"t": t.T, "reversed": np.arange(4)[::-1]})
    loaded = tg.load(path)
    assert loaded["t"].tolist() == t.T.tolist()
    assert loaded["reversed"].tolist() == [3, 2, 1, 0]
    loaded["t"].zero_()  # memory of its own, and writable


def test_parameters_and_results_are_saved_as_values(path: Path) -> None:
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    tg.save(path, {"w": w, "twice": w * 2})
    state = tg.load(path)
    assert (state["w"].tolist(), state["twice"].tolist()) == ([1.0, 2.0], [2.0, 4.0])
    assert not state["w"].requires_grad


def test_the_safetensors_package_reads_dotted_names(path: Path) -> None:
    tg.save(path, STATE)
    arrays = safetensors.numpy.load_file(path)
    assert sorted(arrays) == [".a.b", "actor.0.bias", "actor.0.weight", "list.0", "list.2"]
    assert np.array_equal(arrays["actor.0.weight"], STATE["actor"]["0.weight"])


def test_a_file_from_elsewhere_loads_flat_and_into_a_module(path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    arrays = {name: np.full(t.shape, 0.5, np.float32) for name, t in net.state_dict().items()}
    safetensors.numpy.save_file(arrays, path)
    net.load_state_dict(tg.load(path))
    assert all((p.numpy() == 0.5).all() for p in net.parameters())


def test_a_file_from_elsewhere_loads_in_its_own_order(path: Path) -> None:
    names = [str(number) for number in range(20)]
    safetensors.numpy.save_file({name: np.ones(2) for name in names}, path)
    assert list(tg.load(path)) == sorted(names)


def test_modules_and_optimizers_continue_where_they_were(path: Path) -> None:
    def training(net: nn.Module, optimizer: optim.Optimizer) -> None:
        for _ in range(3):
            optimizer.zero_grad()
            (net(np.ones((4, 3), np.float32)) ** 2).mean().backward()
            optimizer.step()

    net = nn.Linear(3, 1)
    optimizer = optim.Adam(net, 0.1)
    training(net, optimizer)
    tg.save(path, {"net": net.state_dict(), "optimizer": optimizer.state_dict()})
    training(net, optimizer)
    other = nn.Linear(3, 1)
    other_optimizer = optim.Adam(other, 0.1)
    state = tg.load(path)
    other.load_state_dict(state["net"])
    other_optimizer.load_state_dict(state["optimizer"])
    training(other, other_optimizer)
    assert np.array_equal(net.weight.numpy(), other.weight.numpy())


def test_a_random_generator_continues_where_it_was(path: Path) -> None:
    rng = np.random.default_rng(3)
    rng.random(5)
    tg.save(path, {"replay": {"rng": rng.bit_generator.state, "rows": np.arange(3)}})
    expected = rng.random(4)
    other = np.random.default_rng(4)
    other.bit_generator.state = tg.load(path)["replay"]["rng"]
    assert np.array_equal(other.random(4), expected)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"a": {"b": np.zeros(2, np.float16)}}, TypeError, r"'a\.b'.*float16"),
        ({"a": np.zeros(2, ">f4")}, TypeError, "'a'.*>f4"),
        ({"a": {"b": object()}}, TypeError, r"'a\.b' is an object"),
        ({"a": {1: 2}}, TypeError, "'a' has the key 1"),
        ({"a.b": np.ones(1), "a": {"b": np.ones(1)}}, ValueError, r"called 'a\.b'"),
        ({"__metadata__": np.ones(1)}, ValueError, "can't be called '__metadata__'"),
    ],
)
def test_what_cannot_be_saved_is_named_and_nothing_is_written(path, state, error, message) -> None:
    tg.save(path, {"old": 1})
    with pytest.raises(error, match=message):
        tg.save(path, state)
    assert tg.load(path) == {"old": 1}
    assert [f.name for f in path.parent.iterdir()] == [path.name]


def test_the_same_state_makes_the_same_bytes_which_are_aligned(path: Path) -> None:
    state = {"a": np.zeros(3, np.uint8), "b": np.zeros(3, np.float32), "c": np.zeros(3)}
    written = []
    for _ in range(5):  # what is in a random order can be the same twice
        tg.save(path, state)
        written.append(path.read_bytes())
    assert len(set(written)) == 1
    header, _ = parts(path)
    length = int.from_bytes(written[0][:8], "little")
    for name, array in state.items():
        assert (8 + length + header[name]["data_offsets"][0]) % array.itemsize == 0


def test_numbers_that_belong_into_an_array_are_not_put_into_a_header(path: Path) -> None:
    with pytest.raises(ValueError, match="put numbers into arrays"):
        tg.save(path, {"text": "x" * 20_000_001})
    assert not path.exists()


# -- damage ----------------------------------------------------------------------------------------


def parts(path: Path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def rebuild(path: Path, header: dict, body: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


@pytest.fixture
def saved(path: Path) -> Path:
    tg.save(path, {"net": {"bias": np.ones(4), "weight": np.full((4, 4), 2.0)}})
    return path


@pytest.mark.parametrize("end", [0, 4, 8, 50, -129, -1])
def test_a_file_that_is_cut_off_is_refused(saved: Path, end: int) -> None:
    saved.write_bytes(saved.read_bytes()[:end])
    with pytest.raises(ValueError, match="cut off") as error:
        tg.load(saved)
    assert str(saved) in str(error.value)
    if end in (-129, -1):  # the header is whole: it says whose numbers are missing
        assert "'net." in str(error.value)


def test_every_byte_of_a_tensor_is_under_its_checksum(saved: Path) -> None:
    header, body = parts(saved)
    for name in ("net.bias", "net.weight"):
        for position in (header[name]["data_offsets"][0], header[name]["data_offsets"][1] - 1):
            broken = bytearray(body)
            broken[position] ^= 1
            rebuild(saved, header, bytes(broken))
            with pytest.raises(ValueError, match=f"'{name}' is damaged"):
                tg.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["net.bias"].update(dtype="F16"), "'net.bias' is 'F16'"),
        (lambda h: h["net.bias"].update(dtype="BF16"), "'net.bias' is 'BF16'"),
        (lambda h: h["net.bias"].update(shape=[5]), r"'net.bias' has 32 bytes.*\[5\]"),
        (lambda h: h["net.bias"].update(shape="x"), "'net.bias' is damaged"),
        (lambda h: h["net.bias"].pop("shape"), "'net.bias' is damaged"),
        (lambda h: h.update({"net.other": h.pop("net.bias")}), "'net.bias' is missing"),
    ],
)
def test_a_damaged_header_names_the_entry(saved: Path, change, message: str) -> None:
    header, body = parts(saved)
    change(header)
    rebuild(saved, header, body)
    with pytest.raises(ValueError, match=message):
        tg.load(saved)


@pytest.mark.parametrize("data", [b"", b"text", b"\xff" * 100, b"\x02" + b"\0" * 7 + b"[]"])
def test_a_file_of_something_else_is_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(ValueError, match="no safetensors file"):
        tg.load(path)


def test_a_missing_file_and_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tg.load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        tg.save(tmp_path / "no" / "folder", {})


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"weight": np.zeros((1, 3))}, KeyError, r"missing \['bias'\]"),
        ({"weight": np.zeros((1, 3)), "bias": np.zeros(1), "x": 1}, KeyError, r"unknown \['x'\]"),
        (
            {"weight": np.zeros((3, 1)), "bias": np.zeros(1)},
            ValueError,
            r"'weight' has shape \(3, 1\)",
        ),
        ({"weight": np.zeros((1, 3)), "bias": "x"}, ValueError, "'bias'"),
    ],
)
def test_a_wrong_file_leaves_the_module_as_it_was(path, state, error, message) -> None:
    net = nn.Linear(3, 1)
    before = {name: t.numpy().copy() for name, t in net.state_dict().items()}
    tg.save(path, state)
    with pytest.raises(error, match=message):
        net.load_state_dict(tg.load(path))
    for name, t in net.state_dict().items():
        assert np.array_equal(t.numpy(), before[name])
