"""State of `alerting up` on a home, for commands: a lock that ends with its process."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TextIO

from alerting.definitions.faults import UserError
from alerting.settings.home_folder import claim_folder, home_errors

PATIENCE_S = 90.0


@dataclass(frozen=True)
class Running:
    """The `alerting up` that runs on a home."""

    pid: int
    state: Literal["running", "stopping"]
    mlflow_uri: str


class Hold:
    """Lock of this process on the home, until `release` or until the process and its forks have
    ended."""

    def __init__(self, file: TextIO, running: Running) -> None:
        self._file = file
        self._running = running
        self._write()

    def stopping(self) -> None:
        """Let the next `alerting up` wait instead of being refused."""
        self._running = replace(self._running, state="stopping")
        self._write()

    def release(self) -> None:
        """Release the home."""
        self._file.close()

    def _write(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        json.dump(asdict(self._running), self._file)
        self._file.flush()


@contextmanager
def hold(
    home: Path, mlflow_uri: str, waiting: Callable[[], None], patience: float = PATIENCE_S
) -> Iterator[Hold]:
    """Lock the home; while the previous process is still stopping, call `waiting` once and wait.

    Raises UserError if another process keeps the lock.
    """
    claim_folder(home)
    with home_errors(home):
        file = (home / "up.lock").open("a+")
    deadline = time.monotonic() + patience
    has_reported = False
    while not try_lock(file, fcntl.LOCK_EX):
        holder = _read(file)
        if holder is not None and (holder.state == "running" or time.monotonic() > deadline):
            file.close()
            raise UserError(
                f"`alerting up` already runs on {home} (process {holder.pid}): stop it first, or "
                "set ALERTING_HOME"
            )
        if not has_reported:
            waiting()
            has_reported = True
        time.sleep(0.2)
    lock = Hold(file, Running(os.getpid(), "running", mlflow_uri))
    try:
        yield lock
    finally:
        lock.release()


def running(home: Path) -> Running | None:
    """Return the `alerting up` that runs on this home now; None without one."""
    try:
        file = (home / "up.lock").open("r")
    except (FileNotFoundError, NotADirectoryError):
        return None
    with file:
        return None if try_lock(file, fcntl.LOCK_SH) else _read(file)


def try_lock(file: TextIO, how: int) -> bool:
    """Take the kernel's lock on an open file; return False if another process has it."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: TextIO) -> Running | None:
    file.seek(0)
    text = file.read()
    return Running(**json.loads(text)) if text.endswith("}") else None
