"""The update in JAX: sampling, all steps and polyak in one jitted function, state donated."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .problem import (
    BETA1,
    BETA2,
    EPSILON,
    GAMMA,
    LEARNING_RATE,
    TAU,
    Batch,
    Problem,
    named,
)


def network(layers, x):
    """Return the last layer's output; ReLU between layers."""
    for weight, bias in layers[:-1]:
        x = jax.nn.relu(x @ weight.T + bias)
    weight, bias = layers[-1]
    return x @ weight.T + bias


def mu(layers, obs):
    """Return actions within -1 and 1."""
    return jnp.tanh(network(layers, obs))


def q(layers, obs, action):
    """Return Q, (batch,)."""
    return network(layers, jnp.concatenate([obs, action], 1))[:, 0]


every_q = jax.vmap(q, (0, None, None))
"""Q of critics whose layers are stacked, (critics, batch)."""


def adam(layers, gradients, moments, t):
    """Return layers and (first, second) moments after step t >= 1."""
    first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, moments[0], gradients)
    second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, moments[1], gradients)
    rate = LEARNING_RATE / (1 - BETA1**t)
    scale = 1 / jnp.sqrt(1 - BETA2**t)

    def move(x, m, v):
        return x - rate * m / (jnp.sqrt(v) * scale + EPSILON)

    return jax.tree.map(move, layers, first, second), (first, second)


def polyak(target, online):
    """Return target + tau (online - target)."""
    return jax.tree.map(lambda t, o: t + TAU * (o - t), target, online)


def critic_step(state, batch, normals, settings):
    """Return the state after the critics' step, which counts the update."""
    t = state["t"] + 1
    next_action = mu(state["target_actor"], batch.next_obs)
    if settings.target_noise:
        clip = settings.target_noise_clip
        noise = jnp.clip(settings.target_noise * normals, -clip, clip)
        next_action = jnp.clip(next_action + noise, -1, 1)
    next_q = every_q(state["target_critics"], batch.next_obs, next_action).min(0)
    target = batch.reward + GAMMA * (1 - batch.terminated) * next_q

    def loss(critics):
        return jnp.sum(jnp.mean((every_q(critics, batch.obs, batch.action) - target) ** 2, 1))

    gradients = jax.grad(loss)(state["critics"])
    critics, moments = adam(state["critics"], gradients, state["critic_moments"], t)
    return state | {"t": t, "critics": critics, "critic_moments": moments}


def actor_step(state, obs, settings):
    """Return the state after the actor's step, with all targets moved."""

    def loss(actor):
        first = jax.tree.map(lambda x: x[0], state["critics"])
        return -jnp.mean(q(first, obs, mu(actor, obs)))

    gradients, t = jax.grad(loss)(state["actor"]), state["t"] / settings.actor_every
    actor, moments = adam(state["actor"], gradients, state["actor_moments"], t)
    return state | {
        "actor": actor,
        "actor_moments": moments,
        "target_actor": polyak(state["target_actor"], actor),
        "target_critics": polyak(state["target_critics"], state["critics"]),
    }


def step(state, batch, normals, settings):
    """Return the state after one update."""
    state = critic_step(state, batch, normals, settings)
    if settings.actor_every == 1:
        return actor_step(state, batch.obs, settings)
    return jax.lax.cond(
        state["t"] % settings.actor_every == 0,
        lambda state: actor_step(state, batch.obs, settings),
        lambda state: state,
        state,
    )


def sampled_step(state, replay, batch_size, settings):
    """Return the state after one update on rows and noise drawn inside the jitted function."""
    key, *draws = jax.random.split(state["key"], 3 if settings.target_noise else 2)
    rows = jax.random.randint(draws[0], (batch_size,), 0, len(replay.obs))
    normals = None
    if settings.target_noise:
        normals = jax.random.normal(draws[1], (batch_size, replay.action.shape[1]))
    batch = Batch(*(array[rows] for array in replay))
    return step(state | {"key": key}, batch, normals, settings)


def stacked(critics):
    """Return the layers of several networks as those of one, with an axis more."""
    return jax.tree.map(lambda *each: jnp.stack(each), *critics)


def unstacked(layers):
    """Return what `stacked` was given."""
    count = len(layers[0][0])
    return [jax.tree.map(lambda x, k=k: x[k], layers) for k in range(count)]


class Jitted:
    """One jitted function, called once an update, in which `lax.cond` delays the actor.

    The cycle's last result is waited for: the next action needs the new actor.
    """

    def __init__(self, problem: Problem, threads: int):
        self.problem = problem
        self.replay = Batch(*map(jnp.array, problem.replay))
        self.state: dict[str, Any] = {
            "actor": jax.tree.map(jnp.array, problem.layers("actor")),
            "critics": stacked(problem.critics()),
            "target_actor": jax.tree.map(jnp.array, problem.layers("target_actor")),
            "target_critics": stacked(problem.critics("target_")),
        }

        def zeros(name):
            return tuple(jax.tree.map(jnp.zeros_like, self.state[name]) for _ in range(2))

        self.state |= {"actor_moments": zeros("actor"), "critic_moments": zeros("critics")}
        self.state |= {"t": jnp.array(0.0, jnp.float32), "key": jax.random.key(1)}
        self.sampled_step = jax.jit(
            lambda state, replay: sampled_step(state, replay, problem.size.batch, problem.settings),
            donate_argnums=0,
        )

    def check_cycle(self) -> None:
        """Update on what the problem prescribes."""
        jitted = jax.jit(step, static_argnums=3)
        for batch, normals in self.problem.cycle():
            self.state = jitted(self.state, batch, normals, self.problem.settings)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return all parameters."""
        state = self.state
        critics, target_critics = map(unstacked, (state["critics"], state["target_critics"]))
        return named(state["actor"], critics, state["target_actor"], target_critics)

    def cycle(self) -> None:
        """Sample and update as often as a cycle asks for."""
        for _ in range(self.problem.settings.actor_every):
            self.state = self.sampled_step(self.state, self.replay)
        self.state["t"].block_until_ready()  # all results of one executable arrive together
