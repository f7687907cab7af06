"""The verdict of an explanation as one sentence, whatever mix of fates there is.

    headline(leaves)      # 'The gradient reaches actor (6 tensors) and passes through critic, ...'

First comes what the gradient does: it reaches, passes through, is zero at, is cut off from. Then
come the tensors that stay aside: `; scale is frozen`. A module that is frozen as a whole is passed
*through*, and the sentence says so; tensors that are frozen one by one are only named.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from tinygrad_rl.core import CutKind
from tinygrad_rl.explain.diagnose import Leaf, Status
from tinygrad_rl.spelling import counted

_ASIDE = {
    CutKind.FROZEN_LATE: "were frozen too late",
    CutKind.UNFROZEN_LATE: "were unfrozen too late",
    CutKind.NOT_ASKED: "are not asked for",
    CutKind.FROZEN: "are frozen",
}
"""What leaves the way open and gives one tensor nothing, the most surprising first."""
_VERBS = {
    Status.REACHED: "reaches",
    Status.ZERO: "is exactly zero at",
    Status.BLOCKED: "is cut off from",
}
_NAMED = 4  # modules and tensors; more are counted


def headline(leaves: Sequence[Leaf]) -> str:
    """The verdict in a sentence."""
    if all(leaf.status is Status.UNUSED for leaf in leaves):
        return "No tensor that requires a gradient takes part."
    aside = {leaf.name: said for leaf in leaves if (said := set_aside(leaf))}
    passed = any(leaf.passed for leaf in leaves)
    if len(aside) == len(leaves) and not passed and set(aside.values()) == {"are frozen"}:
        return "The gradient is not computed: everything is frozen."
    does = {s: [x.name for x in leaves if x.status is s and x.name not in aside] for s in _VERBS}
    acts = [
        f"{_VERBS[s]} {'everything' if len(names) == len(leaves) else listed(names)}"
        for s, names in does.items()
        if names
    ]
    passes: list[str] = []  # each with its own "whose", so only one fits into the first clause
    stays: list[str] = []
    for said in dict.fromkeys(aside.values()):
        modules, single = _modules(leaves, [x for x in leaves if aside.get(x.name) == said])
        passes += [f"{verb} {_whose(groups, said)}" for verb, groups in modules.items()]
        if single:
            stays.append(_some(single, said))
    if unused := [x.name for x in leaves if x.status is Status.UNUSED]:
        stays.append(f"{listed(unused)} {'take' if len(_tops(unused)) > 1 else 'takes'} no part")
    first = [*acts, *passes[:1]]
    if not first:
        return f"No gradient is computed: {'; '.join(stays)}."
    more = [f"it {clause}" for clause in passes[1:]]
    return "; ".join([f"The gradient {_joined(first)}", *more, *stays]) + "."


def set_aside(leaf: Leaf) -> str:
    """What is said of a tensor that gets nothing although its way is open; "" for all others."""
    kinds = {c.kind for c in leaf.causes}
    if leaf.passed:  # that another way is cut is no matter: one is open
        kinds &= _ASIDE.keys()
    if leaf.status not in (Status.FROZEN, Status.BLOCKED) or not kinds <= _ASIDE.keys():
        return ""
    return next((said for kind, said in _ASIDE.items() if kind in kinds), "")


def _modules(
    leaves: Sequence[Leaf], alike: Sequence[Leaf]
) -> tuple[dict[str, list[list[Leaf]]], list[str]]:
    """Whole modules of one fate by what the gradient does with them, and all other tensors."""
    sizes = {name: len(names) for name, names in _tops([x.name for x in leaves]).items()}
    modules: dict[str, list[list[Leaf]]] = {}
    single: list[str] = []
    for module, found in groupby(alike, key=lambda x: top(x.name)):
        group = list(found)
        passed = any(x.passed for x in group)
        late = any(c.kind.is_late for x in group for c in x.causes)  # the gradient does enter
        if len(group) < sizes[module] or group[0].name == module or (late and not passed):
            single += [x.name for x in group]
        else:
            modules.setdefault("passes through" if passed else "does not enter", []).append(group)
    return modules, single


def _whose(modules: list[list[Leaf]], said: str) -> str:
    """`critic, whose 6 tensors are frozen`."""
    tops = [top(group[0].name) for group in modules]
    names = [x.name for group in modules for x in group]
    several = len(tops) > _NAMED
    whose = f"{counted(len(names), 'tensor')} {said}"
    if len(names) == 1:
        whose = f"{names[0].removeprefix(f'{tops[0]}.')} {_of_one(said)}"
    return f"{counted(len(tops), 'module') if several else _joined(tops)}, whose {whose}"


def _some(names: list[str], said: str) -> str:
    """`scale is frozen`, `2 tensors of critic are frozen`, `scale and critic.0.bias are frozen`."""
    if len(names) == 1:
        return f"{names[0]} {_of_one(said)}"
    tops = _tops(names)
    several = f"{counted(len(names), 'tensor')} of {names[0].partition('.')[0]}"
    return f"{several if len(tops) == 1 else listed(names)} {said}"


def _of_one(said: str) -> str:
    return said.replace("are ", "is ").replace("were ", "was ")


def listed(names: Sequence[str]) -> str:
    """`actor (6 tensors) and scale`."""
    tops = _tops(names)
    groups = [
        g[0] if len(g) == 1 else f"{t} ({counted(len(g), 'tensor')})" for t, g in tops.items()
    ]
    return counted(len(names), "tensor") if len(groups) > _NAMED else _joined(groups)


def _tops(names: Sequence[str]) -> dict[str, list[str]]:
    """The names of each module, or of each tensor that is in none."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(top(name), []).append(name)
    return found


def top(name: str) -> str:
    """The module, or the variable, that a name begins with."""
    return name.partition(".")[0]


def _joined(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def wrapped(text: str, width: int, indent: int = 0) -> Iterator[str]:
    """Lines of at most `width` characters; a count stays with what it counts."""
    held = re.sub(r"(?<=\d) (?=(tensor|module)s)", "\N{NO-BREAK SPACE}", text)
    for line in textwrap.wrap(held, width, subsequent_indent=" " * indent):
        yield line.replace("\N{NO-BREAK SPACE}", " ")
