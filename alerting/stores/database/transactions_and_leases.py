"""Protection of documents that several processes change: units of work, which are transactions, and
leases, which let one process at a time do something. Leases use the clock of the database, so that
the clocks of several machines need not agree."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pymongo
from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from alerting.definitions.sources import LEASE_LASTS
from alerting.ports import Conflict, Unit
from alerting.stores.database.documents import MongoDatabase, cut_message, only_duplicates

LONGEST_WRITE_MS = 3000
"""Time limit of a single write that an open transaction of another process may block."""
ELECTION_S = 20.0
"""How long a replica set of several members may be without a primary: longer than an election."""
_PAUSE_S = 0.05
_COMMIT_S = 5.0  # the driver has tried once more in it, and looked for a server


class MongoUnit(Unit):
    """Unit of work: the Mongo stores pass its session to every write (None: each write by
    itself)."""

    def __init__(self, session: ClientSession | None = None) -> None:
        self.session = session


class MongoUnitOfWork:
    """Port `UnitOfWork`: one transaction per unit. It needs a replica set."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    @contextmanager
    def begin(self, attempt: int = 0) -> Iterator[Unit]:
        """Begin a transaction, and commit it at the end of the context.

        Raises Conflict for an error that another attempt may avoid; an outage of the server is no
        such error.
        """
        client = self._database.client
        try:
            with conflicts(), client.start_session() as session:
                session.start_transaction()
                try:
                    yield MongoUnit(session)
                except (Conflict, ConnectionFailure):
                    if not client.nodes:
                        with pymongo.timeout(0.5):  # else it looks for a server once more
                            session.abort_transaction()
                    raise
                _commit(session)
        except Conflict as conflict:
            if isinstance(cause := conflict.__cause__, ServerSelectionTimeoutError):
                raise cause from None
            time.sleep(min(_PAUSE_S * 2**attempt, 2.0))
            raise


def session_of(unit: Unit | None) -> ClientSession | None:
    """Return the session that a write passes on."""
    return unit.session if isinstance(unit, MongoUnit) else None


@contextmanager
def conflicts() -> Iterator[None]:
    """Raise Conflict where another process was faster, or still has the documents."""
    try:
        yield
    except PyMongoError as error:
        if not _is_conflict(error):
            raise
        raise Conflict(cut_message(error)) from error


def _is_conflict(error: PyMongoError) -> bool:
    if isinstance(error, BulkWriteError):
        only_duplicates(error)
        return True
    return isinstance(error, DuplicateKeyError | ExecutionTimeout) or error.has_error_label(
        "TransientTransactionError"
    )


def _commit(session: ClientSession) -> None:
    """Commit, again while the result is unknown. The transaction takes effect once."""
    deadline = time.monotonic() + _COMMIT_S
    while True:
        try:
            session.commit_transaction()
        except PyMongoError as error:
            if (
                not error.has_error_label("UnknownTransactionCommitResult")
                or time.monotonic() > deadline
            ):
                raise
            time.sleep(_PAUSE_S)
        else:
            return


LEASES = "leases"
STREAM = "stream"
"""The lease of the stream service. That of a polled source is `source` and its name."""
CONSOLE = "console"
"""The lease by which the console shows that it runs."""


@dataclass(frozen=True)
class Lease:
    """The holder of a lease, its last renewal, the sources that it reads, and the time since the
    renewal by the clock of the database."""

    holder: str
    seen_at: datetime
    reads: Sequence[str] = ()
    silent: timedelta = timedelta(0)


class Leases:
    """Leases by name. A lease that is not renewed for LEASE_LASTS is free, because its holder was
    killed; one of later than now too, because the clock was ahead when it was taken."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._leases = database[LEASES]

    def claim(self, name: str, holder: str, reads: Collection[str] = ()) -> bool:
        """Take a lease, or renew it. Return False while another holder has it."""
        gone = {"$subtract": ["$$NOW", LEASE_LASTS.total_seconds() * 1000]}
        is_own = {"$eq": ["$holder", {"$literal": holder}]}
        after_now = {"$gt": ["$at", {"$add": ["$$NOW", LEASE_LASTS.total_seconds() * 1000]}]}
        is_free = {"$or": [is_own, {"$lte": [{"$ifNull": ["$at", None]}, gone]}, after_now]}
        taken = {"holder": {"$literal": holder}, "at": "$$NOW", "reads": {"$literal": list(reads)}}
        change = {key: {"$cond": [is_free, new, f"${key}"]} for key, new in taken.items()}
        while True:
            try:
                lease = self._leases.find_one_and_update(
                    {"_id": name},
                    [{"$set": change}],
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:  # another process inserts it now
                continue
            return lease is not None and bool(lease["holder"] == holder)

    def release(self, name: str, holder: str) -> None:
        """End a lease, unless another holder has taken it since."""
        self._leases.delete_one({"_id": name, "holder": holder})

    def find(self, name: str) -> Lease | None:
        """Return a lease of the last day, even if it is over; None without one."""
        shown = {"holder": True, "at": True, "reads": True, "now": "$$NOW"}
        lease = self._leases.find_one({"_id": name, "at": {"$type": "date"}}, shown)
        if lease is None:
            return None
        silent = abs(lease["now"] - lease["at"])
        return Lease(str(lease["holder"]), lease["at"], lease.get("reads", ()), silent)
