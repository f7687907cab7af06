"""Flags made from a dataclass, and what was given for them.

    read_flags(Evaluate, "ddpg evaluate", ["runs/p1", "--episodes", "1e3"])
    # {"run_dir": Path("/home/me/runs/p1"), "episodes": 1000}

A field is a flag, the line below it is the flag's help, and the fields of a dataclass in it are
flags beside it. A field without a default stands without its name, and takes one word, or as a
tuple several; so does one of `MAY_LACK`, and no word either. The standard library's parser does the
work; every complaint is one line that names the flag.
"""

import argparse
import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from errno import ENAMETOOLONG
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from ddpg.config import hint
from ddpg.errors import UsageError, shown

HELP = ("-h", "--help")
ALSO = {"output": ("-o",), "video_every_eval": ("--every-eval",)}
"""Field -> what else its flag is called."""
MAY_LACK = ("study", "tuning")
"""Fields that stand without their names, although they have a default."""
SEVERAL = {"env_id": "env_ids"}
"""Field of the settings -> what takes its place where a command has that."""
MOST_DIGITS = 30
"""Of a number in the form 1e4: more zeros are a slip, and would take time to write out."""


def read_flags(command: type, program: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What was given, by the names of the fields; nothing for what was left out.

    Raises
    ------
    UsageError : for an unknown flag, with the one that may be meant, or a value of a wrong kind.
    """
    given, unknown = _parser(command, program).parse_known_args(arguments)
    if unknown:
        raise _unknown(unknown, command, program)
    return {k: v for k, v in vars(given).items() if v is not None}


def help_text(command: type, program: str) -> str:
    """What `--help` shows."""
    return _parser(command, program).format_help()


def flag(name: str) -> str:
    """The flag of a field: `--actor-lr`."""
    return "--" + name.replace("_", "-")


@contextmanager
def named_as_flags(*names: str) -> Iterator[None]:
    """Complaints in the block that begin with a field's name begin with its flag.

    Parameters
    ----------
    names : of the fields; by default a complaint begins with one in any case.
    """
    try:
        yield
    except UsageError as error:
        name, _, rest = str(error).partition(" ")
        if names and name not in names:
            raise
        raise UsageError(f"{flag(name)} {rest}") from error


# -- the parser ------------------------------------------------------------------------------------


_COMPLAINTS = {
    "expected one argument": "needs a value",
    "expected at least one argument": "needs one value or more",
}


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)

    def _split_lines(self, text: str, width: int) -> list[str]:
        # Not at a hyphen: a flag in a text is one word.
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        name, _, what = message.removeprefix("argument ").partition(": ")
        if not message.startswith("argument "):  # the only one: what is required
            raise UsageError(f"{what} is missing; {self.prog} --help explains it")
        raise UsageError(f"{name} {_COMPLAINTS.get(what, what)}")


def _parser(command: type, program: str) -> _Parser:
    parser = _Parser(
        prog=program,
        usage=" ".join([program, *map(_usage, _positional(command)), "[flags]"]),
        description=inspect.getdoc(command),
        formatter_class=_Formatter,
        argument_default=argparse.SUPPRESS,
        add_help=False,
        allow_abbrev=False,
    )
    group = parser.add_argument_group("arguments")
    _add_fields(parser, command, group)
    group.add_argument(*HELP, action="store_true", help="Show this text.")
    return parser


def _add_fields(parser: _Parser, holder: Any, group: Any, without: Sequence[str] = ()) -> None:
    kinds, texts = get_type_hints(holder), _texts(holder)
    for field in fields(holder):
        kind = kinds[field.name]
        if field.name in without:
            continue
        if is_dataclass(kind):
            title, _, _ = (inspect.getdoc(kind) or "").partition("\n")
            _add_fields(parser, kind, parser.add_argument_group(title.rstrip(".")), _others(holder))
        elif field in _positional(holder):
            many = get_origin(kind) is tuple
            shape: dict[str, Any] = {"nargs": "+"} if many else {}
            if field.name in MAY_LACK:
                shape = {"nargs": "?", "default": None}  # which argparse can't leave out
            shape["type"] = _reader(get_args(kind)[0] if many else kind)
            shape["metavar"] = _metavar(field.name)
            group.add_argument(field.name, help=texts[field.name], **shape)
        else:
            names = (*ALSO.get(field.name, ()), flag(field.name))
            shape = _options(field, kind, texts[field.name])
            group.add_argument(*names, dest=field.name, **shape)


def _options(field: Field[Any], kind: Any, text: str) -> dict[str, Any]:
    """How argparse reads and shows one flag."""
    if kind is bool and not field.default:
        return {"action": "store_true", "help": text}
    text = text.replace("%", "%%")
    if kind == PERHAPS:
        return {"nargs": "?", "const": True, "metavar": "ADDRESS", "help": text}
    if field.default is not None and field.default is not MISSING and field.default != ():
        text += f" (default: {_written(field.default)})"
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction, "help": text}
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        return {"nargs": "+", "type": _reader(inner), "metavar": _KINDS[inner], "help": text}
    if kind == VALUES:
        return {"nargs": "+", "action": _Lists, "metavar": "NAME=A,B", "help": text}
    if get_origin(kind) is Mapping:
        return {"nargs": "+", "action": _Pairs, "metavar": "NAME=VALUE", "help": text}
    choices = "{" + ",".join(map(str, get_args(_plain(kind)))) + "}"
    metavar = choices if get_origin(_plain(kind)) is Literal else _KINDS[_plain(kind)]
    return {"type": _reader(kind), "metavar": metavar, "help": text}


VALUES = Mapping[str, tuple[str, ...]]
"""Texts of values by name, as NAME=A,B gives them."""
PERHAPS = str | bool
"""A flag that means something without a value, too."""
_KINDS = {int: "N", float: "X", str: "ID", Path: "PATH"}


def _plain(kind: Any) -> Any:
    """`Path` of `Path | None`."""
    held = [k for k in get_args(kind) if k is not NoneType]
    return held[0] if NoneType in get_args(kind) else kind


def _written(default: Any) -> str:
    if isinstance(default, tuple):
        return " ".join(map(_written, default))
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:_}" if isinstance(default, int) else str(default)


def _metavar(name: str) -> str:
    return name.upper()


def _usage(field: Field[Any]) -> str:
    name = _metavar(field.name)
    return f"[{name}]" if field.name in MAY_LACK else name


def _positional(command: type) -> list[Field[Any]]:
    return [
        f
        for f in fields(command)
        if f.name in MAY_LACK or (f.default is MISSING and f.default_factory is MISSING)
    ]


def _others(command: type) -> list[str]:
    """Settings for which this command has another flag."""
    own = {field.name for field in fields(command)}
    return [name for name, instead in SEVERAL.items() if instead in own]


def _texts(holder: type) -> dict[str, str]:
    """The line below each field."""
    (definition,) = ast.parse(inspect.getsource(holder)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        ast.unparse(field.target): " ".join(ast.literal_eval(line.value).split())
        for field, line in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(line, ast.Expr)
    }


# -- values ----------------------------------------------------------------------------------------


def _reader(kind: Any) -> Callable[[str], Any]:
    """Makes a value of `kind` from its text."""
    if get_origin(_plain(kind)) is Literal:
        return lambda text: _one_of(get_args(_plain(kind)), text)
    readers: dict[Any, Callable[[str], Any]]
    readers = {int: _integer, float: _number, str: str, Path: absolute}
    return readers[_plain(kind)]


class _Pairs(argparse.Action):
    """Collects NAME=VALUE into a dict; a value is JSON, or else text."""

    def __call__(self, parser: Any, given: Any, words: Any, option: str | None = None) -> None:
        pairs: dict[str, Any] = {}
        _collect(words, option, pairs, "NAME=VALUE", _value)
        setattr(given, self.dest, pairs)


class _Lists(argparse.Action):
    """Collects NAME=A,B into a dict of texts; the flag may be given again for more names."""

    def __call__(self, parser: Any, given: Any, words: Any, option: str | None = None) -> None:
        pairs = getattr(given, self.dest, {})
        _collect(words, option, pairs, "NAME=A,B", lambda text: tuple(text.split(",")))
        setattr(given, self.dest, pairs)


def _collect(
    words: Sequence[str],
    option: str | None,
    pairs: dict[str, Any],
    form: str,
    read: Callable[[str], Any],
) -> None:
    for word in words:
        name, sign, value = word.partition("=")
        if not (name and sign):
            raise UsageError(f"{option} must be {form}, got {shown(word)}")
        if name in pairs:
            raise UsageError(f"{option} names {shown(name)} twice")
        pairs[name] = read(value)


def value_of(kind: Any, text: str) -> Any:
    """The value of a field from its text: `1e-3`, `gaussian`, `on`, `64x64`.

    Raises
    ------
    ArgumentTypeError : saying what it must be.
    """
    if kind is bool:
        return _one_of(("on", "off"), text) == "on"
    if get_origin(kind) is tuple:
        inner = _reader(get_args(kind)[0])
        return tuple(inner(part) for part in text.split("x"))
    return _reader(kind)(text)


def _value(text: str) -> Any:
    if text in _PYTHON:
        return _PYTHON[text]
    try:
        return json.loads(text)
    except ValueError:
        return text


_PYTHON = {"True": True, "False": False, "None": None}


def _integer(text: str) -> int:
    try:
        number = Decimal(text)
        if number.is_finite() and number.adjusted() <= MOST_DIGITS and number == int(number):
            return int(number)
    except InvalidOperation:
        pass
    raise argparse.ArgumentTypeError(f"must be an integer, got {shown(text)}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a number, got {shown(text)}") from error


def _one_of(choices: Iterable[str], text: str) -> str:
    if text not in choices:
        raise argparse.ArgumentTypeError(f"must be {' or '.join(choices)}, got {shown(text)}")
    return text


def absolute(text: str) -> Path:
    """The path from the root: an environment may change the folder that this process is in.

    Raises
    ------
    ArgumentTypeError : if no file can be called so.
    """
    if text == "" or "\0" in text:
        raise argparse.ArgumentTypeError(f"must be a path, got {shown(text)}")
    try:
        path = Path(text).absolute()
    except OSError as error:
        raise argparse.ArgumentTypeError("the current folder does not exist any more") from error
    try:
        path.lstat()
    except OSError as error:
        if error.errno == ENAMETOOLONG:
            raise argparse.ArgumentTypeError(f"{shown(text)}: {error.strerror}") from error
    return path


# -- advice ----------------------------------------------------------------------------------------


def _unknown(arguments: Sequence[str], command: type, program: str) -> UsageError:
    """Names the first flag that there is not, else the first word too many."""
    word = next((a for a in arguments if a.startswith("-")), None)
    if word is None:
        return UsageError(
            f"{shown(arguments[0])} is one word too many; {program} --help explains what is taken"
        )
    word = word.partition("=")[0]
    advice = hint(word, _names(command), flag) or f"{program} --help lists those that there are"
    return UsageError(f"there is no flag {word}; {advice}")


def _names(holder: Any) -> list[str]:
    """Of all flags, those of dataclasses inside included."""
    kinds = get_type_hints(holder)
    inner = [
        _names(kinds[f.name]) if is_dataclass(kinds[f.name]) else [f.name] for f in fields(holder)
    ]
    without = _others(holder)
    return [name for names in inner for name in names if name not in without]
