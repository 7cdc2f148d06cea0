"""Alert definitions in MongoDB: what people wrote, its revisions, and its faults, each in a collection of its own."""

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any

from pymongo.errors import DuplicateKeyError, WriteError

from alerting.definitions.faults import DefinitionRefused, Fault
from alerting.definitions.model import Revision
from alerting.stores.documents import Document, MongoDatabase, to_document
from alerting.stores.indexes import DEFINITIONS, FAULTS, REVISIONS

_WITHOUT_ID = {"_id": False}
_FAILED_VALIDATION = 121
_OURS = ("_id", "_faults")


class MongoDefinitions:
    """Port `Definitions`. The server refuses malformed documents, whoever writes them, once `ensure` has run."""

    def __init__(self, database: MongoDatabase) -> None:
        self._documents = database[DEFINITIONS]
        self._revisions = database[REVISIONS]
        self._faults = database[FAULTS]

    def documents(self) -> list[Document]:
        """All current documents, sorted by name, with `_faults` where marked faulty."""
        marks = {found["_id"]: found["faults"] for found in self._faults.find()}
        documents = self._documents.find({}, _WITHOUT_ID).sort("name")
        return [{**found, "_faults": marks[found["name"]]} if found["name"] in marks else found for found in documents]

    def put(self, document: Document) -> None:
        """Insert or replace the current document of that name. Raises DefinitionRefused when the server refuses it."""
        written = {key: value for key, value in document.items() if key not in _OURS}
        name = written.get("name")
        try:
            self._replace(name, written)
        except WriteError as error:
            if error.code != _FAILED_VALIDATION:
                raise
            raise DefinitionRefused(str(name or "without a name"), _faults(error)) from error

    def _replace(self, name: Any, document: Document) -> None:
        try:
            self._documents.replace_one({"name": name}, document, upsert=True)
        except DuplicateKeyError:  # somebody else inserted the same name between our look and our insert
            self._documents.replace_one({"name": name}, document)

    def mark_faulty(self, name: str, faults: Sequence[str]) -> None:
        """Remember the faults of the current document; with none, forget them."""
        if faults:
            self._faults.replace_one({"_id": name}, {"faults": list(faults)}, upsert=True)
        else:
            self._faults.delete_one({"_id": name})

    def faulty(self) -> dict[str, list[str]]:
        """Faults by name, of documents that still exist."""
        names = self._documents.distinct("name")
        return {found["_id"]: found["faults"] for found in self._faults.find({"_id": {"$in": names}})}

    def add_revision(self, revision: Revision) -> bool:
        """Keep a revision; False if that number exists already."""
        try:
            self._revisions.insert_one({**to_document(revision), "at": revision.at})
        except DuplicateKeyError:
            return False
        return True

    def revisions(self, name: str) -> list[Revision]:
        """All revisions of a definition, oldest first."""
        return [Revision.model_validate(found) for found in self._revisions.find({"name": name}, _WITHOUT_ID).sort("number")]

    def histories(self, names: Collection[str]) -> dict[str, list[Revision]]:
        """All revisions of each of these definitions, oldest first."""
        found = self._revisions.find({"name": {"$in": list(names)}}, _WITHOUT_ID).sort([("name", 1), ("number", 1)])
        revisions = [Revision.model_validate(document) for document in found]
        return {name: list(group) for name, group in groupby(revisions, key=lambda revision: revision.name)}

    def latest(self, having: str | None = None) -> list[Revision]:
        """The newest revision of every definition, sorted by name; of those alone where it has this field, if one is named."""
        if having is not None:  # thousands of others need not be read
            names = self._revisions.distinct("name", {f"definition.{having}": {"$ne": None}})
            return [r for r in self._newest([{"$match": {"name": {"$in": names}}}]) if getattr(r.definition, having) is not None]
        return self._newest([])

    def _newest(self, chosen: list[Document]) -> list[Revision]:
        newest = [
            *chosen,
            {"$sort": {"name": -1, "number": -1}},
            {"$group": {"_id": "$name", "revision": {"$first": "$$ROOT"}}},
            {"$sort": {"_id": 1}},
            {"$project": {"revision._id": False}},
        ]
        return [Revision.model_validate(found["revision"]) for found in self._revisions.aggregate(newest)]


def _faults(error: WriteError) -> list[Fault]:
    """What the server's validator found, in the words we use for faults."""
    details = (error.details or {}).get("errInfo", {}).get("details", {})
    return list(_walk(details, "")) or [Fault("document", "does not fit the schema of definitions")]


def _walk(node: Any, path: str) -> Iterator[Fault]:
    if isinstance(node, list):
        for item in node:
            yield from _walk(item, path)
        return
    if not isinstance(node, dict):
        return
    if node.get("operatorName") in ("oneOf", "anyOf"):
        yield from _closest(node, path)
        return
    if "reason" in node:
        yield Fault(path or "document", _words(node))
    for field in node.get("additionalProperties", ()):
        yield Fault(_join(path, field), "is not a field")
    for field in node.get("missingProperties", ()):
        yield Fault(_join(path, field), "is missing")
    for field in node.get("propertiesNotSatisfied", ()):
        yield from _walk(field["details"], _join(path, field["propertyName"]))
    yield from _walk(node.get("schemaRulesNotSatisfied"), path)
    yield from _walk(node.get("details"), path)


def _closest(node: Document, path: str) -> Iterator[Fault]:
    """Of several choices the one that the document comes closest to: that of its kind, else the one with the fewest faults."""
    choices = [list(_walk(choice["details"], path)) for choice in node.get("schemasNotSatisfied", ())]
    yield from min(choices, key=lambda faults: (any(fault.path == "kind" for fault in faults), len(faults)), default=[])


def _words(node: Document) -> str:
    wanted = node.get("specifiedAs", {})
    rule = ", ".join(f"{key} {value}" for key, value in wanted.items())
    return f"{node['reason']}: {node.get('consideredValue')!r}, allowed is {rule}"


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field
