"""Lists, tuples and dicts in modules: named as PyTorch's, seen as they stand, none overlooked."""

import copy
from collections import OrderedDict, defaultdict
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl import nn, optim


def weight(*shape: int) -> tg.Tensor:
    return tg.Tensor(np.ones(shape or (2,), np.float32), requires_grad=True)


def linear(n: int = 2) -> nn.Linear:
    return nn.Linear(n, 1, bias=False, rng=np.random.default_rng(n))


def holding(**attributes: Any) -> nn.Module:
    module = nn.Module()
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


def names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters()]


class Pair(NamedTuple):
    first: Any
    second: Any


# -- names and order -------------------------------------------------------------------------------


class Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2, bias=False)]
        self.weights = [weight(5), tg.Tensor([0.0, 1.0]), weight(6)]
        self.scale = weight(1)
        self.heads = {"left": nn.Linear(2, 1), "right": {"deep": (linear(), [linear()])}}
        self.mixed = [linear(7), weight(8)]
        self.pair = Pair(linear(), weight(9))
        self.sizes, self.name = [3, 4, 2], "everything"
        self.by_step = OrderedDict({0: linear(), np.int64(10): linear()})


def test_names_order_and_shapes_are_pytorchs() -> None:
    module = Everything()
    assert {name: t.shape for name, t in module.state_dict().items()} == {
        "scale": (1,),  # the module's own come first, then its children in the order of assignment
        "layers.0.weight": (4, 3),
        "layers.0.bias": (4,),
        "layers.2.weight": (2, 4),
        "weights.0": (5,),
        "weights.2": (6,),
        "heads.left.weight": (1, 2),
        "heads.left.bias": (1,),
        "heads.right.deep.0.weight": (1, 2),
        "heads.right.deep.1.0.weight": (1, 2),
        "mixed.1": (8,),  # and so do a list's own
        "mixed.0.weight": (1, 7),
        "pair.second": (9,),
        "pair.first.weight": (1, 2),
        "by_step.0.weight": (1, 2),
        "by_step.10.weight": (1, 2),
        "weights.1": (2,),
    }
    assert list(module.state_dict()) == [*names(module), "weights.1"]
    assert [name for name, _ in module.named_buffers()] == ["weights.1"]
    assert [name for name, _ in module.named_holders()][:4] == [
        "layers.0", "layers.1", "layers.2", "heads.left",
    ]  # fmt: skip


def test_the_attributes_are_the_users_own_objects() -> None:
    layers, heads = [linear()], defaultdict(list, a=[linear()])
    module = holding(layers=layers, heads=heads)
    assert module.layers is layers and module.heads is heads
    assert names(module) == ["layers.0.weight", "heads.a.0.weight"]


def test_repr_shows_the_modules_in_containers() -> None:
    module = holding(q=[linear(), nn.Tanh()], heads={"a": (nn.ReLU(),)}, sizes=[1, 2])
    assert repr(module).splitlines() == [
        "Module(",
        "  (q): list(",
        "    (0): Linear(in_features=2, out_features=1, bias=False)",
        "    (1): Tanh()",
        "  )",
        "  (heads): dict(",
        "    (a): tuple(",
        "      (0): ReLU()",
        "    )",
        "  )",
        ")",
    ]


class Side(Enum):
    LEFT = "left"


@pytest.mark.parametrize("key", ["a.b", "", (1, 2), 1.5, None, Side.LEFT])
def test_a_key_that_makes_no_name_is_refused(key: object) -> None:
    for value in (linear(), weight(), [linear()], {"a": weight()}):
        with pytest.raises(TypeError, match="can't be in the name of a parameter"):
            holding(heads={key: value})
    assert names(holding(table={key: 1.5}, masks={key: [2, "text"]}, last=linear())) == [
        "last.weight"
    ]


def test_two_keys_that_make_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="keys of 'heads' are the same in a name"):
        holding(heads={0: linear(), "0": linear()})


# -- the lists are live ----------------------------------------------------------------------------


def test_changes_of_containers_are_seen_at_once() -> None:
    module = holding(layers=[linear(3)], heads={})
    module.layers.append(linear(4))
    module.layers.insert(0, linear(5))
    module.heads["x"] = [linear(6)]
    shapes = {name: p.shape[1] for name, p in module.named_parameters()}
    assert shapes == {
        "layers.0.weight": 5, "layers.1.weight": 3, "layers.2.weight": 4, "heads.x.0.weight": 6,
    }  # fmt: skip
    module.layers[0] = other = linear(7)
    del module.layers[1:], module.heads["x"]
    assert module.parameters() == [other.weight]
    module.layers.clear()
    assert module.parameters() == [] and module.state_dict() == {}
    with pytest.raises(ValueError, match="matched no tensor"):
        tg.frozen(module)


