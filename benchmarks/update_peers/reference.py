"""The updates in plain float64 NumPy, derivatives by hand: what every contender must compute."""

import numpy as np

from .problem import BETA1, BETA2, EPSILON, GAMMA, LEARNING_RATE, TAU, Batch, Layers, Problem, named


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


class Network:
    """Layers, their target and their Adam, in float64."""

    def __init__(self, layers: Layers, target: Layers):
        self.layers, self.target = (
            [(w.astype(float), b.astype(float)) for w, b in x] for x in (layers, target)
        )
        self.first = self.second = [(0.0 * w, 0.0 * b) for w, b in self.layers]
        self.steps = 0

    def adam(self, gradients: Layers) -> None:
        """Take one step (Kingma and Ba 2015, algorithm 1)."""
        self.steps += 1
        self.first = mixed(BETA1, self.first, gradients)
        self.second = mixed(BETA2, self.second, [(w * w, b * b) for w, b in gradients])
        scale1, scale2 = 1 - BETA1**self.steps, 1 - BETA2**self.steps

        def moved(x: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
            return x - LEARNING_RATE * (first / scale1) / (np.sqrt(second / scale2) + EPSILON)

        rows = zip(self.layers, self.first, self.second, strict=True)
        self.layers = [(moved(w, mw, vw), moved(b, mb, vb)) for (w, b), (mw, mb), (vw, vb) in rows]

    def polyak(self) -> None:
        """Move the target towards the layers."""
        self.target = mixed(1 - TAU, self.target, self.layers)


def mixed(share: float, old: Layers, new: Layers) -> Layers:
    """Return share old + (1 - share) new."""
    return [
        (share * w + (1 - share) * w2, share * b + (1 - share) * b2)
        for (w, b), (w2, b2) in zip(old, new, strict=True)
    ]


def critic_step(
    problem: Problem, actor: Network, critics: list[Network], batch: Batch, normals: np.ndarray
) -> None:
    """Move each critic towards r + gamma min Q'(s', a'), where a' is the target's noisy action."""
    noise = problem.settings.noise(normals)
    next_action = np.clip(np.tanh(forward(actor.target, batch.next_obs)[-1]) + noise, -1, 1)
    next_input = np.hstack([batch.next_obs, next_action])
    next_q = np.min([forward(c.target, next_input)[-1][:, 0] for c in critics], axis=0)
    target = batch.reward + GAMMA * (1 - batch.terminated) * next_q
    for critic in critics:
        values = forward(critic.layers, np.hstack([batch.obs, batch.action]))
        g = 2 / len(target) * (values[-1] - target[:, None])
        critic.adam(backward(critic.layers, values, g)[0])


def actor_step(actor: Network, critic: Network, obs: np.ndarray) -> None:
    """Move the actor up Q(s, mu(s)), through the critic, whose own gradients are thrown away."""
    actor_values = forward(actor.layers, obs)
    mu = np.tanh(actor_values[-1])
    values = forward(critic.layers, np.hstack([obs, mu]))
    _, d_input = backward(critic.layers, values, np.full((len(obs), 1), -1 / len(obs)))
    d_action = d_input[:, obs.shape[1] :]
    actor.adam(backward(actor.layers, actor_values, d_action * (1 - mu * mu))[0])


def updated(problem: Problem) -> dict[str, np.ndarray]:
    """Return all parameters after the problem's first cycle."""
    actor = Network(problem.layers("actor"), problem.layers("target_actor"))
    critics = [Network(*x) for x in zip(problem.critics(), problem.critics("target_"), strict=True)]
    for batch, normals in problem.cycle():
        batch = Batch(*(array.astype(float) for array in batch))
        critic_step(problem, actor, critics, batch, normals.astype(float))
    actor_step(actor, critics[0], batch.obs)
    for network in (actor, *critics):
        network.polyak()
    return named(
        actor.layers, [c.layers for c in critics], actor.target, [c.target for c in critics]
    )


def distance(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> tuple[float, str]:
    """Return the largest relative distance of a parameter, by norm, and its name."""
    if found.keys() != expected.keys():
        raise ValueError(f"parameters {sorted(found)}, expected {sorted(expected)}")
    norm = np.linalg.norm
    return max(
        (float(norm(found[name] - value) / norm(value)), name) for name, value in expected.items()
    )
