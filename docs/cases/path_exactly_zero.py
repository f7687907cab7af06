"""The path is there, but everything on it is zero: a tanh that is saturated in every row.

An actor whose last layer has grown large gives actions of exactly 1 or -1. There tanh is flat,
in float32 exactly flat: 1 - y * y is 0. The gradient arrives, as zeros, and the actor is stuck.
"""

import numpy as np

import tinygrad_rl as tg

rng = np.random.default_rng(0)
actor = tg.nn.MLP((3, 8, 1), rng=rng)
critic = tg.nn.MLP((4, 8, 1), rng=rng)
obs = tg.Tensor(rng.normal(size=(16, 3)).astype(np.float32))
with tg.no_grad():
    actor[2].bias.assign_(20.0)


def actor_loss():
    action = actor(obs).tanh()  # <- culprit
    with tg.frozen(critic):
        return -critic(tg.concatenate([obs, action], axis=1)).mean()


def symptom():
    """A gradient arrives, but it moves nothing."""
    actor_loss().backward()
    norm = np.linalg.norm(actor[2].weight.grad.numpy())
    assert norm == 0
    return f"norm of actor[2].weight.grad: {norm}"


def diagnosis():
    """Reached, exactly zero, because of a saturated tanh in 16 of 16 rows."""
    return tg.explain(actor_loss)


def fix():
    """A small last layer: the paper starts it in U(-3e-3, 3e-3)."""
    for p in actor[2].parameters():
        tg.nn.init.uniform_(p, -3e-3, 3e-3, rng)
    explanation = tg.explain(actor_loss)
    assert explanation["actor.2.weight"].status == "reached"
    return f"with a small last layer: norm {explanation['actor.2.weight'].norm:.3g}"


if __name__ == "__main__":
    print(symptom(), diagnosis(), fix(), sep="\n\n")
