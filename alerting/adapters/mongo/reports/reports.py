"""Performance reports in MongoDB."""

import json
import zlib
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import partial

from alerting.adapters.mongo.documents import (
    Document,
    MongoDatabase,
    from_document,
    insert_new,
    to_bson,
    to_document,
)
from alerting.adapters.mongo.each import good
from alerting.adapters.mongo.indexes import REPORTS
from alerting.ports.reports import ReportContent, ReportHead

_CONTENT = {"page": False, "content": False, "picture": False}
_NEWEST_FIRST = [("start", -1), ("end", -1), ("as_of", -1)]
# those of 0.1 have a number, which is 0 where there was nothing to report
_SHOWN: Document = {"empty": {"$ne": True}, "revision": {"$ne": 0}}


class MongoReports:
    """Port `Reports`: one document per report; page and metrics are compressed to fit in."""

    def __init__(self, database: MongoDatabase) -> None:
        self._reports = database[REPORTS]

    def add(self, head: ReportHead, content: ReportContent) -> bool:
        return insert_new(self._reports, _document(head, content))

    def store_report(self, head: ReportHead, content: ReportContent) -> None:
        self._reports.replace_one({"_id": head.id}, _document(head, content), upsert=True)

    def mark_announced(self, id: str) -> None:
        self._reports.update_one({"_id": id}, {"$set": {"announced": True}})

    def get(self, id: str) -> ReportHead | None:
        found = self._reports.find_one({"_id": id}, _CONTENT)
        return next(iter(_heads([] if found is None else [found])), None)

    def content(self, id: str) -> ReportContent | None:
        found = self._reports.find_one(
            {"_id": id}, {"page": True, "content": True, "picture": True}
        )
        return None if found is None else _content(found)

    def page(self, id: str) -> str | None:
        found = self._reports.find_one({"_id": id}, {"page": True})
        return None if found is None else _page(found["page"])

    def for_definition(self, definition: str | None) -> list[ReportHead]:
        return _heads(self._reports.find({"definition": definition}, _CONTENT).sort(_NEWEST_FIRST))

    def of_period(self, period: str, as_of: datetime | None = None) -> dict[str | None, ReportHead]:
        """Return the newest report of each definition on a calendar period; an index answers it."""
        by_then = {} if as_of is None else {"as_of": {"$lte": to_bson(as_of)}}
        found = self._reports.find({"period": period, **by_then}, _CONTENT)
        return {head.definition: head for head in sorted(_heads(found), key=lambda h: h.as_of)}

    def metrics_of(self, ids: Collection[str]) -> dict[str, Document]:
        found = self._reports.find({"_id": {"$in": sorted(ids)}}, {"content": True})
        named = ({**one, "id": one["_id"]} for one in found)
        return dict(good(REPORTS, named, lambda one: (one["id"], _unpack(one)["metrics"])))

    def newest_reports(
        self, limit: int, definitions: Collection[str] | None = None
    ) -> list[ReportHead]:
        newest_first = [("start", -1), ("_id", -1)]
        query = dict(_SHOWN)
        if definitions is not None:
            query["definition"] = {"$in": sorted(definitions)}
        return _heads(self._reports.find(query, _CONTENT).sort(newest_first).limit(limit))

    def unannounced(self, limit: int) -> list[ReportHead]:
        found = self._reports.find({"announced": False, **_SHOWN}, _CONTENT)
        return _heads(found.sort([("as_of", 1), ("_id", 1)]).limit(limit))


def _with_defaults(document: Document) -> Document:
    empty = document.get("empty", document.get("revision") == 0)
    return {**document, "id": document["_id"], "empty": empty}


def _document(head: ReportHead, content: ReportContent) -> Document:
    """Return the stored form. `at`: the instant from which retention counts."""
    document = to_document(head)
    packed = zlib.compress(
        json.dumps(
            to_bson({"metrics": content.metrics, "tables": content.tables}),
            default=lambda value: value.isoformat() if isinstance(value, datetime) else str(value),
        ).encode()
    )
    page = zlib.compress(content.page.encode())
    return {
        "_id": document.pop("id"),
        **document,
        "at": document["as_of"],
        "content": packed,
        "page": page,
        "picture": content.picture,
    }


def _heads(found: Iterable[Document]) -> list[ReportHead]:
    return good(
        REPORTS,
        (_with_defaults(document) for document in found),
        partial(from_document, ReportHead),
    )


def _content(document: Document) -> ReportContent:
    unpacked = _unpack(document)
    page = _page(document["page"])
    picture = bytes(document.get("picture", b""))
    return ReportContent(unpacked["metrics"], page, unpacked["tables"], picture)


def _unpack(document: Document) -> Document:
    unpacked: Document = json.loads(zlib.decompress(document["content"]))
    return unpacked


def _page(stored: bytes) -> str:
    return zlib.decompress(stored).decode()
