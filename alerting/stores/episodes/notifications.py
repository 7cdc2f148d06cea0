"""Notifications in MongoDB: one document each, whose `_id` is its key."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pymongo import UpdateOne

from alerting.notifications.notification import Notification
from alerting.ports import Change, Conflict, Unit
from alerting.stores.documents import (
    NOTIFICATIONS,
    Document,
    MongoDatabase,
    read_stored,
    repeated,
    to_document,
    upsert,
)
from alerting.stores.transactions import conflicts, session_of

_OLDEST_FIRST = [("created_at", 1), ("_id", 1)]
_DUE_ORDER = [("next_attempt_at", 1), ("transition", -1), ("_id", 1)]
"""The order of deliveries. Of one episode the raise comes before its end, because `raised` sorts
after `closed`."""


class MongoNotifications:
    """Port `Notifications`. Only waiting notifications have an instant in `next_attempt_at`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._notifications = database[NOTIFICATIONS]

    def add(self, notifications: Sequence[Notification], unit: Unit | None = None) -> int:
        if not notifications:
            return 0
        writes = [
            UpdateOne({"_id": n.key}, {"$setOnInsert": _document(n)}, upsert=True)
            for n in notifications
        ]
        if unit is not None:
            with conflicts():
                return int(
                    self._notifications.bulk_write(writes, session=session_of(unit)).upserted_count
                )
        return int(upsert(lambda: self._notifications.bulk_write(writes)).upserted_count)

    def change(self, changes: Sequence[Change], unit: Unit | None = None) -> int:
        if not changes:
            return 0
        writes = [
            UpdateOne(_is_stored(before, after), {"$set": _document(after)})
            for before, after in changes
        ]
        with conflicts():
            found = self._notifications.bulk_write(writes, session=session_of(unit)).matched_count
        if unit is not None and found < len(writes):
            raise Conflict("another process has changed some of these notifications")
        return int(found)

    @repeated
    def due(self, now: datetime, limit: int) -> list[Notification]:
        return _read(
            self._notifications.find({"next_attempt_at": {"$lte": now}})
            .sort(_DUE_ORDER)
            .limit(limit)
        )

    def claim(
        self, notifications: Sequence[Notification], now: datetime, until: datetime
    ) -> list[Notification]:
        claim = uuid.uuid4().hex
        due = {"_id": {"$in": [n.key for n in notifications]}, "next_attempt_at": {"$lte": now}}
        claimed = {"status": "claimed", "next_attempt_at": until, "claim": claim}
        change = {"$set": claimed, "$inc": {"attempts": 1}}
        done = repeated(self._notifications.update_many)(due, change)
        if done.modified_count < len(notifications):
            stored = {n.key: n for n in _read(self._notifications.find({"claim": claim}))}
            return [stored[n.key] for n in notifications if n.key in stored]
        return [
            replace(n, status="claimed", next_attempt_at=until, attempts=n.attempts + 1)
            for n in notifications
        ]

    @repeated
    def get(self, keys: Collection[str]) -> list[Notification]:
        return _read(self._notifications.find({"_id": {"$in": list(keys)}}))

    @repeated
    def of_episodes(self, episodes: Collection[str]) -> dict[str, tuple[Notification, ...]]:
        found: dict[str, list[Notification]] = {id: [] for id in episodes}
        wanted: Document = {"episode": {"$in": list(found)}}
        if len(found) == 1:  # whose keys begin alike: a sharded cluster then asks one server
            wanted["_id"] = {"$gte": f"{next(iter(found))}:", "$lt": f"{next(iter(found))};"}
        for n in _read(self._notifications.find(wanted).sort(_OLDEST_FIRST)):
            found[n.episode or ""].append(n)
        return {id: tuple(of_episode) for id, of_episode in found.items()}

    @repeated
    def waiting(self, limit: int | None = None) -> list[Notification]:
        return _read(
            self._notifications.find({"next_attempt_at": {"$gt": datetime.fromtimestamp(0, UTC)}})
            .sort(_OLDEST_FIRST)
            .limit(limit or 0)
        )

    def dead(self) -> list[Notification]:
        return _read(self._notifications.find({"status": "dead"}).sort(_OLDEST_FIRST))

    def raised_since(self, asset: str, since: datetime) -> list[Notification]:
        return _read(
            self._notifications.find(
                {"asset": asset, "transition": "raised", "created_at": {"$gt": since}}
            )
        )

    def sent_since(self, since: datetime) -> list[Notification]:
        return _read(self._notifications.find({"status": "sent", "delivered_at": {"$gte": since}}))

    def forget(
        self,
        before: datetime,
        episodes: Collection[str],
        keys: Collection[str],
        *,
        dry: bool = False,
    ) -> int:
        finished = {"created_at": {"$lt": before}, "next_attempt_at": None}
        old = finished | {"_id": {"$nin": list(keys)}, "episode": {"$nin": list(episodes)}}
        return (
            self._notifications.count_documents(old)
            if dry
            else int(self._notifications.delete_many(old).deleted_count)
        )


def _is_stored(before: Notification | None, after: Notification) -> Document:
    """Return the query for a notification as it was read; each claim counts an attempt."""
    expected: dict[str, Any] = (
        {} if before is None else {"status": before.status, "attempts": before.attempts}
    )
    return {"_id": after.key} | expected


def _document(notification: Notification) -> Document:
    document = to_document(notification)
    del document["key"]
    return document


def _read(found: Iterable[Document]) -> list[Notification]:
    return read_stored(NOTIFICATIONS, Notification, found, id="key")
