"""Write nested state to one safetensors file, and read it back as it was.

    save("model.safetensors", {"actor": actor.state_dict(), "step": 1000})
    state = load("model.safetensors")
    actor.load_state_dict(state["actor"])

Any program that reads safetensors finds the tensors under dotted names, `actor.0.weight`.
Everything else stands in the file's metadata, under `tinygrad_rl`: the nesting (so that keys with
dots in them, empty dicts and lists come back as they were), numbers and strings, and of each tensor
its dtype, shape and checksum. A checksum of all that stands beside it: the format itself has none,
and here no bit can change unnoticed. A Python int may have more than 64 bits there, so that the
state of a random generator, `rng.bit_generator.state`, is saved as it is. A file from elsewhere
loads as a flat dict of its names.
"""

import json
import math
import os
import zlib
from collections.abc import Mapping
from io import BufferedReader
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tinygrad_rl.core import DTYPES, Size, Tensor, as_array, wrap
from tinygrad_rl.files import open_regular, write_atomically
from tinygrad_rl.spelling import misplaced
from tinygrad_rl.tree import contents

Array = np.ndarray[Any, Any]
_CODES = {names.code: dtype for dtype, names in DTYPES.items()}
_METADATA = "__metadata__"  # the format's key for what is no tensor: names and strings
_FORMAT, _TREE, _CHECKSUM = "format", "tinygrad_rl", "tinygrad_rl_crc32"
_PLAIN = (bool, int, float, str, type(None))
_LONGEST_HEADER = 20_000_000
"""Bytes. A short file could otherwise say that it has a header of any length; and as Python objects
a header takes twenty times as much memory."""


def save(path: str | Path, state: Any) -> None:
    """Write nested dicts and lists of tensors, arrays, numbers, strings and None.

    The file appears at once and whole, or, on an error, not at all; on return it is on the disk.
    The same state makes the same bytes.

    Parameters
    ----------
    path : the file; its folder must exist.
    state : dicts have strings as keys; tuples come back as lists, arrays as tensors.

    Raises
    ------
    TypeError : naming the entry, for anything else and for dtypes that tensors can't have.
    ValueError : for two entries with the same dotted name, and for more numbers and strings outside
        of arrays than a header can hold.
    """
    if not isinstance(path, (str, PathLike)):
        raise misplaced("save", "the path first", path)
    tensors: dict[str, Array] = {}
    tree = json.dumps(_flatten(state, (), tensors))
    write_atomically(Path(path), _file(tensors, tree), durable=True)


def _flatten(value: Any, keys: tuple[str, ...], tensors: dict[str, Array]) -> list[Any]:
    """The nesting as JSON, with ["tensor", name, dtype, shape, checksum] where a tensor stands."""
    name = ".".join(keys)
    if isinstance(value, Mapping):
        if odd := [k for k in value if not isinstance(k, str)]:
            raise TypeError(f"{name or 'the state'!r} has the key {odd[0]!r}; keys are strings")
        return ["dict", {k: _flatten(v, (*keys, k), tensors) for k, v in contents(value)}]
    if isinstance(value, (list, tuple)):
        return ["list", [_flatten(v, (*keys, str(k)), tensors) for k, v in contents(value)]]
    if type(value) is Size:
        value = int(value)
    if type(value) in _PLAIN:
        return ["value", value]
    if not isinstance(value, (Tensor, np.ndarray, np.generic)):
        raise TypeError(f"{name!r} is a {type(value).__name__}, which can't be saved")
    try:
        value = value.detach() if isinstance(value, Tensor) else value
        array = np.array(as_array(value), order="C")
    except TypeError as error:
        raise TypeError(f"{name!r}: {error}") from None
    if name in tensors:
        raise ValueError(f"two entries of the state are called {name!r} when nesting becomes dots")
    if name == _METADATA:
        raise ValueError(f"an array can't be called {name!r}: the file format uses this name")
    tensors[name] = array
    return ["tensor", name, *_form(array), zlib.crc32(array.tobytes())]


def _form(array: Array) -> tuple[str, list[int]]:
    return DTYPES[array.dtype].code, list(array.shape)


def _file(tensors: dict[str, Array], tree: str) -> bytes:
    """The header's length in 8 bytes, little-endian; the header, JSON; the bytes of the tensors."""
    header: dict[str, Any] = {_METADATA: _metadata(tree)}
    names = sorted(tensors, key=lambda name: -tensors[name].itemsize)  # so that each is aligned
    end = 0
    for name in names:
        code, shape = _form(tensors[name])
        begin, end = end, end + tensors[name].nbytes
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _LONGEST_HEADER:
        raise ValueError(
            f"names, numbers and strings of the state take {len(text):,} bytes, more than the "
            f"{_LONGEST_HEADER:,} of a header: put numbers into arrays"
        )
    length = len(text).to_bytes(8, "little")
    return b"".join([length, text, *(tensors[name].tobytes() for name in names)])


def _metadata(tree: str) -> dict[str, str]:
    checksum = zlib.crc32(tree.encode("utf-8", "surrogatepass"))
    return {_FORMAT: _TREE, _TREE: tree, _CHECKSUM: str(checksum)}


