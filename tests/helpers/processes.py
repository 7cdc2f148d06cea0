"""Processes of tests that are stopped for a while."""

import time
from pathlib import Path

import psutil

WAIT_S = 600


def suspend(process: psutil.Process) -> None:
    """Stop a process, and wait until all its threads have stopped: until then it may still take a
    lock that becomes free.

    A process that has ended is stopped, too.
    """
    process.suspend()
    deadline = time.monotonic() + WAIT_S
    while running := [state for state in _states(process.pid) if state not in "TZX"]:
        assert time.monotonic() < deadline, running
        time.sleep(0.01)


def _states(pid: int) -> list[str]:
    """Return the state of each thread, as one letter (man 5 proc)."""
    found = []
    for file in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            found.append(file.read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):  # the thread has ended
            continue
    return found
