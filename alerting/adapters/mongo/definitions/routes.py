"""Routes in MongoDB, as people wrote them."""

from pymongo.errors import WriteError

from alerting.adapters.mongo.definitions.written import note_written
from alerting.adapters.mongo.documents import Document, MongoDatabase
from alerting.adapters.mongo.indexes import ROUTES
from alerting.definitions.faults import UserError


class MongoRoutes:
    """Port `Routes`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        self._routes = database[ROUTES]

    def documents(self) -> list[Document]:
        return list(self._routes.find({}, {"_id": False}).sort("name", 1))

    def store_document(self, document: Document) -> None:
        """Insert or replace the route of that name. Raises UserError if the server refuses it."""
        note_written(self._database, ROUTES, {document["name"]: document})
        try:
            self._routes.replace_one({"name": document["name"]}, document, upsert=True)
        except WriteError as error:
            if error.code != 121:  # DocumentValidationFailure
                raise
            name = document["name"]
            raise UserError(
                f"the database refuses route {name!r} as malformed; see: alerting check"
            ) from error

    def remove(self, name: str) -> bool:
        note_written(self._database, ROUTES, {name: None})
        return self._routes.delete_one({"name": name}).deleted_count == 1
