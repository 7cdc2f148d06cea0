"""The records of archived files in MongoDB, and the readings in it that they take over.

A faulty record is left out, with a platform alert: its file is neither read nor deleted.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from pymongo import UpdateOne

from alerting.adapters.mongo.documents import (
    Document,
    MongoDatabase,
    from_document,
    insert_all_new,
    insert_new,
    to_bson,
    to_document,
    utc,
)
from alerting.adapters.mongo.each import good
from alerting.adapters.mongo.file_validators import ARCHIVE_PATH
from alerting.adapters.mongo.indexes import ARCHIVED_FILES, READINGS
from alerting.definitions.faults import DocumentRefused, Fault, UserError
from alerting.ports import ArchivedFile
from alerting.ports.sweeps import FileState
from alerting.readings.instants import month_interval, month_of

_READ: Document = {"state": {"$ne": "deleting"}}
# documents; a batch of the server is else 16 MB, of which the documents take many times as much
_AT_ONCE = 1_000
_ATTEMPTS = 10


class MongoArchivedFiles:
    """Records of the files of the archive, one document each; their readings in the database."""

    def __init__(self, database: MongoDatabase) -> None:
        self._files = database[ARCHIVED_FILES]
        self._readings = database[READINGS]

    def files(self, asset: str | None = None) -> list[ArchivedFile]:
        """Return the recorded files, by asset, month and number."""
        return self._find({} if asset is None else {"asset": asset})

    def for_interval(
        self, assets: Sequence[str], start: datetime | None, end: datetime | None
    ) -> list[ArchivedFile]:
        """Return files of assets with readings in start < ts <= end, by asset and month."""
        times = _READ if start is None else {**_READ, "last": {"$gt": to_bson(start)}}
        if (
            not assets or self._files.find_one(times, {"_id": True}) is None
        ):  # an index entry, where nothing is archived
            return []
        times |= {} if end is None else {"first": {"$lte": to_bson(end)}}
        return self._find({"asset": {"$in": list(assets)}, **times})

    def newest_files(self, until: datetime | None) -> list[ArchivedFile]:
        """Return each asset's files that begin until an instant, of its newest month."""
        begun: Document = {} if until is None else {"first": {"$lte": to_bson(until)}}
        pipeline: list[Document] = [
            {"$match": {**_READ, **begun}},
            {"$sort": {"number": 1}},
            {
                "$group": {
                    "_id": {"asset": "$asset", "month": "$month"},
                    "files": {"$push": "$$ROOT"},
                }
            },
            {"$sort": {"_id.month": 1}},
            {"$group": {"_id": "$_id.asset", "files": {"$last": "$files"}}},
        ]
        return _read(one for group in self._files.aggregate(pipeline) for one in group["files"])

    def sample_files(self, most: int) -> list[ArchivedFile]:
        """Return a few files of any asset."""
        return _read(self._files.find(_READ).limit(most))

    def being_deleted(self) -> list[ArchivedFile]:
        """Return the files that are no longer read and whose deletion has not ended."""
        return self._find({"state": "deleting"})

    def _find(self, query: Document) -> list[ArchivedFile]:
        return _read(
            self._files.find({**_READ, **query}).sort([("asset", 1), ("month", 1), ("number", 1)])
        )

    def record(self, file: ArchivedFile) -> None:
        """Record a file. Raises UserError if there is one of its number."""
        if not insert_new(self._files, to_document(file)):
            raise UserError(f"another process archives {file.asset} {file.month}: let it finish")

    def mark(self, file: ArchivedFile, state: FileState) -> ArchivedFile:
        """Store the state of a file."""
        self._files.update_one(_key(file), {"$set": {"state": state}})
        return replace(file, state=state)

    def remove(self, file: ArchivedFile) -> None:
        """Remove the record of a file, which is no longer read then."""
        self._files.delete_one(_key(file))

    def due_months(self, asset: str, before: datetime, arrived_before: datetime) -> list[str]:
        """Return the months before an instant with readings that arrived before another."""
        found: list[str] = []
        after: Document = {}
        while (
            first := self._readings.find_one(
                {"asset": asset, **after}, {"ts": True}, sort=[("ts", 1)]
            )
        ) is not None:
            month = month_of(utc(first["ts"]))
            if month_interval(month)[1] > before:
                break
            if (
                self._readings.find_one(_match_month(asset, month, arrived_before), {"_id": True})
                is not None
            ):
                found.append(month)
            after = {"ts": {"$gte": to_bson(month_interval(month)[1])}}
        return found

    def documents(self, asset: str, month: str, arrived_before: datetime) -> Iterator[Document]:
        """Yield the readings of a month that arrived before an instant, oldest first."""
        found = self._readings.find(
            _match_month(asset, month, arrived_before), {"_id": False}
        ).sort([("asset", 1), ("ts", 1)])
        return iter(found.batch_size(_AT_ONCE))

    def delete_readings(self, file: ArchivedFile, instants: Iterable[Sequence[datetime]]) -> int:
        """Delete the readings at the instants that a file holds, given slice by slice, and no
        other.

        So what a slow import with an old arrival writes meanwhile stays. Raises UserError if there
        are more readings than in it.
        """
        within = _match_month(file.asset, file.month, file.arrived_before)
        if (stored := self._readings.count_documents(within)) > file.rows:
            raise UserError(
                f"{file.asset} {file.month}: the database has {stored} readings that arrived "
                "before "
                f"{file.arrived_before.isoformat(timespec='seconds')}, its archived file "
                f"{file.rows}: nothing was deleted; "
                f"`alerting archive restore {file.asset} --from {file.month} --until {file.month}` "
                "merges them"
            )
        some = ({**within, "ts": {"$in": list(of_slice)}} for of_slice in instants)
        return sum(self._readings.delete_many(readings).deleted_count for readings in some)

    def put_back(self, asset: str, documents: Iterable[Document], now: datetime) -> None:
        """Store archived readings again, where samples of the same instant that are stored stay.
        Idempotent.

        They arrive now: first of all those that are stored, so that neither a run of the archive at
        the same time nor the next retention deletes them. What another process stores meanwhile
        stays as well: a document is inserted only where there is none, and completed only while it
        is the one that was read; else it is read again.
        """
        given = {document["ts"]: document for document in documents}
        within = {"asset": asset, "ts": {"$gte": min(given), "$lte": max(given)}}
        self._readings.update_many(within, {"$set": {"arrived_at": now}})
        for _ in range(_ATTEMPTS):
            found = {utc(document["ts"]): document for document in self._readings.find(within)}
            new = [
                {"asset": asset, "ts": ts, **_samples(document), "arrived_at": now}
                for ts, document in given.items()
                if ts not in found
            ]
            additions = [
                UpdateOne(
                    {"_id": one["_id"], "v": one.get("v"), "q": one.get("q")},
                    {"$set": {**lacking, "arrived_at": now}},
                )
                for ts, one in found.items()
                if ts in given and (lacking := _lacking(given[ts], one))
            ]
            if not new and not additions:
                return
            insert_all_new(self._readings, new)
            if additions:
                self._readings.bulk_write(additions, ordered=False)
        raise UserError(
            f"{asset}: readings change faster than they can be restored; run `alerting archive "
            "restore` again"
        )


