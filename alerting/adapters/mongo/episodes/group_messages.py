"""Grouped notifications in MongoDB: one document each, including its delivery."""

from collections.abc import Iterable
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from alerting.adapters.mongo.documents import Document, MongoDatabase, from_document, to_document
from alerting.adapters.mongo.indexes import BULLETINS
from alerting.episodes.episode import Notification
from alerting.notifications.group_message import Bulletin

_OLDEST_FIRST = [("notification.created_at", 1), ("_id", 1)]


class MongoBulletins:
    """Port `Bulletins`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._bulletins = database[BULLETINS]

    def insert(self, bulletin: Bulletin) -> bool:
        """Insert; return False if there is one of this id."""
        try:
            self._bulletins.insert_one(_document(bulletin))
        except DuplicateKeyError:
            return False
        return True

    def replace(self, bulletin: Bulletin) -> bool:
        """Write the next version; return False unless the stored one is `bulletin.version - 1`."""
        found = self._bulletins.replace_one({"_id": bulletin.id, "version": bulletin.version - 1}, _document(bulletin))
        return found.matched_count == 1

    def get(self, id: str) -> Bulletin | None:
        """Return the grouped notification of this id."""
        found = self._bulletins.find_one({"_id": id})
        return None if found is None else _bulletin(found)

    def due(self, now: datetime, limit: int = 100) -> list[Bulletin]:
        """Return grouped notifications that are due now, oldest first."""
        due = {"notification.status": "pending", "notification.next_attempt_at": {"$lte": now}}
        return _bulletins(self._bulletins.find(due).sort(_OLDEST_FIRST).limit(limit))

    def dead_letters(self) -> list[Bulletin]:
        """Return dead letters, oldest first."""
        return _bulletins(self._bulletins.find({"notification.status": "dead"}).sort(_OLDEST_FIRST))

    def sent_since(self, since: datetime) -> list[Notification]:
        """Return the deliveries that succeeded since this instant."""
        # No notification is delivered later than its `next_attempt_at`, which has an index.
        query = {"notification.status": "sent", "notification.next_attempt_at": {"$gte": since}}
        found = self._bulletins.find(query, {"notification": True})
        sent = (from_document(Notification, document["notification"]) for document in found)
        return [n for n in sent if n.delivered_at is not None and n.delivered_at >= since]


def _document(bulletin: Bulletin) -> Document:
    document = to_document(bulletin)
    document["_id"] = document.pop("id")
    return document


def _bulletin(document: Document) -> Bulletin:
    return from_document(Bulletin, {**document, "id": document["_id"]})


def _bulletins(found: Iterable[Document]) -> list[Bulletin]:
    return [_bulletin(document) for document in found]
