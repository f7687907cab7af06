"""The connection to a Ray cluster, made without a word on the terminal and ended with the study."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ddpg.errors import TrainingError, UsageError, in_one_line, shown
from ddpg.run.machine import available_cores

_ANSWERS = 5.0
"""Seconds in which the address must answer."""
_MEMORY = 100_000_000
"""Bytes for objects that tasks share; a study's have none."""
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client of gRPC says first (RFC 9113, 3.4)."""


class Connection:
    """Ray, connected.

    Parameters
    ----------
    address : "host:port"; None is the cluster that RAY_ADDRESS names, that runs on this machine, or
        a new one of this machine's cores.

    Attributes
    ----------
    ray : the module.

    Raises
    ------
    UsageError : if Ray is not installed, or nothing of its version answers.
    """

    def __init__(self, address: str | None) -> None:
        self.ray = _module()
        self._mine = not self.ray.is_initialized()  # by who calls `ddpg.run_study`
        if not self._mine:
            return
        address = address or os.environ.get("RAY_ADDRESS") or "auto"
        if address != "auto":
            _check_answers(address)
        try:
            with _signals_kept(), _silence():
                self._connect(address)
        except ConnectionError as error:
            self.ray.shutdown()
            raise UsageError(
                f"Ray {self.ray.__version__} cannot join what answers at {address}: it may be of "
                "another version, or ask for a token, which RAY_AUTH_MODE=token brings"
            ) from error
        except (RuntimeError, ValueError) as error:  # of Python; no node on this machine
            self.ray.shutdown()
            raise UsageError(f"Ray at {address}: {in_one_line(error)}") from error

    def nodes(self) -> list[dict[str, Any]]:
        """What Ray knows of each node that is there.

        Raises
        ------
        TrainingError : if the cluster's head is gone, without which Ray itself ends the process,
            after a minute and without a word to the user.
        """
        head: str = self.ray.get_runtime_context().gcs_address
        host, _, port = head.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _ANSWERS).close()
        except OSError as error:
            raise TrainingError(
                f"the Ray cluster at {head} is gone: what its runs have saved can be gone on with"
            ) from error
        return [node for node in self.ray.nodes() if node["Alive"]]

    def close(self) -> None:
        """Let go of the cluster; one that was begun here ends."""
        if self._mine:
            self.ray.shutdown()

    def _connect(self, address: str) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        try:
            self.ray.init(address=address, **quiet)
        except ConnectionError:
            if address != "auto":
                raise
            self.ray.init(
                address="local",
                num_cpus=available_cores(),
                include_dashboard=False,
                object_store_memory=_MEMORY,
                **quiet,
            )


def _module() -> Any:
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # its messages would break the table
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "--ray needs Ray, which is not installed: pip install 'tinygrad-rl[ray]'"
        ) from error
    return ray


def _check_answers(address: str) -> None:
    """See that it is the address of something that may be Ray, which itself waits for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host or not 0 < int(port) < 1 << 16:
        raise UsageError(f"a Ray address is HOST:PORT, as 10.0.0.5:6379, got {shown(address)}")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _ANSWERS) as connected:
            connected.sendall(_HELLO)
            answer = connected.recv(9)
    except OSError as error:
        why = "it took too long" if isinstance(error, TimeoutError) else error.strerror or error
        raise UsageError(f"no Ray cluster answers at {address}: {why}") from error
    if answer[3:4] != _HELLO[-6:-5]:
        raise UsageError(f"what answers at {address} is no Ray cluster")


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray has the driver exit at SIGTERM; how a study stops is its own matter."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _silence() -> Iterator[None]:
    """No word on standard error, where Ray's C++ writes however it is told to log."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
