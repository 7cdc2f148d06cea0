"""The wait of the stream service for its first source or sink, with little in memory."""

import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from threading import Event

import pymongo
from pymongo.errors import PyMongoError

from alerting.definitions.sources.source import STREAMED
from alerting.settings.environment import Settings

READ_AGAIN_S = 5.0
_PROCESSES = "stream_processes"
# the module with the names of collections loads much more than the driver
_log = logging.getLogger(__name__)


def new_process() -> str:
    """Return the name of this process: host, number, and what no earlier one had."""
    return f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"


def await_source(settings: Settings, alive: Path | None, stopped: Event, process: str) -> None:
    """Return once there is a source of a broker, or a sink. Until then the process holds little
    more than the driver of the database.

    Meanwhile it is noted under the name `process` as one that runs and reads no source yet:
    `source apply` then waits for it. Return at once without a database server of its own, which
    only an opened platform starts.
    """
    if settings.mongodb_uri is None:
        return
    with pymongo.MongoClient[dict[str, object]](
        settings.mongodb_uri, serverSelectionTimeoutMS=5000
    ) as client:
        database = client[settings.database]
        fault = None
        while not stopped.is_set():
            try:
                noted = {"$set": {"waiting": True}, "$currentDate": {"at": True}}
                database[_PROCESSES].update_one({"_id": process}, noted, upsert=True)
                active = {"state": {"$nin": ["paused", "retired"]}}
                sources = {"kind": {"$in": STREAMED}, **active}
                if any(
                    database[name].find_one(query, {"_id": True})
                    for name, query in (("sources", sources), ("sinks", active))
                ):
                    return
                fault = None
            except PyMongoError as error:
                if fault is not type(error):
                    _log.warning(
                        "the database does not answer, so the sources are not known: %s",
                        str(error)[:200],
                    )
                fault = type(error)
            if alive is not None:
                alive.touch()
            stopped.wait(READ_AGAIN_S)
        with suppress(PyMongoError):  # of a database that is away: it deletes the note a day later
            database[_PROCESSES].delete_one({"_id": process})
