"""One optimizer for actor and critic: minimising -Q raises Q instead of improving the actor.

The loss of the actor is -Q. For an optimizer that holds Q's parameters as well, the shortest
way down is to raise Q itself. Nothing in the environment has to get better for that.
"""

import numpy as np

import tinygrad_rl as tg

rng = np.random.default_rng(0)
actor = tg.nn.MLP((3, 32, 1), rng=rng)
critic = tg.nn.MLP((4, 32, 1), rng=rng)
obs = tg.Tensor(rng.normal(size=(64, 3)).astype(np.float32))


def q():
    return critic(tg.concatenate([obs, actor(obs).tanh()], axis=1))


def actor_loss():
    return -q().mean()  # <- culprit


def symptom():
    """Mean Q rises by orders of magnitude; no reward has been seen."""
    before = q().mean().item()
    optimizer = tg.optim.Adam([actor, critic], lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        actor_loss().backward()
        optimizer.step()
    after = q().mean().item()
    assert after > 20
    return f"mean Q from {before:.2f} to {after:.1f} in 100 steps without a single reward"


def diagnosis():
    """The gradient reaches the critic too, from the actor's loss."""
    return tg.explain(actor_loss)


def fix():
    """Two optimizers, and the critic frozen: what rises now is bounded by what Q already says."""
    rng = np.random.default_rng(0)
    for module in (actor, critic):
        for p in module.parameters():
            with tg.no_grad():
                p.assign_(rng.normal(0, 0.3, p.shape).astype(np.float32))
    before = [p.numpy().copy() for p in critic.parameters()]
    optimizer = tg.optim.Adam(actor, lr=1e-2)
    start = q().mean().item()
    with tg.frozen(critic):
        for _ in range(100):
            optimizer.zero_grad()
            actor_loss().backward()
            optimizer.step()
    end = q().mean().item()
    assert end < 20
    assert all((p.numpy() == b).all() for p, b in zip(critic.parameters(), before, strict=True))
    return f"critic frozen: mean Q from {start:.2f} to {end:.2f}, the critic's values unchanged"


if __name__ == "__main__":
    print(symptom(), diagnosis(), fix(), sep="\n\n")
