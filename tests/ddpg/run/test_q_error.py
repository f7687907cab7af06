import csv
import math
import statistics
from dataclasses import astuple

import numpy as np
import pytest
from scipy.stats import spearmanr

from ddpg.run.disk.checkpoint import load_agent
from ddpg.run.evaluate import FIRST_SEED
from ddpg.run.q_error import QError, compare, q_error, rank_correlation
from ddpg.spaces import make_env
from tests.ddpg.run.runs import begin, config, without_drawing

GAMMA = 0.9
RNG = np.random.default_rng(0)


def episode(length, terminated):
    """What Q says at each observation, the rewards between them, and how it ended."""
    return RNG.normal(3, 5, length + 1), RNG.normal(1, 2, length), terminated


def by_definition(episodes, gamma):
    """The same in plain Python, a sum at a time."""
    said, followed, tails = [], [], []
    for values, rewards, terminated in episodes:
        length = len(rewards)
        for t in range(length):
            if not terminated and t > length / 2:
                continue
            tail = 0.0 if terminated else gamma ** (length - t)
            later = sum(gamma**k * rewards[t + k] for k in range(length - t))
            said.append(float(values[t]))
            followed.append(float(later + tail * values[length]))
            tails.append(tail)
    errors = [q - g for q, g in zip(said, followed, strict=True)]
    scale = max(abs(statistics.mean(followed)), 10.0)
    return QError(
        statistics.mean(errors) / scale,
        statistics.pstdev(errors) / scale,
        float(spearmanr(said, followed).statistic),
        statistics.mean(tails),
    )


def measured(episodes, gamma=GAMMA):
    return q_error([compare(*one, gamma) for one in episodes])


@pytest.mark.parametrize(
    "episodes",
    [
        [episode(20, terminated=True)],
        [episode(20, terminated=False)],
        [episode(21, terminated=False)],
        [episode(20, terminated=True), episode(7, terminated=False), episode(30, terminated=True)],
        [episode(1, terminated=True), episode(1, terminated=False), episode(2, terminated=False)],
        [(RNG.normal(500, 90, 41), RNG.normal(50, 9, 40), False)],
    ],
    ids=["terminated", "cut off", "cut off, odd", "mixed", "one step", "large returns"],
)
@pytest.mark.parametrize("gamma", [GAMMA, 0.0, 1.0])
def test_as_by_definition(episodes, gamma):
    found, expected = (astuple(error(episodes, gamma)) for error in (measured, by_definition))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_of_an_episode_that_was_cut_off_the_first_half_is_looked_at():
    for length, count in {1: 1, 2: 2, 3: 2, 4: 3, 200: 101}.items():
        values, rewards, _ = episode(length, terminated=False)
        assert len(compare(values, rewards, False, GAMMA).said) == count
        assert len(compare(values, rewards, True, GAMMA).said) == length


@pytest.mark.parametrize(("length", "nearest", "farthest"), [(200, 0.37, 0.13), (50, 0.78, 0.61)])
def test_weights_of_the_tail_are_those_of_the_docstring(length, nearest, farthest):
    tail = compare(*episode(length, terminated=False), 0.99).tail
    assert (round(tail[-1], 2), round(tail[0], 2)) == (nearest, farthest)
    tail = compare(*episode(1000, terminated=False), 0.99).tail
    assert (round(tail[-1], 4), round(tail[0], 5)) == (0.0066, 0.00004)


def test_a_critic_that_is_right_has_no_error():
    """A corridor with a prize at its end, and a ring without one that pays at each step."""
    length, prize, wage = 30, 50.0, 2.0
    rewards = np.zeros(length)
    rewards[-1] = prize
    values = np.array([prize * GAMMA ** (length - 1 - t) for t in range(length)] + [0.0])
    corridor = values, rewards, True
    ring = np.full(31, wage / (1 - GAMMA)), np.full(30, wage), False
    error = measured([corridor, ring, corridor])
    assert error.q_bias == pytest.approx(0.0, abs=1e-12)
    assert error.q_spread == pytest.approx(0.0, abs=1e-12)
    assert error.q_rank == pytest.approx(1.0)


