"""Episodes and their notifications in MongoDB. A notification is one document, whose `_id` is its
key."""

import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from sys import intern
from typing import Any, TypeVar

import bson
from pymongo import ReplaceOne, UpdateOne

from alerting.definitions.alert_definition import SEVERITIES
from alerting.definitions.faults import shown
from alerting.episodes.episode import (
    OUTCOMES,
    Alarm,
    Episode,
    Outcome,
    was_in_maintenance,
    was_silent,
    was_suppressed,
)
from alerting.notifications.channel_faults import ChannelFacts, Undelivered
from alerting.notifications.notification import WAITING, Notification
from alerting.notifications.recipients import LOG
from alerting.ports import Change, Conflict, Unit
from alerting.readings.history import FIRST_INSTANT, LAST_INSTANT
from alerting.stores.database.documents import (
    CODEC,
    EPISODES,
    NOTIFICATIONS,
    OVER_ON_ASSETS_INDEX,
    OVER_UNACKNOWLEDGED_INDEX,
    Document,
    MongoDatabase,
    Read,
    document_bounds,
    from_document,
    good,
    good_values,
    insert_new,
    read_each,
    read_stored,
    repeated,
    to_document,
    to_identified,
    upsert,
    utc,
    with_ids,
    without_none,
)
from alerting.stores.database.indexes import OVER_UNACKNOWLEDGED
from alerting.stores.database.transactions_and_leases import conflicts, session_of

T = TypeVar("T")
_NEWEST_FIRST = [("raised_at", -1), ("_id", -1)]
_OLDEST_FIRST = [("raised_at", 1), ("_id", 1)]
EXTRACT = dict.fromkeys(
    (
        "definition",
        "asset",
        "severity",
        "title",
        "raised_at",
        "closed_at",
        "backfilled",
        "withdrawn",
        "late_data_status",
        "detected_at",
        "transitions.kind",
        "transitions.at",
        "outcome_record.outcome",
    ),
    True,
)


