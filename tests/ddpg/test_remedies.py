"""What mends Q, each setting against a plain NumPy oracle, compiled against eager, and its cost."""

import dataclasses

import numpy as np
import pytest
from gymnasium.spaces import Box

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig, losses
from ddpg.agent import CRITIC_METRICS, METRICS
from ddpg.config import ALGORITHMS
from ddpg.networks import Actor, Critic
from ddpg.replay import Batch

OBSERVATIONS = Box(-np.inf, np.inf, (3,))
ACTIONS = Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 0.5], np.float32))
SMALL = DDPGConfig(hidden=(8, 8), batch_size=8, buffer_size=100, warmup_steps=0, compile=False)
TD3 = ALGORITHMS["td3"]
REMEDIES = {
    "td3": TD3,
    "an ensemble": {"critics": 5},
    "n-step targets": {"n_step": 3},
    "the others": {"critic_layer_norm": True, "critic_weight_decay": 1e-2, "grad_clip": 0.1},
}
ONE_LAYER = {"hidden": (8,)}  # for what is compiled, which takes its time
GAMMA = 0.9


def make(**settings):
    agent = DDPG(OBSERVATIONS, ACTIONS, dataclasses.replace(SMALL, **settings), seed=0)
    rng = np.random.default_rng(5)
    for n in range(30):
        obs, next_obs = rng.normal(size=(2, 3))
        action = rng.uniform(ACTIONS.low, ACTIONS.high)
        agent.replay.add(obs, action, rng.normal(), next_obs, n % 5 == 0, n % 7 == 0)
    return agent


def parameters(*modules):
    return np.concatenate([p.numpy().ravel() for m in modules for p in m.parameters()])


def forward(network, x):
    """A network of Linear, perhaps LayerNorm, ReLU, in float64."""
    x = np.asarray(x, np.float64)
    for layer in network.mlp:
        name = type(layer).__name__
        if name == "Linear":
            x = x @ layer.weight.numpy().astype(np.float64).T + layer.bias.numpy()
        elif name == "LayerNorm":
            spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
            x = (
                x - x.mean(axis=1, keepdims=True)
            ) / spread * layer.weight.numpy() + layer.bias.numpy()
        else:
            x = np.maximum(x, 0.0)
    return x


def q_of(critic, obs, action):
    return forward(critic, np.hstack([obs, action]))


def mu_of(actor, obs):
    low, high = ACTIONS.low.astype(np.float64), ACTIONS.high.astype(np.float64)
    return (low + high) / 2 + (high - low) / 2 * np.tanh(forward(actor, obs))


def make_batch(rows=64, seed=1):
    rng = np.random.default_rng(seed)
    columns = [rng.normal(size=(rows, width)).astype(np.float32) for width in (3, 2, 1, 3)]
    done = (np.arange(rows)[:, None] % 3 == 0).astype(np.float32)
    return Batch(*map(tg.from_numpy, (*columns, done)), GAMMA)


def networks(critics):
    rng = np.random.default_rng(0)
    bounds = ACTIONS.low, ACTIONS.high
    made = Actor(3, *bounds, (8,), rng), [Critic(3, 2, (8,), rng) for _ in range(critics)]
    for network in (made[0], *made[1]):  # else all actions lie in the middle, and all Q near 0
        with tg.no_grad():
            for parameter in network.mlp[-1].parameters():
                parameter.mul_(500.0)
    return made


def expected_target(actor, critics, batch, noise, counted):
    """Row by row, in plain Python."""
    obs, reward, done = (t.numpy() for t in (batch.next_obs, batch.reward, batch.terminated))
    action = np.clip(mu_of(actor, obs) + noise, ACTIONS.low, ACTIONS.high)
    values = [q_of(critic, obs, action) for critic in critics]
    rows = [
        reward[i, 0] + GAMMA * (1 - done[i, 0]) * min(float(values[k][i, 0]) for k in counted)
        for i in range(len(obs))
    ]
    return np.array(rows)[:, None]


