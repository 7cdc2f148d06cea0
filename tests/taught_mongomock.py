"""Patches of mongomock for the contract suite: arguments of newer drivers, and raw documents."""

import bson
import mongomock.collection
from bson.raw_bson import RawBSONDocument

_ORIGINALS = {name: getattr(mongomock.collection.BulkOperationBuilder, name) for name in ("add_update", "add_replace")}
_INSERT_MANY = mongomock.collection.Collection.insert_many


def teach_mongomock() -> None:
    """Patch mongomock 4.3.0 in this process. Idempotent."""
    for name in _ORIGINALS:
        setattr(mongomock.collection.BulkOperationBuilder, name, _without_sort(name))
    mongomock.collection.Collection.aggregate_raw_batches = _aggregate_raw_batches
    mongomock.collection.Collection.insert_many = _insert_many


def _without_sort(name):
    """Drop the argument `sort`, which pymongo passes to bulk operations since 4.11."""

    def add(self, *args, sort=None, **kwargs):
        if sort is not None:
            raise NotImplementedError("mongomock cannot sort in bulk operations")
        return _ORIGINALS[name](self, *args, **kwargs)

    return add


def _insert_many(self, documents, *args, **kwargs):
    """Insert documents, after decoding those that are BSON already."""
    decoded = [bson.decode(d.raw) if isinstance(d, RawBSONDocument) else d for d in documents]
    return _INSERT_MANY(self, decoded, *args, **kwargs)


def _aggregate_raw_batches(self, pipeline, **options):
    """Return all documents of this collection, and those that `$unionWith` adds, as BSON in batches of one."""
    found = list(self.find())
    for stage in pipeline:
        other = stage["$unionWith"]
        other = {"coll": other, "pipeline": []} if isinstance(other, str) else other
        found += self.database[other["coll"]].aggregate(other["pipeline"])
    return (bson.encode(document) for document in found)