class MongoEpisodes:
    """Port `Episodes`. Open live episodes have `open_key`: an index permits one per target."""

    def __init__(self, database: MongoDatabase) -> None:
        self.episodes = database[EPISODES]

    def insert(self, episode: Episode) -> bool:
        return insert_new(self.episodes, _episode_document(episode))

    def write(self, episodes: Sequence[Episode], unit: Unit) -> None:
        """Write new episodes and next versions. Open episodes are written last, because only one
        may be open per target.

        Raises Conflict if an episode is stored in another version, or if another one is open.
        """
        documents = sorted(
            (_episode_document(episode) for episode in episodes),
            key=lambda document: "open_key" in document,
        )
        writes = [
            ReplaceOne(
                {"_id": d["_id"], "definition": d["definition"], "version": d["version"] - 1},
                d,
                upsert=d["version"] == 1,
            )
            for d in documents
        ]
        with conflicts():
            done = self.episodes.bulk_write(writes, session=session_of(unit))
        if done.matched_count + done.upserted_count < len(writes):
            raise Conflict("another process has changed some of these episodes")

    def size(self, episode: Episode) -> int:
        return len(bson.encode(_episode_document(episode)))

    def get(self, id: str) -> Episode | None:
        return next(iter(_episodes(self.episodes.find({"_id": id}))), None)

    @repeated
    def get_many(self, ids: Collection[str]) -> dict[str, Episode]:
        return {e.id: e for e in _episodes(self.episodes.find({"_id": {"$in": list(ids)}}))}

    @repeated
    def find(
        self,
        definition: str | None = None,
        asset: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        open_only: bool = False,
        limit: int | None = None,
        before: tuple[datetime, str] | None = None,
        assets: Collection[str] | None = None,
        with_earlier: bool = False,
    ) -> list[Episode]:
        condition = "open" if open_only else None
        query = without_none({"definition": definition, "asset": asset, "condition": condition})
        raised = without_none({"$gte": None if with_earlier else start, "$lt": end})
        if raised:
            query["raised_at"] = raised
        if with_earlier and start is not None:
            query["$or"] = [
                {"raised_at": {"$gte": start}},
                {"condition": "open"},
                {"closed_at": {"$gt": start}},
            ]
        if assets is not None:
            query |= _condition_of(assets if asset is None else {asset} & set(assets))
        if before is not None:
            at, last = before
            query["$and"] = [
                {"raised_at": {"$lte": at}},
                {"$or": [{"raised_at": {"$lt": at}}, {"_id": {"$lt": last}}]},
            ]
        return self._read_known(query, limit or 0)

    @repeated
    def overlapping(
        self, definition: str, asset: str, start: datetime, end: datetime
    ) -> list[Episode]:
        query: Document = {"definition": definition, "asset": asset, "raised_at": {"$lte": end}}
        query["$or"] = [{"closed_at": None}, {"closed_at": {"$gt": start}}]
        return _episodes(self.episodes.find(query).sort(_NEWEST_FIRST))

    def over_unacknowledged(
        self, limit: int, assets: Collection[str] | None = None
    ) -> list[Episode]:
        index = OVER_UNACKNOWLEDGED_INDEX if assets is None else OVER_ON_ASSETS_INDEX
        return self._read_known(OVER_UNACKNOWLEDGED | _condition_of(assets), limit, index)

    def _read_known(self, query: Document, limit: int, hint: str | None = None) -> list[Episode]:
        """Return episodes, newest first. Episodes that are unchanged since they were last read are
        not parsed again, because pages read the same ones again and again."""
        batches: Any = self.episodes.find_raw_batches(
            query, sort=_NEWEST_FIRST, limit=limit, batch_size=limit, hint=hint
        )
        return good_values(
            EPISODES,
            (
                _read_document(batch[start:end])
                for batch in batches
                for start, end in document_bounds(batch)
            ),
        )

    def alarms(
        self,
        start: datetime,
        end: datetime,
        active_from: datetime | None = None,
        assets: Collection[str] | None = None,
        definitions: Collection[str] | None = None,
    ) -> list[Alarm]:
        raised: Document = {"raised_at": {"$gte": start, "$lt": end}}
        chosen = _condition_of(assets)
        if definitions is not None:
            chosen["definition"] = {"$in": sorted(definitions)}
        queries = [raised | chosen]
        if active_from is not None:
            ended = {"raised_at": {"$gte": active_from, "$lt": start}, "closed_at": {"$gt": start}}
            still_open = {"raised_at": {"$lt": start}, "condition": "open"}
            queries += [ended | chosen, still_open | chosen]
        batches: Iterable[Any] = chain.from_iterable(
            self.episodes.find_raw_batches(query, EXTRACT) for query in queries
        )
        read = (
            _read_alarm(batch[begin:stop])
            for batch in batches
            for begin, stop in document_bounds(batch)
        )
        return sorted(good_values(EPISODES, read), key=lambda alarm: (alarm.raised_at, alarm.id))

    def starting_with(self, prefix: str, assets: Collection[str] | None = None) -> list[Episode]:
        begins: Document = {"_id": {"$gte": prefix, "$lt": prefix + "\uffff"}}
        return _episodes(self.episodes.find(begins | _condition_of(assets)).limit(10))

    @repeated
    def with_due_outcomes(self, as_of: datetime) -> list[Episode]:
        return _episodes(
            self.episodes.find({"outcome_due_at": {"$lte": as_of}}).sort(_OLDEST_FIRST)
        )

    @repeated
    def muted(self) -> list[Episode]:
        return _episodes(self.episodes.find({"muted_by": {"$gt": ""}}).sort(_OLDEST_FIRST))


def _condition_of(assets: Collection[str] | None) -> Document:
    """Return the condition that an episode is on one of these assets; no condition if `assets` is
    None."""
    return {} if assets is None else {"asset": {"$in": sorted(assets)}}


def read_extract(document: Document) -> Alarm:
    """Return the alarm in the fields `EXTRACT` of an episode's document. Raises an error if a text
    field is no text."""
    closed = document["closed_at"]
    is_withdrawn = bool(document.get("withdrawn", False))
    is_late = document.get("late_data_status") is not None
    transitions = [
        (transition["kind"], utc(transition["at"])) for transition in document["transitions"]
    ]
    return Alarm(
        id=_text(document["id"]),
        definition=intern(_text(document["definition"])),  # thousands share one
        asset=intern(_text(document["asset"])),
        severity=SEVERITIES[SEVERITIES.index(document["severity"])],
        raised_at=utc(document["raised_at"]),
        closed_at=None if closed is None else utc(closed),
        backfilled=bool(document.get("backfilled", False)),
        withdrawn=is_withdrawn and not is_late,
        silent=was_silent(transitions, utc(document["detected_at"])),
        suppressed=was_suppressed(transitions),
        outcome=_outcome(document.get("outcome_record")),
        in_maintenance=was_in_maintenance(transitions),
        title=intern(_text(document["title"])),
        is_refuted=is_withdrawn and is_late,
    )


