"""`.. subject:: tinygrad_rl Tensors`: what a module exports under a comment of its `__all__`.

So the reference has every public name, in the order of the module, and a new one by itself.
"""

import importlib
import inspect
import re
from operator import attrgetter
from types import ModuleType
from typing import Any

from sphinx.util.docutils import SphinxDirective

import tinygrad_rl as tg

_NONE = ""  # the heading of names that stand below no comment


def setup(app: Any) -> dict[str, bool]:
    """Have the directive, signatures of ops, and links to the source of what is wrapped."""
    app.add_directive("subject", Subject)
    app.connect("autodoc-process-signature", _signature)
    app.connect("viewcode-follow-imported", _written_in)
    app.connect("html-page-context", _without_ways_back)
    return {"parallel_read_safe": True}


def subjects(module: ModuleType) -> dict[str, list[str]]:
    """Comment above lines of `__all__` -> the names in these."""
    heading, found = _NONE, {}
    for line in inspect.getsource(module).splitlines():
        if line.startswith("# "):
            heading = re.split("[;.]", line[2:])[0]
        elif line.startswith("__all__ "):
            found.setdefault(heading, []).extend(re.findall(r'"(\w+)"', line))
        elif line and not line.startswith("__all__"):
            heading = _NONE
    return found


class Subject(SphinxDirective):
    """The names of one subject, each with its signature and docstring; of all, without one."""

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[Any]:
        """Write what autodoc reads."""
        module = importlib.import_module(self.arguments[0])
        named = self.arguments[1] if len(self.arguments) > 1 else None
        names = module.__all__ if named is None else subjects(module)[named]
        text = "\n\n".join(_described(module, name) for name in names)
        return self.parse_text_to_nodes(text)


def _described(module: ModuleType, name: str) -> str:
    value, full = getattr(module, name), f"{module.__name__}.{name}"
    if isinstance(value, str):  # a version
        return f".. py:data:: {name}\n   :module: {module.__name__}"
    if isinstance(value, ModuleType):
        return f"* :py:mod:`{value.__name__}`"
    if first := _alias_of(module, name):
        return (
            f".. py:function:: {name}\n   :module: {module.__name__}\n\n"
            f"   :py:obj:`{first}` under another name."
        )
    if inspect.isclass(value):
        return f".. autoclass:: {full}\n   :members:"
    return f".. autofunction:: {full}"


def _alias_of(module: ModuleType, name: str) -> str | None:
    """The name by which the same is described: in `tinygrad_rl`, or earlier in the module."""
    value = getattr(module, name)
    first = next(n for n in module.__all__ if getattr(module, n) is value)
    if module is not tg and first in tg.__all__ and getattr(tg, first) is value:
        return f"tinygrad_rl.{first}"
    return None if first == name else f"{module.__name__}.{first}"


def _signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """An op's inputs and parameters by name: it is called, also as a method, with any."""
    op = getattr(tg, name.rpartition(".")[2], None) if what == "method" else obj
    if not isinstance(op, tg.Op):
        return None
    return f"({', '.join([*op.args, *op.params][what == 'method' :])})", "Tensor"


def _written_in(app: Any, module: str, name: str) -> str | None:
    """The module in which a function stands, under the wrapper that knows other spellings."""
    try:
        value = attrgetter(name)(importlib.import_module(module))
    except AttributeError:  # a field without a value
        return None
    return getattr(inspect.unwrap(value), "__module__", None) if callable(value) else None


def _without_ways_back(app: Any, page: str, template: str, context: Any, tree: Any) -> None:
    """A source without links to the reference: they are wrong where it is known by two names."""
    if page.startswith("_modules/"):
        context["body"] = re.sub(r'<a class="viewcode-back".*?</a>', "", context["body"])
