"""A policy as plain arrays, which NumPy alone reads; docs/take-a-policy-away.md shows how."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from ddpg.run.export.policy import Policy


def encode(policy: Policy) -> bytes:
    """The arrays of the policy's description under their names, as `numpy.savez` writes them.

    Where an observation has parts, `observation` has the name of its part for each element.
    """
    file = io.BytesIO()
    arrays: dict[str, Any] = {**policy.arrays()}  # for NumPy's types, none may be called as a flag
    if policy.layout:
        names, sizes, _ = zip(*policy.layout, strict=True)
        arrays["observation"] = np.repeat(names, sizes)
    np.savez(file, **arrays)
    return file.getvalue()


def usage(path: Path) -> str:
    """How the file is used, in one line."""
    return (
        f"to use it: numpy.load({str(path)!r}); y = clip((y - mean) * inverse_std, -10, 10) where "
        "it has them; y = weight_k @ y + bias_k, ReLU between layers; "
        "clip(center + half * tanh(y), low, high)"
    )
