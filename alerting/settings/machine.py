"""Memory and ports of this machine, or of the container of this process, and the time it used."""

import errno
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from alerting.definitions.faults import UserError
from alerting.learning.experiment.trials import TimeUsed
from alerting.settings.environment import LOOPBACK, variable

# cgroup 2, cgroup 1
LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def read_memory(limits: Sequence[Path] = LIMITS) -> int:
    """Return the bytes of memory of the machine, or of the container; the same at every call."""
    total = int(psutil.virtual_memory().total)
    for file in limits:
        try:
            text = file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal():
            total = min(total, int(text))
    return total


def read_time() -> TimeUsed:
    """Return the CPU time of this process and of its child processes that have ended (so not of a
    running database), and the time by the clock."""
    used = os.times()
    return TimeUsed(
        used.user + used.system + used.children_user + used.children_system, time.monotonic()
    )


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # closing connections do not block the port
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOOPBACK, port))
        except PermissionError:
            return False
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                return False
            raise
        return True


def check_ports(ports: Mapping[str, int]) -> None:
    """Check that all ports, by setting, are usable. Raises UserError with all that are not."""
    in_use = [
        f"port {port} is taken by another program or not allowed: set {variable(setting)} to a "
        "free one"
        for setting, port in ports.items()
        if not is_free(port)
    ]
    if in_use:
        raise UserError("; ".join(in_use))


def free_port() -> int:
    """Return a port of the loopback address that no process listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((LOOPBACK, 0))
        port: int = server.getsockname()[1]
        return port
