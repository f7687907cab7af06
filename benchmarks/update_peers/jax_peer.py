"""The update in JAX: sampling, both steps and polyak in one jitted function, state donated."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from .problem import BETA1, BETA2, EPSILON, GAMMA, LEARNING_RATE, NETWORKS, TAU, Problem, named


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


def step(state, batch):
    """Return the state after one update."""
    obs, action, reward, next_obs, terminated = batch
    t = state["t"] + 1
    next_q = q(state["target_critic"], next_obs, mu(state["target_actor"], next_obs))
    target = reward + GAMMA * (1 - terminated) * next_q

    def critic_loss(critic):
        return jnp.mean((q(critic, obs, action) - target) ** 2)

    gradients = jax.grad(critic_loss)(state["critic"])
    critic, critic_moments = adam(state["critic"], gradients, state["critic_moments"], t)

    def actor_loss(actor):
        return -jnp.mean(q(critic, obs, mu(actor, obs)))

    gradients = jax.grad(actor_loss)(state["actor"])
    actor, actor_moments = adam(state["actor"], gradients, state["actor_moments"], t)
    return {
        "t": t,
        "key": state["key"],
        "actor": actor,
        "critic": critic,
        "actor_moments": actor_moments,
        "critic_moments": critic_moments,
        "target_actor": polyak(state["target_actor"], actor),
        "target_critic": polyak(state["target_critic"], critic),
    }


@partial(jax.jit, donate_argnums=0, static_argnums=2)
def sampled_step(state, replay, batch_size):
    """Return the state after one update on rows drawn inside the jitted function."""
    key, draw = jax.random.split(state["key"])
    rows = jax.random.randint(draw, (batch_size,), 0, len(replay[0]))
    return step(state | {"key": key}, tuple(array[rows] for array in replay))


class Jitted:
    """One call of one jitted function, waited for: the next action needs the new actor."""

    def __init__(self, problem: Problem, threads: int):
        self.problem = problem
        self.replay = tuple(jnp.array(array) for array in problem.replay)
        state = {
            name: [(jnp.array(weight), jnp.array(bias)) for weight, bias in problem.layers(name)]
            for name in NETWORKS
        }

        def zeros(name):
            return tuple(jax.tree.map(jnp.zeros_like, state[name]) for _ in range(2))

        state["actor_moments"], state["critic_moments"] = zeros("actor"), zeros("critic")
        state["t"], state["key"] = jnp.array(0.0, jnp.float32), jax.random.key(1)
        self.state = state

    def check_step(self) -> None:
        """Update on the first batch."""
        self.state = jax.jit(step)(self.state, self.problem.batch)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return all parameters."""
        found: dict[str, np.ndarray] = {}
        for name in NETWORKS:
            found |= named(name, [(np.array(w), np.array(b)) for w, b in self.state[name]])
        return found

    def update(self) -> None:
        """Sample and update."""
        self.state = sampled_step(self.state, self.replay, self.problem.size.batch)
        self.state["t"].block_until_ready()  # all results of one executable arrive together
