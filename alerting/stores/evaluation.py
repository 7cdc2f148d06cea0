"""Evaluation plans, scores of champions, records of past evaluations, trainings and decisions on
promotion, in MongoDB.

A plan is stored as columns in a few documents, each with a hash of the sources of the plan. It is
valid only for exactly these sources, which include promotions only if the plan depends on any: a
promotion elsewhere does not invalidate it. A plan with missing parts, because two evaluators wrote
at once, is ignored. Beside the plan stand the hashes of all definition documents, which show which
documents were edited since.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import partial
from itertools import compress, groupby
from typing import Any

import bson
from pymongo import DESCENDING

from alerting.deferred import np
from alerting.definitions.faults import shown
from alerting.detection.threshold_batch import BatchLimits
from alerting.episodes.evaluation_plan import (
    EvaluationPlan,
    EvaluationTarget,
    PlanEdits,
    PlanRevisions,
    SourceHash,
    hash_to_store,
    valid_sources,
)
from alerting.ports import (
    WORSE_FORECASTS,
    DecisionRecord,
    PastEvaluation,
    TargetScores,
    Training,
)
from alerting.stores.database.documents import (
    ASSETS,
    CODEC,
    DECISIONS,
    DEFINITIONS,
    EVALUATION_PLANS,
    EVENT_TYPES,
    PAST_EVALUATIONS,
    REVISIONS,
    SCORES,
    SOURCES,
    TRAININGS,
    Document,
    MongoDatabase,
    document_bounds,
    insert_all_new,
    insert_new,
    raw_documents,
    read_stored,
    repeated,
    to_document,
    upsert,
)

_PLAN_FORMAT = 19  # increase it with every change of a plan's sources or layout
_PART = 20_000
_HASH = 16  # bytes
_MOST_NUMBERS = 200_000  # definitions of which hash and revision fit into one document of 16 MB
_OTHER_SOURCES: list[Document] = [
    {"$unionWith": {"coll": REVISIONS, "pipeline": [{"$count": "revisions"}]}},
    {"$unionWith": ASSETS},
    {"$unionWith": EVENT_TYPES},
    {"$unionWith": SOURCES},
    {
        "$unionWith": {
            "coll": DECISIONS,
            "pipeline": [{"$match": {"rank_key": {"$exists": True}}}, {"$count": "promotions"}],
        }
    },
]
_STORED_PLAN: list[Document] = [
    {
        "$unionWith": {
            "coll": EVALUATION_PLANS,
            "pipeline": [
                {"$match": {"_id": {"$type": "number"}}},
                {"$sort": {"_id": 1}},
                {"$project": {"_id": 0, "plan": "$$ROOT"}},
            ],
        }
    },
]
_SALT = str(_PLAN_FORMAT).encode()
_MADE_OF = "made_of"  # the document with what `find_edits` needs
_REVISIONS = b"\x10revisions\0"  # first field of the document that counts them
_PROMOTIONS = b"\x10promotions\0"
_PLAN = b"\x03plan\0"  # first field of a document that holds a part of the stored plan
_NO_LIMITS = (math.nan,) * len(BatchLimits._fields)
_IsWanted = Callable[[str], bool]


class MongoEvaluationPlans:
    """Port `EvaluationPlans`: one plan, which can be read together with its sources. The last plan
    stays in memory with its hash, so that a process that asks repeatedly reads it once."""

    def __init__(self, database: MongoDatabase) -> None:
        self._sources = database[DEFINITIONS]
        self._parts = database[EVALUATION_PLANS]
        self._read: list[Document] = []
        self._newest: tuple[str, EvaluationPlan] | None = None

    @repeated
    def source_hash(self, read_plan: bool = False) -> str:
        plan: list[bytes] = []
        is_wanted = read_plan and self._newest is None
        documents = raw_documents(
            self._sources, _OTHER_SOURCES + (_STORED_PLAN if is_wanted else [])
        )
        sources_end = len(documents)
        definitions_end = 0
        others_start = 0
        counted = {"revisions": 0, "promotions": 0}
        for start, end in document_bounds(documents):
            if documents.startswith(_PLAN, start + 4):  # the last documents
                plan.append(documents[start:end])
                sources_end = min(sources_end, start)
            elif documents.startswith(_PROMOTIONS, start + 4):  # the last before them
                counted |= bson.decode(documents[start:end])
                sources_end = min(sources_end, start)
            elif documents.startswith(_REVISIONS, start + 4):  # between definitions and others
                counted |= bson.decode(documents[start:end])
                definitions_end = start
                others_start = end
        self._read = [bson.decode(part)["plan"] for part in plan]
        sources = memoryview(documents)
        definitions = _hash_of(sources[:definitions_end]).hex()
        others = _hash_of(sources[others_start:sources_end]).hex()
        return f"{definitions}/{others}/{counted['revisions']}.{counted['promotions']}"

    @repeated
    def get(self, source_hash: str, is_wanted: _IsWanted | None = None) -> EvaluationPlan | None:
        valid = valid_sources(source_hash)
        newest = self._newest
        if newest is not None and newest[0] in valid:
            return newest[1] if is_wanted is None else newest[1].select(is_wanted)
        read = self._read
        if not read or read[0].get("source_hash") not in valid:
            read = list(self._parts.find({"source_hash": {"$in": valid}}).sort("_id"))
        parts = [part for part in read if part.get("source_hash") in valid]
        if not parts or len(parts) != parts[0].get("parts"):
            return None
        targets = _targets_in(parts, is_wanted)
        if targets is None:
            return None
        names = parts[0]["names"]
        if is_wanted is not None:
            return EvaluationPlan(tuple(filter(is_wanted, names)), targets)
        plan = EvaluationPlan(tuple(names), targets)
        self._newest = parts[0]["source_hash"], plan
        self._read = []
        return plan

    @repeated
    def store_plan(
        self,
        source_hash: str,
        evaluation_plan: EvaluationPlan,
        made_of: PlanRevisions | None = None,
    ) -> None:
        self._newest = None
        self._read = []
        source_hash = hash_to_store(source_hash, evaluation_plan)
        targets = evaluation_plan.targets
        pieces = [targets[start : start + _PART] for start in range(0, len(targets) or 1, _PART)]
        for number, piece in enumerate(pieces):
            document = {
                "_id": number,
                "source_hash": source_hash,
                "parts": len(pieces),
                "names": list(evaluation_plan.names if number == 0 else ()),
                **_plan_columns(piece),
            }
            upsert(partial(self._parts.replace_one, {"_id": number}, document, upsert=True))
        self._parts.delete_many({"_id": {"$nin": list(range(len(pieces)))}})
        if made_of is not None and len(made_of.numbers) <= _MOST_NUMBERS:
            self._store_revisions(source_hash, made_of)

    def _store_revisions(self, source_hash: str, made_of: PlanRevisions) -> None:
        documents = raw_documents(self._sources, [])
        if not source_hash.startswith(f"{_hash_of(documents).hex()}/"):
            return  # a document was written meanwhile
        hashes = (_hash_of(documents[start:end]) for start, end in document_bounds(documents))
        document = {
            "of_plan": source_hash,
            "hashes": b"".join(hashes),
            "names": list(made_of.numbers),
            "numbers": list(made_of.numbers.values()),
            "linked": sorted(made_of.linked),
        }
        upsert(partial(self._parts.replace_one, {"_id": _MADE_OF}, document, upsert=True))

    @repeated
    def find_edits(self, source_hash: str) -> PlanEdits | None:
        made_of = self._parts.find_one({"_id": _MADE_OF})
        present = SourceHash.read(source_hash)
        stored = SourceHash.read(str(made_of.get("of_plan"))) if made_of else None
        if made_of is None or present is None or stored is None:
            return None
        added = present.added_revisions(stored)
        plan = None if added is None else self.get(made_of["of_plan"])
        if added is None or plan is None:
            return None
        try:
            revisions = PlanRevisions(
                dict(zip(made_of["names"], map(int, made_of["numbers"]), strict=True)),
                frozenset(made_of["linked"]),
            )
            names = _edited_names(raw_documents(self._sources, []), made_of["hashes"], revisions)
        except Exception as error:  # any content of a document: the plan is made again
            _warn_of_fault(error)
            return None
        return None if names is None else PlanEdits(plan, revisions, names, added)


def _hash_of(documents: bytes | memoryview) -> bytes:
    return hashlib.blake2b(documents, digest_size=_HASH, salt=_SALT).digest()


def _edited_names(
    documents: bytes, hashes: bytes, made_of: PlanRevisions
) -> tuple[str, ...] | None:
    """Return the names of definitions whose documents have none of these hashes; None if a document
    was deleted or renamed since, or has no name."""
    before = {hashes[start : start + _HASH] for start in range(0, len(hashes), _HASH)}
    edited: list[str] = []
    for start, end in document_bounds(documents):
        hash = _hash_of(documents[start:end])
        if hash in before:
            before.remove(hash)
            continue
        name = bson.decode(documents[start:end], CODEC).get("name")
        if not isinstance(name, str):
            return None
        edited.append(name)
    replaced = sum(name in made_of.numbers for name in edited)
    return tuple(edited) if len(before) == replaced else None


def _targets_in(
    parts: Sequence[Document], is_wanted: _IsWanted | None = None
) -> tuple[EvaluationTarget, ...] | None:
    """Return the targets of parts of a plan; None if their documents are faulty."""
    try:
        return tuple(target for part in parts for target in _read_targets(part, is_wanted))
    except Exception as error:  # any content of a document: the plan is made again
        _warn_of_fault(error)
        return None


def _warn_of_fault(error: Exception) -> None:
    logging.getLogger(__name__).warning(
        "%s is faulty and made again: %s: %s",
        EVALUATION_PLANS,
        type(error).__name__,
        shown(str(error)),
    )


def _plan_columns(targets: Sequence[EvaluationTarget]) -> Document:
    """Return targets as columns: each value of a field once, and its number in every row."""
    columns: Document = {}
    for field, name in enumerate(EvaluationTarget._fields):
        column = [target[field] for target in targets]
        numbers = {value: number for number, value in enumerate(dict.fromkeys(column))}
        rows = np.array([numbers[value] for value in column], "<i4").tobytes()
        columns[name] = {"values": list(numbers), "rows": rows}
    limits = [limits or _NO_LIMITS for limits in columns["limits"]["values"]]
    columns["limits"]["values"] = np.array(limits, np.float64).tobytes()
    return columns


def _read_targets(part: Document, is_wanted: _IsWanted | None) -> Iterator[EvaluationTarget]:
    stored = {name: part[name]["values"] for name in EvaluationTarget._fields}
    limits = np.frombuffer(stored["limits"], np.float64).reshape(-1, len(BatchLimits._fields))
    stored["limits"] = [
        None if math.isnan(row[0]) else BatchLimits._make(row) for row in limits.tolist()
    ]
    for name in ("severities", "also_reads", "events", "above"):
        stored[name] = [*map(tuple, stored[name])]
    columns = {
        name: [values[row] for row in np.frombuffer(part[name]["rows"], "<i4").tolist()]
        for name, values in stored.items()
    }
    rows: Iterable[tuple[Any, ...]] = zip(*columns.values(), strict=True)
    if is_wanted is not None:
        of_name = {name: is_wanted(name) for name in stored["definition"]}
        rows = compress(rows, [of_name[name] for name in columns["definition"]])
    return map(EvaluationTarget._make, rows)


_LISTED_FIELDS = {
    name: f"${name}"
    for field in fields(DecisionRecord)
    if field.name != "evidence"
    for name in (field.name, f"{field.name}_template")
} | {"evidence": {WORSE_FORECASTS: f"$evidence.{WORSE_FORECASTS}"}}


class MongoScores:
    """Port `Scores`: one document per definition, asset, instant and model version."""

    def __init__(self, database: MongoDatabase) -> None:
        self._scores = database[SCORES]

    def add_many(self, targets: Sequence[TargetScores]) -> None:
        """Store scores of several targets; scores that are stored already do not change.
        Idempotent."""
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
        """Return documents with `asset` and the fields of `Score`, start <= ts < end, by
        instant."""
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
        documents = self._evaluations.find(query).sort([("at", 1), ("_id", 1)])
        return read_stored(PAST_EVALUATIONS, PastEvaluation, documents)


class MongoTrainings:
    """Port `Trainings`: one document for each definition and question."""

    def __init__(self, database: MongoDatabase) -> None:
        self._trainings = database[TRAININGS]

    def for_definitions(self, definitions: Collection[str]) -> list[Training]:
        documents = self._trainings.find({"definition": {"$in": list(definitions)}}).sort(
            [("started_at", 1), ("_id", 1)]
        )
        return read_stored(TRAININGS, Training, documents)

    def begin(self, training: Training) -> None:
        id = {"_id": f"{training.definition}|{training.question}"}
        upsert(lambda: self._trainings.replace_one(id, to_document(training), upsert=True))

    def end(self, training: Training) -> bool:
        query = {"_id": f"{training.definition}|{training.question}", "run": training.run}
        return self._trainings.replace_one(query, to_document(training)).matched_count == 1


class MongoDecisions:
    """Port `Decisions`.

    Manual decisions, which belong to no run and may be many, have no `run_key`. Decisions without a
    promotion have no `rank_key`. Documents with `files_of` instead of a definition hold the hashes
    of the files that a run has registered.
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
        documents = self._decisions.find({"definition": definition}).sort([("at", 1), ("_id", 1)])
        return read_stored(DECISIONS, DecisionRecord, documents)

    def histories(self, definitions: Collection[str]) -> dict[str, list[DecisionRecord]]:
        documents = self._decisions.find(
            {"definition": {"$in": list(definitions)}},
            dict.fromkeys(_LISTED_FIELDS, True) | {"evidence": {WORSE_FORECASTS: True}},
        )
        ordered = documents.sort([("definition", 1), ("at", 1), ("_id", 1)])
        by_name = groupby(ordered, key=lambda document: str(document["definition"]))
        return {name: _read_listed(made) for name, made in by_name}

    def newest_decisions(
        self, definitions: Collection[str], count: int
    ) -> dict[str, list[DecisionRecord]]:
        stages: list[Document] = [
            {"$match": {"definition": {"$in": list(definitions)}}},
            {"$sort": {"definition": 1, "at": 1, "_id": 1}},
            {"$group": {"_id": "$definition", "made": {"$push": _LISTED_FIELDS}}},
            {"$project": {"made": {"$slice": ["$made", -count]}}},
        ]
        groups = self._decisions.aggregate(stages)
        return {group["_id"]: _read_listed(group["made"]) for group in groups}

    def expect_files(self, definition: str, run_id: str, hashes: Mapping[str, str]) -> None:
        # a name has a dot: unsuitable for a field name
        change = {
            "$addToSet": {"tries": [[name, hashes[name]] for name in sorted(hashes)]},
            "$setOnInsert": {"files_of": definition, "run_id": run_id},
        }
        upsert(
            lambda: self._decisions.update_one(
                {"_id": _files_id(definition, run_id)}, change, upsert=True
            )
        )

    def bind_files(self, definition: str, run_id: str, version: int) -> None:
        """Record the registry version that holds a run's files; the newest record counts."""
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
        document = self._decisions.find_one(
            {"files_of": definition, "version": version}, sort=[("order", DESCENDING)]
        )
        return [] if document is None else [dict(tried) for tried in document["tries"]]


def _read_listed(documents: Iterable[Mapping[str, Any]]) -> list[DecisionRecord]:
    return read_stored(
        DECISIONS, DecisionRecord, ({"evidence": {}, **document} for document in documents)
    )


def _files_id(definition: str, run_id: str) -> str:
    return f"files|{definition}|{run_id}"
