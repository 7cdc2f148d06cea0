"""Patches of mongomock for the contract suite: arguments of newer drivers, raw documents, and a
cheaper check of unique keys."""

from datetime import datetime
from itertools import islice

import bson
import mongomock.collection
import mongomock.database
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

_ORIGINALS = {
    name: getattr(mongomock.collection.BulkOperationBuilder, name)
    for name in ("add_update", "add_replace")
}
_INSERT_MANY = mongomock.collection.Collection.insert_many
_AGGREGATE = mongomock.collection.Collection.aggregate
_ENSURE_UNIQUES = mongomock.collection.Collection._ensure_uniques
_WITH_OPTIONS = mongomock.collection.Collection.with_options


def patch_mongomock() -> None:
    """Patch mongomock 4.3.0 in this process. Idempotent."""
    for name in _ORIGINALS:
        setattr(mongomock.collection.BulkOperationBuilder, name, _without_sort(name))
    mongomock.collection.Collection.aggregate = _aggregate
    mongomock.collection.Collection.with_options = _with_options
    mongomock.collection.Collection.aggregate_raw_batches = _aggregate_raw_batches
    mongomock.collection.Collection.find_raw_batches = _find_raw_batches
    mongomock.collection.Cursor.to_list = _to_list
    mongomock.collection.Collection.insert_many = _insert_many
    mongomock.collection.Collection.create_indexes = _create_indexes
    mongomock.collection.Collection._ensure_uniques = _ensure_uniques
    mongomock.database.Database.watch = _refuse_watch


def _refuse_watch(self, *args, **options):
    """Refuse a change stream as a server that is no replica set does."""
    raise OperationFailure("The $changeStream stage is only supported on replica sets", 40573)


def _without_sort(name):
    """Drop the argument `sort`, which pymongo passes to bulk operations since 4.11."""

    def add(self, *args, sort=None, **kwargs):
        if sort is not None:
            raise NotImplementedError("mongomock cannot sort in bulk operations")
        return _ORIGINALS[name](self, *args, **kwargs)

    return add


def _create_indexes(self, indexes):
    """Create indexes with all their options; mongomock leaves out what a partial one covers."""
    for index in indexes:
        options = {name: value for name, value in index.document.items() if name != "key"}
        self.create_index([*index.document["key"].items()], **options)


def _insert_many(self, documents, *args, **kwargs):
    """Insert documents, after decoding those that are BSON already."""
    decoded = [bson.decode(d.raw) if isinstance(d, RawBSONDocument) else d for d in documents]
    return _INSERT_MANY(self, decoded, *args, **kwargs)


def _ensure_uniques(self, new_data):
    """Raise DuplicateKeyError if a unique key comes twice. mongomock filters all documents for
    each, which takes a hundred times longer than to look whether another may have the key."""
    for index in self._store.indexes.values():
        if index.get("unique") and _may_come_twice(self._store, index["key"], new_data):
            _ENSURE_UNIQUES(self, new_data)
            return


def _may_come_twice(store, key, new_data):
    """Return False if surely no other document has the same values of a key, which is so only
    where they are texts, whole numbers or times."""
    values = {name: new_data.get(name) for name, _ in reversed(key)}  # the last differ most
    if any("." in name or type(v) not in (str, int, datetime) for name, v in values.items()):
        return True
    found = list(store.documents)
    for name, value in values.items():
        found = [d for d in found if (v := d.get(name)) == value or isinstance(v, list)]
    return len(found) > 1


def _aggregate(self, pipeline, *args, **options):
    """Aggregate, also with `$unionWith` as the last stages, which add documents of other
    collections."""
    unions = [stage["$unionWith"] for stage in pipeline if "$unionWith" in stage]
    if not unions:
        return _AGGREGATE(self, pipeline, *args, **options)
    found = list(_AGGREGATE(self, [stage for stage in pipeline if "$unionWith" not in stage]))
    for union in unions:
        other, stages = (
            (union, []) if isinstance(union, str) else (union["coll"], union["pipeline"])
        )
        found += self.database[other].aggregate(stages)
    return iter(found)


def _aggregate_raw_batches(self, pipeline, **_options):
    """Yield the documents of an aggregate as BSON, all in one batch."""
    yield b"".join(bson.encode(document) for document in self.aggregate(pipeline))


def _to_list(self, length=None):
    """Read so many more documents of a cursor, or all."""
    return list(islice(self, length))


class _List(list):
    """A cursor that has read everything."""

    def to_list(self):
        return self


class _RawDocuments:
    """A collection whose aggregates return documents as BSON."""

    def __init__(self, collection):
        self._collection = collection

    def aggregate(self, pipeline, **_options):
        return _List(
            RawBSONDocument(bson.encode(document))
            for document in self._collection.aggregate(pipeline)
        )


def _with_options(self, codec_options=None, **options):
    if codec_options is not None and codec_options.document_class is RawBSONDocument:
        return _RawDocuments(self)
    return _WITH_OPTIONS(self, codec_options, **options)


def _find_raw_batches(
    self, filter=None, projection=None, sort=None, batch_size=0, limit=0, hint=None
):
    """Find documents as batches of BSON; a hint changes no answer."""
    found = iter(self.find(filter, projection, sort=sort, limit=limit))
    while batch := list(islice(found, batch_size or 101)):
        yield b"".join(bson.encode(document) for document in batch)
