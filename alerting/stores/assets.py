"""Assets and event types in MongoDB.

People may edit them there. The platform leaves out a faulty document and never replaces it. It
writes no faulty document: the model validates each document before the write.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne

from alerting.definitions.asset_documents import (
    Asset,
    EventType,
    asset_document,
    parse_asset,
    parse_event_type,
)
from alerting.definitions.faults import UserError
from alerting.ports import FaultyDocument
from alerting.stores.database.documents import (
    ASSET_REVISIONS,
    ASSETS,
    CODEC,
    EVENT_TYPES,
    Document,
    MongoCollection,
    MongoDatabase,
    Read,
    document_bounds,
    good,
    good_values,
    raw_documents,
    read_each,
    to_document,
)
from alerting.stores.definitions import MongoDocumentStore, note_written
from alerting.stores.deliveries_and_changes import source_latencies


class MongoAssets(MongoDocumentStore):
    """Port `Assets`: one document per name."""

    def __init__(self, database: MongoDatabase) -> None:
        super().__init__(database, ASSETS, ASSET_REVISIONS, "asset")
        self._types = database[EVENT_TYPES]
        self._raw = database[ASSETS].with_options(codec_options=CodecOptions(RawBSONDocument))

    def all(self) -> list[Asset]:
        """Return every asset whose document is valid, sorted by name."""
        return self.read_all()[0]

    def read_all(self) -> tuple[list[Asset], list[FaultyDocument]]:
        documents = whole_collection(self._documents)
        reads = read_whole(documents)
        faulty = [
            FaultyDocument(ASSETS, read.name, read.reasons) for read in reads if read.value is None
        ]
        assets = good_values(ASSETS, reads)
        latencies = self._latencies(assets)
        if latencies:
            assets = list(_whole_with_latencies(documents, tuple(sorted(latencies.items()))))
        return assets, faulty

    def find_matching(self, patterns: Collection[str]) -> list[Asset]:
        """Return the valid assets of these names or patterns with *, and the assets above them, by
        name."""
        if "*" in patterns:
            return self.all()
        assets = {asset.name: asset for asset in self._find({"$or": _name_conditions(patterns)})}
        requested = set(assets)
        while (
            above := {asset.parent for asset in assets.values() if asset.parent is not None}
            - requested
        ):
            requested |= above
            assets |= self.get_many(above)
        return [assets[name] for name in sorted(assets)]

    def get(self, name: str) -> Asset | None:
        """Return the asset of this name; None also if its document is faulty."""
        return next(iter(self._find({"name": name})), None)

    def get_many(self, names: Collection[str]) -> dict[str, Asset]:
        """Return the assets of these names by one query."""
        return {asset.name: asset for asset in self._find({"name": {"$in": list(names)}})}

    def _find(self, query: Document) -> list[Asset]:
        documents = self._raw.aggregate([{"$match": query}, {"$sort": {"name": 1}}])
        assets = good_values(ASSETS, [_read_asset(bytes(document.raw)) for document in documents])
        latencies = self._latencies(assets)
        return [asset.with_latencies(latencies) for asset in assets] if latencies else assets

    def _latencies(self, assets: Sequence[Asset]) -> Mapping[str, timedelta]:
        is_named = any(variable.source for asset in assets for variable in asset.variables.values())
        return source_latencies(self._database) if is_named else {}

    def store_document(self, document: Document) -> None:
        """Insert or replace by name. Raises UserError, before writing, for a document that cannot
        be read, and if the write would overwrite a faulty document."""
        self.store_assets([parse_asset(document)])

    def store_assets(self, assets: Sequence[Asset]) -> None:
        """Insert or replace by name. Raises UserError, before writing, for an unreadable one."""
        _store_documents(
            self._database,
            ASSETS,
            {asset.name: asset_document(asset) for asset in assets},
            parse_asset,
            "asset",
        )

    def event_types(self) -> list[EventType]:
        """Return every event type whose document is valid, sorted by name."""
        return good(EVENT_TYPES, self._types.find().sort("name"), parse_event_type)

    def put_event_types(self, types: Sequence[EventType]) -> None:
        """Insert or replace by name. Raises UserError, before writing, for an unreadable one."""
        _store_documents(
            self._database,
            EVENT_TYPES,
            {type_.name: to_document(type_) for type_ in types},
            parse_event_type,
            "event type",
        )


def _name_conditions(patterns: Collection[str]) -> list[Document]:
    exact = [pattern for pattern in patterns if "*" not in pattern]
    parts = [
        ".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns if "*" in pattern
    ]
    return [{"name": {"$in": exact}}, *({"name": {"$regex": f"^{part}$"}} for part in parts)]


def whole_collection(collection: MongoCollection) -> bytes:
    """Return all documents of a collection one after another, as stored, sorted by name."""
    return raw_documents(collection, [{"$sort": {"name": 1}}])


@lru_cache(2)  # 2,000 assets are read in 4.3 instead of 6 to 7 CPU ms
def read_whole(documents: bytes) -> tuple[Read[Asset], ...]:
    """Return all assets. They are not read again if none was written since, because they may be
    very many."""
    return tuple(_read_asset(documents[start:end]) for start, end in document_bounds(documents))


@lru_cache(2)  # in 4 instead of 16, where sources have latencies
def _whole_with_latencies(
    documents: bytes, latencies: tuple[tuple[str, timedelta], ...]
) -> tuple[Asset, ...]:
    by_source = dict(latencies)
    return tuple(
        read.value.with_latencies(by_source)
        for read in read_whole(documents)
        if read.value is not None
    )


@lru_cache(50_000)  # the page of 150 definitions takes 42 % less CPU
def _read_asset(raw: bytes) -> Read[Asset]:
    """Read a document. An unchanged document is not parsed again."""
    return next(read_each([bson.decode(raw, CODEC)], parse_asset))


def _store_documents(
    database: MongoDatabase,
    name: str,
    documents: Mapping[str, Document],
    parse: Callable[[Document], Any],
    noun: str,
) -> None:
    collection = database[name]
    for document in documents.values():
        parse(document)
    _refuse_to_hide(collection, list(documents), parse, noun)
    if documents:
        note_written(database, name, documents)
        collection.bulk_write(
            [
                ReplaceOne({"name": name}, document, upsert=True)
                for name, document in documents.items()
            ]
        )


def _refuse_to_hide(
    collection: MongoCollection, names: Sequence[str], parse: Callable[[Document], Any], noun: str
) -> None:
    """Raise UserError if a faulty document would be overwritten, and its content lost."""
    stored = collection.find({"name": {"$in": list(names)}}) if names else ()
    faulty = [
        f"  - {read.name}: {'; '.join(read.reasons)}"
        for read in read_each(stored, parse)
        if read.value is None
    ]
    if faulty:
        path = f"collection {collection.name}"
        raise UserError(
            f"nothing was written: correct these documents in the database ({path}), or remove "
            "them, then try again:\n" + "\n".join(f"{line[:4]}{noun} {line[4:]}" for line in faulty)
        )