def _outcome(record: Any) -> Outcome | None:
    return OUTCOMES[OUTCOMES.index(record["outcome"])] if record else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{shown(value)} is no text")
    return value


def _episode_document(episode: Episode) -> Document:
    document = to_identified(episode)
    if (key := _open_key(episode)) is not None:
        document["open_key"] = key
    return document


def _open_key(episode: Episode) -> str | None:
    is_open = episode.condition == "open" and not episode.backfilled
    return f"{episode.definition}|{episode.asset}" if is_open else None


def _episodes(documents: Iterable[dict[str, Any]]) -> list[Episode]:
    return good(EPISODES, with_ids(documents), _parse)


@lru_cache(500)  # some 10 MB; the front page takes 41 to 61 % less CPU
def _read_document(document: bytes) -> Read[Episode]:
    return _read_bytes(document, _parse)


@lru_cache(5_000)  # some 6 MB; the page of definitions takes 64 % less CPU
def _read_alarm(document: bytes) -> Read[Alarm]:
    return _read_bytes(document, read_extract)


def _read_bytes(document: bytes, parse: Callable[[Document], T]) -> Read[T]:
    decoded = bson.decode(document, CODEC)
    return next(read_each([{**decoded, "id": decoded["_id"]}], parse))


def _parse(document: Document) -> Episode:
    """Return the episode in a document. Raises ValueError if it has the key of another episode."""
    episode = from_document(Episode, document)
    if document.get("open_key") != _open_key(episode):
        raise ValueError("its open_key is not that of its definition, asset and condition")
    return episode


_MOST_UNDELIVERED = 1_000
_OLDEST_MESSAGE_FIRST = [("created_at", 1), ("_id", 1)]


