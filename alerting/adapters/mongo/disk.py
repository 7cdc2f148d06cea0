"""Free space of the disk on which the database server stores its data."""

import shutil
from pathlib import Path

from pymongo.errors import OperationFailure

from alerting.adapters.mongo.documents import MongoDatabase
from alerting.ports import Disk


def list_disks(home: Path, database: MongoDatabase) -> list[Disk]:
    """Return the disk of the home, and the database's, if its server tells its size."""
    found = shutil.disk_usage(next(folder for folder in (home, *home.parents) if folder.exists()))
    disks = [Disk("home", found.free)]
    try:
        stats = database.command("dbStats")
    except OperationFailure:  # a user without this right
        return disks
    total, used = (int(stats.get(name, 0)) for name in ("fsTotalSize", "fsUsedSize"))
    return disks if total in (0, found.total) else [*disks, Disk("database", total - used)]
