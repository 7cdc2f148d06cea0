"""The lease of the stream service, which one process has at a time."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from threading import Event

from pymongo.errors import PyMongoError

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.stores.leases import STREAM, Leases

READ_AGAIN_S = 5.0


def new_process() -> str:
    """Return the name of this process: host, number, and what no earlier one had."""
    return f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"


def await_lease(leases: Leases, process: str, alive: Path | None, stopped: Event) -> bool:
    """Return whether this process has the lease of the service, once no other one has it; false if
    it is stopped before. Of several processes all others wait here, and one of them goes on where
    the first has stopped."""
    while not stopped.is_set():
        with suppress(PyMongoError, DatabaseDown):  # asked again once the database answers
            if claim_stream(leases, process):
                return True
        if alive is not None:
            alive.touch()
        stopped.wait(READ_AGAIN_S)
    return False


def claim_stream(leases: Leases, process: str) -> bool:
    """Claim the lease of the service, at once where its holder ran on this machine and ended."""
    lease = leases.find(STREAM)
    if lease is not None and _was_killed_here(lease.holder, process):
        leases.release(STREAM, lease.holder)
    return leases.claim(STREAM, process)


def _was_killed_here(holder: str, process: str) -> bool:
    """Return whether another process ran on this machine and ended: no need to wait."""
    if holder == process:
        return False
    host, pid, _ = holder.rsplit("-", 2)
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(pid) == os.getpid()
