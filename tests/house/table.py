"""The architecture: which room may import which. A new room needs a row, and a reason.

Rows stand from the bottom up; a room imports from rows above its own only.
"""

from tests.house.source import AGENT, ENGINE

_ENGINE: dict[str, set[str]] = {
    "files": set(),
    "spelling": set(),
    "kernels": {"files"},
    "derive": set(),
    "core": {"kernels", "derive", "spelling"},
    "tree": {"core"},
    "ops": {"kernels", "derive", "core", "spelling"},
    "grad_mode": {"core", "tree", "spelling"},
    "autodiff": {"core", "ops", "grad_mode", "spelling"},
    "transforms": {"core", "tree", "ops", "grad_mode", "autodiff", "spelling"},
    "creation": {"core", "ops"},
    "naming": {"core", "tree"},
    "compiler": {"kernels", "derive", "core", "ops", "tree", "naming", "autodiff", "spelling"},
    "nn": {"core", "tree", "ops", "creation", "grad_mode", "autodiff", "spelling"},
    "optim": {"core", "tree", "ops", "creation", "grad_mode", "autodiff", "spelling"},
    "io": {"files", "core", "tree", "spelling"},
}
# Consumers of the sweep and of observers: they may look at everything below them.
_ENGINE["debug"] = set(_ENGINE) - {"io"}
_ENGINE["explain"] = set(_ENGINE)
_ENGINE["__init__"] = set(_ENGINE)  # the public names

_AGENT: dict[str, set[str]] = {
    "errors": set(),
    "rng": {"errors"},
    "state": {"errors", "rng"},
    "spaces": {"errors"},
    "config": {"errors"},
    "networks": {"errors"},
    "noise": {"errors", "rng"},
    "replay": {"errors", "rng"},
    "losses": {"networks", "replay"},
}
_AGENT["agent"] = set(_AGENT)
_AGENT["learn"] = set(_AGENT)
_ALGORITHM = frozenset(_AGENT)
_AGENT["run"] = {*_ALGORITHM}
_AGENT["study"] = {*_ALGORITHM, "run"}
_AGENT["compare"] = {*_ALGORITHM, "run"}
_AGENT["__init__"] = {"agent", "config", "run", "study"}  # the public names, and the cli's version
_AGENT["cli"] = {*_ALGORITHM, "run", "study", "compare", "__init__"}
_AGENT["__main__"] = {"cli"}

ALLOWED = {ENGINE: _ENGINE, AGENT: _AGENT}
"""Project -> room -> the rooms that it may import; its own files always."""

ROOMS = {ENGINE: 20, AGENT: 17}
FLOORS = {ENGINE: 9, AGENT: 9}

NO_DISK = _ALGORITHM - {"config"}  # a configuration is read from its file
NO_ENVIRONMENT = _ALGORITHM - {"learn", "spaces"}  # which make environments, and step them
"""Rooms of ddpg that know spaces, and neither environments nor files."""
DISK = {"io", "json", "os", "pathlib", "shutil", "tempfile"}

PUBLIC_MODULES = {
    ENGINE,
    f"{ENGINE}.nn",
    f"{ENGINE}.nn.functional",
    f"{ENGINE}.optim",
    f"{ENGINE}.files",
}
"""What ddpg may import by path; everything else it takes from the front door's exports."""
LAZY = {"matplotlib", "rich"}
"""Slow to load and needed only to draw: what the engine may import inside a function."""
KERNEL_LIBRARIES = {"numpy", "numba", "scipy", "llvmlite"}
FRAMEWORKS = {"torch", "jax", "jaxlib", "tensorflow"}
PICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
