"""Frozen between forward and backward: the work is done and thrown away.

Which input requires a gradient is recorded when an op is called. A flag that is switched off after
the forward pass does not stop the rules from running; it only hides the result. (In PyTorch
too, silently.)
"""

import warnings

import numpy as np

import tinygrad_rl as tg

rng = np.random.default_rng(0)
actor = tg.nn.MLP((3, 8, 1), rng=rng)
critic = tg.nn.MLP((4, 8, 1), rng=rng)
obs = tg.Tensor(rng.normal(size=(16, 3)).astype(np.float32))


def actor_step():
    loss = -critic(tg.concatenate([obs, actor(obs)], axis=1)).mean()
    with tg.frozen(critic):  # <- culprit
        loss.backward()


def frozen_in_time():
    with tg.frozen(critic):
        loss = -critic(tg.concatenate([obs, actor(obs)], axis=1)).mean()
    loss.backward()


def cost(step):
    with tg.count_flops() as counter:
        step()
    return counter.total


def symptom():
    """The critic's gradient is computed all the same; a warning says so."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        late = cost(actor_step)
    early = cost(frozen_in_time)
    assert late > early
    assert caught
    return f"{late:,} FLOPs instead of {early:,}. UserWarning: {caught[0].message}"


def diagnosis():
    """The critic gets nothing: frozen after the forward, at this line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tg.explain(actor_step)


def fix():
    """Put the forward pass into the block."""
    explanation = tg.explain(frozen_in_time)
    assert explanation["critic.0.weight"].status == "frozen"
    return f"forward inside the block: {explanation.to_dict()['headline']}"


if __name__ == "__main__":
    print(symptom(), diagnosis(), fix(), sep="\n\n")
