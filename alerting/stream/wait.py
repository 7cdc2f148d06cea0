"""The wait of a process of `alerting stream` for the lease of the service, and for its first source
or sink, or rows that others store: with little in memory."""

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
from pymongo.errors import PyMongoError

from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import (
    POLLED,
    PolledFields,
    parse_source,
    streamed_kinds,
)
from alerting.settings.environment import Settings
from alerting.stores.leases import STREAM, Leases

READ_AGAIN_S = 5.0
_AWAIT_MS = 1_000
_ARRIVALS = "late_arrivals"
# the module with the names of collections loads much more than the driver
_NEW: list[Mapping[str, Any]] = [
    {"$match": {"operationType": "insert"}},
    {"$project": {"_id": True}},
]
_log = logging.getLogger(__name__)


def new_process() -> str:
    """Return the name of this process: host, number, and what no earlier one had."""
    return f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"


def await_lease(leases: Leases, process: str, alive: Path | None, stopped: Event) -> bool:
    """Return whether this process has the lease of the service, once no other one has it; false if
    it is stopped before. Of several processes all others wait here, and one of them goes on where
    the first has stopped."""
    while not (is_ours := claim_stream(leases, process)) and not stopped.wait(READ_AGAIN_S):
        if alive is not None:
            alive.touch()
    return is_ours


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


def await_source(settings: Settings, alive: Path | None, stopped: Event, process: str) -> None:
    """Return once this process has the lease of the service, and there is a source that it reads, a
    sink, or rows were stored that can be evaluated. Until then the process holds little more than
    the driver of the database.

    Return at once without a database server of its own, which only an opened platform starts.
    """
    if settings.mongodb_uri is None:
        return
    with pymongo.MongoClient[dict[str, Any]](
        settings.mongodb_uri, serverSelectionTimeoutMS=5000, tz_aware=True
    ) as client:
        database = client[settings.database]
        leases = Leases(database)
        arrivals = _Arrivals(database)
        fault = None
        while not stopped.is_set():
            try:
                if not claim_stream(leases, process):
                    stopped.wait(READ_AGAIN_S)
                elif _has_documents(database) or arrivals.has_any(stopped):
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
        with suppress(PyMongoError):  # of a database that is away: the lease ends by itself
            leases.release(STREAM, process)


def _has_documents(database: Database[dict[str, Any]]) -> bool:
    """Return whether there is a source that the service reads, or a sink."""
    active = {"state": {"$nin": ["paused", "retired"]}}
    sources = {"kind": {"$in": streamed_kinds()}, **active}
    if any(
        database[name].find_one(query, {"_id": True})
        for name, query in (("sources", sources), ("sinks", active))
    ):
        return True
    polled = {"kind": {"$in": POLLED}, **active}
    return any(map(_is_read_by_service, database["sources"].find(polled, {"_id": False})))


def _is_read_by_service(document: Mapping[str, Any]) -> bool:
    """Return whether a document is a valid polled source that this service reads."""
    with suppress(UserError):
        source = parse_source(document)
        return isinstance(source, PolledFields) and source.reader == "service"
    return False


class _Arrivals:
    """The arrival records from the first question on, by a change stream."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._records = database[_ARRIVALS]
        self._stream: CollectionChangeStream[dict[str, Any]] | None = None

    def has_any(self, stopped: Event) -> bool:
        """Return whether rows were announced, within some seconds."""
        until = time.monotonic() + READ_AGAIN_S
        if self._stream is None or not self._stream.alive:
            self._stream = self._records.watch(_NEW, max_await_time_ms=_AWAIT_MS)
        while time.monotonic() < until and not stopped.is_set():
            if self._stream.try_next() is not None:
                return True
        return False
