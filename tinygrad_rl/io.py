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
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from tinygrad_rl.core import DTYPES, Size, Tensor, as_array, wrap
from tinygrad_rl.files import open_regular, write_atomically
from tinygrad_rl.spelling import counted, kind, misplaced
from tinygrad_rl.tree import contents

Array = np.ndarray[Any, Any]
_CODES = {names.code: dtype for dtype, names in DTYPES.items()}
_METADATA = "__metadata__"  # the format's key for what is no tensor: names and strings
_KEY = "tinygrad_rl"  # ours in there; a second one would make the order of both random
_MARK = f'["{_KEY}", '  # how its value begins
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
    text = _text(_flatten(state, (), tensors))
    _ask_for(2 * sum(array.nbytes for array in tensors.values()))
    try:
        data = safetensors.numpy.save(tensors, {_KEY: text})
        fits = int.from_bytes(data[:8], "little") <= _LONGEST_HEADER
    except SafetensorError:  # its own limit, 100 MB
        fits = False
    if not fits:
        raise ValueError(
            "names, numbers and strings of the state take more than the "
            f"{_LONGEST_HEADER:,} bytes of a header: put numbers into arrays"
        )
    write_atomically(Path(path), data, durable=True)


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
        raise TypeError(f"{name!r} is {kind(value)}, which can't be saved")
    try:
        value = value.detach() if isinstance(value, Tensor) else value
        array = np.asarray(as_array(value), order="C")
    except TypeError as error:
        raise TypeError(f"{name!r}: {error}") from None
    if name in tensors:
        raise ValueError(f"two entries of the state are called {name!r} when nesting becomes dots")
    if name == _METADATA:
        raise ValueError(f"an array can't be called {name!r}: the file format uses this name")
    tensors[name] = array
    return ["tensor", name, *_describe(array)]


def _describe(array: Array) -> list[Any]:
    return [DTYPES[array.dtype].code, list(array.shape), zlib.crc32(array.data)]


def _text(tree: Any) -> str:
    """The value of the metadata: a mark, the checksum of the tree, the tree."""
    return json.dumps([_KEY, zlib.crc32(json.dumps(tree).encode()), tree])


def _ask_for(size: int) -> None:
    """Raise MemoryError where so many bytes are lacking: the library would end the process."""
    np.empty(size, np.uint8)


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
        metadata, arrays = _read(path, file)
    # Two marks of a file of ours: it is not taken for another's though one of them is damaged.
    if _KEY not in metadata and not any(v.startswith(_MARK) for v in metadata.values()):
        return {name: wrap(array) for name, array in arrays.items()}
    value = _parse(metadata.get(_KEY, ""))
    tree = value[-1] if isinstance(value, list) and value else None
    try:
        if metadata != {_KEY: _text(tree)}:
            raise ValueError(
                f"{path}: the metadata, which holds names and numbers, is damaged (wrong "
                "checksum), or of another version of tinygrad_rl"
            )
        state = _unflatten(path, tree, (), arrays)
    except RecursionError:
        raise ValueError(f"{path}: the state is nested too deeply") from None
    if arrays:
        raise ValueError(f"{path}: the entry {_quoted(next(iter(arrays)))} is unknown")
    return state


def _read(path: Any, file: BufferedReader) -> tuple[dict[str, str], dict[str, Array]]:
    """The metadata and the tensors; the file is read no further than its header lists."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    fits = 8 + length <= size and length <= _LONGEST_HEADER
    text = file.read(length) if fits else b""
    header = _parse(text)
    if not isinstance(header, dict):
        raise ValueError(f"{path} is no safetensors file, or its header is damaged or cut off")
    metadata = header.pop(_METADATA, {})
    if not (isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())):
        raise ValueError(f"{path}: the entry {_METADATA!r} is damaged")
    held = size - 8 - length
    _check_entries(path, header, held)
    try:
        data = b"".join([start, text, file.read(held)])
        _ask_for(held)
        arrays = safetensors.numpy.load(data)
    except MemoryError:
        raise ValueError(f"{path} has {counted(size, 'byte')}, too many for the memory") from None
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {_quoted(str(error))}") from None
    arrays = {name: arrays[name] for name in header}  # the library's order is random
    for name, array in arrays.items():
        if array.dtype == bool and (array.view(np.uint8) > 1).any():
            raise ValueError(
                f"{path}: {_quoted(name)} is BOOL and holds something other than 0 and 1"
            )
    return metadata, arrays


def _check_entries(path: Any, header: dict[str, Any], held: int) -> None:
    """What the library would refuse without naming the entry, and what a tensor can't be."""
    last = 0
    for name, entry in header.items():
        match entry:
            case {"dtype": str(code), "shape": list(shape), "data_offsets": [begin, end]}:
                counts = all(type(n) is int and 0 <= n < 2**63 for n in (begin, end, *shape))
                valid = counts and begin <= end and len(shape) <= 64
                # NumPy's limits, also where a dimension is 0; else a product could take hours.
                valid = valid and math.prod(n or 1 for n in shape) < 2**60
            case _:
                valid = False
        if not valid:
            raise ValueError(f"{path}: the entry {_quoted(name)} is damaged")
        if code not in _CODES:
            raise ValueError(
                f"{path}: {_quoted(name)} is {code[:20]!r}, which tensors can't be; supported are "
                f"{', '.join(_CODES)}"
            )
        if end > held:
            raise ValueError(f"{path} is cut off: {_quoted(name)} ends at byte {end} of {held}")
        if (size := end - begin) != math.prod(shape) * _CODES[code].itemsize:
            raise ValueError(
                f"{path}: {_quoted(name)} has {counted(size, 'byte')}, too few or many for {shape}"
            )
        last = max(last, end)
    if last != held:
        raise ValueError(
            f"{path} is damaged: it goes on for {counted(held - last, 'byte')} after its end"
        )


def _parse(text: str | bytes) -> Any:
    """What the JSON text says, or None where it is damaged; a key that stands twice is a damage."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(unique := dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return unique


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
            if description != _describe(array):
                raise ValueError(f"{path}: the entry {_quoted(name)} is damaged (wrong checksum)")
            return wrap(array)
        case ["tensor", str(name), *_]:
            raise ValueError(f"{path}: the entry {_quoted(name)} is missing")
    raise ValueError(f"{path}: the entry {_quoted('.'.join(keys))} of the metadata is damaged")
