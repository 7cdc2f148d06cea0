"""People and their actions, in MongoDB: accounts, tokens of programs and sessions of browsers;
feedback, reported misses, mutes and the audit log; and alerts about the platform. Ended mutes stay,
with actor and reason."""

from collections.abc import Collection, Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from bson import ObjectId
from bson.errors import InvalidId
from pydantic import TypeAdapter, ValidationError
from pymongo import ReturnDocument

from alerting.definitions.faults import DocumentRefused, Fault, UserError
from alerting.definitions.wording.fault_messages import model_faults
from alerting.episodes.episode import Feedback
from alerting.episodes.lifecycle import ReportedMiss
from alerting.operators.account_rules import AccessToken, Account, Session
from alerting.operators.actions_and_mutes import Mute
from alerting.ports import AUDIT_ORIGIN, AuditEntry, AuditFilter, PlatformAlert, WrongCount
from alerting.stores.database.documents import (
    ACCESS_TOKENS,
    ACCOUNTS,
    AUDIT,
    FEEDBACK,
    MUTES,
    PLATFORM_ALERTS,
    SESSIONS,
    WRONG_ATTEMPTS,
    Document,
    MongoCollection,
    MongoDatabase,
    fingerprint,
    good,
    insert_new,
    read_one,
    read_stored,
    stored_text,
    to_bson,
    to_document,
    to_identified,
    upsert,
    with_ids,
    without_large,
    without_none,
)

E = TypeVar("E", Feedback, ReportedMiss)


