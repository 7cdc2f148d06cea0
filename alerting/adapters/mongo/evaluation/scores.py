"""Scores of champions, and records of past evaluations, in MongoDB."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from alerting.adapters.mongo.documents import Document, MongoDatabase, insert_all_new, to_document
from alerting.adapters.mongo.each import read_stored
from alerting.adapters.mongo.indexes import PAST_EVALUATIONS, SCORES
from alerting.ports import PastEvaluation, Score, TargetScores


class MongoScores:
    """Port `Scores`: one document per definition, asset, instant and model version."""

    def __init__(self, database: MongoDatabase) -> None:
        self._scores = database[SCORES]

    def add(self, definition: str, asset: str, rows: Sequence[Score]) -> None:
        """Store scores; stored ones do not change. Idempotent."""
        self.add_many([TargetScores(definition, asset, rows)])

    def add_many(self, targets: Sequence[TargetScores]) -> None:
        """Store scores of several targets; stored ones do not change. Idempotent."""
        insert_all_new(
            self._scores,
            [
                {"definition": t.definition, "asset": t.asset, **row.document}
                for t in targets
                for row in t.rows
            ],
        )

    def for_interval(
        self, definition: str, start: datetime, end: datetime, asset: str | None = None
    ) -> Iterator[Document]:
        """Return documents {asset, and those of `Score`}, start <= ts < end, by instant."""
        query: Document = {"definition": definition, "ts": {"$gte": start, "$lt": end}}
        if asset is not None:
            query["asset"] = asset
        yield from self._scores.find(query, {"_id": False, "definition": False}).sort(
            [("ts", 1), ("asset", 1)]
        )


class MongoPastEvaluations:
    """Port `PastEvaluations`: append-only."""

    def __init__(self, database: MongoDatabase) -> None:
        self._evaluations = database[PAST_EVALUATIONS]

    def add(self, evaluation: PastEvaluation) -> None:
        self._evaluations.insert_one(to_document(evaluation))

    def for_definition(self, definition: str) -> list[PastEvaluation]:
        return self._find({"definition": definition})

    def for_interval(self, start: datetime, end: datetime) -> list[PastEvaluation]:
        return self._find({"start": {"$lt": end}, "end": {"$gt": start}})

    def _find(self, query: Document) -> list[PastEvaluation]:
        found = self._evaluations.find(query).sort([("at", 1), ("_id", 1)])
        return read_stored(PAST_EVALUATIONS, PastEvaluation, found)
