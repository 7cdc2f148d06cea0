"""Checkpoints (past condition states) in MongoDB."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from pymongo import DeleteMany, ReplaceOne, UpdateMany

from alerting.adapters.mongo.documents import Document, MongoDatabase, from_document, to_bson, to_document, upsert, utc
from alerting.adapters.mongo.indexes import CHECKPOINTS
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import Pair
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
        kept: list[UpdateMany | ReplaceOne[Document] | DeleteMany] = []
        obsolete: list[UpdateMany | ReplaceOne[Document] | DeleteMany] = []
        for checkpoint in checkpoints:
            pair: Document = {"definition": checkpoint.definition, "asset": checkpoint.asset}
            document = {**pair, **to_document(checkpoint.state)}
            earlier = {**pair, "next_at": None, "watermark": {"$lt": document["watermark"]}}
            followed.append(UpdateMany(earlier, {"$set": {"next_at": document["watermark"]}}))
            kept.append(ReplaceOne({**pair, "watermark": document["watermark"]}, document, upsert=True))
            obsolete.append(DeleteMany({**pair, "next_at": {"$lt": to_bson(checkpoint.needed_from)}}))
        for steps in (followed, kept, obsolete):  # in this order: each is one request
            upsert(partial(self._checkpoints.bulk_write, steps, ordered=False))

    def before(self, instants: Mapping[Pair, datetime]) -> dict[Pair, ConditionState]:
        """Return for each target the latest state with a watermark before its instant: one query for all instants of an hour."""
        hours: dict[int, dict[Pair, datetime]] = {}
        for pair, instant in instants.items():
            hours.setdefault(to_millis(instant) // _HOUR, {})[pair] = instant
        found = {pair: document for hour in hours.values() for pair, document in self._before(hour).items()}
        states = {pair: from_document(ConditionState, document) for pair, document in found.items()}
        for pair in instants.keys() - states.keys():  # its evaluator may have been killed before it wrote the state here
            state = self._nearest(*pair, {"$lt": to_bson(instants[pair])}, -1)
            states |= {} if state is None else {pair: state}
        return states

    def _before(self, instants: Mapping[Pair, datetime]) -> dict[Pair, Document]:
        """Return the latest states before neighbouring instants, without reading states whose successor is before all of them."""
        names, assets = (list(dict.fromkeys(pair[part] for pair in instants)) for part in (0, 1))
        first, last = to_bson(min(instants.values())), to_bson(max(instants.values()))
        query: Document = {"definition": {"$in": names}, "asset": {"$in": assets}, "watermark": {"$lt": last}}
        query["$or"] = [{"next_at": None}, {"next_at": {"$gte": first}}]
        found: dict[Pair, Document] = {}
        for document in self._checkpoints.find(query).batch_size(_AT_ONCE):
            pair = document["definition"], document["asset"]
            at, known = document["watermark"], found.get(pair)
            if pair in instants and utc(at) < instants[pair] and (known is None or known["watermark"] < at):
                found[pair] = document
        return found

    def after(self, definition: str, asset: str, instant: datetime) -> ConditionState | None:
        """Return the earliest state with a watermark at or after the instant."""
        return self._nearest(definition, asset, {"$gte": to_bson(instant)}, 1)

    def _nearest(self, definition: str, asset: str, watermark: Document, way: int) -> ConditionState | None:
        query = {"definition": definition, "asset": asset, "watermark": watermark}
        found = self._checkpoints.find_one(query, sort=[("watermark", way)])
        return None if found is None else from_document(ConditionState, found)

    def drop(self, starts: Mapping[Pair, datetime]) -> None:
        """Drop the states of each target with a watermark at or after an instant."""
        gone: list[DeleteMany] = []
        last: list[UpdateMany] = []
        for (definition, asset), start in starts.items():
            pair, begin = {"definition": definition, "asset": asset}, to_bson(start)
            gone.append(DeleteMany({**pair, "watermark": {"$gte": begin}}))
            last.append(UpdateMany({**pair, "next_at": {"$gte": begin}}, {"$unset": {"next_at": True}}))
        if starts:
            self._checkpoints.bulk_write(gone, ordered=False)
            self._checkpoints.bulk_write(last, ordered=False)
