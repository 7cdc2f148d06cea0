"""All documents of a database as they are stored: read in one snapshot, and written into an empty
database.

A file holds the documents of one collection, one BSON document after the other, as `mongodump`
writes them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any, Protocol

from bson.codec_options import CodecOptions
from bson.errors import BSONError, InvalidBSON
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from alerting.definitions.faults import UserError, first_line, legible
from alerting.definitions.left import LEFT_IN_0_2_0
from alerting.stores.documents import EVALUATION_PLANS, SCHEMA, Document, MongoDatabase
from alerting.stores.indexes import INDEXES

_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
COLLECTIONS = {*INDEXES, *(one.name for one in LEFT_IN_0_2_0 if one.what == "collection")}
"""Collections of the platform, also those that left: a backup has them, so nothing is lost."""
_AT_ONCE = 1_000
_LENGTH = 4
_LONGEST_DUMP_S = 24 * 3600
_AT_ONCE_BYTES = 8 << 20
_LARGEST_DOCUMENT_BYTES = 17 << 20


class BinaryStream(Protocol):
    """A stream of bytes to read, such as an unpacked file."""

    def read(self, size: int, /) -> bytes: ...


Report = Callable[[str, int], None]
"""Report of the number of documents so far of a collection."""


def dump_database(
    database: MongoDatabase,
    open_file: Callable[[str], AbstractContextManager[IO[bytes]]],
    report: Report,
) -> dict[str, int]:
    """Write the documents of every collection, all as of one instant, while others write. Return
    their number by collection.

    Left out: the plan of evaluation, which is a cache, and the version of the schema. Raises
    UserError if the server drops the history of the snapshot before the end.
    """
    counts = {}
    try:
        with (
            _long_snapshots(database.client),
            database.client.start_session(snapshot=True) as session,
        ):
            there = COLLECTIONS.intersection(database.list_collection_names())
            for name in sorted(there - {EVALUATION_PLANS, SCHEMA}):
                counts[name] = 0
                with open_file(name) as file:
                    documents: Any = database.get_collection(name, codec_options=_RAW)
                    for document in documents.find(session=session):
                        file.write(document.raw)
                        counts[name] += 1
                        if counts[name] % _AT_ONCE == 0:
                            report(name, counts[name])
    except OperationFailure as failure:
        if failure.code not in (239, 246):  # SnapshotTooOld, SnapshotUnavailable
            raise
        raise UserError(
            "the server dropped the snapshot before all documents were read: set its parameter "
            "minSnapshotHistoryWindowInSeconds to more than the backup takes, or use mongodump "
            "--oplog"
        ) from failure
    return counts


@contextmanager
def _long_snapshots(client: MongoClient[Document]) -> Iterator[None]:
    """Let the server keep a snapshot for a day during a block, where its user may set that."""
    name = "minSnapshotHistoryWindowInSeconds"
    try:
        before = client.admin.command({"getParameter": 1, name: 1})[name]
        client.admin.command({"setParameter": 1, name: max(int(before), _LONGEST_DUMP_S)})
    except OperationFailure:
        yield
        return
    try:
        yield
    finally:
        client.admin.command({"setParameter": 1, name: before})


def is_empty(database: MongoDatabase) -> bool:
    """Return whether a database has no document."""
    return all(
        database[name].find_one({}, {"_id": True}) is None
        for name in database.list_collection_names()
    )


def load_collection(database: MongoDatabase, name: str, file: BinaryStream, report: Report) -> int:
    """Insert the documents of a file unchanged, also those that a validator would refuse. Return
    how many.

    Raises UserError if the file does not hold documents.
    """
    target = database.get_collection(name, codec_options=_RAW)
    count = 0
    batch = list[RawBSONDocument]()
    size = 0
    for document in _documents(name, file):
        batch.append(document)
        size += len(document.raw)
        if len(batch) == _AT_ONCE or size >= _AT_ONCE_BYTES:
            count += _insert(name, target, batch)
            batch = []
            size = 0
            report(name, count)
    return count + (_insert(name, target, batch) if batch else 0)


def _insert(name: str, target: Any, batch: list[RawBSONDocument]) -> int:
    try:
        target.insert_many(batch, ordered=False, bypass_document_validation=True)
    except (OperationFailure, BSONError) as refused:
        details = getattr(refused, "details", None) or {}
        why = next((one["errmsg"] for one in details.get("writeErrors", ())), first_line(refused))
        raise UserError(
            f"documents of {name} in the backup cannot be stored: {legible(why, 300)}"
        ) from refused
    return len(batch)


def _documents(name: str, file: BinaryStream) -> Iterator[RawBSONDocument]:
    while head := file.read(_LENGTH):
        length = int.from_bytes(head, "little")
        try:
            if len(head) < _LENGTH or not _LENGTH < length <= _LARGEST_DOCUMENT_BYTES:
                raise InvalidBSON("wrong length")
            yield RawBSONDocument(head + file.read(length - _LENGTH))
        except InvalidBSON as fault:
            raise UserError(
                f"the documents of {name} in the backup cannot be read ({fault}): use another "
                "backup"
            ) from fault
