"""DDPG's update and TD3's, written as each library's users would write it: a file per library.

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
    "torch-sfujim": ("torch_peers", "Fujimoto", "PyTorch eager, as sfujim/TD3 writes it"),
}


class Contender(Protocol):
    """What the benchmark asks of a contender, which is built from (problem, threads)."""

    def __init__(self, problem: Problem, threads: int) -> None: ...

    def check_cycle(self) -> None:
        """Update on the batches and with the normals of the problem's first cycle."""

    def parameters(self) -> dict[str, np.ndarray]:
        """Return all networks' parameters under the problem's names."""

    def cycle(self) -> None:
        """Run a cycle, each update on a fresh batch; return when the new parameters are there."""