class Accounts:
    """Accounts by their name (`id`). Each account is replaced only by its next version.

    A faulty document is no account: nobody can sign in by it.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._accounts = database[ACCOUNTS]

    def insert(self, account: Account) -> bool:
        """Store a new account; return False if its name is taken."""
        return insert_new(self._accounts, to_identified(account))

    def replace(self, account: Account) -> bool:
        """Store the next version; return False unless `version - 1` is stored."""
        before = {"_id": account.id, "version": account.version - 1}
        return self._accounts.replace_one(before, to_identified(account)).matched_count == 1

    def get(self, id: str) -> Account | None:
        return read_one(ACCOUNTS, Account, self._accounts.find_one({"_id": id}), "id")

    def all(self) -> list[Account]:
        return read_stored(ACCOUNTS, Account, self._accounts.find().sort("_id", 1), "id")

    def shown_names(self) -> dict[str, str]:
        """Return the display names, by the names of the accounts that have one."""
        named = self._accounts.find({"display_name": {"$nin": [None, ""]}}, {"display_name": 1})
        return {document["_id"]: document["display_name"] for document in named}

    def find_by_link(self, link: str) -> Account | None:
        return read_one(ACCOUNTS, Account, self._accounts.find_one({"link": link}), "id")

    def remove(self, id: str) -> bool:
        """Delete an account; return False if it does not exist."""
        return _remove(self._accounts, id)


class AccessTokens:
    """Tokens of programs by their hash."""

    def __init__(self, database: MongoDatabase) -> None:
        self._tokens = database[ACCESS_TOKENS]

    def insert(self, token: AccessToken) -> bool:
        """Store a token; return False if its hash is stored already."""
        return insert_new(self._tokens, to_identified(token))

    def get(self, id: str) -> AccessToken | None:
        return read_one(ACCESS_TOKENS, AccessToken, self._tokens.find_one({"_id": id}), "id")

    def all(self, owner: str | None = None) -> list[AccessToken]:
        documents = self._tokens.find({} if owner is None else {"owner": owner})
        documents = documents.sort([("made_at", 1), ("_id", 1)])
        return read_stored(ACCESS_TOKENS, AccessToken, documents, "id")

    def record_use(self, id: str, at: datetime) -> None:
        self._tokens.update_one({"_id": id}, {"$set": {"used_at": to_bson(at)}})

    def remove(self, id: str) -> bool:
        """Delete a token, so that it is refused from now on; return False if it does not exist."""
        return _remove(self._tokens, id)


class Sessions:
    """Sessions by the hash of their cookie, and wrong attempts to begin a session. MongoDB deletes
    sessions that are over, and counts that are older than an hour."""

    def __init__(self, database: MongoDatabase) -> None:
        self._sessions = database[SESSIONS]
        self._wrong = database[WRONG_ATTEMPTS]

    def add(self, session: Session) -> None:
        insert_new(self._sessions, to_identified(session))

    def get(self, id: str) -> Session | None:
        return read_one(SESSIONS, Session, self._sessions.find_one({"_id": id}), "id")

    def all(self, now: datetime, account: str | None = None) -> list[Session]:
        query: Document = {"ends_at": {"$gt": to_bson(now)}}
        if account is not None:
            query["account"] = account
        documents = self._sessions.find(query).sort([("began_at", -1), ("_id", -1)])
        return read_stored(SESSIONS, Session, documents, "id")

    def end(self, id: str) -> bool:
        """Delete a session; return False if it does not exist. Idempotent."""
        return _remove(self._sessions, id)

    def add_wrong(self, key: str, at: datetime, since: datetime) -> int:
        """Count a wrong attempt of a key, and return the count. It begins again at 1 if the last
        wrong attempt was not after `since`."""
        more = {"$cond": [{"$gt": ["$last", to_bson(since)]}, {"$add": ["$wrong", 1]}, 1]}
        counted = upsert(
            lambda: self._wrong.find_one_and_update(
                {"_id": key},
                [{"$set": {"wrong": more, "last": to_bson(at)}}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        )
        return 1 if counted is None else int(counted["wrong"])

    def take_back_wrong(self, key: str, at: datetime, last: datetime | None) -> None:
        """Count one attempt less, because the attempt at `at` was right. `last` becomes the instant
        of the last wrong attempt again, unless another attempt has come since."""
        less: Document = {"$inc": {"wrong": -1}}
        counted: Document = {"_id": key, "wrong": {"$gt": 0}}
        if last is not None:
            back = less | {"$set": {"last": to_bson(last)}}
            if self._wrong.update_one(counted | {"last": to_bson(at)}, back).matched_count:
                return
        self._wrong.update_one(counted, less)

    def count_wrong(self, key: str) -> WrongCount | None:
        """Return the wrong attempts of a key; None without any."""
        return read_one(WRONG_ATTEMPTS, WrongCount, self._wrong.find_one({"_id": key}))


def _remove(collection: MongoCollection, id: str) -> bool:
    return collection.delete_one({"_id": id}).deleted_count == 1


class FeedbackLog:
    """Append-only log of feedback."""

    def __init__(self, database: MongoDatabase) -> None:
        self._feedback = database[FEEDBACK]

    def append(self, feedback: Feedback, once: str | None = None) -> Feedback:
        """Store feedback and return the stored one.

        If equal feedback, or feedback with the same text `once`, is stored already, that one is
        returned.
        """
        key = fingerprint(feedback) if once is None else fingerprint("once", once)
        return _append_once(self._feedback, feedback, key)

    def for_episode(self, episode: str) -> list[Feedback]:
        documents = self._feedback.find({"episode": episode}).sort([("at", 1), ("_id", 1)])
        return read_stored(FEEDBACK, Feedback, documents)


class MongoMisses:
    """Port `Misses`: documents of the feedback log with `missed_at` and without an episode."""

    def __init__(self, database: MongoDatabase) -> None:
        self._feedback = database[FEEDBACK]

    def append(self, miss: ReportedMiss) -> ReportedMiss:
        return _append_once(self._feedback, miss, f"miss:{miss.id}")

    def for_interval(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        definition: str | None = None,
        limit: int = 0,
        assets: Collection[str] | None = None,
    ) -> list[ReportedMiss]:
        within = without_none({"$gte": to_bson(start), "$lt": to_bson(end)})
        query: Document = {"missed_at": within or {"$exists": True}}
        if definition is not None:
            query["definition"] = definition
        if assets is not None:
            query["asset"] = {"$in": sorted(assets)}
        documents = self._feedback.find(query).sort([("missed_at", -1), ("_id", -1)]).limit(limit)
        return read_stored(FEEDBACK, ReportedMiss, documents)


def _append_once(log: MongoCollection, entry: E, key: str) -> E:
    """Store an entry unless an entry with this key exists; return the stored entry."""
    if insert_new(log, {**to_document(entry), "key": key}):
        return entry
    return read_one(FEEDBACK, type(entry), log.find_one({"key": key})) or entry


class MongoAudit:
    """Port `Audit`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._audit = database[AUDIT]

    def add(
        self,
        actor: str,
        action: str,
        subject: str,
        at: datetime,
        before: Any = None,
        after: Any = None,
        why: str = "",
    ) -> None:
        """Store an entry. Idempotent."""
        values = {"actor": actor, "what": action, "subject": subject, "at": at}
        entry = without_large(to_bson({**values, "before": before, "after": after, "why": why}))
        insert_new(self._audit, {**entry, "origin": AUDIT_ORIGIN.get(), "key": fingerprint(entry)})

    def find(
        self, selected: AuditFilter, limit: int, older_than: tuple[datetime, str] | None = None
    ) -> list[AuditEntry]:
        exact = {"actor": selected.actor, "subject": selected.subject, "what": selected.what}
        query = without_none(exact)
        if selected.subject is not None and not isinstance(selected.subject, str):
            query["subject"] = {"$in": list(selected.subject)}
        within = without_none({"$gte": to_bson(selected.start), "$lt": to_bson(selected.end)})
        if within:
            query["at"] = within
        if older_than is not None:
            at = to_bson(older_than[0])
            id = _object_id(older_than[1])
            # the first condition bounds the index: the second alone reads all that is newer
            query["at"] = {**query.get("at", {}), "$lte": at}
            query["$or"] = [{"at": {"$lt": at}}, {"_id": {"$lt": id}}]
        documents = self._audit.find(query).sort([("at", -1), ("_id", -1)]).limit(limit)
        return read_stored(AUDIT, AuditEntry, ({**d, "id": str(d["_id"])} for d in documents))


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
        documents = self._alerts.find({"open_key": {"$exists": True}}).sort(
            [("opened_at", 1), ("open_key", 1)]
        )
        return read_stored(PLATFORM_ALERTS, PlatformAlert, documents)

    def subjects(self, kind: str) -> set[str]:
        documents = self._alerts.find(
            {"kind": kind, "subject": {"$type": "string"}}, {"_id": False, "subject": True}
        )
        return {document["subject"] for document in documents}

    def resolved_since(self, since: datetime) -> list[PlatformAlert]:
        documents = self._alerts.find({"resolved_at": {"$gt": to_bson(since)}}).sort(
            [("resolved_at", 1), ("_id", 1)]
        )
        return read_stored(PLATFORM_ALERTS, PlatformAlert, documents)

    def report(self, kind: str, subject: str, reason: str, at: datetime) -> None:
        key = f"{kind}|{subject}"
        first = {"kind": kind, "subject": subject, "opened_at": to_bson(at), "resolved_at": None}
        change = {"$set": stored_text("reason", reason), "$setOnInsert": first}
        upsert(lambda: self._alerts.update_one({"open_key": key}, change, upsert=True))

    def resolve(self, kind: str, subject: str, at: datetime) -> None:
        change = {"$set": {"resolved_at": to_bson(at)}, "$unset": {"open_key": ""}}
        self._alerts.update_one({"open_key": f"{kind}|{subject}"}, change)


