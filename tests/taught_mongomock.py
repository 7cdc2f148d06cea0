"""mongomock, taught what our tests need of it: what newer drivers ask for, and to look for equal values quickly."""

from datetime import datetime

import bson
import mongomock.collection
from bson.raw_bson import RawBSONDocument
from mongomock.filtering import filter_applies

_ORIGINALS = {name: getattr(mongomock.collection.BulkOperationBuilder, name) for name in ("add_update", "add_replace")}
_INSERT_MANY = mongomock.collection.Collection.insert_many
_COMPARED_WITH_EQUALS = (str, int, float, datetime)


def teach_mongomock() -> None:
    """Change mongomock 4.3.0 in this process; once more changes nothing."""
    for name in _ORIGINALS:
        setattr(mongomock.collection.BulkOperationBuilder, name, _without_sort(name))
    mongomock.collection.Collection._iter_documents = _iter_documents
    mongomock.collection.Collection.find_raw_batches = _find_raw_batches
    mongomock.collection.Collection.insert_many = _insert_many


def _without_sort(name):
    """pymongo passes an argument `sort` to bulk operations since 4.11."""

    def add(self, *args, sort=None, **kwargs):
        if sort is not None:
            raise NotImplementedError("mongomock cannot sort in bulk operations")
        return _ORIGINALS[name](self, *args, **kwargs)

    return add


def _iter_documents(self, filter):
    """The documents that a filter applies to. mongomock asks its whole matching of every document, also for each insertion
    under a unique index; here that is asked only of those that are not ruled out by a value that differs.
    """
    filter_applies(filter, {})  # a filter that is not valid is refused, though there be no document
    self._store._remove_expired_documents()
    found = list(dict.values(self._store._documents))  # those of an OrderedDict look every key up again
    for key, value in filter.items():
        if "." not in key and type(value) in _COMPARED_WITH_EQUALS:
            found = [d for d in found if (held := d.get(key)) == value or isinstance(held, list | tuple)]
    return (document for document in found if filter_applies(filter, document))


def _insert_many(self, documents, *args, **kwargs):
    """Documents that are BSON already are decoded before."""
    decoded = [bson.decode(d.raw) if isinstance(d, RawBSONDocument) else d for d in documents]
    return _INSERT_MANY(self, decoded, *args, **kwargs)


def _find_raw_batches(self):
    """All documents as BSON, in batches of one."""
    return (bson.encode(document) for document in self.find())
