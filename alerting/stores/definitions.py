"""Documents that people write, in MongoDB: alert definitions (a collection each for current
documents, revisions and faults), the values derived for their questions, and other documents with
their revisions, a pair of collections a kind.

The platform keeps copies of the documents that it wrote itself; a document that equals none of them
was edited in MongoDB. A copy is stored before its document is written, and the previous copy stays
until the two are compared, so a process that dies between the writes causes no false edit.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import bson
from bson.errors import InvalidBSON
from pydantic import ValidationError
from pymongo import DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError, WriteError

from alerting.definitions.alert_definition import LAST_NUMBER, Definition, Revision
from alerting.definitions.faults import UserError
from alerting.definitions.revisions import definition_fields
from alerting.definitions.wording.language import with_command
from alerting.kinds.registry import parse_revision
from alerting.learning.features.planning import DerivedFeatures
from alerting.ports import DocumentEdit, DocumentRevision, FaultyDocument, ParseRevisions
from alerting.stores.database.documents import (
    ASSETS,
    CODEC,
    DEFINITIONS,
    DERIVED_FEATURES,
    EVENT_TYPES,
    FAULTS,
    REVISIONS,
    ROUTES,
    SINKS,
    SOURCES,
    WRITTEN,
    Document,
    MongoDatabase,
    document_bounds,
    good,
    insert_new,
    label,
    raw_documents,
    read_each,
    read_one,
    read_stored,
    to_document,
    upsert,
    without_large,
)


class NamedDocuments:
    """Documents by name, and the numbers of their revisions. `word`: the word for one document."""

    def __init__(self, database: MongoDatabase, collection: str, revisions: str, word: str) -> None:
        self._database = database
        self._documents = database[collection]
        self._revisions = database[revisions]
        self._word = word

    def find(self, name: str) -> Document | None:
        return self._documents.find_one({"name": name}, {"_id": False})

    def store_document(self, document: Document) -> None:
        """Insert or replace the document of that name. Raises UserError if the server refuses
        it."""
        name = document.get("name")
        note_written(self._database, self._documents.name, {str(name): document})
        try:
            upsert(lambda: self._documents.replace_one({"name": name}, document, upsert=True))
        except WriteError as error:
            if error.code != 121:  # DocumentValidationFailure
                raise
            text = f"the database refuses {self._word} {name!r}: it belongs to another version"
            raise UserError(with_command(text, "alerting prepare")) from error

    def remove(self, name: str) -> bool:
        note_written(self._database, self._documents.name, {name: None})
        return self._documents.delete_one({"name": name}).deleted_count == 1

    def last_number(self, name: str) -> int:
        revisions = self._revisions.find({"name": name}, {"number": True})
        numbers = [revision.get("number") for revision in revisions]
        legal = [n for n in numbers if isinstance(n, int | float) and 0 < n <= LAST_NUMBER]
        return int(max(legal, default=0))


class MongoDocumentStore(NamedDocuments):
    """Documents of one kind by name, with their revisions: port `DocumentStore`."""

    def documents(self) -> list[Document]:
        return list(self._documents.find({}, {"_id": False}).sort("name", 1))

    def add_revision(self, revision: DocumentRevision) -> bool:
        return insert_new(self._revisions, to_document(revision))

    def revisions(self, name: str) -> list[DocumentRevision]:
        documents = self._revisions.find({"name": name}).sort("number", 1)
        return read_stored(self._revisions.name, DocumentRevision, documents)


_DEFINITION = b"\x03definition\0"  # type and name of the field of a revision


class MongoDefinitions(NamedDocuments):
    """Port `Definitions`. The server of a prepared database refuses malformed documents."""

    def __init__(self, database: MongoDatabase) -> None:
        super().__init__(database, DEFINITIONS, REVISIONS, "definition")
        self._faults = database[FAULTS]

    def documents(self, names: Collection[str] | None = None) -> list[Document]:
        chosen = None if names is None else {"$in": list(names)}
        marks = _marks(self._faults.find(chosen and {"_id": chosen}))
        stored = self._documents.find(chosen and {"name": chosen}).sort("name")
        return [_add_marks(document, marks) for document in stored.to_list()]

    def mark_faulty(self, name: str, faults: Sequence[str]) -> None:
        if faults:
            self._faults.replace_one({"_id": name}, {"faults": list(faults)}, upsert=True)
        else:
            self._faults.delete_one({"_id": name})

    def faulty(self) -> dict[str, list[str]]:
        """Return faults by name of the documents that still exist."""
        marks = _marks(self._faults.find())
        if not marks:  # thousands of names need not be read
            return {}
        names = {label(document) for document in self._documents.find({}, {"name": True})}
        return {name: faults for name, faults in marks.items() if name in names}

    def add_revision(self, revision: Revision) -> bool:
        return insert_new(self._revisions, {**to_document(revision), "at": revision.at})

    def revisions(self, name: str) -> list[Revision]:
        return good(REVISIONS, self._revisions.find({"name": name}).sort("number"), parse_revision)

    def newest_revision(self, name: str) -> Revision | None:
        """Return the newest valid revision of a definition, None without one."""
        document = self._revisions.find_one({"name": name}, sort=[("number", DESCENDING)])
        valid = good(REVISIONS, [] if document is None else [document], parse_revision)
        if document is not None and not valid:
            valid = self.revisions(name)
        return valid[-1] if valid else None

    def histories(self, names: Collection[str]) -> dict[str, list[Revision]]:
        documents = self._revisions.find({"name": {"$in": list(names)}}).sort(
            [("name", 1), ("number", 1)]
        )
        revisions = good(REVISIONS, documents, parse_revision)
        return {
            name: list(group)
            for name, group in groupby(revisions, key=lambda revision: revision.name)
        }

    def load_revisions(self) -> ParseRevisions:
        by_number: Document = {"$sort": {"name": 1, "number": 1}}
        return partial(_parse_revisions, raw_documents(self._revisions, [by_number]))

    def latest_revisions(
        self, having: str | None = None, names: Collection[str] | None = None
    ) -> list[Revision]:
        """Return the newest valid revision of every definition; `having`: only definitions with
        this field; `names`: only these."""
        chosen = [] if names is None else [{"$match": {"name": {"$in": sorted(names)}}}]
        if having is None:
            return self._newest_valid(chosen)
        # thousands of other revisions need not be read
        with_field = self._revisions.distinct("name", {f"definition.{having}": {"$ne": None}})
        read = self._newest_valid([*chosen, {"$match": {"name": {"$in": with_field}}}])
        return [r for r in read if getattr(r.definition, having) is not None]

    def _newest_valid(self, chosen: list[Document]) -> list[Revision]:
        newest = [
            *chosen,
            {"$sort": {"name": -1, "number": -1}},
            {"$group": {"_id": "$name", "revision": {"$first": "$$ROOT"}}},
            {"$sort": {"_id": 1}},
        ]
        groups = list(self._revisions.aggregate(newest))
        revisions = []
        for group, read in zip(
            groups, read_each((group["revision"] for group in groups), parse_revision), strict=True
        ):
            valid = [read.value] if read.value is not None else self._read_revisions(group["_id"])
            revisions += valid[-1:]
        return revisions

    def _read_revisions(self, name: Any) -> list[Revision]:
        """Return the valid revisions of a definition whose newest one is invalid."""
        return self.revisions(name) if isinstance(name, str) else []


def _parse_revisions(
    stored: bytes, current: Mapping[str, Definition]
) -> tuple[list[Revision], list[FaultyDocument]]:
    newest: dict[str, Revision] = {}
    faulty = []
    for start, end in document_bounds(stored):
        revision = _parse_with_current(stored[start:end], current)
        if revision is None:
            document = bson.decode(stored[start:end], CODEC)
            read = next(read_each([document], parse_revision))
            if read.value is None:
                name = _name_revision(read.name, document.get("number"))
                faulty.append(FaultyDocument(REVISIONS, name, read.reasons))
                continue
            revision = read.value
        newest[revision.name] = revision
    return list(newest.values()), faulty


def _parse_with_current(document: bytes, current: Mapping[str, Definition]) -> Revision | None:
    """Return a revision whose stored definition, its last field, equals the stored current
    definition of that name; None for any other revision."""
    others, _, definition = document[4:].partition(_DEFINITION)
    try:
        fields = bson.decode((len(others) + 5).to_bytes(4, "little") + others + b"\0", CODEC)
        newest = current.get(str(fields.get("name")))
        if newest is None or definition != bson.encode(definition_fields(newest)) + b"\0":
            return None
        del fields["_id"]
        return Revision.model_validate({**fields, "definition": newest})
    except (InvalidBSON, ValidationError):  # of which the whole document says more
        return None


def _name_revision(name: str, number: Any) -> str:
    return f"{name} r{number}" if isinstance(number, int) and number < 10**12 else name


def _marks(marks: Iterable[Document]) -> dict[str, list[str]]:
    faults = {mark["_id"]: mark.get("faults") for mark in marks if isinstance(mark["_id"], str)}
    return {
        name: [str(f) for f in reasons]
        for name, reasons in faults.items()
        if isinstance(reasons, list)
    }


def _add_marks(document: Document, marks: Mapping[str, list[str]]) -> Document:
    name = label(document)
    for ours in ("_id", "_faults", "_label"):
        document.pop(ours, None)
    if document.get("name") != name:
        document["_label"] = name
    if name in marks:
        document["_faults"] = marks[name]
    return document


class MongoDerivedFeatures:
    """Port `DerivedFeatureStore`: one document for each definition and question."""

    def __init__(self, database: MongoDatabase) -> None:
        self._derived = database[DERIVED_FEATURES]

    def get(self, definition: str, question: str) -> DerivedFeatures | None:
        document = self._derived.find_one({"_id": f"{definition}|{question}"})
        return read_one(DERIVED_FEATURES, DerivedFeatures, document)

    def fix(self, definition: str, question: str, derived: DerivedFeatures) -> DerivedFeatures:
        """Store the values unless values are stored already; return the stored values."""
        id = {"_id": f"{definition}|{question}"}
        upsert(
            lambda: self._derived.update_one(
                id, {"$setOnInsert": to_document(derived)}, upsert=True
            )
        )
        return self.get(definition, question) or derived


EDITABLE: Mapping[str, str] = {
    DEFINITIONS: "definition",
    ASSETS: "asset",
    EVENT_TYPES: "event type",
    ROUTES: "route",
    SOURCES: "source",
    SINKS: "sink",
}
"""The collections that people may edit, with the name of one of their documents."""


def note_written(
    database: MongoDatabase, collection: str, documents: Mapping[str, Document | None]
) -> None:
    """Store copies of documents by name, before the documents are written; None for a removed
    one."""
    changes = {
        f"{collection}/{name}": {
            "$push": {"versions": {"$each": [_version(document)], "$slice": -2}}
        }
        for name, document in documents.items()
    }
    if changes:
        updates = [UpdateOne({"_id": id}, change, upsert=True) for id, change in changes.items()]
        try:
            database[WRITTEN].bulk_write(updates)
        except BulkWriteError:  # a copy that someone has edited is made anew
            edited: Document = {"versions": {"$not": {"$type": "array"}}}
            database[WRITTEN].delete_many({"_id": {"$in": [*changes]}, **edited})
            database[WRITTEN].bulk_write(updates)


def is_as_written(database: MongoDatabase, collection: str, document: Document) -> bool:
    """Return whether a stored document equals a copy of what the platform wrote."""
    copies = database[WRITTEN].find_one({"_id": f"{collection}/{label(document)}"})
    return _content_hash(_content(document)) in [version["hash"] for version in _versions(copies)]


def find_edits(database: MongoDatabase) -> list[DocumentEdit]:
    """Return documents that differ from what the platform wrote, each with the platform's last
    copy."""
    return [
        edit
        for collection in EDITABLE
        for name in _suspects(database, collection)
        if (edit := _edit(database, collection, name)) is not None
    ][:1000]  # the others are found the next time


def _suspects(database: MongoDatabase, collection: str) -> list[str]:
    """Return names of documents that seem edited, and forget copies of replaced versions."""
    current = {
        label(document): _content_hash(_content(document))
        for document in database[collection].find()
    }
    noted = dict(_version_hashes(database, collection))
    for name, versions in noted.items():
        if len(versions) > 1 and current.get(name) == versions[-1]:
            written = {"_id": f"{collection}/{name}", "versions.1.hash": versions[-1]}
            database[WRITTEN].update_one(written, {"$pop": {"versions": -1}})
    return [
        name
        for name in sorted({*current, *noted})
        if current.get(name) not in noted.get(name, [None])
    ]


def _version_hashes(
    database: MongoDatabase, collection: str
) -> Iterator[tuple[str, list[str | None]]]:
    start = f"{collection}/"
    documents = database[WRITTEN].find({"_id": {"$regex": f"^{start}"}}, {"versions.hash": True})
    return ((d["_id"].removeprefix(start), [v["hash"] for v in _versions(d)]) for d in documents)


def _versions(copies: Document | None) -> list[Document]:
    """Return the versions of a document; a text that is no document has none that can be read."""
    stored = (copies or {}).get("versions")
    valid = [v for v in stored if isinstance(v, dict)] if isinstance(stored, list) else []
    return [{"hash": v.get("hash"), "document": v.get("document")} for v in valid] or [
        _version(None)
    ]


def _edit(database: MongoDatabase, collection: str, name: str) -> DocumentEdit | None:
    """Return the edit of one document, None if it is as written. The document is read once more,
    after its copies."""
    versions = _versions(database[WRITTEN].find_one({"_id": f"{collection}/{name}"}))
    stored = next((d for d in database[collection].find({"name": name})), None) or next(
        (d for d in database[collection].find({"name": None}) if label(d) == name), None
    )
    after = None if stored is None else _content(stored)
    if _content_hash(after) in [version["hash"] for version in versions]:
        return None
    return DocumentEdit(collection, EDITABLE[collection], name, versions[-1]["document"], after)


def _version(document: Document | None) -> Document:
    return {"hash": _content_hash(document), "document": document and without_large(document)}


def _content(document: Mapping[str, Any]) -> Document:
    return {key: value for key, value in document.items() if not key.startswith("_")}


def _content_hash(document: Document | None) -> str | None:
    if document is None:
        return None
    return hashlib.blake2b(bson.encode(document), digest_size=16).hexdigest()
