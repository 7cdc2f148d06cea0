"""Documents that people write, with their revisions, in MongoDB: a pair of collections a kind."""

from pymongo.errors import WriteError

from alerting.definitions.faults import UserError
from alerting.definitions.model import LAST_NUMBER
from alerting.ports import DocumentRevision
from alerting.stores.definitions.written import note_written
from alerting.stores.documents import (
    Document,
    MongoDatabase,
    insert_new,
    read_stored,
    to_document,
    upsert,
)

_VALIDATION = 121  # code of DocumentValidationFailure


class NamedDocuments:
    """Documents by name, and the numbers of their revisions. `word`: what a document is called."""

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
            if error.code != _VALIDATION:
                raise
            raise UserError(
                f"the database refuses {self._word} {name!r}; run `alerting prepare` with this "
                "version of the platform"
            ) from error

    def remove(self, name: str) -> bool:
        note_written(self._database, self._documents.name, {name: None})
        return self._documents.delete_one({"name": name}).deleted_count == 1

    def last_number(self, name: str) -> int:
        found = self._revisions.find({"name": name}, {"number": True})
        numbers = [one.get("number") for one in found]
        legal = [n for n in numbers if isinstance(n, int | float) and 0 < n <= LAST_NUMBER]
        return int(max(legal, default=0))


class MongoDocumentStore(NamedDocuments):
    """Port `DocumentStore`."""

    def documents(self) -> list[Document]:
        return list(self._documents.find({}, {"_id": False}).sort("name", 1))

    def add_revision(self, revision: DocumentRevision) -> bool:
        return insert_new(self._revisions, to_document(revision))

    def revisions(self, name: str) -> list[DocumentRevision]:
        found = self._revisions.find({"name": name}).sort("number", 1)
        return read_stored(self._revisions.name, DocumentRevision, found)
