"""The evaluation plan in MongoDB: columns in a few documents, each with a hash of its sources.

A plan is valid only for exactly these sources, promotions among them only if it depends on any: a
promotion under load makes no plan again. A plan of which parts are missing, because two
evaluators wrote at once, is ignored.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import compress, groupby
from typing import Any

import bson

from alerting.adapters.mongo.documents import (
    Document,
    MongoDatabase,
    document_bounds,
    raw_documents,
    repeated,
    upsert,
)
from alerting.adapters.mongo.indexes import (
    ASSETS,
    DECISIONS,
    DEFINITIONS,
    EVALUATION_PLANS,
    EVENT_TYPES,
    REVISIONS,
    SOURCES,
)
from alerting.deferred import np
from alerting.definitions.faults import shown
from alerting.definitions.plants import NO_PLANT
from alerting.detection.threshold_batch import BatchLimits
from alerting.episodes.targets import (
    EvaluationPlan,
    EvaluationTarget,
    hash_to_store,
    valid_sources,
)

_FORMAT = 16  # increase it with every change of a plan's sources or layout
_PART = 20_000
_OTHER_SOURCES: list[Document] = [
    {"$unionWith": ASSETS},
    {"$unionWith": EVENT_TYPES},
    {"$unionWith": SOURCES},
    {"$unionWith": {"coll": REVISIONS, "pipeline": [{"$count": "revisions"}]}},
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
            "pipeline": [{"$sort": {"_id": 1}}, {"$project": {"_id": 0, "plan": "$$ROOT"}}],
        }
    },
]
_PROMOTIONS = b"\x10promotions\0"  # first field of the document that counts them
_PLAN = b"\x03plan\0"  # first field of a document that holds a part of the stored plan
_NO_LIMITS = (math.nan,) * len(BatchLimits._fields)
_PLANT = "plant"
_IsWanted = Callable[[str], bool]
_LISTS = ("severities", "also_reads", "events", "above")


class MongoEvaluationPlans:
    """Port `EvaluationPlans`: one plan, which can be read together with its sources. That of the
    last hash is kept, so that a process that asks again and again reads it once."""

    def __init__(self, database: MongoDatabase) -> None:
        self._sources = database[DEFINITIONS]
        self._parts = database[EVALUATION_PLANS]
        self._read: list[Document] = []
        self._newest: tuple[str, EvaluationPlan] | None = None

    @repeated
    def source_hash(self, read_plan: bool = False) -> str:
        """Return a hash over all current documents and the numbers of revisions and promotions."""
        digest = hashlib.blake2b(str(_FORMAT).encode(), digest_size=16)
        plan = list[bytes]()
        is_wanted = read_plan and self._newest is None
        found = raw_documents(self._sources, _OTHER_SOURCES + _STORED_PLAN * is_wanted)
        sources_end = len(found)
        promotions = 0
        for start, end in document_bounds(found):
            if found.startswith(_PLAN, start + 4):  # the last documents
                plan.append(found[start:end])
                sources_end = min(sources_end, start)
            elif found.startswith(_PROMOTIONS, start + 4):  # the last before them
                promotions = bson.decode(found[start:end])["promotions"]
                sources_end = min(sources_end, start)
        digest.update(memoryview(found)[:sources_end])
        self._read = [bson.decode(part)["plan"] for part in plan]
        return f"{digest.hexdigest()}.{promotions}"

    @repeated
    def get(
        self, source_hash: str, plant: str | None = None, is_wanted: _IsWanted | None = None
    ) -> EvaluationPlan | None:
        if plant is not None:
            return self._get_plant(source_hash, plant, is_wanted)
        valid = valid_sources(source_hash)
        newest = self._newest
        if newest is not None and newest[0] in valid:
            return newest[1]
        read = self._read
        self._read = []
        if not read or read[0].get("source_hash") not in valid:
            read = list(self._parts.find({"source_hash": {"$in": valid}}).sort("_id"))
        parts = [part for part in read if part.get("source_hash") in valid]
        if not parts or len(parts) != parts[0].get("parts"):
            return None
        targets = _targets_in(parts)
        if targets is None:
            return None
        found = EvaluationPlan(tuple(parts[0]["names"]), targets)
        self._newest = parts[0]["source_hash"], found
        return found

    def _get_plant(
        self, source_hash: str, plant: str, is_wanted: _IsWanted | None
    ) -> EvaluationPlan | None:
        """Return the plan of one plant, or of some of its definitions: no other target is read."""
        of_sources = {"source_hash": {"$in": valid_sources(source_hash)}}
        parts = list(self._parts.find({**of_sources, "plant": plant}).sort("_id"))
        if not parts and self._parts.find_one(of_sources, {"_id": True}) is None:
            return None
        if any(part.get("parts_of_plant") != len(parts) for part in parts):
            return None
        targets = _targets_in(parts, is_wanted)
        return None if targets is None else EvaluationPlan((), targets).select_plant(plant)

    @repeated
    def store_plan(self, source_hash: str, evaluation_plan: EvaluationPlan) -> None:
        self._newest = None
        source_hash = hash_to_store(source_hash, evaluation_plan)
        by_plant = sorted(evaluation_plan.targets, key=lambda target: target.plant)
        pieces = [
            (plant, own[start : start + _PART])
            for plant, own in ((p, list(o)) for p, o in groupby(by_plant, lambda t: t.plant))
            for start in range(0, len(own), _PART)
        ] or [(NO_PLANT, [])]
        numbers = Counter(plant for plant, _ in pieces)
        for number, (plant, piece) in enumerate(pieces):
            document = {
                "_id": number,
                "source_hash": source_hash,
                "parts": len(pieces),
                "plant": plant,
                "parts_of_plant": numbers[plant],
                "names": list(evaluation_plan.names if number == 0 else ()),
                **_columns(piece),
            }
            upsert(partial(self._parts.replace_one, {"_id": number}, document, upsert=True))
        self._parts.delete_many({"_id": {"$nin": list(range(len(pieces)))}})


def _targets_in(
    parts: Sequence[Document], is_wanted: _IsWanted | None = None
) -> tuple[EvaluationTarget, ...] | None:
    """Return the targets of parts of a plan; None if their documents are faulty."""
    try:
        return tuple(target for part in parts for target in _read_targets(part, is_wanted))
    except Exception as error:  # any content of a document: the plan is made again
        logging.getLogger(__name__).warning(
            "%s is faulty and made again: %s: %s",
            EVALUATION_PLANS,
            type(error).__name__,
            shown(str(error)),
        )
        return None


def _columns(targets: Sequence[EvaluationTarget]) -> Document:
    columns: Document = {
        name: [target[field] for target in targets]
        for field, name in enumerate(EvaluationTarget._fields)
        if name != _PLANT
    }
    limits = np.array([limits or _NO_LIMITS for limits in columns["limits"]], np.float64).tobytes()
    return {**columns, "limits": limits}


def _read_targets(part: Document, is_wanted: _IsWanted | None) -> Iterator[EvaluationTarget]:
    limits = np.frombuffer(part["limits"], np.float64).reshape(-1, len(BatchLimits._fields))
    columns = part | {name: map(tuple, part[name]) for name in _LISTS}
    columns[_PLANT] = [part[_PLANT]] * len(part["definition"])
    columns["limits"] = (
        None if math.isnan(row[0]) else BatchLimits._make(row) for row in limits.tolist()
    )
    rows: Iterable[tuple[Any, ...]] = zip(
        *(columns[name] for name in EvaluationTarget._fields), strict=True
    )
    if is_wanted is not None:
        of_name = {name: is_wanted(name) for name in set(part["definition"])}
        rows = compress(rows, [of_name[name] for name in part["definition"]])
    return map(EvaluationTarget._make, rows)
