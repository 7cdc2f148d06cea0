"""The wait of the stream service for its first source or sink, or for rows that others store, with
little in memory."""

import logging
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import Any

import pymongo
from pymongo.change_stream import CollectionChangeStream
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import (
    POLLED,
    PolledFields,
    parse_source,
    streamed_kinds,
)
from alerting.settings.environment import Settings

READ_AGAIN_S = 5.0
_AWAIT_MS = 1_000
_PROCESSES = "stream_processes"
_ARRIVALS = "late_arrivals"
_EVALUATED_UNTIL = "evaluated_until"
# the module with the names of collections loads much more than the driver
_NEW: list[Mapping[str, Any]] = [
    {"$match": {"operationType": "insert"}},
    {"$project": {"_id": True}},
]
_log = logging.getLogger(__name__)


def new_process() -> str:
    """Return the name of this process: host, number, and what no earlier one had."""
    return f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"


def await_source(settings: Settings, alive: Path | None, stopped: Event, process: str) -> None:
    """Return once there is a source that the service reads, a sink, or rows were stored that can be
    evaluated. Until then the process holds little more than the driver of the database.

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
        arrivals = _Arrivals(database)
        fault = None
        while not stopped.is_set():
            try:
                noted = {"$set": {"waiting": True}, "$currentDate": {"at": True}}
                database[_PROCESSES].update_one({"_id": process}, noted, upsert=True)
                active = {"state": {"$nin": ["paused", "retired"]}}
                sources = {"kind": {"$in": streamed_kinds()}, **active}
                if any(
                    database[name].find_one(query, {"_id": True})
                    for name, query in (("sources", sources), ("sinks", active))
                ):
                    return
                polled = {"kind": {"$in": POLLED}, **active}
                if any(map(_is_read_by_service, database["sources"].find(polled, {"_id": False}))):
                    return
                if arrivals.has_any(stopped):
                    return
                fault = None
            except PyMongoError as error:
                if fault is not type(error):
                    _log.warning(
                        "the database does not answer, so the sources are not known: %s",
                        str(error)[:200],
                    )
                fault = type(error)
                stopped.wait(READ_AGAIN_S)
            if alive is not None:
                alive.touch()
        with suppress(PyMongoError):  # of a database that is away: it deletes the note a day later
            database[_PROCESSES].delete_one({"_id": process})


def _is_read_by_service(document: Mapping[str, Any]) -> bool:
    """Return whether a document is a valid polled source that this service reads."""
    with suppress(UserError):
        source = parse_source(document)
        return isinstance(source, PolledFields) and source.reader == "service"
    return False


class _Arrivals:
    """The arrival records from the first question on, by a change stream. Without one, writers are
    asked to leave them for a minute."""

    def __init__(self, database: Database[dict[str, object]]) -> None:
        self._records = database[_ARRIVALS]
        self._asked = database[_EVALUATED_UNTIL]
        self._stream: CollectionChangeStream[dict[str, object]] | None = None

    def has_any(self, stopped: Event) -> bool:
        """Return whether rows were announced, within some seconds, or some minutes ago where the
        database has no change streams."""
        until = time.monotonic() + READ_AGAIN_S
        try:
            if self._stream is None or not self._stream.alive:
                self._stream = self._records.watch(_NEW, max_await_time_ms=_AWAIT_MS)
            while time.monotonic() < until and not stopped.is_set():
                if self._stream.try_next() is not None:
                    return True
        except OperationFailure:
            self._asked.update_one(
                {"_id": _EVALUATED_UNTIL}, {"$currentDate": {"asked_at": True}}, upsert=True
            )
            stopped.wait(until - time.monotonic())
            there = [{"done_at": {"$type": "date"}}, {"waits": True}]
            return self._records.find_one({"$or": there}, {"_id": True}) is not None
        return False
