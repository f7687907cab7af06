"""No damage loads: every bit is under a checksum, and no file can cost more than a line of text."""

import json
import os
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rl as tg

STATE = {
    "net": {"0.bias": np.array([1.5, -2.0], np.float32), "on": np.array([True, False])},
    "rng": [2**127 + 5, 0],
    "none": [{}, None, 0.1, "é"],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.safetensors"


def plain(state: Any) -> Any:
    """Comparable to the last bit and type."""
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items()}
    if isinstance(state, list):
        return [plain(value) for value in state]
    if isinstance(state, tg.Tensor):
        return str(state.dtype), state.shape, state.numpy().tobytes()
    return type(state), state


def refused(path: Path) -> str:
    """The message, which is one line that names the file; of no other error than these."""
    with pytest.raises(ValueError) as error:
        tg.load(path)
    message = str(error.value)
    assert str(path) in message and "\n" not in message and len(message) < 1000
    return message


def overwrite(path: Path, data: bytes) -> None:
    """In place: to make files anew thousands of times takes many seconds on some file systems."""
    with path.open("r+b", buffering=0) as file:
        file.write(data)
        file.truncate()


def test_no_flipped_bit_loads(path: Path) -> None:
    tg.save(path, STATE)
    data = path.read_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        overwrite(path, bytes(flipped))
        refused(path)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    a, b = sorted(rng.integers(len(data) + 1, size=2).tolist())
    one, other = rng.integers(len(data), size=2).tolist()
    swapped = bytearray(data)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    b = min(b, a + int(rng.integers(1, 100)))
    return [
        data[:one] + rng.bytes(1) + data[one + 1 :],
        data[:a] + data[b:],
        data[:b] + data[a:b] + data[b:],
        data[:a],
        bytes(swapped),
        data[:a] + bytes(b - a) + data[b:],
        data[:a] + rng.bytes(b - a) + data[a:],
    ][rng.integers(7)]


def test_two_thousand_mutations_are_refused_or_load_what_was_saved(
    path: Path, rng: np.random.Generator
) -> None:
    tg.save(path, STATE)
    data, expected = path.read_bytes(), plain(tg.load(path))
    refusals = 0
    for _ in range(2000):
        overwrite(path, mutated(data, rng))
        try:
            assert plain(tg.load(path)) == expected
        except ValueError:
            refused(path)
            refusals += 1
    assert refusals > 1800  # the others changed nothing


# -- hostile files ---------------------------------------------------------------------------------


def write(path: Path, header: Any, body: bytes = b"", length: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if length is None else length
    path.write_bytes(length.to_bytes(8, "little") + text + body)


def entry(shape: Any, begin: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 5_000 + b'],"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},' * 2 + b'"b":0}',
        b'{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        b"\xff\xfe{\0}\0",
        '{"__metadata__":{}}'.encode("utf-16"),
        b"[]",
        b"null",
        b"",
    ],
)
def test_a_header_that_is_no_header(path: Path, text: bytes) -> None:
    write(path, text, bytes(8))
    assert "no safetensors file" in refused(path)


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**40, 20_000_001, 12, 0])
def test_a_header_of_another_length_than_it_says(path: Path, length: int) -> None:
    write(path, {"a": entry([2], 0, 8)}, bytes(8), length)
    refused(path)


def test_no_file_is_read_beyond_what_its_header_lists(path: Path) -> None:
    write(path, {"a": entry([2], 0, 8)}, bytes(8))
    os.truncate(path, 2**36)  # 64 GB of nothing
    assert "goes on for" in refused(path)
    write(path, b'{"a":' + b" " * 20_000_000 + b"0}")  # a header that is refused by its length
    refused(path)


