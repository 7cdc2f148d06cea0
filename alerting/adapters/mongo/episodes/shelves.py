"""Shelves in MongoDB. Ended shelves stay, with actor and reason."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from alerting.adapters.mongo.documents import Document, MongoDatabase, insert_new, to_document
from alerting.adapters.mongo.each import good, read_each
from alerting.adapters.mongo.indexes import SHELVES
from alerting.definitions.faults import DocumentRefused, Fault, UserError
from alerting.definitions.wording.fault_messages import model_faults
from alerting.operators.shelves import Shelf

_SHELF = TypeAdapter(Shelf)


class ShelfRefused(DocumentRefused):
    """Error: a shelf has faults."""

    what = "shelf"


class MongoShelves:
    """Port `Shelves`. A faulty shelf is left out: it mutes nothing.

    Only shelves that no actor has ended early have `force_key`; its unique index permits one of
    them per kind and target.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._shelves = database[SHELVES]

    def insert(self, shelf: Shelf) -> bool:
        """Insert; return False if one of its kind is in force for the same definition and asset.

        Raises UserError if the document of that shelf is faulty and must be corrected first.
        """
        document = _document(shelf)
        if insert_new(self._shelves, document):
            return True
        there = {"$or": [{"_id": document["_id"]}, {"force_key": document.get("force_key", "")}]}
        for read in read_each(self._with_ids(self._shelves.find(there)), parse_shelf):
            if read.value is None:
                raise UserError(
                    f"correct the document {read.name} in collection {SHELVES} first: "
                    f"{'; '.join(read.reasons)}"
                )
        return False

    def replace(self, shelf: Shelf) -> bool:
        found = self._shelves.replace_one(
            {"_id": shelf.id, "version": shelf.version - 1}, _document(shelf)
        )
        return found.matched_count == 1

    def get(self, id: str) -> Shelf | None:
        return next(iter(self._read({"_id": id})), None)

    def in_force(self, definition: str | None = None, asset: str | None = None) -> list[Shelf]:
        query: Document = {"definition": definition, "asset": asset}
        query = {field: value for field, value in query.items() if value is not None} | {
            "force_key": {"$gt": ""}
        }
        return self._read(query, ("until", 1), ("_id", 1))

    def for_target(self, definition: str, asset: str) -> list[Shelf]:
        return self._read({"definition": definition, "asset": asset}, ("since", 1), ("_id", 1))

    def _read(self, query: Document, *order: tuple[str, int]) -> list[Shelf]:
        cursor = self._shelves.find(query)
        return good(
            SHELVES, self._with_ids(cursor.sort(list(order)) if order else cursor), parse_shelf
        )

    def _with_ids(self, documents: Iterable[Document]) -> Iterator[Document]:
        return ({**document, "id": document["_id"]} for document in documents)


def _document(shelf: Shelf) -> Document:
    document = to_document(shelf)
    document["_id"] = document.pop("id")
    if shelf.ended_at is None:
        document["force_key"] = f"{shelf.definition}|{shelf.asset}|{shelf.kind}"
    return document


def parse_shelf(document: Document) -> Shelf:
    """Return the shelf of a document, `_id` as its `id`. Raises ShelfRefused with every fault."""
    try:
        shelf = _SHELF.validate_python(document)
    except ValidationError as error:
        raise ShelfRefused(document.get("id"), model_faults(error.errors())) from error
    if naive := _without_zone(shelf):
        raise ShelfRefused(
            shelf.id, [Fault(name, "is an instant without a time zone") for name in naive]
        )
    return shelf


def _without_zone(shelf: Shelf) -> list[str]:
    instants = [(f.name, getattr(shelf, f.name)) for f in fields(shelf)]
    return [name for name, at in instants if isinstance(at, datetime) and at.tzinfo is None]
