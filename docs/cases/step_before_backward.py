"""An optimizer steps between a forward pass and its backward: the values that it needs are gone.

Typical of actor-critic code that computes Q once and uses it for two losses. The gradient needs
the critic's weights as they were in the forward pass; the step has overwritten them. An engine
that does not notice gives a wrong gradient here.
"""

import numpy as np

import tinygrad_rl as tg

rng = np.random.default_rng(0)
actor = tg.nn.MLP((3, 8, 1), rng=rng)
critic = tg.nn.MLP((4, 8, 1), rng=rng)
optimizer = tg.optim.SGD(critic, lr=1e-2)
obs = tg.Tensor(rng.normal(size=(16, 3)).astype(np.float32))


def update():
    q = critic(tg.concatenate([obs, actor(obs)], axis=1))
    (q**2).mean().backward(retain_graph=True)
    optimizer.step()  # <- culprit
    actor_loss = -q.mean()
    actor_loss.backward()


def symptom():
    """The second backward is refused."""
    try:
        update()
    except RuntimeError as error:
        return f"RuntimeError: {error}"
    raise AssertionError("a wrong gradient was given silently")


def diagnosis():
    """The error names the line where the weight was saved and the line that changed it."""
    return tg.explain(update)


def fix():
    """Compute Q again for the actor's loss, after the critic's step."""
    q = critic(tg.concatenate([obs, actor(obs).detach()], axis=1))
    (q**2).mean().backward()
    optimizer.step()
    with tg.frozen(critic), tg.gradient_contract(receives=actor):
        (-critic(tg.concatenate([obs, actor(obs)], axis=1)).mean()).backward()
    return "a fresh forward pass after the step: the actor gets its gradient"


if __name__ == "__main__":
    print(symptom(), diagnosis(), fix(), sep="\n\n")
