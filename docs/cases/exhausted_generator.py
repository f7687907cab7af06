"""The generator was used up: a loop freezes nothing, and nobody says so.

Spinning Up's TD3 and SAC keep the critics' parameters in an `itertools.chain`, give it to the
optimizer, and later loop over it to freeze them. The optimizer has exhausted it: the loop runs
zero times. Training still works, since the leaked gradients are cleared before they are used,
but the backward computes them all, and the code does not do what its comment says.
"""

import itertools

import numpy as np

import tinygrad_rl as tg

rng = np.random.default_rng(0)
actor = tg.nn.MLP((3, 8, 1), rng=rng)
critic = tg.nn.MLP((4, 8, 1), rng=rng)
obs = tg.Tensor(rng.normal(size=(16, 3)).astype(np.float32))

critic_params = itertools.chain(critic.parameters())
critic_optimizer = tg.optim.Adam(critic_params, lr=1e-3)


def actor_loss():
    for p in critic_params:
        p.requires_grad = False
    return -critic(tg.concatenate([obs, actor(obs)], axis=1)).mean()  # <- culprit


def symptom():
    """The critic, frozen as one thinks, gets a gradient."""
    actor_loss().backward()
    got = [p.grad is not None for p in critic.parameters()]
    assert all(got)
    return f"{sum(got)} of {len(got)} critic tensors got a gradient although a loop 'froze' them"


def diagnosis():
    """The critic is reached: its flag was True at this line."""
    return tg.explain(actor_loss)


def fix():
    """Freeze the module, or a list; `frozen` refuses to freeze nothing."""
    try:
        tg.frozen(critic_params)
    except ValueError as error:
        refusal = str(error)
    with tg.frozen(critic), tg.gradient_contract(receives=actor, untouched=critic):
        critic.zero_grad()
        actor_loss().backward()
    assert all(p.grad is None for p in critic.parameters())
    return f"with tg.frozen(critic): nothing leaks. Frozen with the iterator: {refusal}"


if __name__ == "__main__":
    print(symptom(), diagnosis(), fix(), sep="\n\n")
