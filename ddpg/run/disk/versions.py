"""Which versions made a run: where they differ, its bits may, too.

told = differences(saved, installed(env))     # "numpy 2.0.1 -> 2.1.0"
"""

import platform
import sys
from collections.abc import Mapping
from importlib import metadata

from llvmlite import binding

from ddpg.spaces import Env

_PACKAGES = ("tinygrad-rl", "numpy", "scipy", "numba", "llvmlite", "gymnasium")
PROCESSOR = "processor"
"""Its row: other ones run the same programs, and may round differently."""


def installed(env: Env) -> dict[str, str]:
    """Versions of everything whose change may change a run's bits, the processor included."""
    return of_this_machine(*_modules(env))


def of_this_machine(*packages: str) -> dict[str, str]:
    """Versions of what every run needs, the processor included, and of these packages."""
    versions = {
        "python": platform.python_version(),
        PROCESSOR: f"{platform.machine()} {binding.get_host_cpu_name()}",
    }
    return versions | {name: _version(name) for name in (*_PACKAGES, *packages)}


def _modules(env: Env) -> list[str]:
    """Where the environment comes from, and the simulator that it has loaded, if it has one."""
    home = type(env.unwrapped).__module__.partition(".")[0]
    return sorted({home, *(m for m in ("mujoco", "Box2D") if m in sys.modules)} - set(_PACKAGES))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        module = sys.modules.get(name)
        return "absent" if module is None else str(getattr(module, "__version__", "of no version"))


def differences(saved: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is not as it was, a phrase each; nothing if all is."""
    names = sorted({*saved, *now})
    return [
        f"{name} {saved.get(name, 'absent')} -> {now.get(name, 'absent')}"
        for name in names
        if saved.get(name) != now.get(name)
    ]
