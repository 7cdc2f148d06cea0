"""Promotion decisions in MongoDB."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from itertools import groupby
from typing import Any

from pymongo import DESCENDING

from alerting.adapters.mongo.documents import (
    Document,
    MongoDatabase,
    insert_new,
    to_document,
    upsert,
)
from alerting.adapters.mongo.each import read_stored
from alerting.adapters.mongo.indexes import DECISIONS
from alerting.ports import DecisionRecord

_FIELDS = {
    field.name: f"${field.name}" for field in fields(DecisionRecord) if field.name != "evidence"
}


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
