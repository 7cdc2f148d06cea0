"""Documents that people apply, with their revisions, in MongoDB: sources and sinks."""

from collections.abc import Callable
from typing import Generic, TypeVar

from pymongo.errors import WriteError

from alerting.adapters.mongo.definitions.written import note_written
from alerting.adapters.mongo.documents import (
    Document,
    MongoDatabase,
    insert_new,
    to_document,
    upsert,
)
from alerting.adapters.mongo.each import good, read_stored
from alerting.definitions.faults import UserError
from alerting.ports import SourceRevision

T = TypeVar("T")
_VALIDATION = 121  # code of DocumentValidationFailure


class MongoRevisedDocuments(Generic[T]):
    """Documents by name. `word`: what one is called."""

    def __init__(
        self,
        database: MongoDatabase,
        collection: str,
        revisions: str,
        parse: Callable[[Document], T],
        word: str,
    ) -> None:
        self._database = database
        self._collection = collection
        self._documents = database[collection]
        self._revisions = database[revisions]
        self._parse = parse
        self._word = word

    def documents(self) -> list[Document]:
        return list(self._documents.find({}, {"_id": False}).sort("name", 1))

    def get(self, name: str) -> T | None:
        found = self._documents.find({"name": name})
        return next(iter(good(self._collection, found, self._parse)), None)

    def store_document(self, document: Document) -> None:
        """Insert or replace the document of that name. Raises UserError if the server refuses
        it."""
        name = document["name"]
        note_written(self._database, self._collection, {name: document})
        try:
            upsert(lambda: self._documents.replace_one({"name": name}, document, upsert=True))
        except WriteError as error:
            if error.code != _VALIDATION:
                raise
            raise UserError(
                f"the database refuses {self._word} {name!r}; run `alerting prepare` with this "
                "version of the platform"
            ) from error

    def add_revision(self, revision: SourceRevision) -> bool:
        return insert_new(self._revisions, to_document(revision))

    def revisions(self, name: str) -> list[SourceRevision]:
        found = self._revisions.find({"name": name}).sort("number", 1)
        return read_stored(self._revisions.name, SourceRevision, found)
