"""How far each definition and asset has been evaluated, in MongoDB."""

from collections.abc import Sequence

from pymongo.errors import DuplicateKeyError

from alerting.episodes.lifecycle import SpellState
from alerting.stores.documents import MongoDatabase, from_document, to_bson, to_document
from alerting.stores.indexes import STATES


class MongoStates:
    """Port `States`: one document per definition and asset."""

    def __init__(self, database: MongoDatabase) -> None:
        self._states = database[STATES]

    def load(self, definition: str, assets: Sequence[str]) -> dict[str, SpellState]:
        """States by asset; an asset never evaluated is absent."""
        found = self._states.find({"definition": definition, "asset": {"$in": list(assets)}})
        return {document["asset"]: from_document(SpellState, document) for document in found}

    def advance(self, definition: str, asset: str, before: SpellState | None, after: SpellState) -> bool:
        """Write `after` if the stored watermark is still that of `before` (None: if there is no state yet)."""
        key = {"definition": definition, "asset": asset}
        document = {**key, **to_document(after)}
        if before is not None:
            return self._states.replace_one({**key, "watermark": to_bson(before.watermark)}, document).matched_count == 1
        try:
            self._states.insert_one(document)
        except DuplicateKeyError:
            return False
        return True
