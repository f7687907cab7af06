"""Where environments draw: a display that answers, or none.

prepare_rendering()     # before anything loads the environment
check_display()
"""

import os
import sys
import warnings
from importlib.util import find_spec

from ddpg.errors import UsageError, shown

BACKEND = "MUJOCO_GL"
"""The environment variable by which MuJoCo chooses how it draws."""


def prepare_rendering() -> None:
    """Let MuJoCo draw through EGL, and pygame nowhere, if there is no display and nobody chose.

    They choose when they are loaded: call this before an environment is made.
    """
    if not has_display():
        os.environ.setdefault(BACKEND, "egl")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def check_display() -> None:
    """See that a window can be opened: some environments would end the process, or show nothing.

    Raises
    ------
    UsageError : if there is no display, or none that answers.
    """
    way_out = "ddpg video makes a film without one"
    if not has_display():
        raise UsageError(
            "there is no display to open a window on: neither DISPLAY nor WAYLAND_DISPLAY is set; "
            f"{way_out}"
        )
    if not _display_answers():
        named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        raise UsageError(f"the display {shown(named)} does not answer; {way_out}")


def has_display() -> bool:
    """Whether windows have somewhere to be; Windows and macOS always have."""
    return sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def _display_answers() -> bool:
    """As the library says that would open the window: MuJoCo's, or that of most others."""
    with warnings.catch_warnings(action="ignore"):
        if find_spec("glfw") is not None:
            import glfw

            return bool(glfw.init())
        if find_spec("pygame") is not None:
            import pygame

            pygame.display.init()
            return pygame.display.get_driver() not in ("dummy", "offscreen")
    return True