def test_a_frozen_object_that_is_entered_later_freezes_what_stands_there_then() -> None:
    module = holding(layers=[linear()])
    freeze = tg.frozen(module)
    module.layers.append(linear())
    for _ in range(2):
        with freeze:
            assert not any(p.requires_grad for p in module.parameters())
        assert all(p.requires_grad for p in module.parameters()) and len(module.parameters()) == 2


# -- parameters stay parameters --------------------------------------------------------------------


def made_by_an_op() -> tg.Tensor:
    return (tg.ones(2) * 3).requires_grad_()


def buffer_made_a_parameter() -> tg.Tensor:
    return tg.Tensor([1.0]).requires_grad_()


@pytest.mark.parametrize("make", [weight, made_by_an_op, buffer_made_a_parameter])
def test_a_frozen_tensor_in_a_list_is_still_a_parameter(make) -> None:
    module = holding(weights=[make()], one=make(), constants=[tg.Tensor([1.0])])
    module.weights.append(make().requires_grad_(False))  # frozen before it came
    expected = ["one", "weights.0", "weights.1"]
    assert names(module) == expected
    with tg.frozen(module):
        assert names(module) == expected and not any(p.requires_grad for p in module.parameters())
        with tg.frozen(module.weights):
            assert names(module) == expected
        assert names(copy.deepcopy(module)) == expected
    assert [p.requires_grad for p in module.parameters()] == [True, True, False]
    module.requires_grad_(False)
    assert names(module) == expected == names(copy.deepcopy(module))
    assert [name for name, _ in module.named_buffers()] == ["constants.0"]
    module.requires_grad_()
    assert all(p.requires_grad for p in module.parameters())
    assert not module.constants[0].requires_grad


def test_a_constant_that_is_unfrozen_later_is_frozen_with_the_module() -> None:
    module = holding(scale=tg.Tensor([1.0]), scales=[tg.Tensor([1.0])])
    assert names(module) == []
    for t in (module.scale, *module.scales):
        t.requires_grad_()
    with tg.frozen(module):
        assert not module.scale.requires_grad and not module.scales[0].requires_grad
        assert names(module) == ["scale", "scales.0"]


def test_what_is_computed_from_frozen_parameters_is_no_parameter() -> None:
    module = holding(part=linear())
    with tg.frozen(module):
        module.snapshots = [module.part.weight * 1, module.part.weight.detach()]
    module.part.requires_grad_(False).requires_grad_().requires_grad_(False)
    module.snapshots.append(module.part.weight * 1)
    assert names(module) == ["part.weight"]
    assert [name for name, _ in module.named_buffers()] == [f"snapshots.{i}" for i in range(3)]


def test_results_with_history_are_neither_parameters_nor_buffers() -> None:
    module = holding(part=linear(), cache=[])
    module.cache.append(module.part(tg.ones((1, 2))))
    module.last = {"y": module.cache[0] * 2}
    assert list(module.state_dict()) == ["part.weight"]
    with tg.frozen(module):
        pass


def test_a_buffer_that_gets_its_history_in_place_stays_in_the_state() -> None:
    module = holding(part=linear(), mean=tg.zeros(1), means=[tg.zeros(1)])
    for mean in (module.mean, module.means[0]):
        mean.assign_(0.9 * mean + 0.1 * module.part(tg.ones((1, 2))).mean())
        assert mean.requires_grad and not mean.is_leaf
    assert list(module.state_dict()) == ["part.weight", "mean", "means.0"]
    assert names(module) == ["part.weight"]


# -- everything asks the one walk ------------------------------------------------------------------


def test_flags_modes_and_gradients_reach_what_stands_in_containers() -> None:
    module = Everything()
    assert not any(m.training for m in module.eval().modules())
    assert all(m.training for m in module.train().modules())
    assert len(list(module.modules())) == 11
    for p in module.parameters():
        p.grad = tg.Tensor(np.ones(p.shape, np.float32))
    module.zero_grad()
    assert all(p.grad is None for p in module.parameters())
    module.requires_grad_(False)
    assert not module.layers[0].weight.requires_grad and not module.weights[0].requires_grad
    assert optim.SGD(module, 0.1).params == tuple(module.parameters())


