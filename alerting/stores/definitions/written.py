"""Copies of the documents that the platform itself wrote; a document that equals none was edited in
MongoDB.

A copy is stored before its document is written, and the one before it stays until the two are
compared, so a process that dies between the writes causes no false edit.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import bson
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from alerting.ports import DocumentEdit
from alerting.stores.documents import (
    ASSETS,
    DEFINITIONS,
    EVENT_TYPES,
    ROUTES,
    SINKS,
    SOURCES,
    WRITTEN,
    Document,
    MongoDatabase,
    label,
    without_large,
)

EDITABLE: Mapping[str, str] = {
    DEFINITIONS: "definition",
    ASSETS: "asset",
    EVENT_TYPES: "event type",
    ROUTES: "route",
    SOURCES: "source",
    SINKS: "sink",
}
"""The collections that people may edit, with the name of one of their documents."""
MOST_EDITS = 1000
"""Edits found at once; the others are found the next time."""
_BASELINE = "baseline"


def note_written(
    database: MongoDatabase, collection: str, documents: Mapping[str, Document | None]
) -> None:
    """Store copies of documents by name, to be called before they are written; None: removed."""
    changes = {
        f"{collection}/{name}": {"$push": {"versions": {"$each": [_version(one)], "$slice": -2}}}
        for name, one in documents.items()
    }
    if changes:
        updates = [UpdateOne({"_id": id}, change, upsert=True) for id, change in changes.items()]
        try:
            database[WRITTEN].bulk_write(updates)
        except BulkWriteError:  # a copy that someone has edited is made anew
            edited: Document = {"versions": {"$not": {"$type": "array"}}}
            database[WRITTEN].delete_many({"_id": {"$in": [*changes]}, **edited})
            database[WRITTEN].bulk_write(updates)


def note_existing(database: MongoDatabase) -> None:
    """Store copies of all documents of a database that was prepared without them. Idempotent."""
    if database[WRITTEN].find_one({"_id": _BASELINE}) is None:
        for collection in EDITABLE:
            known = {name for name, _ in _version_hashes(database, collection)}
            for document in database[collection].find():
                if (name := label(document)) not in known:
                    note_written(database, collection, {name: _content(document)})
        database[WRITTEN].replace_one({"_id": _BASELINE}, {"versions": []}, upsert=True)


def find_edits(database: MongoDatabase) -> list[DocumentEdit]:
    """Return documents that the platform has not written as they are, with what it wrote last."""
    return [
        edit
        for collection in EDITABLE
        for name in _suspects(database, collection)
        if (edit := _edit(database, collection, name)) is not None
    ][:MOST_EDITS]


def _suspects(database: MongoDatabase, collection: str) -> list[str]:
    """Return names of documents that seem edited, and forget versions that were replaced."""
    current = {label(found): _hash(_content(found)) for found in database[collection].find()}
    known = dict(_version_hashes(database, collection))
    for name, versions in known.items():
        if len(versions) > 1 and current.get(name) == versions[-1]:
            written = {"_id": f"{collection}/{name}", "versions.1.hash": versions[-1]}
            database[WRITTEN].update_one(written, {"$pop": {"versions": -1}})
    return [
        name
        for name in sorted({*current, *known})
        if current.get(name) not in known.get(name, [None])
    ]


def _version_hashes(
    database: MongoDatabase, collection: str
) -> Iterator[tuple[str, list[str | None]]]:
    start = f"{collection}/"
    found = database[WRITTEN].find({"_id": {"$regex": f"^{start}"}}, {"versions.hash": True})
    return ((d["_id"].removeprefix(start), [v["hash"] for v in _versions(d)]) for d in found)


def _versions(copies: Document | None) -> list[Document]:
    """Return the versions of a document; one that is no document without any that can be read."""
    stored = (copies or {}).get("versions")
    valid = [v for v in stored if isinstance(v, dict)] if isinstance(stored, list) else []
    return [{"hash": v.get("hash"), "document": v.get("document")} for v in valid] or [
        _version(None)
    ]


def _edit(database: MongoDatabase, collection: str, name: str) -> DocumentEdit | None:
    """Return the edit of one document, None if it is as written: it is read once more, after its
    copies."""
    versions = _versions(database[WRITTEN].find_one({"_id": f"{collection}/{name}"}))
    found = next((d for d in database[collection].find({"name": name})), None) or next(
        (d for d in database[collection].find({"name": None}) if label(d) == name), None
    )
    after = None if found is None else _content(found)
    if _hash(after) in [version["hash"] for version in versions]:
        return None
    before = versions[-1]["document"]
    return DocumentEdit(collection, EDITABLE[collection], name, before, after)


def _version(document: Document | None) -> Document:
    return {"hash": _hash(document), "document": document and without_large(document)}


def _content(document: Mapping[str, Any]) -> Document:
    return {key: value for key, value in document.items() if not key.startswith("_")}


def _hash(document: Document | None) -> str | None:
    if document is None:
        return None
    return hashlib.blake2b(bson.encode(document), digest_size=16).hexdigest()
