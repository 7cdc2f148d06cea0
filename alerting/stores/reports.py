"""Performance reports and backtests in MongoDB.

Files of a backtest are stored in pieces, because a model may be larger than one document. Its page
is a file of the run itself.
"""

import json
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import bson
from pymongo import ReplaceOne

from alerting.episodes.episode import Episode
from alerting.ports import ReportContent, ReportHead
from alerting.stores.database.documents import (
    BACKTEST_EPISODES,
    BACKTEST_FILES,
    BACKTESTS,
    CODEC,
    REPORTS,
    Document,
    MongoDatabase,
    from_document,
    good,
    insert_new,
    read_stored,
    to_bson,
    to_document,
    with_ids,
)

_CONTENT = {"page": False, "content": False, "picture": False}
_SHOWN: Document = {"empty": False}
T = TypeVar("T")
PIECE = 8 * 1024 * 1024
_WHOLE_RUN = 0  # segments count from 1
_PAGE_FILE = "page.html"


class Reports:
    """Performance reports, one document each. A correction of a period is another report; in a
    stored report only `announced` changes. Page and metrics are compressed to fit in."""

    def __init__(self, database: MongoDatabase) -> None:
        self._reports = database[REPORTS]

    def add(self, head: ReportHead, content: ReportContent) -> bool:
        """Store a report; return False if its id is stored already."""
        return insert_new(self._reports, _document(head, content))

    def store_report(self, head: ReportHead, content: ReportContent) -> None:
        self._reports.replace_one({"_id": head.id}, _document(head, content), upsert=True)

    def mark_announced(self, id: str) -> None:
        self._reports.update_one({"_id": id}, {"$set": {"announced": True}})

    def get(self, id: str) -> ReportHead | None:
        return next(iter(_heads(self._reports.find({"_id": id}, _CONTENT))), None)

    def content(self, id: str) -> ReportContent | None:
        document = self._reports.find_one(
            {"_id": id}, {"page": True, "content": True, "picture": True}
        )
        return None if document is None else _content(document)

    def page(self, id: str) -> str | None:
        document = self._reports.find_one({"_id": id}, {"page": True})
        return None if document is None else _page(document["page"])

    def for_definition(self, definition: str | None) -> list[ReportHead]:
        return _heads(
            self._reports.find({"definition": definition}, _CONTENT).sort(
                [("start", -1), ("end", -1), ("as_of", -1)]
            )
        )

    def of_period(self, period: str, as_of: datetime | None = None) -> dict[str | None, ReportHead]:
        """Return the newest report of each definition on a calendar period, from an index."""
        by_then = {} if as_of is None else {"as_of": {"$lte": to_bson(as_of)}}
        documents = self._reports.find({"period": period, **by_then}, _CONTENT)
        return {head.definition: head for head in sorted(_heads(documents), key=lambda h: h.as_of)}

    def metrics_of(self, ids: Collection[str]) -> dict[str, Document]:
        return dict(
            good(
                REPORTS,
                with_ids(self._reports.find({"_id": {"$in": sorted(ids)}}, {"content": True})),
                lambda document: (document["id"], _unpack(document)["metrics"]),
            )
        )

    def newest_reports(
        self, limit: int, definitions: Collection[str] | None = None
    ) -> list[ReportHead]:
        newest_first = [("start", -1), ("_id", -1)]
        query = dict(_SHOWN)
        if definitions is not None:
            query["definition"] = {"$in": sorted(definitions)}
        return _heads(self._reports.find(query, _CONTENT).sort(newest_first).limit(limit))

    def unannounced(self, limit: int) -> list[ReportHead]:
        documents = self._reports.find({"announced": False, **_SHOWN}, _CONTENT)
        return _heads(documents.sort([("as_of", 1), ("_id", 1)]).limit(limit))


def _document(head: ReportHead, content: ReportContent) -> Document:
    """Return the document of a report. `at`: the instant from which retention counts."""
    document = to_document(head)
    packed = zlib.compress(
        json.dumps(
            to_bson({"metrics": content.metrics, "tables": content.tables}),
            default=lambda value: value.isoformat() if isinstance(value, datetime) else str(value),
        ).encode()
    )
    return {
        "_id": document.pop("id"),
        **document,
        "at": document["as_of"],
        "content": packed,
        "page": zlib.compress(content.page.encode()),
        "picture": content.picture,
    }


def _heads(documents: Iterable[Document]) -> list[ReportHead]:
    return read_stored(REPORTS, ReportHead, documents, "id")


