"""Assets and event types in MongoDB."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel
from pymongo import ReplaceOne

from alerting.definitions.assets import Asset, EventType
from alerting.stores.documents import MongoCollection, MongoDatabase, to_document
from alerting.stores.indexes import ASSETS, EVENT_TYPES

_WITHOUT_ID = {"_id": False}


class MongoAssets:
    """Port `Assets`: one document per name."""

    def __init__(self, database: MongoDatabase) -> None:
        self._assets = database[ASSETS]
        self._types = database[EVENT_TYPES]

    def all(self) -> list[Asset]:
        """Every asset, sorted by name."""
        return [Asset.model_validate(found) for found in self._assets.find({}, _WITHOUT_ID).sort("name")]

    def get(self, name: str) -> Asset | None:
        """The asset of this name."""
        found = self._assets.find_one({"name": name}, _WITHOUT_ID)
        return None if found is None else Asset.model_validate(found)

    def put(self, assets: Sequence[Asset]) -> None:
        """Insert or replace by name."""
        _put(self._assets, {asset.name: asset for asset in assets})

    def event_types(self) -> list[EventType]:
        """Every event type, sorted by name."""
        return [EventType.model_validate(found) for found in self._types.find({}, _WITHOUT_ID).sort("name")]

    def put_event_types(self, types: Sequence[EventType]) -> None:
        """Insert or replace by name."""
        _put(self._types, {type_.name: type_ for type_ in types})


def _put(collection: MongoCollection, models: Mapping[str, BaseModel]) -> None:
    if models:
        collection.bulk_write([ReplaceOne({"name": name}, to_document(model), upsert=True) for name, model in models.items()])
