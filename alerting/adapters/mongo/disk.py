"""Free space of the disks, and the state of the database server."""

import shutil
from pathlib import Path

from pymongo.errors import OperationFailure

from alerting.ports import DatabaseState, Disk
from alerting.stores.documents import MongoDatabase


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


def read_database(database: MongoDatabase) -> DatabaseState:
    """Return name, size and members of the database server. Raises PyMongoError if it is away.

    An account that may not read the state of the replica set gets the names of its members.
    """
    stats = database.command("dbStats")
    size = int(stats.get("storageSize", 0)) + int(stats.get("indexSize", 0))
    server = f"MongoDB {database.client.server_info()['version']}"
    try:
        found = database.client.admin.command("replSetGetStatus")["members"]
        members = {str(one["name"]): str(one["stateStr"]).lower() for one in found}
    except OperationFailure:  # an account without this right
        hello = database.client.admin.command("hello")
        primary = hello.get("primary")
        hosts = hello.get("hosts", [])
        members = {host: "primary" if host == primary else "member" for host in hosts}
    return DatabaseState(server, size, members)
