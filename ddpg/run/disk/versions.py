"""Which versions made a run: where they differ, its bits may, too.

told = differences(saved, installed(env))     # "numpy 2.0.1 -> 2.1.0"
"""

import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from types import ModuleType

from llvmlite import binding

from ddpg.spaces import Env

_PACKAGES = ("tinygrad-rl", "numpy", "scipy", "numba", "llvmlite", "gymnasium")
_SIMULATORS = ("mujoco", "Box2D")
PROCESSOR = "processor"
"""Its row: other ones run the same programs, and may round differently."""


def installed(env: Env) -> dict[str, str]:
    """Versions of everything whose change may change a run's bits, the processor included."""
    return of_this_machine(*_packages(env))


def of_this_machine(*packages: str) -> dict[str, str]:
    """Versions of what every run needs, the processor included, and of these packages."""
    versions = {
        "python": platform.python_version(),
        PROCESSOR: f"{platform.machine()} {binding.get_host_cpu_name()}",
    }
    return versions | {name: _version(name) for name in (*_PACKAGES, *packages)}


def _packages(env: Env) -> list[str]:
    """Where the environment comes from, and the simulator that it uses, if it uses one.

    That something else in this process uses a simulator says nothing of the run. Environments of
    gymnasium use what the modules of their own classes have imported; of another package any module
    may do so for all of it.
    """
    own = [c.__module__ for c in type(env.unwrapped).__mro__]
    own = [name for name in own if _home(name) not in sys.stdlib_module_names]
    homes = {*map(_home, own)} - {"gymnasium"}
    used = set()
    for name, module in list(sys.modules.items()):
        if name in own or _home(name) in homes:
            used |= _simulators(module)
    return sorted({_home(own[0]), *used} - set(_PACKAGES))


def _home(name: str) -> str:
    return name.partition(".")[0]


def _simulators(module: ModuleType) -> set[str]:
    """Those that a module has imported, or something of."""
    found = [x for x in vars(module).values() if isinstance(x, (ModuleType, type))]
    names = (x.__name__ if isinstance(x, ModuleType) else x.__module__ for x in found)
    return {_home(str(name)) for name in names} & set(_SIMULATORS)


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
