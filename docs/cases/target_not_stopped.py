"""The TD target is not stopped: the critic learns to pull its own target down to itself.

The target r + gamma Q(s', a') is data. When the gradient runs on into it, the critic has a
second way to reduce the error: move the target. That is another algorithm (Baird's residual
gradient), and a slower one.
"""

import numpy as np

import tinygrad_rl as tg
from tinygrad_rl.nn import functional as F

rng = np.random.default_rng(0)
critic = tg.nn.MLP((4, 8, 1), rng=rng)
now, later = (tg.Tensor(rng.normal(size=(16, 4)).astype(np.float32)) for _ in range(2))
reward = tg.Tensor(rng.normal(size=(16, 1)).astype(np.float32))


def critic_loss():
    target = reward + 0.99 * critic(later)  # <- culprit
    return F.mse_loss(critic(now), target)


def stopped_loss():
    with tg.no_grad():
        target = reward + 0.99 * critic(later)
    return F.mse_loss(critic(now), target)


def symptom():
    """The gradient is another one, and no error is raised."""
    (wrong,) = tg.grad(critic_loss(), critic[2].bias)
    (right,) = tg.grad(stopped_loss(), critic[2].bias)
    ratio = (wrong / right).item()
    assert abs(ratio - 0.01) < 1e-3  # 1 - gamma: the two ways nearly cancel
    return f"the last bias gets {ratio:.4f} of its gradient, 1 - gamma: both ways nearly cancel"


def diagnosis():
    """Every critic tensor is reached by two paths; one comes in at the target."""
    return tg.explain(critic_loss)


def fix():
    """Compute the target under `no_grad`."""
    explanation = tg.explain(stopped_loss)
    leaf = explanation["critic.0.weight"]
    assert (leaf.paths, leaf.blocked_paths) == (1, 1)
    return f"under no_grad: {leaf.paths} path for the gradient, {leaf.blocked_paths} cut on purpose"


if __name__ == "__main__":
    print(symptom(), diagnosis(), fix(), sep="\n\n")
