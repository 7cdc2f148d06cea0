"""The evaluation plan in MongoDB: columns in a few documents, each with a hash of its sources.

A plan is valid only for exactly these sources. A plan of which parts are missing, because two evaluators wrote at once, is
ignored.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
from pymongo.errors import DuplicateKeyError

from alerting.adapters.mongo.documents import Document, MongoDatabase
from alerting.adapters.mongo.indexes import ASSETS, DEFINITIONS, EVALUATION_PLANS, EVENT_TYPES, REVISIONS
from alerting.detection.threshold_batch import Limits
from alerting.episodes.targets import EvaluationPlan, EvaluationTarget

_FORMAT = 4  # increase it with every change of a plan's sources or layout
_PART = 20_000
_NO_LIMITS = (np.nan,) * len(Limits._fields)
_PLAIN = (
    "definition",
    "asset",
    "since",
    "every",
    "variable",
    "lookback",
    "latency",
    "allowed_lateness",
    "turn",
    "revision",
    "has_outcome",
)
_LISTS = ("severities", "also_reads", "events")


class MongoEvaluationPlans:
    """Port `EvaluationPlans`: one plan at a time."""

    def __init__(self, database: MongoDatabase) -> None:
        self._made_of = [database[name] for name in (DEFINITIONS, ASSETS, EVENT_TYPES)]
        self._revisions = database[REVISIONS]
        self._parts = database[EVALUATION_PLANS]

    def source_hash(self) -> str:
        """Return a hash over all current documents and the number of revisions, which are immutable."""
        digest = hashlib.blake2b(f"{_FORMAT} {self._revisions.count_documents({})}".encode(), digest_size=16)
        for collection in self._made_of:
            for batch in cast(Iterable[bytes], collection.find_raw_batches()):
                digest.update(batch)
        return digest.hexdigest()

    def get(self, source_hash: str) -> EvaluationPlan | None:
        """Return the plan with this hash of its sources; None unless all its parts are stored."""
        parts = list(self._parts.find({"source_hash": source_hash}).sort("_id"))
        if not parts or len(parts) != parts[0]["parts"]:
            return None
        return EvaluationPlan(tuple(parts[0]["names"]), tuple(target for part in parts for target in _read_targets(part)))

    def put(self, source_hash: str, evaluation_plan: EvaluationPlan) -> None:
        """Store a plan in place of the previous one."""
        targets = evaluation_plan.targets
        pieces = [targets[start : start + _PART] for start in range(0, len(targets), _PART)] or [()]
        for number, piece in enumerate(pieces):
            names = evaluation_plan.names if number == 0 else ()
            document = {"_id": number, "source_hash": source_hash, "parts": len(pieces), "names": list(names), **_columns(piece)}
            self._replace(number, document)
        self._parts.delete_many({"_id": {"$gte": len(pieces)}})

    def _replace(self, number: int, document: Document) -> None:
        try:
            self._parts.replace_one({"_id": number}, document, upsert=True)
        except DuplicateKeyError:  # another evaluator stored the first plan at the same moment
            self._parts.replace_one({"_id": number}, document)


def _columns(targets: Sequence[EvaluationTarget]) -> Document:
    plain: Document = {name: [getattr(target, name) for target in targets] for name in _PLAIN}
    limits = np.array([target.limits or _NO_LIMITS for target in targets], np.float64).tobytes()
    lists = {name: [list(getattr(target, name)) for target in targets] for name in _LISTS}
    return {**plain, **lists, "limits": limits}


def _read_targets(part: Document) -> list[EvaluationTarget]:
    columns = np.frombuffer(part["limits"], np.float64).reshape(-1, len(Limits._fields))
    limits = [_limits(row) for row in columns.tolist()]
    lists = [map(tuple, part[name]) for name in _LISTS]
    rows = zip(*(part[name] for name in _PLAIN), limits, *lists, strict=True)
    return [EvaluationTarget(**dict(zip((*_PLAIN, "limits", *_LISTS), row, strict=True))) for row in rows]


def _limits(row: Sequence[Any]) -> Limits | None:
    return None if math.isnan(row[0]) else Limits(*row)