def _content(document: Document) -> ReportContent:
    unpacked = _unpack(document)
    page = _page(document["page"])
    return ReportContent(unpacked["metrics"], page, unpacked["tables"], bytes(document["picture"]))


def _unpack(document: Document) -> Document:
    unpacked: Document = json.loads(zlib.decompress(document["content"]))
    return unpacked


def _page(stored: bytes) -> str:
    return zlib.decompress(stored).decode()


def pack(value: Any) -> bytes:
    """Return a dataclass as a file, with the templates of its texts."""
    return bson.encode(to_document(value))


def unpack(cls: type[T], file: bytes) -> T:
    """Return a dataclass from its file."""
    return from_document(cls, bson.decode(file, CODEC))


class Backtests:
    """Backtests, separate from live data: progress that survives an interruption, then metrics,
    episodes and page.

    A run is one document under its id; each finished segment stores files of bytes by name.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._runs = database[BACKTESTS]
        self._episodes = database[BACKTEST_EPISODES]
        self._files = database[BACKTEST_FILES]

    def begin(self, id: str, document: Document) -> Document:
        """Open a run, or find the existing one; return its document with `segments` (summaries,
        oldest first). Raises LookupError if it is removed meanwhile."""
        insert_new(self._runs, {"_id": id, **to_bson(document), "segments": {}})
        stored = self.get(id)
        if stored is None:
            raise LookupError(f"backtest {id!r} was removed while it began")
        return stored

    def store_segment(
        self, id: str, number: int, summary: Document, files: Mapping[str, bytes]
    ) -> None:
        """Store a finished segment: files first, its summary last, which marks it as finished."""
        self._write_files(id, number, files)
        self._runs.update_one({"_id": id}, {"$set": {f"segments.{number:06d}": to_bson(summary)}})

    def segment_files(self, id: str, number: int) -> dict[str, bytes]:
        pieces = self._files.find({"backtest": id, "segment": number}).sort(
            [("name", 1), ("piece", 1)]
        )
        files: dict[str, bytes] = {}
        for piece in pieces:
            files[piece["name"]] = files.get(piece["name"], b"") + bytes(piece["data"])
        return files

    def finish(self, id: str, results: Document, episodes: Sequence[Episode], page: str) -> None:
        self._episodes.delete_many({"backtest": id})
        if episodes:
            self._episodes.insert_many([{"backtest": id, **to_document(e)} for e in episodes])
        self._write_files(id, _WHOLE_RUN, {_PAGE_FILE: page.encode()})
        self._runs.update_one({"_id": id}, {"$set": to_bson(results)})
        self._files.delete_many({"backtest": id, "segment": {"$ne": _WHOLE_RUN}})

    def get(self, id: str) -> Document | None:
        return next(iter(_runs(self._runs.find({"_id": id}))), None)

    def for_definition(self, definition: str) -> list[Document]:
        return _runs(
            self._runs.find({"definition": definition}).sort([("begun_at", -1), ("_id", -1)])
        )

    def episodes(self, id: str) -> list[Episode]:
        documents = self._episodes.find({"backtest": id}).sort([("raised_at", 1), ("id", 1)])
        return read_stored(BACKTEST_EPISODES, Episode, documents)

    def page(self, id: str) -> str | None:
        files = self.segment_files(id, _WHOLE_RUN)
        return files[_PAGE_FILE].decode() if _PAGE_FILE in files else None

    def forget(self, id: str) -> None:
        """Remove a run, then its episodes and files. The run is removed first, so that an
        incomplete one is never resumed."""
        self._runs.delete_one({"_id": id})
        self._episodes.delete_many({"backtest": id})
        self._files.delete_many({"backtest": id})

    def _write_files(self, id: str, segment: int, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            pieces = [data[i : i + PIECE] for i in range(0, len(data), PIECE)] or [b""]
            for number, piece in enumerate(pieces):
                key = {"backtest": id, "segment": segment, "name": name, "piece": number}
                self._files.bulk_write([ReplaceOne(key, {**key, "data": piece}, upsert=True)])
            self._files.delete_many(
                {"backtest": id, "segment": segment, "name": name, "piece": {"$gte": len(pieces)}}
            )


def _runs(documents: Iterable[Document]) -> list[Document]:
    return good(BACKTESTS, with_ids(documents), _run)


def _run(document: Document) -> Document:
    segments = document["segments"]
    return {**document, "segments": [segments[number] for number in sorted(segments)]}
