"""Alert definitions in MongoDB: current documents, revisions and faults, a collection each."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import bson
from bson.errors import InvalidBSON
from pydantic import ValidationError
from pymongo import DESCENDING

from alerting.definitions.model import Definition, Revision
from alerting.definitions.revisions import definition_fields
from alerting.kinds.validation import parse_revision
from alerting.ports import FaultyDocument, ParseRevisions
from alerting.stores.definitions.document_store import NamedDocuments
from alerting.stores.documents import (
    CODEC,
    DEFINITIONS,
    FAULTS,
    REVISIONS,
    Document,
    MongoDatabase,
    document_bounds,
    good,
    insert_new,
    label,
    raw_documents,
    read_each,
    to_document,
)

_DEFINITION = b"\x03definition\0"  # type and name of the field of a revision
_OURS = ("_id", "_faults", "_label")


class MongoDefinitions(NamedDocuments):
    """Port `Definitions`. The server refuses malformed documents once `ensure` has run."""

    def __init__(self, database: MongoDatabase) -> None:
        super().__init__(database, DEFINITIONS, REVISIONS, "definition")
        self._faults = database[FAULTS]

    def documents(self, names: Collection[str] | None = None) -> list[Document]:
        wanted = None if names is None else {"$in": list(names)}
        marks = _marks(self._faults.find(wanted and {"_id": wanted}))
        found = self._documents.find(wanted and {"name": wanted}).sort("name")
        return [_with_marks(document, marks) for document in found.to_list()]

    def mark_faulty(self, name: str, faults: Sequence[str]) -> None:
        if faults:
            self._faults.replace_one({"_id": name}, {"faults": list(faults)}, upsert=True)
        else:
            self._faults.delete_one({"_id": name})

    def faulty(self) -> dict[str, list[str]]:
        """Return faults by name, of documents that still exist."""
        marks = _marks(self._faults.find())
        if not marks:  # thousands of names need not be read
            return {}
        names = {label(found) for found in self._documents.find({}, {"name": True})}
        return {name: faults for name, faults in marks.items() if name in names}

    def add_revision(self, revision: Revision) -> bool:
        return insert_new(self._revisions, {**to_document(revision), "at": revision.at})

    def revisions(self, name: str) -> list[Revision]:
        return good(REVISIONS, self._revisions.find({"name": name}).sort("number"), parse_revision)

    def newest_revision(self, name: str) -> Revision | None:
        """Return the newest valid revision of a definition, None without one."""
        found = self._revisions.find_one({"name": name}, sort=[("number", DESCENDING)])
        valid = good(REVISIONS, [] if found is None else [found], parse_revision)
        if found is not None and not valid:
            valid = self.revisions(name)
        return valid[-1] if valid else None

    def histories(self, names: Collection[str]) -> dict[str, list[Revision]]:
        found = self._revisions.find({"name": {"$in": list(names)}}).sort(
            [("name", 1), ("number", 1)]
        )
        revisions = good(REVISIONS, found, parse_revision)
        return {
            name: list(group)
            for name, group in groupby(revisions, key=lambda revision: revision.name)
        }

    def load_revisions(self) -> ParseRevisions:
        by_number: Document = {"$sort": {"name": 1, "number": 1}}
        return partial(_parse_revisions, raw_documents(self._revisions, [by_number]))

    def latest_revisions(self, having: str | None = None) -> list[Revision]:
        """Return the newest valid revision of every definition; `having`: with this field."""
        if having is not None:  # thousands of other revisions need not be read
            names = self._revisions.distinct("name", {f"definition.{having}": {"$ne": None}})
            return [
                r
                for r in self._newest_valid([{"$match": {"name": {"$in": names}}}])
                if getattr(r.definition, having) is not None
            ]
        return self._newest_valid([])

    def _newest_valid(self, chosen: list[Document]) -> list[Revision]:
        newest = [
            *chosen,
            {"$sort": {"name": -1, "number": -1}},
            {"$group": {"_id": "$name", "revision": {"$first": "$$ROOT"}}},
            {"$sort": {"_id": 1}},
        ]
        groups = list(self._revisions.aggregate(newest))
        found = []
        for group, read in zip(
            groups, read_each((group["revision"] for group in groups), parse_revision), strict=True
        ):
            valid = [read.value] if read.value is not None else self._before(group["_id"])
            found += valid[-1:]
        return found

    def _before(self, name: Any) -> list[Revision]:
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
                name = _numbered(read.name, document.get("number"))
                faulty.append(FaultyDocument(REVISIONS, name, read.reasons))
                continue
            revision = read.value
        newest[revision.name] = revision
    return list(newest.values()), faulty


def _parse_with_current(document: bytes, current: Mapping[str, Definition]) -> Revision | None:
    """Return a revision that stores its definition, the last field, just as the current one of that
    name would be stored; None for any other."""
    others, _, definition = document[4:].partition(_DEFINITION)
    try:
        fields = bson.decode((len(others) + 5).to_bytes(4, "little") + others + b"\0", CODEC)
        found = current.get(str(fields.get("name")))
        if found is None or definition != bson.encode(definition_fields(found)) + b"\0":
            return None
        del fields["_id"]
        return Revision.model_validate({**fields, "definition": found})
    except (InvalidBSON, ValidationError):  # of which the whole document says more
        return None


def _numbered(name: str, number: Any) -> str:
    return f"{name} r{number}" if isinstance(number, int) and number < 10**12 else name


def _marks(found: Iterable[Document]) -> dict[str, list[str]]:
    faults = {mark["_id"]: mark.get("faults") for mark in found if isinstance(mark["_id"], str)}
    return {
        name: [str(f) for f in reasons]
        for name, reasons in faults.items()
        if isinstance(reasons, list)
    }


def _with_marks(found: Document, marks: Mapping[str, list[str]]) -> Document:
    name = label(found)
    for ours in _OURS:
        found.pop(ours, None)
    if found.get("name") != name:
        found["_label"] = name
    if name in marks:
        found["_faults"] = marks[name]
    return found
