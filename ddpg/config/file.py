"""A run's settings as a file, config.json: JSON with a checksum of its values, as others may be.

    text = config_text(config)                        # what the file holds
    read_config(path)                                 # written by whomever: --config
    read_config(path, sealed=True)                    # a run's own: evaluate, --resume

Whoever edits the file takes the entry "checksum" out of it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ddpg.config.settings import TrainConfig, config_from_dict, config_to_dict
from ddpg.errors import UsageError, counted, kind, shown

NAME = "config.json"
CHECKSUM = "checksum"
LARGEST = 1_000_000
"""Bytes that are read of a file at most: a device or a pipe may have no end."""

T = TypeVar("T")


def config_text(config: TrainConfig) -> str:
    """What a `config.json` holds: the settings, named as the flags are, and their checksum."""
    return sealed_text(config_to_dict(config))


def read_config(path: Path, *, sealed: bool = False) -> TrainConfig:
    """The configuration that a `config.json` holds.

    Parameters
    ----------
    path : the file, or the folder of a run, which holds one.
    sealed : whether it must have its checksum; if it has one, it must fit in any case.

    Raises
    ------
    UsageError : if there is none, it is not JSON, it is damaged, or its settings are not allowed;
        the message names it.
    """
    with suppress(OSError):  # which opening the file meets again
        path = path / NAME if path.is_dir() else path
    return read_json(path, config_from_dict, sealed=sealed, way_out="--config takes an edited file")


def sealed_text(values: Mapping[str, Any]) -> str:
    """Values as JSON, with their checksum; `read_json` is its inverse."""
    return json.dumps({**values, CHECKSUM: _checksum(values)}, indent=2) + "\n"


def read_json(
    path: Path,
    make: Callable[[dict[str, Any]], T],
    *,
    sealed: bool,
    largest: int = LARGEST,
    way_out: str = "",
) -> T:
    """What `make` makes of the values in a file of JSON.

    Parameters
    ----------
    path : the file.
    make : from the values without the checksum; it may say no by a `UsageError`.
    sealed : whether the file must have its checksum; if it has one, it must fit in any case.
    largest : bytes that are read of it at most.
    way_out : what takes a file without a checksum, in words, if anything does.

    Raises
    ------
    UsageError : if there is none, it is not JSON, it is damaged, or `make` says no; the message
        names the file.
    """
    try:
        return make(_unsealed(_read(path, sealed, largest), sealed, way_out))
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise UsageError(f"{path} cannot be read: it is nested too deeply") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _read(path: Path, sealed: bool, largest: int) -> Any:
    if sealed and path.exists() and not path.is_file():
        raise UsageError("is no file")  # and a pipe without an end would be waited for
    with path.open("rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise UsageError(f"holds more than {counted(largest, 'byte')}, as no such file does")
    try:
        return json.loads(
            data.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
        )
    except UsageError:
        raise
    except ValueError as error:  # not UTF-8, not JSON, or an integer of thousands of digits
        raise UsageError(f"cannot be read as JSON: {error}") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise UsageError(f"{shown(name)} stands in it twice")
        values[name] = value
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise UsageError(f"cannot be read as JSON: {name} is no number there")


def _unsealed(values: Any, sealed: bool, way_out: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise UsageError(f"must hold a JSON object, got {kind(values)}")
    reason = "the file was damaged, or edited by hand"
    if CHECKSUM in values:
        found = values.pop(CHECKSUM)
        if found != _checksum(values):
            more = f'; without its entry "{CHECKSUM}" {way_out}' if way_out else ""
            raise UsageError(f"its checksum does not fit: {reason}{more}")
    elif sealed:
        more = f"; {way_out}" if way_out else ""
        raise UsageError(f'its entry "{CHECKSUM}" is missing: {reason}{more}')
    return values


def _checksum(values: Mapping[str, Any]) -> str:
    """Of the values alone: their order and the white space between them do not matter."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
