"""Feedback, audit log, and alerts about the platform, in MongoDB."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from bson import ObjectId
from bson.errors import InvalidId

from alerting.definitions.faults import UserError
from alerting.episodes.episode import Feedback
from alerting.episodes.misses import ReportedMiss
from alerting.ports import AUDIT_ORIGIN, AuditEntry, AuditFilter, PlatformAlert
from alerting.stores.documents import (
    AUDIT,
    FEEDBACK,
    PLATFORM_ALERTS,
    Document,
    MongoDatabase,
    fingerprint,
    insert_new,
    read_one,
    read_stored,
    stored_text,
    to_bson,
    to_document,
    upsert,
    without_large,
)


class FeedbackLog:
    """Append-only log of feedback."""

    def __init__(self, database: MongoDatabase) -> None:
        self._feedback = database[FEEDBACK]

    def append(self, feedback: Feedback, once: str | None = None) -> Feedback:
        """Store feedback and return the stored one.

        Of equal feedback, or of feedback with the same text `once`, the first is stored.
        """
        key = fingerprint(feedback) if once is None else fingerprint("once", once)
        if insert_new(self._feedback, {**to_document(feedback), "key": key}):
            return feedback
        return read_one(FEEDBACK, Feedback, self._feedback.find_one({"key": key})) or feedback

    def for_episode(self, episode: str) -> list[Feedback]:
        found = self._feedback.find({"episode": episode}).sort([("at", 1), ("_id", 1)])
        return read_stored(FEEDBACK, Feedback, found)


class MongoMisses:
    """Port `Misses`: documents of the feedback log with `missed_at` and without an episode."""

    def __init__(self, database: MongoDatabase) -> None:
        self._feedback = database[FEEDBACK]

    def append(self, miss: ReportedMiss) -> ReportedMiss:
        key = f"miss:{miss.id}"
        if insert_new(self._feedback, {**to_document(miss), "key": key}):
            return miss
        return read_one(FEEDBACK, ReportedMiss, self._feedback.find_one({"key": key})) or miss

    def for_interval(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        definition: str | None = None,
        limit: int = 0,
        assets: Collection[str] | None = None,
    ) -> list[ReportedMiss]:
        within = {"$gte": to_bson(start), "$lt": to_bson(end)}
        query: dict[str, Any] = {
            "missed_at": {op: at for op, at in within.items() if at is not None}
            or {"$exists": True}
        }
        if definition is not None:
            query["definition"] = definition
        if assets is not None:
            query["asset"] = {"$in": sorted(assets)}
        found = self._feedback.find(query).sort([("missed_at", -1), ("_id", -1)]).limit(limit)
        return read_stored(FEEDBACK, ReportedMiss, found)


class MongoAudit:
    """Port `Audit`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._audit = database[AUDIT]

    def add(
        self,
        actor: str,
        what: str,
        subject: str,
        at: datetime,
        before: Any = None,
        after: Any = None,
        why: str = "",
    ) -> None:
        """Store an entry. Idempotent."""
        values = {"actor": actor, "what": what, "subject": subject, "at": at}
        entry = without_large(to_bson({**values, "before": before, "after": after, "why": why}))
        origin = AUDIT_ORIGIN.get()
        insert_new(self._audit, {**entry, "origin": origin, "key": fingerprint(entry)})

    def find(
        self, wanted: AuditFilter, limit: int, older_than: tuple[datetime, str] | None = None
    ) -> list[AuditEntry]:
        exact = {"actor": wanted.actor, "subject": wanted.subject, "what": wanted.what}
        query: Document = {name: value for name, value in exact.items() if value is not None}
        times = {"$gte": to_bson(wanted.start), "$lt": to_bson(wanted.end)}
        query |= {"at": span} if (span := {op: t for op, t in times.items() if t}) else {}
        if older_than is not None:
            at = to_bson(older_than[0])
            id = _object_id(older_than[1])
            # the first condition bounds the index: the second alone reads all that is newer
            query["at"] = {**query.get("at", {}), "$lte": at}
            query["$or"] = [{"at": {"$lt": at}}, {"_id": {"$lt": id}}]
        found = self._audit.find(query).sort([("at", -1), ("_id", -1)]).limit(limit)
        return read_stored(AUDIT, AuditEntry, ({**d, "id": str(d["_id"])} for d in found))


def _object_id(text: str) -> ObjectId:
    """Return an id of MongoDB. Raises UserError for a text that is none."""
    try:
        return ObjectId(text)
    except InvalidId:
        raise UserError(
            "this place in the audit does not exist: begin at the newest entry"
        ) from None


class MongoPlatformAlerts:
    """Port `PlatformAlerts`. An open alert has `open_key`: one per kind and subject."""

    def __init__(self, database: MongoDatabase) -> None:
        self._alerts = database[PLATFORM_ALERTS]

    def open(self) -> list[PlatformAlert]:
        found = self._alerts.find({"open_key": {"$exists": True}}).sort(
            [("opened_at", 1), ("open_key", 1)]
        )
        return read_stored(PLATFORM_ALERTS, PlatformAlert, found)

    def subjects(self, kind: str) -> set[str]:
        found = self._alerts.find(
            {"kind": kind, "subject": {"$type": "string"}}, {"_id": False, "subject": True}
        )
        return {document["subject"] for document in found}

    def resolved_since(self, since: datetime) -> list[PlatformAlert]:
        found = self._alerts.find({"resolved_at": {"$gt": to_bson(since)}}).sort(
            [("resolved_at", 1), ("_id", 1)]
        )
        return read_stored(PLATFORM_ALERTS, PlatformAlert, found)

    def report(self, kind: str, subject: str, reason: str, at: datetime) -> None:
        key = f"{kind}|{subject}"
        first = {"kind": kind, "subject": subject, "opened_at": to_bson(at), "resolved_at": None}
        change = {"$set": stored_text("reason", reason), "$setOnInsert": first}
        upsert(lambda: self._alerts.update_one({"open_key": key}, change, upsert=True))

    def resolve(self, kind: str, subject: str, at: datetime) -> None:
        change = {"$set": {"resolved_at": to_bson(at)}, "$unset": {"open_key": ""}}
        self._alerts.update_one({"open_key": f"{kind}|{subject}"}, change)
