"""Checkpoints (past condition states) in MongoDB."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from pymongo import DeleteMany, ReplaceOne, UpdateMany

from alerting.adapters.mongo.documents import Document, MongoDatabase, from_document, to_bson, to_document, upsert, utc
from alerting.adapters.mongo.indexes import CHECKPOINTS
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import TargetKey
from alerting.ports.late import Checkpoint
from alerting.readings.history import to_millis

_AT_ONCE = 10_000
_HOUR = 3_600_000  # ms


class MongoCheckpoints:
    """Port `Checkpoints`: one document per definition, asset and watermark."""

    def __init__(self, database: MongoDatabase) -> None:
        self._checkpoints = database[CHECKPOINTS]

    def save(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Store states under their watermarks, and drop those of the same targets from which no reprocessing can begin.

        Each state knows the watermark of its successor (`next_at`): it is needed until the successor can take its place.
        """
        if not checkpoints:
            return
        followed: list[UpdateMany | ReplaceOne[Document] | DeleteMany] = []
        stored: list[UpdateMany | ReplaceOne[Document] | DeleteMany] = []
        obsolete: list[UpdateMany | ReplaceOne[Document] | DeleteMany] = []
        for checkpoint in checkpoints:
            key: Document = {"definition": checkpoint.definition, "asset": checkpoint.asset}
            document = {**key, **to_document(checkpoint.state)}
            earlier = {**key, "next_at": None, "watermark": {"$lt": document["watermark"]}}
            followed.append(UpdateMany(earlier, {"$set": {"next_at": document["watermark"]}}))
            stored.append(ReplaceOne({**key, "watermark": document["watermark"]}, document, upsert=True))
            obsolete.append(DeleteMany({**key, "next_at": {"$lt": to_bson(checkpoint.needed_from)}}))
        for steps in (followed, stored, obsolete):  # in this order: each is one request
            upsert(partial(self._checkpoints.bulk_write, steps, ordered=False))

    def before(self, instants: Mapping[TargetKey, datetime]) -> dict[TargetKey, ConditionState]:
        """Return for each target the latest state with a watermark before its instant: one query for all instants of an hour."""
        hours: dict[int, dict[TargetKey, datetime]] = {}
        for key, instant in instants.items():
            hours.setdefault(to_millis(instant) // _HOUR, {})[key] = instant
        found = {key: document for hour in hours.values() for key, document in self._before(hour).items()}
        states = {key: from_document(ConditionState, document) for key, document in found.items()}
        for key in instants.keys() - states.keys():  # its evaluator may have been killed before it wrote the state here
            state = self._nearest(*key, {"$lt": to_bson(instants[key])}, -1)
            states |= {} if state is None else {key: state}
        return states

    def _before(self, instants: Mapping[TargetKey, datetime]) -> dict[TargetKey, Document]:
        """Return the latest states before neighbouring instants, without reading states whose successor is before all of them."""
        names, assets = (list(dict.fromkeys(key[position] for key in instants)) for position in (0, 1))
        first, last = to_bson(min(instants.values())), to_bson(max(instants.values()))
        query: Document = {"definition": {"$in": names}, "asset": {"$in": assets}, "watermark": {"$lt": last}}
        query["$or"] = [{"next_at": None}, {"next_at": {"$gte": first}}]
        found: dict[TargetKey, Document] = {}
        for document in self._checkpoints.find(query).batch_size(_AT_ONCE):
            key = document["definition"], document["asset"]
            at, latest = document["watermark"], found.get(key)
            if key in instants and utc(at) < instants[key] and (latest is None or latest["watermark"] < at):
                found[key] = document
        return found

    def after(self, definition: str, asset: str, instant: datetime) -> ConditionState | None:
        """Return the earliest state with a watermark at or after the instant."""
        return self._nearest(definition, asset, {"$gte": to_bson(instant)}, 1)

    def _nearest(self, definition: str, asset: str, watermark: Document, direction: int) -> ConditionState | None:
        query = {"definition": definition, "asset": asset, "watermark": watermark}
        found = self._checkpoints.find_one(query, sort=[("watermark", direction)])
        return None if found is None else from_document(ConditionState, found)

    def drop(self, starts: Mapping[TargetKey, datetime]) -> None:
        """Drop the states of each target with a watermark at or after an instant."""
        obsolete: list[DeleteMany] = []
        last: list[UpdateMany] = []
        for (definition, asset), start in starts.items():
            key, begin = {"definition": definition, "asset": asset}, to_bson(start)
            obsolete.append(DeleteMany({**key, "watermark": {"$gte": begin}}))
            last.append(UpdateMany({**key, "next_at": {"$gte": begin}}, {"$unset": {"next_at": True}}))
        if starts:
            self._checkpoints.bulk_write(obsolete, ordered=False)
            self._checkpoints.bulk_write(last, ordered=False)
