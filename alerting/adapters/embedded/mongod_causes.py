"""Causes for the end of an embedded MongoDB server, read from its log, each with its remedy."""

import json
import shutil
from pathlib import Path

_FULL = 32 << 20  # bytes; with less free space the server cannot even complete its log
_END_OF_LOG_BYTES = 200_000


def cause(log: Path, folder: Path) -> str | None:
    """Return the cause that ended the last start, with its remedy; None if unknown."""
    text = _last_start(log)
    full = f"the disk of {folder} is full: free some space; all acknowledged data are kept"
    if _free(folder) < _FULL:
        return full
    for signs, message in (
        (("No space left on device", "OutOfDiskSpace", "ENOSPC", '"error":28'), full),
        (
            ("Disk quota exceeded",),
            f"the disk quota for {folder} is used up: free some space; all acknowledged data are "
            "kept",
        ),
        (
            ("Read-only file system",),
            f"{folder} is on a read-only file system: make it writable, or set ALERTING_HOME to "
            "another folder",
        ),
        (("DBPathInUse",), f"another MongoDB server is using {folder}: stop it first"),
        (
            ("Too many open files",),
            "the system allows too few open files: raise the limit, e.g. `ulimit -n 64000`",
        ),
        (
            ("Permission denied", "Operation not permitted"),
            f"{folder} holds files that this user may not read or write: change their owner, e.g. "
            "with chown",
        ),
        (
            ("Address already in use",),
            "its port is taken by another program: stop it, or set ALERTING_MONGODB_PORT to a "
            "free port",
        ),
        (
            (
                "WT_TRY_SALVAGE",
                "failed to read",
                "checksum error",
                "fatal read error",
                "metadata corruption",
                "Unrecoverable error",
                "unsupported WiredTiger file version",
                "does not appear to be a",
                "WT_PANIC: WiredTiger library panic",
                # any other fatal error of the storage engine
                '"s":"F",  "c":"STORAGE"',
                '"s":"F",  "c":"WT"',
            ),
            f"the database in {folder} is damaged: move this folder away and put a backup in its "
            "place, "
            "or start with an empty one (docs/operations.md, “Damaged database”)",
        ),
    ):
        if any(sign in text for sign in signs):
            return message
    return None


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return _FULL


def _last_start(log: Path) -> str:
    """Return the log since the last start; only errors, where lines can be parsed."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _END_OF_LOG_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = text.rpartition("SERVER RESTARTED")[2].splitlines()
    return "\n".join(line for line in lines if _reports_error(line))


def _reports_error(line: str) -> bool:
    try:
        severity = json.loads(line).get("s")
    except (ValueError, AttributeError):
        return True
    return severity in ("W", "E", "F") or "error" in line