class MongoNotifications:
    """Port `Notifications`. Only waiting notifications have an instant in `next_attempt_at`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._notifications = database[NOTIFICATIONS]

    def add(self, notifications: Sequence[Notification], unit: Unit | None = None) -> int:
        if not notifications:
            return 0
        writes = [
            UpdateOne({"_id": n.key}, {"$setOnInsert": _notification_document(n)}, upsert=True)
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
            UpdateOne(_is_stored(before, after), {"$set": _notification_document(after)})
            for before, after in changes
        ]
        with conflicts():
            changed = self._notifications.bulk_write(writes, session=session_of(unit)).matched_count
        if unit is not None and changed < len(writes):
            raise Conflict("another process has changed some of these notifications")
        return int(changed)

    @repeated
    def due(self, now: datetime, limit: int) -> list[Notification]:
        # of one episode the raise comes before its end, because `raised` sorts after `closed`
        return _read_notifications(
            self._notifications.find({"next_attempt_at": {"$lte": now}})
            .sort([("next_attempt_at", 1), ("transition", -1), ("_id", 1)])
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
            stored = {
                n.key: n for n in _read_notifications(self._notifications.find({"claim": claim}))
            }
            return [stored[n.key] for n in notifications if n.key in stored]
        return [
            replace(n, status="claimed", next_attempt_at=until, attempts=n.attempts + 1)
            for n in notifications
        ]

    @repeated
    def get(self, keys: Collection[str]) -> list[Notification]:
        return _read_notifications(self._notifications.find({"_id": {"$in": list(keys)}}))

    @repeated
    def of_episodes(self, episodes: Collection[str]) -> dict[str, tuple[Notification, ...]]:
        by_episode: dict[str, list[Notification]] = {id: [] for id in episodes}
        query: Document = {"episode": {"$in": list(by_episode)}}
        if len(by_episode) == 1:  # whose keys begin alike: a sharded cluster then asks one server
            query["_id"] = {
                "$gte": f"{next(iter(by_episode))}:",
                "$lt": f"{next(iter(by_episode))};",
            }
        for n in _read_notifications(self._notifications.find(query).sort(_OLDEST_MESSAGE_FIRST)):
            by_episode[n.episode or ""].append(n)
        return {id: tuple(of_episode) for id, of_episode in by_episode.items()}

    @repeated
    def waiting(self, limit: int | None = None) -> list[Notification]:
        return _read_notifications(
            self._notifications.find({"next_attempt_at": {"$gt": datetime.fromtimestamp(0, UTC)}})
            .sort(_OLDEST_MESSAGE_FIRST)
            .limit(limit or 0)
        )

    def dead(self) -> list[Notification]:
        return _read_notifications(
            self._notifications.find({"status": "dead"}).sort(_OLDEST_MESSAGE_FIRST)
        )

    def raised_since(self, asset: str, since: datetime) -> list[Notification]:
        return _read_notifications(
            self._notifications.find(
                {"asset": asset, "transition": "raised", "created_at": {"$gt": since}}
            )
        )

    def sent_since(self, since: datetime) -> list[Notification]:
        return _read_notifications(
            self._notifications.find({"status": "sent", "delivered_at": {"$gte": since}})
        )

    @repeated
    def undelivered_episodes(self, severity: str, since: datetime) -> set[str]:
        """Return the episodes with a notification of this severity whose last attempt failed after
        an instant, and none whose raise a channel of people has delivered; at most
        `_MOST_UNDELIVERED`, the newest."""
        query: Document = {"failed_at": {"$gt": since}, "severity": severity}
        if self._notifications.find_one(query, {"_id": True}) is None:
            return set()
        of_people = {"status": "sent", "channel": {"$ne": LOG}, "delivered_at": {"$gt": since}}
        raises = of_people | {"transition": "raised", "severity": severity}
        query["episode"] = {"$nin": [*self._notifications.distinct("episode", raises), None]}
        newest = self._notifications.find(query, {"episode": True}).sort("failed_at", -1)
        return {document["episode"] for document in newest.limit(_MOST_UNDELIVERED)}

    @repeated
    def channel_facts(self, recent: datetime) -> list[ChannelFacts]:
        """Return the facts of each channel with undelivered messages; of those that are given up,
        the ones since its last delivery or since `recent`."""
        undelivered = {"status": {"$in": ["dead", *WAITING]}, "failed_at": {"$gt": FIRST_INSTANT}}
        names = sorted(self._notifications.distinct("channel", undelivered))
        return [self._channel_facts(name, recent) for name in names]

    def _channel_facts(self, name: str, recent: datetime) -> ChannelFacts:
        delivered_at = self._last_delivery(name)
        first = min(recent, delivered_at) if delivered_at else FIRST_INSTANT
        refused = self._undelivered(name, first, "dead")
        return ChannelFacts(
            name,
            refused,
            self._undelivered(name, FIRST_INSTANT, *WAITING),
            delivered_at,
            self._last_delivery(name, refused.last) if refused else None,
        )

    def _last_delivery(self, channel: str, until: datetime = LAST_INSTANT) -> datetime | None:
        query = {"status": "sent", "channel": channel, "delivered_at": {"$lte": until}}
        newest = self._notifications.find_one(query, sort=[("delivered_at", -1)])
        return newest["delivered_at"] if newest else None

    def _undelivered(self, channel: str, after: datetime, *states: str) -> Undelivered | None:
        query = {"channel": channel, "failed_at": {"$gt": after}, "status": {"$in": states}}
        newest_first = [("failed_at", -1)]
        answered = self._notifications.find_one(query | {"error": {"$ne": None}}, sort=newest_first)
        steps: list[Document] = [
            {"$match": query},
            {"$sort": dict(newest_first)},
            {"$limit": 10_000},
            {
                "$group": {
                    "_id": None,
                    "number": {"$sum": 1},
                    "since": {"$min": "$failing_since"},
                    "last": {"$max": "$failed_at"},
                }
            },
        ]
        for group in self._notifications.aggregate(steps):
            answers = [n.error or "" for n in _read_notifications([answered] if answered else [])]
            return Undelivered(group["number"], group["since"], group["last"], "".join(answers))
        return None

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
    """Return the query for a notification in the version that was read; each claim counts an
    attempt."""
    expected: dict[str, Any] = (
        {} if before is None else {"status": before.status, "attempts": before.attempts}
    )
    return {"_id": after.key} | expected


def _notification_document(notification: Notification) -> Document:
    document = to_document(notification)
    del document["key"]
    return document


def _read_notifications(documents: Iterable[Document]) -> list[Notification]:
    return read_stored(NOTIFICATIONS, Notification, documents, id="key")