def test_state_is_saved_and_loaded_in_place(tmp_path: Path) -> None:
    one, other = Everything(), Everything()
    kept = other.heads["right"]["deep"][1][0].weight
    tg.save(tmp_path / "it.safetensors", one.state_dict())
    other.load_state_dict(tg.load(tmp_path / "it.safetensors"))
    for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())
    assert other.heads["right"]["deep"][1][0].weight is kept and kept.requires_grad
    with pytest.raises(KeyError, match=r"missing \['layers.2.weight'\]"):
        del one.layers[2]
        other.load_state_dict(one.state_dict())


def test_explain_names_modules_and_parameters_in_containers() -> None:
    twin = holding(q=[linear(), {"deep": linear()}])

    def loss() -> tg.Tensor:
        x = tg.ones((1, 2))
        return (twin.q[0](x) + twin.q[1]["deep"](x)).sum()

    assert set(tg.explain(loss).reached) == {"twin.q.0.weight", "twin.q.1.deep.weight"}
    with tg.frozen(twin.q[0]):
        assert tg.explain(loss).reached == ["twin.q.1.deep.weight"]


# -- twin critics, as a user writes them -----------------------------------------------------------


class Critic(nn.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.mlp = nn.MLP((3, 8, 1), rng=rng)

    def forward(self, obs: tg.Tensor, action: tg.Tensor) -> tg.Tensor:
        return self.mlp(tg.concatenate([obs, action], axis=1))


class Twin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.q = [Critic(rng), Critic(rng)]

    def forward(self, obs: tg.Tensor, action: tg.Tensor) -> tg.Tensor:
        return tg.minimum(*[q(obs, action) for q in self.q])


class Agent:
    def __init__(self) -> None:
        self.critic = Twin()
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.actor = nn.MLP((2, 8, 1), nn.Tanh, rng=np.random.default_rng(1))
        self.critic_optimizer = optim.Adam(self.critic, 1e-2)
        self.actor_optimizer = optim.Adam(self.actor, 1e-2)

    def update(self, obs: tg.Tensor, action: tg.Tensor, reward: tg.Tensor) -> tg.Tensor:
        y = reward + 0.9 * self.target(obs, action)
        self.critic_optimizer.zero_grad()
        loss = sum(((q(obs, action) - y) ** 2).mean() for q in self.critic.q)
        loss.backward()
        self.critic_optimizer.step()
        with tg.frozen(self.critic):
            value = self.critic(obs, self.actor(obs)).mean()
        self.actor_optimizer.zero_grad()
        (-value).backward()
        self.actor_optimizer.step()
        optim.polyak(self.target, self.critic, 0.5)
        return value.detach()

    def state(self) -> dict[str, np.ndarray]:
        parts = {"critic": self.critic, "target": self.target, "actor": self.actor}
        return {
            f"{part}.{name}": t.numpy().copy()
            for part, module in parts.items()
            for name, t in module.state_dict().items()
        }


def test_twin_critics_learn_alike_with_and_without_jit() -> None:
    eager, compiled = Agent(), Agent()
    step = tg.jit(compiled.update)
    rng = np.random.default_rng(2)
    start = eager.state()
    assert "critic.q.1.mlp.2.weight" in start
    for _ in range(4):
        shapes = ((16, 2), (16, 1), (16, 1))
        batch = [tg.Tensor(rng.normal(size=shape).astype(np.float32)) for shape in shapes]
        np.testing.assert_allclose(step(*batch).item(), eager.update(*batch).item(), rtol=1e-4)
    for name, value in eager.state().items():
        assert not np.array_equal(value, start[name])  # both critics, both targets and the actor
        np.testing.assert_allclose(compiled.state()[name], value, rtol=2e-3, atol=1e-5)
    assert not any(p.requires_grad for p in eager.target.parameters())
    assert all(p.requires_grad for p in eager.critic.parameters())


def test_the_actors_loss_leaves_nothing_in_the_critics_of_a_list() -> None:
    agent = Agent()
    obs = tg.ones((4, 2))
    with tg.frozen(agent.critic):
        loss = -agent.critic(obs, agent.actor(obs)).mean()
    loss.backward()
    assert all(p.grad is None for p in agent.critic.parameters())
    assert all(q.mlp[0].weight.grad is None for q in agent.critic.q)
    assert all(p.grad is not None for p in agent.actor.parameters())


# -- shared parts and circles ----------------------------------------------------------------------


def test_what_stands_there_twice_is_one_parameter_under_two_names() -> None:
    shared, w = linear(), weight()
    module = holding(layers=[shared, shared], again={"it": shared}, weights=[w, w], w=w)
    assert names(module) == ["w", "layers.0.weight"]
    assert list(module.state_dict()) == [
        "w", "layers.0.weight", "layers.1.weight", "again.it.weight", "weights.0", "weights.1",
    ]  # fmt: skip
    assert len(list(module.modules())) == 2
    module.load_state_dict(module.state_dict())
    copied = copy.deepcopy(module)
    assert copied.layers[0] is copied.layers[1] is copied.again["it"]
    assert copied.weights[0] is copied.w


def test_circles_end() -> None:
    child = holding(part=linear())
    parent = holding(children=[child])
    child.owner, child.owners = parent, [parent]
    parent.children.append(parent)
    parent.children.append(parent.children)
    assert names(parent) == ["children.0.part.weight"]
    assert set(names(child)) == {"part.weight"}
    assert set(parent.modules()) == {parent, child, child.part}
    assert "(0): Module(" in repr(parent) and "..." in repr(parent)
    parent.eval().load_state_dict(parent.state_dict())
    assert not child.part.training
    copied = copy.deepcopy(parent)
    assert copied.children[0].owner is copied


# -- places ----------------------------------------------------------------------------------------


def test_an_attribute_that_is_replaced_keeps_its_place() -> None:
    module = holding(a=weight(1), b=linear(), c=[linear()], d=weight(4))
    expected = ["a", "d", "b.weight", "c.0.weight"]
    module.a, module.b, module.c = weight(7), linear(9), [linear(8)]
    assert names(module) == expected
    module.b = None
    assert names(module) == ["a", "d", "c.0.weight"]
    module.b = linear()
    assert names(module) == expected
    module.a = linear()
    assert names(module) == ["d", "a.weight", "b.weight", "c.0.weight"]
    module.a = weight()
    assert names(module) == expected


def steps(*sizes: int) -> nn.Sequential:
    return nn.Sequential(*[nn.Linear(n, m) for n, m in pairwise(sizes)])


@pytest.mark.parametrize("make", [lambda: steps(2, 3, 4, 5), lambda: nn.MLP((2, 3, 4, 5))])
def test_a_layer_that_is_replaced_keeps_its_place(make) -> None:
    net, x = make(), np.ones((6, 2), np.float32)
    for i in range(len(net)):
        order, layer = list(net), copy.deepcopy(net[i])
        for replace in (
            lambda i, layer: setattr(net, str(i), layer),
            lambda i, layer: net.__setitem__(i, layer),
            lambda i, layer: net.__setitem__(i - len(net), layer),
            lambda i, layer: (delattr(net, str(i)), setattr(net, str(i), layer)),
        ):
            expected = names(net)
            replace(i, layer)
            order[i] = layer
            assert list(net) == order and names(net) == expected
            assert net(x).shape == (6, 5)
            layer = copy.deepcopy(layer)


def test_layers_stand_in_the_order_of_their_numbers() -> None:
    net = nn.Sequential()
    net.scale = weight()
    for i in (2, 0, 10, 1):
        setattr(net, str(i), linear(i + 1))
    assert names(net) == ["scale", "0.weight", "1.weight", "2.weight", "10.weight"]
    assert [layer.weight.shape[1] for layer in net] == [1, 2, 3, 11]


def test_a_slice_is_a_sequential_of_the_same_layers() -> None:
    net = steps(2, 3, 4, 5)
    part = net[1:]
    assert type(part) is nn.Sequential and list(part) == [net[1], net[2]] and net[-1] is net[2]
    assert names(part) == ["1.weight", "1.bias", "2.weight", "2.bias"]
    assert part(np.ones((6, 3), np.float32)).shape == (6, 5)
    with pytest.raises(IndexError):
        net[3]
    with pytest.raises(IndexError):
        net[3] = linear()


@pytest.mark.parametrize("layer", [tg.tanh, [nn.Tanh()], None, weight()])
def test_what_is_no_module_is_no_layer(layer: Any) -> None:
    with pytest.raises(TypeError, match="layer 1 of a Sequential must be a module"):
        nn.Sequential(linear(), layer)
    net = steps(2, 3, 4)
    with pytest.raises(TypeError, match="layer 1 of a Sequential must be a module"):
        net[1] = layer
    assert len(net) == 2 and net(np.ones((1, 2), np.float32)).shape == (1, 4)
