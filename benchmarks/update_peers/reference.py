"""The update in plain float64 NumPy, derivatives by hand: what every contender must compute."""

import numpy as np

from .problem import EPSILON, GAMMA, LEARNING_RATE, TAU, Problem, named

Layers = list[tuple[np.ndarray, np.ndarray]]


def forward(layers: Layers, x: np.ndarray) -> list[np.ndarray]:
    """Return the input of each layer and the last one's output; ReLU between layers."""
    values = [x]
    for i, (weight, bias) in enumerate(layers):
        x = values[-1] @ weight.T + bias
        values.append(np.maximum(x, 0) if i + 1 < len(layers) else x)
    return values


def backward(layers: Layers, values: list[np.ndarray], g: np.ndarray) -> tuple[Layers, np.ndarray]:
    """Return the gradients of all weights and biases, and that of the network's input."""
    gradients: Layers = []
    for i in reversed(range(len(layers))):
        gradients.insert(0, (g.T @ values[i], g.sum(0)))
        g = g @ layers[i][0]
        if i > 0:
            g = g * (values[i] > 0)
    return gradients, g


def first_adam_step(layers: Layers, gradients: Layers) -> Layers:
    """Return the layers after Adam's first step, where both bias-corrected moments are g, g^2."""

    def moved(x: np.ndarray, g: np.ndarray) -> np.ndarray:
        return x - LEARNING_RATE * g / (np.sqrt(g * g) + EPSILON)

    pairs = zip(layers, gradients, strict=True)
    return [(moved(weight, gw), moved(bias, gb)) for (weight, bias), (gw, gb) in pairs]


def polyak(target: Layers, online: Layers) -> Layers:
    """Return target + tau (online - target)."""
    pairs = zip(target, online, strict=True)
    return [(t[0] + TAU * (o[0] - t[0]), t[1] + TAU * (o[1] - t[1])) for t, o in pairs]


def updated(problem: Problem) -> dict[str, np.ndarray]:
    """Return all parameters after one update on the problem's first batch."""
    actor, critic, target_actor, target_critic = (
        [(weight.astype(np.float64), bias.astype(np.float64)) for weight, bias in layers]
        for layers in map(problem.layers, ("actor", "critic", "target_actor", "target_critic"))
    )
    obs, action, reward, next_obs, terminated = (x.astype(np.float64) for x in problem.batch)
    batch = len(obs)

    # Critic: the squared distance to r + gamma Q'(s', mu'(s')), which is a constant.
    next_action = np.tanh(forward(target_actor, next_obs)[-1])
    next_q = forward(target_critic, np.hstack([next_obs, next_action]))[-1][:, 0]
    target = reward + GAMMA * (1 - terminated) * next_q
    values = forward(critic, np.hstack([obs, action]))
    g = 2 / batch * (values[-1] - target[:, None])
    critic = first_adam_step(critic, backward(critic, values, g)[0])

    # Actor: -Q(s, mu(s)) through the critic, whose own gradients are thrown away.
    actor_values = forward(actor, obs)
    mu = np.tanh(actor_values[-1])
    values = forward(critic, np.hstack([obs, mu]))
    _, d_input = backward(critic, values, np.full((batch, 1), -1 / batch))
    d_action = d_input[:, problem.size.obs :]
    actor = first_adam_step(actor, backward(actor, actor_values, d_action * (1 - mu * mu))[0])

    return (
        named("actor", actor)
        | named("critic", critic)
        | named("target_actor", polyak(target_actor, actor))
        | named("target_critic", polyak(target_critic, critic))
    )


def distance(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> tuple[float, str]:
    """Return the largest relative distance of a parameter, by norm, and its name."""
    if found.keys() != expected.keys():
        raise ValueError(f"parameters {sorted(found)}, expected {sorted(expected)}")
    norm = np.linalg.norm
    return max(
        (float(norm(found[name] - value) / norm(value)), name) for name, value in expected.items()
    )
