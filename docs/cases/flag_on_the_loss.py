"""`loss.requires_grad_(True)`, to silence "does not require grad": it trains nothing.

The forward pass ran under `no_grad`, so the loss has no history. Setting its flag makes it a
leaf: in PyTorch backward then runs, gives the loss a gradient of 1, and no parameter gets
anything.
"""

import numpy as np

import tinygrad_rl as tg

rng = np.random.default_rng(0)
actor = tg.nn.MLP((3, 8, 1), rng=rng)
obs = tg.Tensor(rng.normal(size=(16, 3)).astype(np.float32))


def actor_loss():
    with tg.no_grad():  # <- culprit
        action = actor(obs).tanh()
    loss = (action**2).mean()
    return loss.requires_grad_(True)


def symptom():
    """Backward is refused here, with what is known without a recording."""
    try:
        actor_loss().backward()
    except RuntimeError as error:
        return f"RuntimeError: {error}"
    raise AssertionError("backward ran and trained nothing")


def diagnosis():
    """Every parameter is cut off at the `with`."""
    return tg.explain(actor_loss)


def fix():
    """Take the forward pass out of `no_grad`; the flag of the loss follows by itself."""
    loss = (actor(obs).tanh() ** 2).mean()
    loss.backward()
    assert all(p.grad is not None for p in actor.parameters())
    return f"outside no_grad: loss.requires_grad is {loss.requires_grad}, the actor has gradients"


if __name__ == "__main__":
    print(symptom(), diagnosis(), fix(), sep="\n\n")
