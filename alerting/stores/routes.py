"""Routes in MongoDB, as people wrote them."""

from alerting.stores.documents import Document, MongoDatabase
from alerting.stores.indexes import ROUTES


class MongoRoutes:
    """Port `Routes`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._routes = database[ROUTES]

    def documents(self) -> list[Document]:
        """All routes without `_id`, sorted by name, valid or not."""
        return list(self._routes.find({}, {"_id": False}).sort("name", 1))

    def put(self, document: Document) -> None:
        """Insert or replace the route of that name."""
        self._routes.replace_one({"name": document["name"]}, document, upsert=True)

    def remove(self, name: str) -> bool:
        """False if there was none."""
        return self._routes.delete_one({"name": name}).deleted_count == 1
