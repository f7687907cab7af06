"""`detach` on the action, to protect the critic: the actor never moves, and there is no error.

What was meant was to freeze the critic. What was cut is the only way from the loss to the
actor, which leads through Q and through the action. The loss still has a gradient, in the
critic of all places.
"""

import numpy as np

import tinygrad_rl as tg

rng = np.random.default_rng(0)
actor = tg.nn.MLP((3, 8, 1), rng=rng)
critic = tg.nn.MLP((4, 8, 1), rng=rng)
obs = tg.Tensor(rng.normal(size=(16, 3)).astype(np.float32))


def actor_loss():
    action = actor(obs).tanh()
    q = critic(tg.concatenate([obs, action.detach()], axis=1))  # <- culprit
    return -q.mean()


def frozen_loss():
    action = actor(obs).tanh()
    with tg.frozen(critic):
        q = critic(tg.concatenate([obs, action], axis=1))
    return -q.mean()


def symptom():
    """Backward runs, the step runs, and the actor is the same as before."""
    before = actor[0].weight.numpy().copy()
    optimizer = tg.optim.Adam(actor, lr=1e-2)
    actor_loss().backward()
    optimizer.step()
    assert (actor[0].weight.numpy() == before).all()
    return f"after backward and step: actor[0].weight.grad = {actor[0].weight.grad}, not moved"


def diagnosis():
    """The actor is cut off at the detach."""
    return tg.explain(actor_loss)


def fix():
    """Freeze the critic's parameters; leave the action alone."""
    explanation = tg.explain(frozen_loss)
    assert all(name.startswith("actor") for name in explanation.reached)
    return f"with tg.frozen(critic): {explanation.to_dict()['headline']}"


if __name__ == "__main__":
    print(symptom(), diagnosis(), fix(), sep="\n\n")
