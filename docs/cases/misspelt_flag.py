"""A typo in the flag: `required_grad` instead of `requires_grad`.

Python lets one set any attribute on most objects. In PyTorch this line passes and freezes
nothing. A tensor here has only the attributes that it has.
"""

import numpy as np

import tinygrad_rl as tg

critic = tg.nn.MLP((4, 8, 1), rng=np.random.default_rng(0))


def freeze():
    for p in critic.parameters():
        p.required_grad = False  # <- culprit


def symptom():
    """The line is refused."""
    try:
        freeze()
    except AttributeError as error:
        return f"AttributeError: {error}"
    raise AssertionError("the typo was accepted")


def diagnosis():
    """The error itself: it comes at the line, with the right name."""
    try:
        freeze()
    except AttributeError as error:
        frame = error.__traceback__.tb_next
        assert "'requires_grad'" in str(error)
        return f"misspelt_flag.py:{frame.tb_lineno}  {error}"


def fix():
    """Spell it right, or freeze the module for a block."""
    with tg.frozen(critic):
        assert not any(p.requires_grad for p in critic.parameters())
    assert all(p.requires_grad for p in critic.parameters())
    return "with tg.frozen(critic): frozen inside the block, as before after it"


if __name__ == "__main__":
    print(symptom(), diagnosis(), fix(), sep="\n\n")
