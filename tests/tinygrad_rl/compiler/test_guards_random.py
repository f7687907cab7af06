"""Random chains of objects, containers and functions that lead to a number, changed at any link."""

import random
import textwrap
import types

import numpy as np
import pytest

import tinygrad_rl as tg

PRELUDE = """\
import collections, dataclasses, functools, types
import tinygrad_rl as tg
from tinygrad_rl import nn
class Plain: pass
class Slots: __slots__ = ("a",)
@dataclasses.dataclass
class Data: a: object = None
class Net(nn.Module): pass
class Hidden:
    def __init__(self, value): self._a = value
    @property
    def a(self): return self._a
class Method:
    def __init__(self, value): self.value = value
    def get(self): return self.value
def plain(value):
    made = Plain(); made.a = value
    return made
def slots(value):
    made = Slots(); made.a = value
    return made
def net(value):
    made = Net(); made.a = value
    return made
def on_class(value): return type("Made", (), {"a": value})
def through_class(value): return type("Made", (), {"a": value})()
def module(value):
    made = types.ModuleType("made"); made.a = value
    return made
def closure(value): return lambda: value
def default(value):
    def get(value=value): return value
    return get
def partial(value): return functools.partial(lambda value: value, value)
def use(x, number): return x * number
"""

# How a link is made of what follows, how the chain goes on from it, and how its inside is replaced.
LINKS = {
    "plain({})": (".a", "{}.a = {}"),
    "slots({})": (".a", "{}.a = {}"),
    "Data({})": (".a", "{}.a = {}"),
    "net({})": (".a", "{}.a = {}"),
    "on_class({})": (".a", "{}.a = {}"),
    "through_class({})": (".a", "type({}).a = {}"),
    "module({})": (".a", "{}.a = {}"),
    "types.SimpleNamespace(a={})": (".a", "{}.a = {}"),
    "Hidden({})": (".a", "{}._a = {}"),
    "Method({})": (".get()", "{}.value = {}"),
    "[0, {}]": ("[1]", "{}[1] = {}"),
    "collections.deque([0, {}])": ("[-1]", "{}[-1] = {}"),
    "{{'k': {}}}": ("['k']", "{}['k'] = {}"),
    "collections.OrderedDict(k={})": (".get('k')", "{}['k'] = {}"),
    "(0, {})": ("[1]", None),
    "closure({})": ("()", "{}.__closure__[0].cell_contents = {}"),
    "default({})": ("()", "{}.__defaults__ = ({},)"),
    "partial({})": ("()", None),
}
ROOTS = {
    "global": ("root = {}\ndef f(x): return use(x, root{})", "root"),
    "closure": (
        "def make(root):\n    return lambda x: use(x, root{1})\nroot = {0}\nf = make(root)",
        "root",
    ),
    "self": (
        "class Agent:\n    def step(self, x): return use(x, self.root{1})\n"
        "agent = Agent(); agent.root = {0}\nf = agent.step",
        "agent.root",
    ),
    "local": (
        "root = {0}\ndef f(x):\n    found = root\n    return use(x, found{1})",
        "root",
    ),
    "loop": (
        "root = {0}\ndef f(x):\n    for found in [root]: x = use(x, found{1})\n    return x",
        "root",
    ),
    "helper": (
        "root = {0}\ndef get(found): return found{1}\ndef f(x): return use(x, get(root))",
        "root",
    ),
}


def build(links, number):
    text = str(float(number))
    for link in reversed(links):
        text = link.format(text)
    return text


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.filterwarnings("ignore:.*in a row:UserWarning")
def test_any_link_of_a_chain_may_change(seed):
    rng = random.Random(seed)
    root, owner = ROOTS[rng.choice(list(ROOTS))]
    links = rng.choices(list(LINKS), k=rng.randint(1, 4))
    links = [k for n, k in enumerate(links) if k != "net({})" or k not in links[:n]]
    path = "".join(LINKS[link][0] for link in links)
    program = PRELUDE + root.format(build(links, 2), path)
    modules = [types.ModuleType("program") for _ in range(2)]
    for module in modules:
        exec(compile(program, "program.py", "exec"), vars(module))
    compiled, eager = tg.jit(modules[0].f), modules[1].f
    x = tg.Tensor([0.5, 1.5])
    spots = [k for k in range(len(links)) if LINKS[links[k]][1] is not None]
    for number in (3, 3, 4, 2):
        for f in (compiled, compiled, eager):
            got = f(x).numpy()
        np.testing.assert_array_equal(compiled(x).numpy(), got, textwrap.dedent(program))
        if spots:
            k = rng.choice(spots)
            place = owner + "".join(LINKS[link][0] for link in links[:k])
            statement = LINKS[links[k]][1].format(place, build(links[k + 1 :], number))
            for module in modules:
                exec(statement, vars(module))