def test_a_constant_error_is_seen_whole_or_but_for_the_weight_of_the_tail():
    """`c (1 - gamma^(T - t))`; and q_bias / (1 - q_tail) gives it back."""
    wrong, value, length = 7.0, 40.0, 20
    for terminated in (True, False):
        rewards = np.full(length, value * (1 - GAMMA))
        values = np.full(length + 1, value)
        if terminated:
            rewards[-1] += GAMMA * value  # as much at once as would have come
        error = measured([(values + wrong, rewards, terminated)])
        first_half = [GAMMA ** (length - t) for t in range(length // 2 + 1)]
        tail = 0.0 if terminated else statistics.mean(first_half)
        mean_return = value + wrong * tail
        assert error.q_tail == pytest.approx(tail)
        assert error.q_bias == pytest.approx(wrong * (1 - tail) / mean_return)
        assert error.q_bias / (1 - error.q_tail) == pytest.approx(wrong / mean_return)


def test_small_returns_do_not_make_errors_large():
    error = measured([(np.array([1.0, 0.0]), np.array([0.001]), True)])
    assert error.q_bias == pytest.approx(0.0999)


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_is_that_of_scipy(ties):
    for size in (2, 3, 10, 1000):
        x, y = RNG.normal(size=(2, size))
        if ties:
            x, y = np.round(x), np.round(x + y)
            x[0] += 9.0  # never constant
            y[-1] += 9.0
        assert rank_correlation(x, y) == pytest.approx(float(spearmanr(x, y).statistic))
        assert rank_correlation(x, np.exp(x)) == pytest.approx(1.0)


def test_there_is_no_order_among_equals():
    assert math.isnan(rank_correlation(np.ones(5), np.arange(5.0)))
    assert math.isnan(rank_correlation(np.arange(5.0), np.ones(5)))
    assert math.isnan(rank_correlation(np.array([1.0, np.nan]), np.arange(2.0)))
    assert math.isnan(measured([(np.zeros(2), np.ones(1), True)]).q_rank)


@pytest.mark.parametrize("broken", [np.inf, -np.inf, np.nan, 3e38])
@pytest.mark.parametrize("where", [0, -1, slice(None)])
def test_a_q_that_overflows_gives_numbers_and_words(broken, where):
    values, rewards, terminated = episode(9, terminated=False)
    values = values.astype(np.float32)
    values[where] = broken
    error = measured([(values, rewards, terminated), episode(4, terminated=True)])
    assert "% too" in str(error) if np.isfinite(error.q_bias) else "not finite" in str(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ((0.123, 0.5, 0.954, 0.2), "12 % too high, rank correlation 0.95"),
        ((-12.34, 0.5, -0.5, 0.0), "1,234 % too low, rank correlation -0.50"),
        ((0.004, 0.5, math.nan, 0.0), "right on average"),
        ((7e9, 0.5, 0.1, 0.0), "7e+11 % too high, rank correlation 0.10"),
        ((math.inf, math.nan, math.nan, 0.0), "not finite"),
    ],
)
def test_words(error, words):
    assert str(QError(*error)) == words


def mlp(x, network, name):
    """In float64, from the parameters in the file."""
    last = max(int(key.split(".")[-2]) for key in network if key.startswith(f"{name}.mlp"))
    for n in range(0, last + 1, 2):
        x = network[f"{name}.mlp.{n}.weight"] @ x + network[f"{name}.mlp.{n}.bias"]
        x = x if n == last else np.maximum(x, 0)
    return x


def test_a_runs_table_says_what_its_model_says(tmp_path):
    """Played again with the saved agent, Q from its parameters in NumPy, sums in plain Python."""
    settings = config(total_timesteps=60, eval_every=60, eval_episodes=3, warmup_steps=40)
    with without_drawing():
        begin(tmp_path, settings)
    agent, _ = load_agent(tmp_path)
    network = {
        f"{part}.{name}": tensor.numpy().astype(np.float64)
        for part, net in {"actor": agent.actor, "critic": agent.critics[0]}.items()
        for name, tensor in net.state_dict().items()
    }

    def q(obs):
        action = np.tanh(mlp(obs, network, "actor"))  # the bounds are -1 and 1
        return mlp(np.concatenate([obs, action]), network, "critic")[0]

    env, episodes, returns = make_env(settings.env_id), [], []
    for seed in range(FIRST_SEED, FIRST_SEED + 3):
        obs, _ = env.reset(seed=seed)
        values, rewards, terminated, truncated = [q(obs)], [], False, False
        while not (terminated or truncated):
            obs, reward, terminated, truncated, _ = env.step(agent.act(obs))
            values.append(q(obs))
            rewards.append(reward)
        episodes.append((np.array(values), np.array(rewards), terminated))
        returns.append(sum(rewards))
    (row,) = csv.DictReader((tmp_path / "evaluations.csv").read_text().splitlines())
    assert {terminated for *_, terminated in episodes} == {True, False}
    assert float(row["mean"]) == pytest.approx(statistics.mean(returns))
    expected = by_definition(episodes, settings.ddpg.gamma)
    for name, value in vars(expected).items():
        assert float(row[name]) == pytest.approx(value, rel=1e-4, abs=1e-6), name
