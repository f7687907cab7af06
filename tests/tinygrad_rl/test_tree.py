"""Nested structures: taken apart in order, made anew in kind, and what holds tensors is asked."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

import tinygrad_rl as tg
from tinygrad_rl import nn, optim
from tinygrad_rl.tree import (
    TensorHolder,
    collect_tensors,
    contents,
    leaves,
    prepared,
    replaced,
    tensors_in,
)


class Pair(NamedTuple):
    first: object
    second: object


A, B, C = (tg.Tensor([float(i)]) for i in range(3))
TREE = {"a": Pair(A, [1, B]), "b": ((), {}), "c": (C, "text", None)}


def test_tensors_and_leaves_come_in_order() -> None:
    assert tensors_in(TREE) == [A, B, C]
    assert list(leaves(TREE)) == [A, 1, B, C, "text", None]
    assert tensors_in(A) == [A] and tensors_in("text") == []


def test_contents_are_under_keys_fields_and_indices() -> None:
    assert list(contents(TREE["a"])) == [("first", A), ("second", [1, B])]
    assert list(contents([A])) == [(0, A)] and list(contents({"x": B})) == [("x", B)]
    assert list(contents(A)) == [] and list(contents("text")) == []


def test_structures_keep_their_types() -> None:
    names = {id(A): "A", id(B): "B", id(C): "C"}
    expected = {"a": Pair("A", [1, "B"]), "b": ((), {}), "c": ("C", "text", None)}
    got = replaced(TREE, tg.Tensor, lambda t: names[id(t)])
    assert got == expected and type(got["a"]) is Pair
    make = prepared(TREE, tg.Tensor, lambda t: lambda suffix: names[id(t)] + suffix)
    assert make("") == expected and type(make("")["a"]) is Pair
    assert make("!")["c"] == ("C!", "text", None)
    assert make("")["a"].second is not make("")["a"].second  # anew at each call


# -- who holds tensors -----------------------------------------------------------------------------


class Table(TensorHolder):
    """A holder that is no module."""

    def __init__(self) -> None:
        self.values = tg.zeros((3, 2)).requires_grad_()

    def named_parameters(self) -> Iterator[tuple[str, tg.Tensor]]:
        yield "values", self.values

    named_tensors = named_parameters


def test_parameters_are_collected_once_and_in_order() -> None:
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net, 0.1)
    both = [net.weight, net.bias]
    assert collect_tensors(net) == collect_tensors(optimizer) == both
    assert collect_tensors([net, A, (net.bias, {"b": B}), iter([A])]) == [*both, A, B]
    assert collect_tensors(p for p in net.parameters()) == both
    assert collect_tensors([]) == [] == collect_tensors(iter(()))


@pytest.mark.parametrize("thing", ["text", 3, None, [object()], {"a": "text"}])
def test_what_holds_no_tensors_is_refused(thing: object) -> None:
    with pytest.raises(TypeError, match="expected a module or tensors, not"):
        collect_tensors(thing)


def test_a_holder_of_the_users_own_is_taken_like_a_module() -> None:
    table = Table()
    with tg.frozen(table):
        assert not table.values.requires_grad
    optim.SGD(table, 0.1)
    assert tg.explain(lambda: (table.values * 2).sum()).reached == ["table.values"]


def test_a_generator_that_is_used_up_is_an_error() -> None:
    net = nn.Linear(2, 1)
    parameters = (p for _, p in net.named_parameters())
    optim.SGD(parameters, 0.1)
    with pytest.raises(ValueError, match="used up before"):
        optim.SGD(parameters, 0.1)
    with pytest.raises(ValueError, match="used up before"):
        tg.frozen(parameters)
    with pytest.raises(ValueError, match="used up before"):
        tg.gradient_contract(receives=parameters)