@pytest.mark.parametrize(
    "wrong",
    [
        entry([-2], 0, 8),
        entry([-1, -2], 0, 8),
        entry([2.0], 0, 8),
        entry([float("nan")], 0, 8),
        entry([float("-inf")], 0, 8),
        entry([True, 2], 0, 8),
        entry(["2"], 0, 8),
        entry([[2]], 0, 8),
        entry({}, 0, 4),
        entry(None, 0, 4),
        entry([2], 0, 8, None),
        entry([2], 0, 8, ["F32"]),
        entry([2], False, 8),
        entry([2], 0, 8.0),
        entry([2], -8, 0),
        entry([2], 8, 0),
        entry([2], 2**63, 2**63 + 8),
        entry([1] * 65 + [2], 0, 8),
        entry([10**4000] * 64, 0, 8),
        entry([2**63, 0], 0, 0),
        {**entry([2], 0, 8), "data_offsets": [0]},
        {**entry([2], 0, 8), "data_offsets": "08"},
        {},
        [],
        None,
        7,
    ],
)
def test_an_entry_that_is_none(path: Path, wrong: Any) -> None:
    write(path, {"the name\n": wrong}, bytes(8))
    assert r"'the name\n' is damaged" in refused(path)


@pytest.mark.parametrize(
    ("entries", "name"),
    [
        ([entry([4], 0, 16), entry([4], 0, 16)], "[ab]"),
        ([entry([2], 0, 8), entry([3], 4, 16)], "b"),
        ([entry([1], 0, 4), entry([2], 8, 16)], "b"),
        ([entry([2], 8, 16)], "a"),
    ],
)
def test_gaps_and_overlaps_which_the_library_finds(
    path: Path, entries: list[Any], name: str
) -> None:
    write(path, dict(zip("ab", entries, strict=False)), bytes(16))
    assert re.search(f"is damaged: .*offset.*\\W{name}\\W", refused(path), re.IGNORECASE)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry([2], 0, 8), entry([3], 8, 20)], "'b' ends at byte 20 of 16"),
        ([entry([2**50], 0, 2**52)], "'a' ends at byte 4503599627370496 of 16"),
        ([entry([2], 0, 8)], "goes on for 8 bytes after its end"),
        ([], "goes on for 16 bytes after its end"),
        ([entry([3], 0, 16)], "'a' has 16 bytes, too few or many"),
        ([entry([4], 0, 16, "F" * 10_000)], "'a' is 'FFFF"),
        ([entry([16], 0, 16, "BOOL")], "'a' is BOOL and holds something other"),
    ],
)
def test_tensors_fill_the_file(path: Path, entries: list[Any], message: str) -> None:
    write(path, dict(zip("ab", entries, strict=False)), b"\2" * 16)
    assert message in refused(path)


def test_what_the_library_says_is_one_line_whatever_the_file_calls_its_entries(path: Path) -> None:
    write(path, {"b\n" * 5_000: entry([2], 8, 16)}, bytes(16))
    assert r"\nb" in refused(path)
    write(path, {"a": {**entry([2], 0, 8), "more": float("nan")}}, bytes(8))
    assert "is damaged" in refused(path)


def test_dimensions_that_numpy_cannot_have(path: Path) -> None:
    write(path, {"a": entry([2**62, 0], 0, 0)})
    assert "'a' is damaged" in refused(path)


