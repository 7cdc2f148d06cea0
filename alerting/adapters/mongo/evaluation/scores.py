"""Scores of champions in MongoDB."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from pymongo.errors import BulkWriteError

from alerting.adapters.mongo.documents import Document, MongoDatabase, only_duplicates
from alerting.adapters.mongo.indexes import SCORES
from alerting.ports import Score


class MongoScores:
    """Port `Scores`: one document per definition, asset, instant and model version."""

    def __init__(self, database: MongoDatabase) -> None:
        self._scores = database[SCORES]

    def add(self, definition: str, asset: str, rows: Sequence[Score]) -> None:
        """Store scores; stored ones do not change. Idempotent."""
        if not rows:
            return
        try:
            self._scores.insert_many([{"definition": definition, "asset": asset, **row.document} for row in rows], ordered=False)
        except BulkWriteError as error:
            only_duplicates(error)

    def between(self, definition: str, start: datetime, end: datetime, asset: str | None = None) -> Iterator[Document]:
        """Return documents {asset, and those of `Score`} with start <= ts < end, by instant, then asset."""
        query: Document = {"definition": definition, "ts": {"$gte": start, "$lt": end}}
        if asset is not None:
            query["asset"] = asset
        yield from self._scores.find(query, {"_id": False, "definition": False}).sort([("ts", 1), ("asset", 1)])