def archive_path(asset: str, month: str, number: int, token: str) -> str:
    """Return the path of a file in the archive; `token` makes that of another attempt another."""
    return f"asset={quote(asset, safe='')}/month={month}/{number:04d}-{token}.parquet"


def parse_archived_file(document: Document) -> ArchivedFile:
    """Return the record in a document. Raises DocumentRefused for another asset's path."""
    file = from_document(ArchivedFile, document)
    beginning = archive_path(file.asset, file.month, file.number, "").removesuffix(".parquet")
    if re.match(ARCHIVE_PATH, file.path) is None or not file.path.startswith(beginning):
        why = f"is no path of a file of the archive: it must begin with {beginning}"
        raise DocumentRefused(
            file.path, [Fault("path", why, "correct the record, or bring it back from a backup")]
        )
    if file.rows < 0 or file.bytes < 0:
        raise DocumentRefused(file.path, [Fault("rows", "and bytes must not be negative")])
    return file


def _read(found: Iterable[Document]) -> list[ArchivedFile]:
    return good(ARCHIVED_FILES, found, parse_archived_file)


def _samples(document: Document) -> Document:
    return {part: document[part] for part in ("v", "q") if part in document}


def _lacking(document: Document, stored: Document) -> Document:
    """Return the samples of a document, as fields to set, of variables without a stored one."""
    there = stored.get("v", {}).keys() | stored.get("q", {}).keys()
    return {
        f"{part}.{name}": one
        for part, samples in _samples(document).items()
        for name, one in samples.items()
        if name not in there
    }


def _key(file: ArchivedFile) -> Document:
    return {"asset": file.asset, "month": file.month, "number": file.number}


def _match_month(asset: str, month: str, arrived_before: datetime) -> Document:
    start, end = map(to_bson, month_interval(month))
    return {
        "asset": asset,
        "ts": {"$gte": start, "$lt": end},
        "arrived_at": {"$lt": to_bson(arrived_before)},
    }