def test_a_file_that_is_too_large_for_the_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would end the process; before that NumPy is asked for as much."""

    def full(*args: object) -> None:
        raise MemoryError

    tg.save(path, {"a": 1})
    size = path.stat().st_size
    monkeypatch.setattr(np, "empty", full)
    assert f"has {size} bytes, too many for the memory" in refused(path)
    with pytest.raises(MemoryError):
        tg.save(path, {"a": 2})
    monkeypatch.undo()
    assert tg.load(path) == {"a": 1}


@pytest.mark.parametrize("metadata", [None, [], "x", 3, {"format": 1}, {"a": {}}, {"a": None}])
def test_metadata_that_is_none(path: Path, metadata: Any) -> None:
    write(path, {"__metadata__": metadata, "a": entry([2], 0, 8)}, bytes(8))
    assert "'__metadata__' is damaged" in refused(path)


def test_foreign_metadata_is_no_obstacle(path: Path) -> None:
    write(path, {"__metadata__": {"format": "np"}, "a.b": entry([2], 0, 8)}, bytes(8))
    assert plain(tg.load(path)) == {"a.b": ("float32", (2,), bytes(8))}
    write(path, {"__metadata__": {"about": "like tinygrad_rl"}, "a.b": entry([2], 0, 8)}, bytes(8))
    assert plain(tg.load(path)) == {"a.b": ("float32", (2,), bytes(8))}
    write(path, {})
    assert tg.load(path) == {}


def forged(path: Path, tree: Any, **metadata: str) -> None:
    """A file of ours with this tree and a right checksum, which has one tensor, `a`, of two 0."""
    text = tree if isinstance(tree, str) else json.dumps(tree)
    checksum = zlib.crc32(text.encode("utf-8", "surrogatepass"))
    ours = {"tinygrad_rl": f'["tinygrad_rl", {checksum}, {text}]'}
    write(path, {"__metadata__": ours | metadata, "a": entry([2], 0, 8)}, bytes(8))


A = ["tensor", "a", "F32", [2], zlib.crc32(bytes(8))]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (["dict", 3], "the entry '' of the metadata is damaged"),
        (["dict", {"x": ["list", {}]}], "the entry 'x' of the metadata is damaged"),
        (["dict", {"x": ["list", [["set", []]]]}], "the entry 'x.0' of the metadata is damaged"),
        (["list", [["value"]]], "the entry '0' of the metadata is damaged"),
        (["list", [["value", 1, 2]]], "the entry '0' of the metadata is damaged"),
        (["list", [["value", [1]]]], "the entry '0' of the metadata is damaged"),
        (["list", [["tensor"]]], "the entry '0' of the metadata is damaged"),
        (["list", [["tensor", ["a"]]]], "the entry '0' of the metadata is damaged"),
        ([], "the entry '' of the metadata is damaged"),
        (None, "the entry '' of the metadata is damaged"),
        (7, "the entry '' of the metadata is damaged"),
        ("", "the metadata"),
        ('"\ud800"', "is damaged"),
        ('"\\ud800"', "the entry '' of the metadata is damaged"),
        ('["dict", {"x": ["value", 1], "x": ["value", 2]}]', "the metadata"),
        ('["value", ' + "9" * 5_000 + "]", "the metadata"),
        ('["list", [' * 100_000 + "]]" * 100_000, "the metadata"),
        (["dict", {}], "the entry 'a' is unknown"),
        (["list", [A, A]], "the entry 'a' is missing"),
        (["list", [A, ["tensor", "b\n"]]], r"the entry 'b\n' is missing"),
        (["tensor", "a"], "the entry 'a' is damaged"),
        (["tensor", "a", *A[2:], 0], "the entry 'a' is damaged"),
        (["tensor", "a", "I32", *A[3:]], "the entry 'a' is damaged"),
        (["tensor", "a", "F32", [1, 2], A[4]], "the entry 'a' is damaged"),
        (["tensor", "a", "F32", [2], 7], "the entry 'a' is damaged"),
        (["tensor", "a", "F32", [2], str(A[4])], "the entry 'a' is damaged"),
    ],
)
def test_a_tree_that_is_none(path: Path, tree: Any, message: str) -> None:
    forged(path, tree)
    assert message in refused(path)


@pytest.mark.parametrize("depth", [300, 450, 480, 500, 1000])
def test_a_tree_that_is_deeper_than_python_can_go(path: Path, depth: int) -> None:
    forged(path, '["list", [' * depth + "]]" * depth)  # and `a` stands nowhere in it
    refused(path)


def test_metadata_of_a_file_of_ours_is_ours_alone(path: Path) -> None:
    forged(path, A)
    assert plain(tg.load(path)) == ("float32", (2,), bytes(8))
    forged(path, A, more="x")
    assert "metadata" in refused(path)
    text = json.dumps(["tinygrad_rl", zlib.crc32(json.dumps(A).encode()), A])
    for key, value in (  # one mark without the other
        ("tinygrad_rm", text),
        ("tinygrad_rl", text.replace("rl", "rm")),
        ("tinygrad_rl", ""),
        ("tinygrad_rl", "[]"),
    ):
        write(path, {"__metadata__": {key: value}, "a": entry([2], 0, 8)}, bytes(8))
        assert "metadata" in refused(path)


def test_only_files_that_can_be_read_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "a pipe" in refused(tmp_path / "pipe")
    assert "a device" in refused(Path("/dev/zero"))
    with pytest.raises(IsADirectoryError):
        tg.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        tg.load(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(path: Path) -> None:
    tg.save(path, STATE)
    path.chmod(0)
    with pytest.raises(PermissionError):
        tg.load(path)
