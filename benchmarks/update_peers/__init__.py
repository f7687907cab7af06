"""One DDPG update, written as each library's users would write it: a file per library.

A contender is a class with the four members of `Contender`; `CONTENDERS` says where it is.
"""

from typing import Protocol

import numpy as np

from .problem import Problem

CONTROL = "control"

# name -> (module below this package, class, what it is)
CONTENDERS = {
    CONTROL: ("control", "Products", "the same matrix products alone, SciPy's BLAS from Numba"),
    "compiled": ("project", "Compiled", "this project, compiled step"),
    "eager": ("project", "Eager", "this project, eager"),
    "jax": ("jax_peer", "Jitted", "JAX, whole update under one jit, donated state"),
    "torch-tuned": (
        "torch_peers",
        "Tuned",
        "PyTorch: frozen critic, fused Adam, foreach polyak, replay in tensors",
    ),
    "torch-cleanrl": ("torch_peers", "Plain", "PyTorch eager, as CleanRL writes it"),
}


class Contender(Protocol):
    """What the benchmark asks of a contender, which is built from (problem, threads)."""

    def __init__(self, problem: Problem, threads: int) -> None: ...

    def check_step(self) -> None:
        """Update once on the problem's first batch."""

    def parameters(self) -> dict[str, np.ndarray]:
        """Return all four networks' parameters under the problem's names."""

    def update(self) -> None:
        """Sample a fresh batch, update once, and return when the new parameters are there."""