@pytest.mark.parametrize(
    ("critics", "pair"), [(1, None), (2, None), (3, None), (6, (4, 1)), (6, (0, 5)), (5, (2, 3))]
)
@pytest.mark.parametrize("noisy", [False, True])
def test_the_smallest_target_counts_at_actions_within_their_bounds(critics, pair, noisy):
    actor, ensemble = networks(critics)
    batch = make_batch()
    noise = np.random.default_rng(2).normal(size=(64, 2)).astype(np.float32) * noisy
    target = losses.td_target(
        actor,
        ensemble,
        batch,
        tg.from_numpy(noise) if noisy else None,
        None if pair is None else tg.from_numpy(np.array(pair)),
    )
    counted = pair or range(critics)
    expected = expected_target(actor, ensemble, batch, noise, counted)
    np.testing.assert_allclose(target.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert not target.requires_grad
    moved = mu_of(actor, batch.next_obs.numpy()) + noise
    outside = (moved < ACTIONS.low) | (moved > ACTIONS.high)
    assert outside.any() == noisy  # the bounds were tried


def test_critics_that_agree_are_one_critic():
    """Ties of the minimum are no case of their own."""
    actor, (critic,) = networks(1)
    batch = make_batch()
    one = losses.td_target(actor, [critic], batch)
    np.testing.assert_array_equal(losses.td_target(actor, [critic] * 4, batch).numpy(), one.numpy())


@pytest.mark.parametrize("name", REMEDIES)
def test_compiled_and_eager_learn_the_same(name):
    settings = REMEDIES[name] | ONE_LAYER
    eager, compiled = make(**settings), make(**settings, compile=True)
    for _ in range(12):
        one, two = eager.update(), compiled.update()
        assert one == pytest.approx(two, rel=1e-3, abs=1e-5)
    np.testing.assert_allclose(
        parameters(compiled.actor, *compiled.critics, *compiled.target_critics),
        parameters(eager.actor, *eager.critics, *eager.target_critics),
        rtol=1e-2,
        atol=1e-4,
    )
    delayed = eager.config.actor_every > 1
    assert compiled._run_step.cache_info().traces == 1 + delayed


@pytest.mark.parametrize("name", REMEDIES)
def test_state_continues_where_it_was_taken(name):
    agent, other = make(**REMEDIES[name]), make(**REMEDIES[name])
    for _ in range(3):
        agent.update()
    other.load_state_dict(agent.state_dict())
    for _ in range(4):
        assert agent.update() == other.update()


def test_the_actor_and_all_targets_move_with_every_third_update():
    agent = make(**TD3 | {"actor_every": 3})
    for number in range(1, 8):
        slow = agent.actor, agent.target_actor, *agent.target_critics
        before, critics = [parameters(m) for m in slow], parameters(*agent.critics)
        metrics = agent.update()
        moves = number % 3 == 0
        assert tuple(metrics) == (METRICS if moves else CRITIC_METRICS)
        for module, values in zip(slow, before, strict=True):
            assert (parameters(module) != values).any() == moves
        assert (parameters(*agent.critics) != critics).any()


def test_target_noise_reaches_the_target():
    quiet, noisy = make(), make(target_noise=0.2)
    assert quiet.update()["mean_target"] != noisy.update()["mean_target"]


def test_a_pair_of_five_is_drawn_anew_and_without_repetition():
    agent = make(critics=5)
    pairs = [agent._draw().pair.numpy().tolist() for _ in range(60)]
    assert all(len(set(pair)) == 2 for pair in pairs)
    assert {n for pair in pairs for n in pair} == set(range(5))
    assert make(critics=4)._draw().pair is None


def test_critics_of_an_ensemble_differ_and_learn_the_same_target():
    agent = make(critics=3)
    first, second, third = map(parameters, agent.critics)
    assert (first != second).any() and (second != third).any()
    np.testing.assert_array_equal(parameters(*agent.critics), parameters(*agent.target_critics))
    # The first one is the one that an agent with one critic has.
    np.testing.assert_array_equal(first, parameters(make().critics[0]))
    batch = agent.replay.gather(tg.from_numpy(np.arange(8)), GAMMA)
    target = losses.td_target(agent.target_actor, agent.target_critics, batch).numpy()
    errors = [
        np.mean((critic(batch.obs, batch.action).numpy() - target) ** 2) for critic in agent.critics
    ]
    assert agent.critic_step(batch)["critic_loss"].item() == pytest.approx(
        np.mean(errors), rel=1e-5
    )


def test_each_critic_of_an_ensemble_takes_the_step_that_it_would_take_alone():
    """Losses are summed, not averaged: else an ensemble would learn more slowly (by SGD)."""
    agent = make(critics=2, grad_clip=1e-3)
    batch = agent.replay.gather(tg.from_numpy(np.arange(8)), GAMMA)
    target = losses.td_target(agent.target_actor, agent.target_critics, batch)
    alone = []
    for critic in agent.critics:
        losses.critic_loss(critic(batch.obs, batch.action), target).backward()
        tg.optim.clip_grad_norm(critic, 1e-3)
        alone.append(np.concatenate([p.grad.numpy().ravel() for p in critic.parameters()]))
    agent.critic_step(batch)
    for critic, gradient in zip(agent.critics, alone, strict=True):
        found = np.concatenate([p.grad.numpy().ravel() for p in critic.parameters()])
        np.testing.assert_allclose(found, gradient, rtol=1e-5, atol=1e-12)
        assert np.linalg.norm(found) == pytest.approx(1e-3, rel=1e-3)


def test_grad_clip_limits_the_actor_too():
    agent = make(grad_clip=1e-6)
    agent.update()
    gradient = np.concatenate([p.grad.numpy().ravel() for p in agent.actor.parameters()])
    assert 0 < np.linalg.norm(gradient) <= 1.01e-6


def test_weight_decay_pulls_on_the_critics_alone():
    agent, plain = make(critic_weight_decay=1e3), make()
    for each in (agent, plain):
        for _ in range(20):
            each.update()
    # The penalty outweighs the error by far, so each step of Adam is one towards 0.
    assert np.linalg.norm(parameters(*agent.critics)) < 0.9 * np.linalg.norm(
        parameters(*plain.critics)
    )
    assert agent.actor_optimizer.weight_decay == 0.0


def test_layer_norm_is_part_of_critics_and_not_of_actors():
    agent = make(critic_layer_norm=True, critics=2)
    names = set(agent.state_dict()["critics"][1])
    assert {"mlp.0.weight", "mlp.1.weight", "mlp.3.weight", "mlp.4.bias", "mlp.6.bias"} <= names
    assert len(agent.state_dict()["actor"]) == 6
    batch = make_batch()
    critic = agent.critics[0]
    expected = q_of(critic, batch.obs.numpy(), batch.action.numpy())
    np.testing.assert_allclose(
        critic(batch.obs, batch.action).numpy(), expected, rtol=1e-3, atol=1e-6
    )


def test_n_step_targets_sum_up_rewards_before_they_ask_q():
    agent = make(n_step=4)
    index = np.arange(30)
    steps = agent.replay.follow(index, 4, agent.config.gamma)
    batch = agent.replay.gather_steps(steps)
    found = losses.td_target(agent.target_actor, agent.target_critics, batch).numpy()
    obs, done = batch.next_obs.numpy(), batch.terminated.numpy()
    next_q = q_of(agent.target_critics[0], obs, mu_of(agent.target_actor, obs))
    expected = steps.reward.numpy() + steps.discount.numpy() * (1 - done) * next_q
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert len(set(np.round(steps.discount.numpy().ravel(), 4))) > 2


def test_impossible_is_the_share_of_values_that_no_rewards_sum_up_to():
    for compiled in (False, True):
        agent = make(**ONE_LAYER, compile=compiled)
        assert agent.update()["impossible"] == 0.0
        with tg.no_grad():
            agent.critics[0].mlp[-1].bias.assign_(np.full(1, 1e6, np.float32))
        assert agent.update()["impossible"] == 1.0
        # The bounds are live: with a reward of this size it is possible again.
        agent.replay.add(np.zeros(3), ACTIONS.low, 1e5, np.zeros(3), False, False)
        assert agent.update()["impossible"] == 0.0


def test_dead_units_are_those_that_no_row_switches_on():
    critic = Critic(3, 2, (8, 4), np.random.default_rng(0))
    batch = make_batch()
    with tg.no_grad():
        bias = critic.mlp[0].bias.numpy().copy()
        bias[:3] = -100.0
        critic.mlp[0].bias.assign_(bias)
    x = np.hstack([batch.obs.numpy(), batch.action.numpy()])
    first = np.maximum(x @ critic.mlp[0].weight.numpy().T + bias, 0)
    second = np.maximum(first @ critic.mlp[2].weight.numpy().T + critic.mlp[2].bias.numpy(), 0)
    dead = sum((layer == 0).all(axis=0).sum() for layer in (first, second)) / 12
    assert dead >= 3 / 12
    assert critic.dead_units(batch.obs, batch.action) == pytest.approx(dead)


def flops(step):
    with tg.count_flops() as counter:
        step()
    return counter.total


def test_the_actors_step_costs_the_same_however_many_critics_there_are():
    counts = []
    for critics in (1, 2, 5):
        agent = make(critics=critics)
        batch = agent.replay.gather(tg.from_numpy(np.arange(8)), GAMMA)
        counts.append(flops(lambda agent=agent, batch=batch: agent.actor_step(batch)))
        assert all(p.grad is None for critic in agent.critics for p in critic.parameters())
    assert len(set(counts)) == 1


def test_a_delayed_update_costs_the_critics_step_alone():
    agent, rows = make(**TD3), 8
    actor = 3 * 8 + 8 * 8 + 8 * 2
    critic = 5 * 8 + 8 * 8 + 8 * 1
    # The targets' forward passes; each critic's, its weights' gradients, and those of its inputs
    # but the first layer's.
    critics_step = 2 * rows * (actor + 2 * critic + 2 * (3 * critic - 5 * 8))
    through = 3 * actor - 3 * 8 + 2 * critic
    assert flops(agent.update) == critics_step
    assert flops(agent.update) == critics_step + 2 * rows * through
