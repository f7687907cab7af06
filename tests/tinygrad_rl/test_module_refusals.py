"""What can't be part of a module is refused, when it is assigned and when the module is asked."""

import copy
import functools
import weakref
from collections import UserList, deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.test_module_containers import holding, linear, names, weight
from tinygrad_rl import nn, optim
from tinygrad_rl.tree import TensorHolder


@dataclass(frozen=True)
class Data:
    value: Any
    other: Any = None


class Plain:
    def __init__(self, value: Any) -> None:
        self.value = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Layers(list):
    extra: Any = None


def with_extra(value: Any) -> Layers:
    layers = Layers([linear()])
    layers.extra = value
    return layers


def object_array(value: Any) -> np.ndarray:
    array = np.empty(1, object)
    array[0] = value
    return array


NAMELESS = {
    "set": lambda v: {v},
    "frozenset": lambda v: frozenset([v]),
    "generator": lambda v: (x for x in [v]),
    "map": lambda v: map(copy.copy, [v]),
    "filter": lambda v: filter(None, [v]),
    "zip": lambda v: zip([v], [v], strict=True),
    "iterator": lambda v: iter([v]),
    "reversed": lambda v: reversed([v]),
    "deque": lambda v: deque([v]),
    "values": lambda v: {"a": v}.values(),
    "items": lambda v: {"a": v}.items(),
    "keys": lambda v: {v: 1}.keys(),
    "keys of a dict": lambda v: {v: 1.0},
    "proxy": lambda v: MappingProxyType({"a": v}),
    "array": object_array,
    "array in a tuple": lambda v: (object_array(v), 1),
}
OBJECTS = {
    "dataclass": Data,
    "nested dataclass": lambda v: Data(Data([v])),
    "object": Plain,
    "object with a list": lambda v: Plain({"a": [v]}),
    "object with a set": lambda v: Plain({v}),
    "slots": Slotted,
    "list with an attribute": with_extra,
    "UserList": lambda v: UserList([v]),
    "partial": lambda v: functools.partial(max, v),
}


@pytest.mark.parametrize("nest", [lambda v: v, lambda v: [v], lambda v: {"a": (v,)}])
@pytest.mark.parametrize("thing", [linear, weight, nn.ReLU, lambda: weight().requires_grad_(False)])
@pytest.mark.parametrize("kind", [*NAMELESS, *OBJECTS])
def test_what_cannot_be_part_is_refused(kind: str, thing: Any, nest: Any) -> None:
    value = nest((NAMELESS | OBJECTS)[kind](thing()))
    module = holding(part=linear())
    before = names(module)
    with pytest.raises(TypeError, match=r"'things[a0.]*' .*list"):
        module.things = value
    assert not hasattr(module, "things") and names(module) == before


@pytest.mark.parametrize("kind", [*NAMELESS, *OBJECTS])
def test_a_container_that_gets_what_cannot_be_part_is_refused_when_it_is_asked(kind: str) -> None:
    value = (NAMELESS | OBJECTS)[kind](linear())
    module = holding(part=linear(), things=[])
    module.things.append(value)
    for ask in (
        lambda: module.parameters(),
        lambda: list(module.named_tensors()),
        lambda: module.eval(),
        lambda: module.state_dict(),
        lambda: module.requires_grad_(False),
        lambda: tg.frozen(module),
        lambda: optim.Adam(module),
    ):
        with pytest.raises(TypeError, match=r"'things\.0"):
            ask()


@pytest.mark.parametrize("kind", sorted(set(NAMELESS) - {"generator", "map"}))
def test_constants_that_would_be_lost_from_the_state_are_refused(kind: str) -> None:
    with pytest.raises(TypeError, match=r"'things.* holds a Tensor"):
        holding(things=NAMELESS[kind](tg.Tensor([1.0])))


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_may_hold_constants(kind: str) -> None:
    module = holding(things=OBJECTS[kind](tg.Tensor([1.0])), part=linear())
    assert names(module)[-1] == "part.weight"
    assert "part.weight" in module.state_dict()


def test_objects_may_refer_to_what_is_part() -> None:
    module = holding(part=linear(), weights=[weight()])
    module.all = {module, module.part, *module.weights}
    module.view = Plain([module, module.part])
    module.run = module.part.forward
    module.run_all = functools.partial(module.part, 3)
    module.step = tg.jit(module.part)
    module.optimizer = optim.Adam(module)
    module.plain = Plain(module.optimizer)
    module.part.owner = weakref.proxy(module)
    assert names(module) == ["part.weight", "weights.0"]
    module.part = linear()  # what they refer to is no longer part
    with pytest.raises(TypeError, match="'all' holds a Linear in a set"):
        module.parameters()


def test_what_holds_no_module_stays_a_plain_attribute() -> None:
    layer = linear()
    module = holding(
        sizes=[1, 2.5, "x", None], table={(1, 2): {3}}, tags={"a"}, recent=deque([1, 2], maxlen=2),
        ids=iter(range(3)), rng=np.random.default_rng(0), array=np.zeros(3), kind=nn.Linear,
        run=lambda: None, config=Data(3, [4]), numpy=np, outside=lambda: layer,
    )  # fmt: skip
    assert module.state_dict() == {} and repr(module) == "Module()"
    assert next(module.ids) == 0


def test_a_jitted_function_is_not_looked_into() -> None:
    outside = linear()

    @tg.jit
    def q(x: tg.Tensor) -> tg.Tensor:
        return outside(x)

    module = holding(part=linear(), q=q, qs=[q])
    module.q(tg.ones((1, 2)))
    assert names(module) == ["part.weight"]


def test_a_container_of_a_class_is_refused() -> None:
    for value in (linear(), weight(), [linear()], {"a": (weight(),)}, {linear()}, Plain(weight())):
        with pytest.raises(TypeError, match="'things"):
            type("Shared", (nn.Module,), {"things": value})
    with pytest.raises(TypeError, match="'things"):
        type("Shared", (type("Mixin", (), {"things": [linear()]}), nn.Module), {})
    with pytest.raises(TypeError, match="__slots__"):
        type("Slots", (nn.Module,), {"__slots__": ("layer",)})
    type("Fine", (nn.Module,), {"scale": tg.Tensor([1.0]), "sizes": [1, 2], "kinds": [nn.Linear]})


@pytest.mark.parametrize("value", [[linear()], {"a": weight()}, ((tg.Tensor([1.0]),),), linear()])
def test_containers_before_init_are_an_error(value: Any) -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.sizes = [1, 2]
            self.things = value

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\) before assigning 'things'"):
        Early()


class Table(TensorHolder):
    """A holder of tensors that is no module."""

    def __init__(self) -> None:
        self.values, self.count = weight(), tg.Tensor(0)

    def named_parameters(self):
        yield "values", self.values

    def named_tensors(self):
        yield from (("values", self.values), ("count", self.count))


def test_a_holder_of_the_users_own_is_part_like_a_module() -> None:
    module = holding(tables=[Table()], part=linear())
    assert names(module) == ["tables.0.values", "part.weight"]
    assert [name for name, _ in module.named_buffers()] == ["tables.0.count"]
    with tg.frozen(module):
        assert not module.tables[0].values.requires_grad
    module.eval()
