"""Write nested state to one safetensors file, and read it back as it was.

    save("model.safetensors", {"actor": actor.state_dict(), "step": 1000})
    state = load("model.safetensors")
    actor.load_state_dict(state["actor"])

Any program that reads safetensors finds the tensors under dotted names, `actor.0.weight`.
Everything else stands in the file's metadata, under `tinygrad_rl`: the nesting (so that keys with
dots in them, empty dicts and lists come back as they were), numbers and strings, and a checksum of
each tensor, which the format itself lacks. A Python int has any size there, so that the state of a
random generator, `rng.bit_generator.state`, is saved as it is. A file from elsewhere loads as a
flat dict of its names.
"""

import json
import math
import zlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from tinygrad_rl.core import DTYPES, Size, Tensor, as_array, wrap
from tinygrad_rl.files import write_atomically
from tinygrad_rl.spelling import misplaced
from tinygrad_rl.tree import contents

Array = np.ndarray[Any, Any]
_CODES = {names.code: dtype for dtype, names in DTYPES.items()}
_KEY = "tinygrad_rl"
_PLAIN = (bool, int, float, str, type(None))


def save(path: str | Path, state: Any) -> None:
    """Write nested dicts and lists of tensors, arrays, numbers, strings and None.

    The file appears at once and whole, or, on an error, not at all.

    Parameters
    ----------
    path : the file; its folder must exist.
    state : dicts have strings as keys; tuples come back as lists, arrays as tensors.

    Raises
    ------
    TypeError : naming the entry, for anything else and for dtypes that tensors can't have.
    ValueError : for two entries with the same dotted name.
    """
    if not isinstance(path, (str, PathLike)):
        raise misplaced("save", "the path first", path)
    tensors: dict[str, Array] = {}
    tree = _flatten(state, (), tensors)
    data = safetensors.numpy.save(tensors, {_KEY: json.dumps(tree)})
    write_atomically(Path(path), data)


def _flatten(value: Any, keys: tuple[str, ...], tensors: dict[str, Array]) -> list[Any]:
    """The nesting as JSON, with ["tensor", name, checksum] where a tensor stands."""
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
    tensors[name] = array
    return ["tensor", name, zlib.crc32(array.tobytes())]


def load(path: str | Path) -> Any:
    """Read what `save` wrote, with constant tensors; a file from elsewhere as a flat dict.

    Returns
    -------
    Tensors have memory of their own, so that they can be written to.

    Raises
    ------
    FileNotFoundError : when there is no such file.
    ValueError : naming the entry, where the file is cut off, damaged, or holds a dtype that
        tensors can't have.
    """
    if not isinstance(path, (str, PathLike)):
        raise misplaced("load", "a path", path)
    data = Path(path).read_bytes()
    header = _header(path, data)
    metadata = header.pop("__metadata__", {})
    _check_entries(path, data, header)
    try:
        arrays = {name: array.copy() for name, array in safetensors.numpy.load(data).items()}
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if _KEY not in metadata:
        return {name: wrap(array) for name, array in arrays.items()}
    return _unflatten(path, json.loads(metadata[_KEY]), arrays)


def _header(path: Any, data: bytes) -> dict[str, Any]:
    """The table of contents: 8 bytes of its length, little-endian, then JSON."""
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError:
        header = None
    if len(data) < 8 + length or not isinstance(header, dict):
        raise ValueError(f"{path} is no safetensors file, or its header is damaged or cut off")
    return header


def _check_entries(path: Any, data: bytes, header: dict[str, Any]) -> None:
    """What the library's own checks would say without naming the entry."""
    start = 8 + int.from_bytes(data[:8], "little")
    for name, entry in header.items():
        try:
            code, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            size = math.prod(map(int.__index__, shape))
        except (TypeError, KeyError, ValueError):
            raise ValueError(f"{path}: the entry {name!r} is damaged") from None
        if code not in _CODES:
            raise ValueError(
                f"{path}: {name!r} is {code}, which tensors can't be; supported are "
                f"{', '.join(_CODES)}"
            )
        if (stop := start + end) > len(data):
            raise ValueError(f"{path} is cut off: {name!r} ends at byte {stop} of {len(data)}")
        if (held := end - begin) != size * _CODES[code].itemsize:
            raise ValueError(f"{path}: {name!r} has {held} bytes, too few or many for {shape}")


def _unflatten(path: Any, tree: Any, arrays: dict[str, Array]) -> Any:
    kind, *rest = tree
    if kind == "dict":
        return {k: _unflatten(path, v, arrays) for k, v in rest[0].items()}
    if kind == "list":
        return [_unflatten(path, v, arrays) for v in rest[0]]
    if kind == "value":
        return rest[0]
    name, checksum = rest
    if name not in arrays:
        raise ValueError(f"{path}: the entry {name!r} is missing")
    if zlib.crc32(arrays[name].tobytes()) != checksum:
        raise ValueError(f"{path}: the values of {name!r} are damaged (wrong checksum)")
    return wrap(arrays[name])
