"""Documents that people may edit: those that cannot be read, those that were deleted, and edits in
MongoDB."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from alerting.definitions.asset_documents import parse_asset, parse_event_type
from alerting.definitions.routes_and_sinks import parse_route, parse_sink
from alerting.definitions.sources import parse_source
from alerting.ports import DocumentEdit, FaultyDocument
from alerting.stores.assets import read_whole, whole_collection
from alerting.stores.database.documents import (
    ASSETS,
    EVENT_TYPES,
    MUTES,
    ROUTES,
    SINKS,
    SOURCES,
    Document,
    MongoDatabase,
    Read,
    read_each,
    with_ids,
)
from alerting.stores.definitions import find_edits, note_written
from alerting.stores.operators import parse_mute

_PARSERS: dict[str, Callable[[Document], Any]] = {
    ASSETS: parse_asset,
    EVENT_TYPES: parse_event_type,
    MUTES: parse_mute,
    ROUTES: parse_route,
    SOURCES: parse_source,
    SINKS: parse_sink,
}


class MongoDocuments:
    """Port `Documents`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    def faulty(self, collections: Collection[str] | None = None) -> list[FaultyDocument]:
        chosen = [name for name in _PARSERS if collections is None or name in collections]
        documents = [
            FaultyDocument(collection, read.name, read.reasons)
            for collection in chosen
            for read in self._read(collection)
            if read.value is None
        ]
        return sorted(documents, key=lambda document: (document.collection, document.name))

    def edits(self) -> list[DocumentEdit]:
        return find_edits(self._database)

    def note(self, edit: DocumentEdit) -> None:
        note_written(self._database, edit.collection, {edit.name: edit.after})

    def _read(self, collection: str) -> Iterable[Read[Any]]:
        if collection == ASSETS:
            return read_whole(whole_collection(self._database[ASSETS]))
        stored = self._database[collection]
        documents = (
            with_ids(stored.find({"ended_at": None})) if collection == MUTES else stored.find()
        )
        return read_each(documents, _PARSERS[collection])
