"""Units of work in MongoDB: transactions."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.client_session import ClientSession
from pymongo.errors import (
    BulkWriteError,
    DuplicateKeyError,
    ExecutionTimeout,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from alerting.ports import Conflict, Unit
from alerting.stores.database.documents import MongoDatabase, only_duplicates

LONGEST_WRITE_MS = 3000
"""Time limit of a single write that an open transaction of another process may block."""
ELECTION_S = 20.0
"""How long a replica set of several members may be without a primary: longer than an election."""
_PAUSE_S = 0.05
_COMMIT_S = 20.0
_LONGEST_PAUSE_S = 2.0


class MongoUnit(Unit):
    """Unit of work: the Mongo stores pass its session to every write (None: not composed)."""

    def __init__(self, session: ClientSession | None = None) -> None:
        self.session = session


class MongoUnitOfWork:
    """Port `UnitOfWork`: one transaction per unit. It needs a replica set."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    @contextmanager
    def begin(self, attempt: int = 0) -> Iterator[Unit]:
        """Begin a transaction, and commit it at the end of the context.

        Raises Conflict for what another attempt may achieve; a server that stays away is none.
        """
        try:
            with conflicts(), self._database.client.start_session() as session:
                session.start_transaction()
                yield MongoUnit(session)
                _commit(session)
        except Conflict as conflict:
            cause = conflict.__cause__
            searched = self._database.client.options.server_selection_timeout * (attempt + 1)
            if isinstance(cause, ServerSelectionTimeoutError) and searched >= ELECTION_S:
                raise cause from None
            time.sleep(min(_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S))
            raise


def session_of(unit: Unit | None) -> ClientSession | None:
    """Return the session that a write passes on."""
    return unit.session if isinstance(unit, MongoUnit) else None


@contextmanager
def conflicts() -> Iterator[None]:
    """Raise Conflict for an error by which another process was faster, or holds the documents."""
    try:
        yield
    except PyMongoError as error:
        if not _is_conflict(error):
            raise
        raise Conflict(str(error).partition(", full error")[0]) from error


def _is_conflict(error: PyMongoError) -> bool:
    if isinstance(error, BulkWriteError):
        only_duplicates(error)
        return True
    return isinstance(error, DuplicateKeyError | ExecutionTimeout) or error.has_error_label(
        "TransientTransactionError"
    )


def _commit(session: ClientSession) -> None:
    """Commit, and again as long as the result is unknown: it takes effect once."""
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
