"""Copy of MLflow's own database (SQLite), and its move to another place of the artifacts."""

import sqlite3
from contextlib import closing
from pathlib import Path

_ADDRESSES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""Columns with the address of artifacts, by table."""


def copy_store(database: Path, target: Path) -> None:
    """Copy a database consistently while MLflow writes to it."""
    with closing(_open(database)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def move_artifacts(database: Path, before: str, after: str) -> None:
    """Replace the beginning `before` of every address of artifacts by `after`."""
    with closing(_open(database)) as store, store:
        for table, columns in _ADDRESSES.items():
            for column in columns:
                moved = (
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE "  # noqa: S608
                    f"substr({column}, 1, ?) = ?"
                )
                store.execute(moved, (after, len(before) + 1, len(before), before))


def is_sound(database: Path) -> bool:
    """Return whether a copy that nothing writes to can be read whole."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?immutable=1", uri=True)) as store:
            return bool(store.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=60.0)
