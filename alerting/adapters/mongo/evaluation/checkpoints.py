"""Checkpoints (past condition states) in MongoDB."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo import DeleteMany, ReplaceOne, UpdateMany

from alerting.adapters.mongo.documents import (
    Document,
    MongoDatabase,
    repeated,
    to_bson,
    to_document,
    utc,
)
from alerting.adapters.mongo.each import read_one
from alerting.adapters.mongo.indexes import CHECKPOINTS
from alerting.adapters.mongo.transactions import conflicts, session_of
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import TargetKey
from alerting.ports.late import Checkpoint
from alerting.ports.unit_of_work import Unit
from alerting.readings.history import to_millis

Write = UpdateMany | ReplaceOne[Document] | DeleteMany


class MongoCheckpoints:
    """Port `Checkpoints`: one document per definition, asset and watermark."""

    def __init__(self, database: MongoDatabase) -> None:
        self._checkpoints = database[CHECKPOINTS]

    def write(
        self, refuted: Mapping[TargetKey, datetime], checkpoints: Sequence[Checkpoint], unit: Unit
    ) -> None:
        """Drop refuted states, store others, and drop those from which no reprocessing can begin.

        Each state knows the watermark of its successor (`next_at`): it is needed until the
        successor can take its place.
        """
        dropped: list[Write] = []
        updated: list[Write] = []
        obsolete: list[Write] = []
        for (definition, asset), start in refuted.items():
            key = {"definition": definition, "asset": asset}
            begin = to_bson(start)
            dropped.append(DeleteMany({**key, "watermark": {"$gte": begin}}))
            updated.append(
                UpdateMany({**key, "next_at": {"$gte": begin}}, {"$unset": {"next_at": True}})
            )
        for checkpoint in checkpoints:
            key = {"definition": checkpoint.definition, "asset": checkpoint.asset}
            document = {**key, **to_document(checkpoint.state)}
            earlier = {**key, "next_at": None, "watermark": {"$lt": document["watermark"]}}
            updated.append(UpdateMany(earlier, {"$set": {"next_at": document["watermark"]}}))
            updated.append(
                ReplaceOne({**key, "watermark": document["watermark"]}, document, upsert=True)
            )
            obsolete.append(
                DeleteMany({**key, "next_at": {"$lt": to_bson(checkpoint.needed_from)}})
            )
        writes = [*dropped, *updated, *obsolete]  # in this order: each kind is one request
        if writes:
            with conflicts():
                self._checkpoints.bulk_write(writes, session=session_of(unit))

    @repeated
    def states_before(
        self, instants: Mapping[TargetKey, datetime]
    ) -> dict[TargetKey, ConditionState]:
        """Return each target's latest state before its instant: one query for all of an hour."""
        hours: dict[int, dict[TargetKey, datetime]] = {}
        for key, instant in instants.items():
            hours.setdefault(to_millis(instant) // 3_600_000, {})[key] = instant
        found = {
            key: document for hour in hours.values() for key, document in self._before(hour).items()
        }
        states = {
            key: read_one(CHECKPOINTS, ConditionState, document) for key, document in found.items()
        }
        return {key: state for key, state in states.items() if state is not None}

    def _before(self, instants: Mapping[TargetKey, datetime]) -> dict[TargetKey, Document]:
        """Return the latest states before neighbouring instants, without older ones."""
        names, assets = (
            list(dict.fromkeys(key[position] for key in instants)) for position in (0, 1)
        )
        first = to_bson(min(instants.values()))
        last = to_bson(max(instants.values()))
        query: Document = {
            "definition": {"$in": names},
            "asset": {"$in": assets},
            "watermark": {"$lt": last},
        }
        query["$or"] = [{"next_at": None}, {"next_at": {"$gte": first}}]
        found: dict[TargetKey, Document] = {}
        for document in self._checkpoints.find(query).batch_size(10_000):
            key = document["definition"], document["asset"]
            at = document["watermark"]
            latest = found.get(key)
            if not (isinstance(at, datetime) and key in instants):
                continue
            if utc(at) < instants[key] and (latest is None or latest["watermark"] < at):
                found[key] = document
        return found

    def state_after(self, definition: str, asset: str, instant: datetime) -> ConditionState | None:
        query = {"definition": definition, "asset": asset, "watermark": {"$gte": to_bson(instant)}}
        found = self._checkpoints.find_one(query, sort=[("watermark", 1)])
        return read_one(CHECKPOINTS, ConditionState, found)
