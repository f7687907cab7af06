"""What the user calls a tensor, wherever the function at hand takes it from."""

import functools

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl import nn, optim
from tinygrad_rl.naming import Names, callers_variables

GLOBAL = tg.Tensor([1.0], requires_grad=True)
UNUSED = tg.Tensor([2.0], requires_grad=True)


def names(fn, *args, **kwargs) -> set[str]:
    found = Names()
    found.search_function(fn, args, kwargs)
    return set(found.tensors.values())


def tensor() -> tg.Tensor:
    return tg.Tensor([1.0], requires_grad=True)


def test_arguments_closures_and_globals_that_the_code_loads() -> None:
    closed = tensor()

    def fn(x, *rest, key=None, **more):
        return x * closed * GLOBAL

    t = [tensor() for _ in range(5)]
    assert names(fn, t[0], t[1], t[2], key=t[3], other=t[4]) == {
        "x", "rest[0]", "rest[1]", "key", "other", "closed", "GLOBAL",
    }  # fmt: skip


def test_containers_attributes_and_partial() -> None:
    class Agent:
        def __init__(self):
            self.tables = {"q": [tensor(), tensor()]}
            self._scale = tensor()

        def loss(self, x):
            return x

    assert names(Agent().loss) == {"tables['q'][0]", "tables['q'][1]", "_scale"}
    agent = Agent()
    expected = {"agent.tables['q'][0]", "agent.tables['q'][1]", "agent._scale"}
    assert names(lambda: agent.loss(0)) == expected
    assert names(functools.partial(lambda a, b: 0, b=tensor()), tensor()) == {"a", "b"}


def test_the_first_and_nearest_name_stays() -> None:
    t = tensor()
    holder = {"inner": t}
    assert names(lambda x: (holder, t), t) == {"x"}
    assert names(lambda: (holder, t)) == {"t"}


def test_w_stays_w_although_an_optimizer_saw_it_first() -> None:
    def step(optimizer):
        optimizer.step()
        return W * 2

    W = tensor()
    optimizer = optim.SGD([W], 0.1)
    found = Names()
    found.search_function(step, (optimizer,))
    assert list(found.tensors.values()) == ["W"]
    moments = set(found.with_moments().values()) - {"W"}
    assert moments == {"optimizer.rate", "optimizer.steps", "optimizer.state['momentum_buffer'][0]"}
    assert names(lambda: optimizer) == {"optimizer.params[0]"}


def test_modules_their_parts_and_their_parameters() -> None:
    net = nn.Sequential(nn.Linear(2, 1), nn.LayerNorm(1))
    net.scale = tg.Tensor([3.0])
    found = Names()
    found.search_function(lambda: net, ())
    assert [found.tensors[id(t)] for _, t in net.named_tensors()] == [
        "net.0.weight", "net.0.bias", "net.1.weight", "net.1.bias", "net.scale",
    ]  # fmt: skip
    assert {found.modules[id(m)] for m in net.modules()} == {"net", "net.0", "net.1"}
    assert found.parameters == {id(p) for p in net.parameters()}
    assert names(net, tensor()) == {
        "x", "0.weight", "0.bias", "1.weight", "1.bias", "scale",
    }  # fmt: skip


def test_a_jitted_function_is_looked_through() -> None:
    w = tensor()
    step = tg.jit(lambda x: x * w)
    assert names(step, tensor()) == {"x", "w"}
    step(tensor())
    assert names(lambda: step) == {"w"}  # and not into its compiled forms


def test_circles_end() -> None:
    circle: list = [tensor()]
    circle.append(circle)
    assert names(lambda: circle) == {"circle[0]"}


def test_the_callers_variables_are_those_around_the_call() -> None:
    local = tensor()
    variables = callers_variables()
    assert variables["local"] is local
    assert variables["GLOBAL"] is GLOBAL
    receives_local = tg.gradient_contract(receives=local)
    with pytest.raises(AssertionError, match="receives: local got no gradient"), receives_local:
        pass
    assert list(tg.trace_backward((local * 2).sum()).leaves) == ["local"]


def test_generated_code_spells_the_same_names_as_identifiers() -> None:
    critic = nn.Sequential(nn.Linear(2, 1))
    tables = {"q": tg.ones((1, 1)), "_k": [tg.ones((1, 1))]}
    optimizer = optim.SGD(critic, 0.1, momentum=0.9)

    @tg.jit
    def step(obs):
        optimizer.zero_grad()
        loss = (critic(obs) * tables["q"] * tables["_k"][0]).mean()
        loss.backward()
        optimizer.step()
        return loss

    step(np.ones((3, 2), np.float32))
    program = step.program()
    assert [v.name for v in program.inputs] == ["obs"]
    assert {v.name for v in program.states} == {
        "critic_0_weight", "critic_0_bias", "tables_q", "tables_k_0", "optimizer_rate",
        "optimizer_steps", "optimizer_state_momentum_buffer_0", "optimizer_state_momentum_buffer_1",
    }  # fmt: skip
    assert {"grad_critic_0_weight", "grad_critic_0_bias", "loss"} <= {
        i.out.name for i in program.instructions
    }
