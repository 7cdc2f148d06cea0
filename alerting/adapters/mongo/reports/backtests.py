"""Backtests in MongoDB, separate from live data: runs, their simulated episodes, and files to
resume from.

Files are stored in pieces, because a model may be larger than one document. A page is a file of the
run itself.
"""

from collections.abc import Iterable, Mapping, Sequence

from pymongo import ReplaceOne

from alerting.adapters.mongo.documents import (
    Document,
    MongoDatabase,
    insert_new,
    to_bson,
    to_document,
)
from alerting.adapters.mongo.each import good, read_stored
from alerting.adapters.mongo.indexes import BACKTEST_EPISODES, BACKTEST_FILES, BACKTESTS
from alerting.episodes.episode import Episode

PIECE = 8 * 1024 * 1024
_WHOLE_RUN = 0  # segments count from 1
_PAGE = "page.html"


class MongoBacktests:
    """Port `Backtests`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._runs = database[BACKTESTS]
        self._episodes = database[BACKTEST_EPISODES]
        self._files = database[BACKTEST_FILES]

    def begin(self, id: str, document: Document) -> Document:
        insert_new(self._runs, {"_id": id, **to_bson(document), "segments": {}})
        found = self.get(id)
        if found is None:
            raise LookupError(f"backtest {id!r} was removed while it began")
        return found

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
        self._write_files(id, _WHOLE_RUN, {_PAGE: page.encode()})
        self._runs.update_one({"_id": id}, {"$set": to_bson(results)})
        self._files.delete_many({"backtest": id, "segment": {"$ne": _WHOLE_RUN}})

    def get(self, id: str) -> Document | None:
        found = self._runs.find_one({"_id": id})
        return next(iter(_runs([] if found is None else [found])), None)

    def for_definition(self, definition: str) -> list[Document]:
        return _runs(
            self._runs.find({"definition": definition}).sort([("begun_at", -1), ("_id", -1)])
        )

    def episodes(self, id: str) -> list[Episode]:
        found = self._episodes.find({"backtest": id}).sort([("raised_at", 1), ("id", 1)])
        return read_stored(BACKTEST_EPISODES, Episode, found)

    def page(self, id: str) -> str | None:
        files = self.segment_files(id, _WHOLE_RUN)
        return files[_PAGE].decode() if _PAGE in files else None

    def forget(self, id: str) -> None:
        """Remove a run with its episodes and files, itself first: a rest of it is never resumed."""
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


def _runs(found: Iterable[Document]) -> list[Document]:
    return good(BACKTESTS, ({**document, "id": document["_id"]} for document in found), _run)


def _run(document: Document) -> Document:
    segments = document["segments"]
    return {**document, "segments": [segments[number] for number in sorted(segments)]}