_MUTE = TypeAdapter(Mute)


class MongoMutes:
    """Port `Mutes`. A faulty document is left out: it mutes nothing. `end`: the instant at which a
    mute is over."""

    def __init__(self, database: MongoDatabase) -> None:
        self._mutes = database[MUTES]

    def insert(self, mute: Mute) -> bool:
        return insert_new(self._mutes, {**to_identified(mute), "end": mute.end})

    def replace(self, mute: Mute) -> bool:
        stored = {"_id": mute.id, "version": mute.version - 1}
        document = {**to_identified(mute), "end": mute.end}
        return self._mutes.replace_one(stored, document).matched_count == 1

    def get(self, id: str) -> Mute | None:
        return next(iter(_read_mutes(self._mutes.find({"_id": id}))), None)

    def not_ended(self) -> list[Mute]:
        return _read_mutes(self._mutes.find({"ended_at": None}).sort([("since", 1), ("_id", 1)]))

    def overlapping(self, start: datetime | None, end: datetime, limit: int = 0) -> list[Mute]:
        query: Document = {"since": {"$lt": end}}
        if start is not None:
            query["end"] = {"$gt": start}
        return _read_mutes(self._mutes.find(query).sort([("since", -1), ("_id", -1)]).limit(limit))


def parse_mute(document: Document) -> Mute:
    """Return the mute of a document. Raises DocumentRefused with every fault."""
    try:
        mute = _MUTE.validate_python(document)
    except ValidationError as error:
        raise DocumentRefused(document.get("id"), model_faults(error.errors()), "mute") from error
    instants = [(field.name, getattr(mute, field.name)) for field in fields(mute)]
    naive = [name for name, at in instants if isinstance(at, datetime) and at.tzinfo is None]
    if naive:
        faults = [Fault(name, "is an instant without a time zone") for name in naive]
        raise DocumentRefused(mute.id, faults, "mute")
    return mute


def _read_mutes(documents: Iterable[Document]) -> list[Mute]:
    return good(MUTES, with_ids(documents), parse_mute)
