"""States of the past, in MongoDB."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from pymongo import DeleteMany, ReplaceOne, UpdateMany

from alerting.episodes.lifecycle import SpellState
from alerting.pipelines.ports.late import Checkpoint
from alerting.stores.documents import Document, MongoDatabase, from_document, to_bson, to_document, upsert
from alerting.stores.indexes import CHECKPOINTS


class MongoCheckpoints:
    """Port `Checkpoints`: one document per definition, asset and watermark."""

    def __init__(self, database: MongoDatabase) -> None:
        self._checkpoints = database[CHECKPOINTS]

    def save(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Keep states under their watermarks, and drop those of the same pairs that nothing would begin with any more.

        Each knows the watermark of the one after it (`next_at`): it is needed as long as that one does not serve as well.
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
        for steps in (followed, kept, obsolete):  # one after the other: each is one request
            upsert(partial(self._checkpoints.bulk_write, steps, ordered=False))

    def before(self, definition: str, asset: str, instant: datetime) -> SpellState | None:
        """The latest state with a watermark before the instant."""
        return self._nearest(definition, asset, {"$lt": to_bson(instant)}, -1)

    def after(self, definition: str, asset: str, instant: datetime) -> SpellState | None:
        """The earliest state with a watermark at or after the instant."""
        return self._nearest(definition, asset, {"$gte": to_bson(instant)}, 1)

    def _nearest(self, definition: str, asset: str, watermark: Document, way: int) -> SpellState | None:
        query = {"definition": definition, "asset": asset, "watermark": watermark}
        found = self._checkpoints.find_one(query, sort=[("watermark", way)])
        return None if found is None else from_document(SpellState, found)

    def drop(self, definition: str, asset: str, start: datetime) -> None:
        """Drop those with a watermark at or after an instant."""
        pair, begin = {"definition": definition, "asset": asset}, to_bson(start)
        self._checkpoints.delete_many({**pair, "watermark": {"$gte": begin}})
        self._checkpoints.update_many({**pair, "next_at": {"$gte": begin}}, {"$unset": {"next_at": True}})
