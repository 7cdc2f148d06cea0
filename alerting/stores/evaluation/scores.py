"""Scores of champions, records of past evaluations, trainings and decisions on promotion, in
MongoDB."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import groupby
from typing import Any

from pymongo import DESCENDING

from alerting.ports import DecisionRecord, PastEvaluation, Score, TargetScores, Training
from alerting.stores.documents import (
    DECISIONS,
    PAST_EVALUATIONS,
    SCORES,
    TRAININGS,
    Document,
    MongoDatabase,
    insert_all_new,
    insert_new,
    read_stored,
    to_document,
    upsert,
)

_FIELDS = {
    field.name: f"${field.name}" for field in fields(DecisionRecord) if field.name != "evidence"
}


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


class MongoTrainings:
    """Port `Trainings`: one document for each definition and question."""

    def __init__(self, database: MongoDatabase) -> None:
        self._trainings = database[TRAININGS]

    def for_definitions(self, definitions: Collection[str]) -> list[Training]:
        found = self._trainings.find({"definition": {"$in": list(definitions)}}).sort(
            [("started_at", 1), ("_id", 1)]
        )
        return read_stored(TRAININGS, Training, found)

    def begin(self, training: Training) -> None:
        one = {"_id": f"{training.definition}|{training.question}"}
        upsert(lambda: self._trainings.replace_one(one, to_document(training), upsert=True))

    def end(self, training: Training) -> bool:
        own = {"_id": f"{training.definition}|{training.question}", "run": training.run}
        return self._trainings.replace_one(own, to_document(training)).matched_count == 1


class MongoDecisions:
    """Port `Decisions`.

    `run_key` is absent from manual decisions, which belong to no run and may be many; `rank_key`
    from those without a promotion. Documents with `files_of` instead of a definition hold the
    hashes of the files that a run has registered.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._decisions = database[DECISIONS]

    def add(self, decision: DecisionRecord, rank: int | None = None) -> bool:
        document = to_document(decision)
        if rank is not None:
            document["rank_key"] = f"{decision.definition}|{rank}"
        if decision.run_id is not None:
            document["run_key"] = f"{decision.definition}|{decision.run_id}"
        return insert_new(self._decisions, document)

    def for_definition(self, definition: str) -> list[DecisionRecord]:
        found = self._decisions.find({"definition": definition}).sort([("at", 1), ("_id", 1)])
        return read_stored(DECISIONS, DecisionRecord, found)

    def histories(self, definitions: Collection[str]) -> dict[str, list[DecisionRecord]]:
        found = self._decisions.find(
            {"definition": {"$in": list(definitions)}}, {"evidence": False}
        )
        ordered = found.sort([("definition", 1), ("at", 1), ("_id", 1)])
        by_name = groupby(ordered, key=lambda document: str(document["definition"]))
        return {name: _without_evidence(made) for name, made in by_name}

    def newest_decisions(
        self, definitions: Collection[str], count: int
    ) -> dict[str, list[DecisionRecord]]:
        stages: list[Document] = [
            {"$match": {"definition": {"$in": list(definitions)}}},
            {"$sort": {"definition": 1, "at": 1, "_id": 1}},
            {"$group": {"_id": "$definition", "made": {"$push": _FIELDS}}},
            {"$project": {"made": {"$slice": ["$made", -count]}}},
        ]
        found = self._decisions.aggregate(stages)
        return {of["_id"]: _without_evidence(of["made"]) for of in found}

    def expect_files(self, definition: str, run_id: str, hashes: Mapping[str, str]) -> None:
        # a name has a dot: unsuitable for a field name
        tried = [[name, hashes[name]] for name in sorted(hashes)]
        change = {
            "$addToSet": {"tries": tried},
            "$setOnInsert": {"files_of": definition, "run_id": run_id},
        }
        upsert(
            lambda: self._decisions.update_one(
                {"_id": _files_id(definition, run_id)}, change, upsert=True
            )
        )

    def bind_files(self, definition: str, run_id: str, version: int) -> None:
        """Record the version of the registry that holds a run's files; the newest record counts."""
        newest = self._decisions.find_one(
            {"files_of": definition, "version": version}, sort=[("order", DESCENDING)]
        )
        if newest is not None and newest["run_id"] == run_id:
            return
        order = 1 if newest is None else newest["order"] + 1
        self._decisions.update_one(
            {"_id": _files_id(definition, run_id)}, {"$set": {"version": version, "order": order}}
        )

    def file_hashes(self, definition: str, version: int) -> list[dict[str, str]]:
        found = self._decisions.find_one(
            {"files_of": definition, "version": version}, sort=[("order", DESCENDING)]
        )
        return [] if found is None else [dict(tried) for tried in found["tries"]]


def _without_evidence(documents: Iterable[Mapping[str, Any]]) -> list[DecisionRecord]:
    return read_stored(
        DECISIONS, DecisionRecord, ({**document, "evidence": {}} for document in documents)
    )


def _files_id(definition: str, run_id: str) -> str:
    return f"files|{definition}|{run_id}"
