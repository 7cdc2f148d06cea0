"""Grouped notifications in MongoDB: one document each, including its delivery."""

from collections.abc import Iterable
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from alerting.adapters.mongo.documents import Document, MongoDatabase, from_document, to_document
from alerting.adapters.mongo.indexes import GROUP_MESSAGES
from alerting.episodes.episode import Notification
from alerting.notifications.group_message import GroupMessage

_OLDEST_FIRST = [("notification.created_at", 1), ("_id", 1)]


class MongoGroupMessages:
    """Port `GroupMessages`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._group_messages = database[GROUP_MESSAGES]

    def insert(self, group_message: GroupMessage) -> bool:
        """Insert; return False if there is one of this id."""
        try:
            self._group_messages.insert_one(_document(group_message))
        except DuplicateKeyError:
            return False
        return True

    def replace(self, group_message: GroupMessage) -> bool:
        """Write the next version; return False unless the stored one is `group_message.version - 1`."""
        found = self._group_messages.replace_one(
            {"_id": group_message.id, "version": group_message.version - 1}, _document(group_message)
        )
        return found.matched_count == 1

    def get(self, id: str) -> GroupMessage | None:
        """Return the grouped notification of this id."""
        found = self._group_messages.find_one({"_id": id})
        return None if found is None else _group_message(found)

    def due(self, now: datetime, limit: int = 100) -> list[GroupMessage]:
        """Return grouped notifications that are due now, oldest first."""
        due = {"notification.status": "pending", "notification.next_attempt_at": {"$lte": now}}
        return _group_messages(self._group_messages.find(due).sort(_OLDEST_FIRST).limit(limit))

    def dead_letters(self) -> list[GroupMessage]:
        """Return dead letters, oldest first."""
        return _group_messages(self._group_messages.find({"notification.status": "dead"}).sort(_OLDEST_FIRST))

    def sent_since(self, since: datetime) -> list[Notification]:
        """Return the deliveries that succeeded since this instant."""
        # No notification is delivered later than its `next_attempt_at`, which has an index.
        query = {"notification.status": "sent", "notification.next_attempt_at": {"$gte": since}}
        found = self._group_messages.find(query, {"notification": True})
        sent = (from_document(Notification, document["notification"]) for document in found)
        return [n for n in sent if n.delivered_at is not None and n.delivered_at >= since]


def _document(group_message: GroupMessage) -> Document:
    document = to_document(group_message)
    document["_id"] = document.pop("id")
    return document


def _group_message(document: Document) -> GroupMessage:
    return from_document(GroupMessage, {**document, "id": document["_id"]})


def _group_messages(found: Iterable[Document]) -> list[GroupMessage]:
    return [_group_message(document) for document in found]
