"""What is muted, in MongoDB. Shelves that ended stay, with who ended them and why."""

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from alerting.episodes.episode import Notification
from alerting.episodes.shelving import Shelf
from alerting.stores.documents import Document, MongoDatabase, from_document, to_document
from alerting.stores.indexes import SHELVES


class MongoShelves:
    """Port `Shelves`. `force_key` stands in shelves that nobody has ended, and its unique index lets only one of them be."""

    def __init__(self, database: MongoDatabase) -> None:
        self._shelves = database[SHELVES]

    def insert(self, shelf: Shelf) -> bool:
        """Insert; False when one of its kind is in force for the same definition and asset."""
        try:
            self._shelves.insert_one(_document(shelf))
        except DuplicateKeyError:
            return False
        return True

    def replace(self, shelf: Shelf) -> bool:
        """Write the next version; False unless the stored one is `shelf.version - 1`."""
        found = self._shelves.replace_one({"_id": shelf.id, "version": shelf.version - 1}, _document(shelf))
        return found.matched_count == 1

    def get(self, id: str) -> Shelf | None:
        """The shelf of this id."""
        found = self._shelves.find_one({"_id": id})
        return None if found is None else _shelf(found)

    def in_force(self, definition: str | None = None, asset: str | None = None) -> list[Shelf]:
        """Shelves that nobody has ended, those without an end first, then by end; their time may be over."""
        query: Document = {"definition": definition, "asset": asset}
        query = {field: value for field, value in query.items() if value is not None} | {"force_key": {"$gt": ""}}
        return [_shelf(d) for d in self._shelves.find(query).sort([("until", 1), ("_id", 1)])]

    def of(self, definition: str, asset: str) -> list[Shelf]:
        """Every shelf of a definition on an asset, oldest first."""
        found = self._shelves.find({"definition": definition, "asset": asset})
        return [_shelf(d) for d in found.sort([("since", 1), ("_id", 1)])]

    def with_due_notifications(self, now: datetime) -> list[Shelf]:
        """Shelves with a pending notification whose next attempt is due."""
        due = {"status": "pending", "$or": [{"next_attempt_at": None}, {"next_attempt_at": {"$lte": now}}]}
        return [_shelf(d) for d in self._shelves.find({"outbox": {"$elemMatch": due}}).sort([("since", 1), ("_id", 1)])]

    def dead_letters(self) -> list[tuple[str, Notification]]:
        """Shelf id and notification of every delivery that was given up, oldest shelf first."""
        found = self._shelves.find({"outbox.status": "dead"}).sort([("since", 1), ("_id", 1)])
        return [(shelf.id, n) for shelf in map(_shelf, found) for n in shelf.outbox if n.status == "dead"]


def _document(shelf: Shelf) -> Document:
    document = to_document(shelf)
    document["_id"] = document.pop("id")
    if shelf.ended_at is None:
        document["force_key"] = f"{shelf.definition}|{shelf.asset}|{shelf.kind}"
    return document


def _shelf(document: Document) -> Shelf:
    return from_document(Shelf, {**document, "id": document["_id"]})
