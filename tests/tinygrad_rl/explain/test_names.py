"""explain calls tensors what the user calls them."""

import functools

import tinygrad_rl as tg
from tests.tinygrad_rl.explain.made import OBS, mlp


class Agent:
    def __init__(self):
        self.actor = mlp(3, 4, 1)
        self.critics = [mlp(4, 4, 1), mlp(4, 4, 1)]
        self._scale = tg.Tensor([2.0])

    def loss(self, obs):
        action = self.actor(obs) * self._scale
        values = [critic(tg.concatenate([obs, action], axis=1)) for critic in self.critics]
        return -(values[0] + values[1]).mean()


def test_names_from_a_method():
    e = tg.explain(Agent().loss, OBS)
    names = [leaf.name for leaf in e.leaves]
    assert "actor.0.weight" in names
    assert "critics[1].2.bias" in names
    assert set(e.data) == {"obs", "_scale"}


def test_names_from_an_object_in_a_closure():
    agent = Agent()
    assert "agent.critics[0].0.weight" in tg.explain(lambda: agent.loss(OBS)).reached


def test_names_from_arguments_and_partial():
    def loss(net, batch):
        return net(batch["obs"]).mean()

    e = tg.explain(loss, mlp(3, 2), {"obs": OBS})
    assert e.reached == ["net.0.weight", "net.0.bias"]
    assert e.data == ("batch['obs']",)
    e = tg.explain(functools.partial(loss, batch={"obs": OBS}), mlp(3, 2))
    assert "net.0.weight" in e.reached


def test_names_of_a_module_itself_and_of_an_optimizer():
    net = mlp(3, 2)
    assert tg.explain(net, OBS).reached == ["0.weight", "0.bias"]
    w = [tg.Tensor([1.0], requires_grad=True)]
    optimizer = tg.optim.SGD([w[0]], lr=0.1)

    def loss(optimizer):
        return (optimizer.params[0] * 2).sum()

    assert tg.explain(loss, optimizer).reached == ["optimizer.params[0]"]


def test_leaves_made_inside_have_the_names_of_their_variables():
    def loss():
        inner = tg.Tensor([1.0, 2.0], requires_grad=True)
        return (inner * 2).sum()

    assert tg.explain(loss).reached == ["inner"]
