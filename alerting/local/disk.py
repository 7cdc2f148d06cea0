"""Check of the free disk space before the databases start: a full disk stops them all."""

import shutil
from pathlib import Path

from alerting.definitions.faults import UserError

GIB = 1 << 30
LEAST = 2 * GIB
"""Bytes that a first start, its training and the first days write, with space for a crash log."""
SCANT = 5 * GIB


def check_space(home: Path) -> str | None:
    """Return a warning if the disk of `home` has little space, None if it has enough. Raises
    UserError if there is too little to start."""
    folder = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    if free < LEAST:
        raise UserError(
            f"there is too little space for {home}: {_gib(free)} are free, at least {_gib(LEAST)} "
            "are needed; free some space, "
            "or set ALERTING_HOME to a folder on a larger disk"
        )
    if free < SCANT:
        return f"only {_gib(free)} are free on the disk of {home}: enough for days, not for months"
    return None


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