def load(path: str | Path) -> Any:
    """Read what `save` wrote, with constant tensors; a file from elsewhere as a flat dict.

    Returns
    -------
    Tensors have memory of their own, so that they can be written to.

    Raises
    ------
    OSError : when there is no such file, or it can't be read.
    ValueError : naming the file and the entry, where it is cut off, damaged, or holds a dtype that
        tensors can't have; and for a device or a pipe.
    """
    if not isinstance(path, (str, PathLike)):
        raise misplaced("load", "a path", path)
    with open_regular(path) as file:
        header, held = _header(path, file)
        metadata = header.pop(_METADATA, {})
        entries = _entries(path, header, held)
        arrays = {entry.name: _array(path, file, entry) for entry in entries}
    if not (isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())):
        raise ValueError(f"{path}: the entry {_METADATA!r} is damaged")
    # Three marks of a file of ours: it is not taken for another's though two of them are damaged.
    if not {_TREE, _CHECKSUM} & metadata.keys() and metadata.get(_FORMAT) != _TREE:
        return {name: wrap(array) for name, array in arrays.items()}
    if metadata != _metadata(metadata.get(_TREE, "")):
        raise ValueError(
            f"{path}: the metadata, which holds names and numbers, is damaged (wrong checksum), or "
            "of another version of tinygrad_rl"
        )
    try:
        state = _unflatten(path, _parse(metadata[_TREE]), (), arrays)
    except RecursionError:
        raise ValueError(f"{path}: the state is nested too deeply") from None
    if arrays:
        raise ValueError(f"{path}: the entry {_quoted(next(iter(arrays)))} is unknown")
    return state


class _Entry(NamedTuple):
    """What the header says of a tensor; where its bytes lie, counted from the header's end."""

    begin: int
    end: int
    name: str
    dtype: np.dtype[Any]
    shape: list[int]


def _header(path: Any, file: BufferedReader) -> tuple[dict[str, Any], int]:
    """The table of contents, and how many bytes the file holds after it."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    fits = 8 + length <= size and length <= _LONGEST_HEADER
    header = _parse(file.read(length), parse_constant=_refused) if fits else None
    if not isinstance(header, dict):
        raise ValueError(f"{path} is no safetensors file, or its header is damaged or cut off")
    return header, size - 8 - length


def _entries(path: Any, header: dict[str, Any], held: int) -> list[_Entry]:
    """The tensors in the order of their bytes, which fill what the file holds without a gap."""
    entries = sorted(_entry(path, name, entry) for name, entry in header.items())
    place = 0
    for begin, end, name, *_ in entries:
        if begin != place:
            raise ValueError(f"{path}: {_quoted(name)} begins at byte {begin}, not at {place}")
        if end > held:
            raise ValueError(f"{path} is cut off: {_quoted(name)} ends at byte {end} of {held}")
        place = end
    if place != held:
        raise ValueError(f"{path} is damaged: it goes on for {held - place} bytes after its end")
    return entries


def _entry(path: Any, name: str, entry: Any) -> _Entry:
    match entry:
        case {"dtype": str(code), "shape": list(shape), "data_offsets": [begin, end]}:
            # 64 is NumPy's limit of dimensions; without limits a product could take hours.
            counts = all(type(n) is int and 0 <= n < 2**63 for n in (begin, end, *shape))
            valid = counts and begin <= end and len(shape) <= 64
        case _:
            valid = False
    if not valid:
        raise ValueError(f"{path}: the entry {_quoted(name)} is damaged")
    if code not in _CODES:
        raise ValueError(
            f"{path}: {_quoted(name)} is {code[:20]!r}, which tensors can't be; supported are "
            f"{', '.join(_CODES)}"
        )
    if (held := end - begin) != math.prod(shape) * _CODES[code].itemsize:
        raise ValueError(f"{path}: {_quoted(name)} has {held} bytes, too few or many for {shape}")
    return _Entry(begin, end, name, _CODES[code], shape)


def _array(path: Any, file: BufferedReader, entry: _Entry) -> Array:
    """The next tensor of the file."""
    name, size = _quoted(entry.name), entry.end - entry.begin
    try:
        array = np.empty(entry.shape, entry.dtype)
    except MemoryError:
        raise ValueError(f"{path}: {name} has {size:,} bytes, too many for the memory") from None
    except ValueError:  # no bytes, and yet dimensions too large for NumPy
        raise ValueError(f"{path}: the entry {name} is damaged") from None
    flat = array.reshape(-1).view(np.uint8)
    if file.readinto(flat.data) != size:
        raise ValueError(f"{path} is cut off: it became shorter while it was read")
    if array.dtype == bool and (flat > 1).any():
        raise ValueError(f"{path}: {name} is BOOL and holds something other than 0 and 1")
    return array


def _parse(text: str | bytes, **options: Any) -> Any:
    """What the JSON text says, or None where it is damaged; a key that stands twice is a damage."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        return json.loads(text, object_pairs_hook=_unique, **options)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(unique := dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return unique


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _quoted(name: str) -> str:
    """For a message of one line, whatever the file calls it."""
    return repr(name if len(name) <= 200 else name[:200] + "...")


def _unflatten(path: Any, tree: Any, keys: tuple[str, ...], arrays: dict[str, Array]) -> Any:
    """Inverse of `_flatten`; takes the arrays that it finds a place for out of `arrays`."""
    match tree:
        case ["dict", dict(items)]:
            return {k: _unflatten(path, v, (*keys, k), arrays) for k, v in items.items()}
        case ["list", list(items)]:
            return [_unflatten(path, v, (*keys, str(k)), arrays) for k, v in enumerate(items)]
        case ["value", value] if type(value) in _PLAIN:
            return value
        case ["tensor", str(name), *description] if name in arrays:
            array = arrays.pop(name)
            if description != [*_form(array), zlib.crc32(array.tobytes())]:
                raise ValueError(f"{path}: the entry {_quoted(name)} is damaged (wrong checksum)")
            return wrap(array)
        case ["tensor", str(name), *_]:
            raise ValueError(f"{path}: the entry {_quoted(name)} is missing")
    raise ValueError(f"{path}: the entry {_quoted('.'.join(keys))} of the metadata is damaged")
