"""A function of the user's, found by its name, and called so that its failures are told as its own.

function = find("script.py:actor_loss")
call(tg.explain, function)            # UsersError, whose text is the user's part of a traceback
"""

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from ddpg.errors import UsageError, in_one_line, shown

_OURS = tuple(
    inspect.getfile(importlib.import_module(name)).removesuffix("__init__.py")
    for name in ("tinygrad_rl", "ddpg", "importlib")
)
"""Whose frames say nothing about the user's code."""


class UsersError(Exception):
    """The user's code failed; the text is a traceback of its own frames."""


def find(target: str) -> Callable[[], Any]:
    """The function that `FILE.py:NAME` or `MODULE:NAME` means, to be called without arguments.

    Raises
    ------
    UsageError : if there is none, with what may be meant, or if it needs arguments.
    UsersError : if the file, or the module, fails as it is executed.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(f"say which function: FILE.py:NAME or MODULE:NAME, not {shown(target)}")
    is_file = place.endswith(".py") or "/" in place
    module = _from_file(Path(place)) if is_file else _from_name(place)
    found: Any = module
    for i, part in enumerate(name.split(".")):
        if not hasattr(found, part):
            holder = place if i == 0 else f"{place}:{'.'.join(name.split('.')[:i])}"
            raise UsageError(f"{holder} has no {shown(part)}{_near(part, _callables(found))}")
        found = getattr(found, part)
    _check_callable(found, name)
    return found


def call(what: Callable[..., Any], *args: Any) -> Any:
    """Call it; what fails in the user's code, or below it, is the user's.

    Raises
    ------
    UsersError : for an exception that came through the user's code.
    UsageError : for one that our own code raised about what it was given.
    """
    try:
        return what(*args)
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        if isinstance(error, SyntaxError) or any(map(_is_theirs, frames)):
            raise UsersError(_told(error)) from error
        if isinstance(error, TypeError | RuntimeError | ValueError):
            raise UsageError(in_one_line(error)) from error
        raise


# -- finding ---------------------------------------------------------------------------------------


def _from_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file")
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        near = _near(path.name, [p.name for p in folder.glob("*.py")])
        raise UsageError(f"there is no file {path}{near}")
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path.absolute())
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file: it must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.absolute().parent))  # as Python does for a script
    sys.modules[name] = module
    call(spec.loader.exec_module, module)
    return module


def _from_name(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return call(importlib.import_module, name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        hint = f"; for the file, write {name}.py:" if Path(f"{name}.py").is_file() else ""
        raise UsageError(f"there is no module {shown(error.name)}{hint}") from error


def _near(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=2)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    is_one = "is" if len(known) == 1 else "are"
    return f"; there {is_one} {', '.join(sorted(known)[:8])}" if known else ""


def _callables(holder: Any) -> list[str]:
    """What could be explained: the functions of a module, the public methods of an object."""
    is_module = isinstance(holder, ModuleType)
    names = vars(holder) if is_module else dir(holder)
    return [
        name
        for name in names
        if not name.startswith("_")
        and callable(thing := getattr(holder, name))
        and (not is_module or getattr(thing, "__module__", None) == holder.__name__)
        and not isinstance(thing, type)
    ]


def _check_callable(function: Any, name: str) -> None:
    if not callable(function) or isinstance(function, type):
        raise UsageError(f"{name} is no function: {shown(function)}")
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some of C's have none
        return
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in free]
    if needed:
        arguments = ", ".join(needed)
        raise UsageError(
            f"{name} needs {arguments}: write a function without arguments that calls it, "
            f"def example(): return {name}({arguments}), and explain that"
        )


# -- failing ---------------------------------------------------------------------------------------


def _is_theirs(frame: traceback.FrameSummary) -> bool:
    return not frame.filename.startswith((*_OURS, "<frozen "))


def _told(error: BaseException) -> str:
    """The traceback without the frames of this package and of the machinery around it."""
    told = traceback.TracebackException.from_exception(error)
    for part in _causes(told):
        part.stack = traceback.StackSummary.from_list([f for f in part.stack if _is_theirs(f)])
    return "".join(told.format())


def _causes(told: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    yield told
    for before in (told.__cause__, told.__context__):
        if before is not None:
            yield from _causes(before)
