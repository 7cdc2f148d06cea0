"""Accounts, tokens of programs and sessions of browsers in MongoDB."""

from datetime import datetime

from pymongo import ReturnDocument

from alerting.operators.people import AccessToken, Account, Session
from alerting.ports import WrongCount
from alerting.stores.documents import (
    ACCESS_TOKENS,
    ACCOUNTS,
    SESSIONS,
    WRONG_ATTEMPTS,
    Document,
    MongoCollection,
    MongoDatabase,
    insert_new,
    read_one,
    read_stored,
    to_bson,
    to_identified,
    upsert,
)


class Accounts:
    """Accounts by their name (`id`), each replaced only by its next version.

    A faulty document is no account: it may do nothing.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._accounts = database[ACCOUNTS]

    def insert(self, account: Account) -> bool:
        """Store a new account; return False if there is one of this name."""
        return insert_new(self._accounts, to_identified(account))

    def replace(self, account: Account) -> bool:
        """Store the next version; return False unless `version - 1` is stored."""
        before = {"_id": account.id, "version": account.version - 1}
        return self._accounts.replace_one(before, to_identified(account)).matched_count == 1

    def get(self, id: str) -> Account | None:
        return _read_account(self._accounts.find_one({"_id": id}))

    def all(self) -> list[Account]:
        found = map(_without_scope, self._accounts.find().sort("_id", 1))
        return read_stored(ACCOUNTS, Account, found, "id")

    def find_by_link(self, link: str) -> Account | None:
        return _read_account(self._accounts.find_one({"link": link}))

    def remove(self, id: str) -> bool:
        """Delete an account; return False if there is none."""
        return _remove(self._accounts, id)


class AccessTokens:
    """Tokens of programs by their hash."""

    def __init__(self, database: MongoDatabase) -> None:
        self._tokens = database[ACCESS_TOKENS]

    def insert(self, token: AccessToken) -> bool:
        """Store a token; return False if its hash is stored already."""
        return insert_new(self._tokens, to_identified(token))

    def get(self, id: str) -> AccessToken | None:
        found = self._tokens.find_one({"_id": id})
        return read_one(ACCESS_TOKENS, AccessToken, found and _over_with_scope(found), "id")

    def all(self, owner: str | None = None) -> list[AccessToken]:
        found = self._tokens.find({} if owner is None else {"owner": owner})
        tokens = map(_over_with_scope, found.sort([("made_at", 1), ("_id", 1)]))
        return read_stored(ACCESS_TOKENS, AccessToken, tokens, "id")

    def record_use(self, id: str, at: datetime) -> None:
        self._tokens.update_one({"_id": id}, {"$set": {"used_at": to_bson(at)}})

    def remove(self, id: str) -> bool:
        """Delete a token, so that it is refused from now on; return False if there is none."""
        return _remove(self._tokens, id)


class Sessions:
    """Sessions by the hash of their cookie, and wrong attempts to begin one; a session that is
    over, and a count of an hour ago, are deleted by MongoDB."""

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
        found = self._sessions.find(query).sort([("began_at", -1), ("_id", -1)])
        return read_stored(SESSIONS, Session, found, "id")

    def end(self, id: str) -> bool:
        """Delete a session; return False if there is none. Idempotent."""
        return _remove(self._sessions, id)

    def add_wrong(self, key: str, at: datetime, since: datetime) -> int:
        """Count a wrong attempt of a key, from 1 again if the last one was not after `since`;
        return the count."""
        more = {"$cond": [{"$gt": ["$last", to_bson(since)]}, {"$add": ["$wrong", 1]}, 1]}
        found = upsert(
            lambda: self._wrong.find_one_and_update(
                {"_id": key},
                [{"$set": {"wrong": more, "last": to_bson(at)}}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        )
        return 1 if found is None else int(found["wrong"])

    def take_back_wrong(self, key: str, at: datetime, last: datetime | None) -> None:
        """Count one attempt less: that of `at` was right. The last wrong one is of `last` again,
        unless another has come since."""
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


def _read_account(document: Document | None) -> Account | None:
    return read_one(ACCOUNTS, Account, document and _without_scope(document), "id")


def _without_scope(account: Document) -> Document:
    """Return an account that was limited to some assets before 0.2.0 as a disabled one: it must not
    gain the whole plant until an administrator enables it, which stores it without the limit."""
    if account.get("scope") is None or account.get("disabled_at") is not None:
        return account
    return {**account, "disabled_at": account["sessions_from"]}


def _over_with_scope(token: Document) -> Document:
    """Return a token that was limited to some assets before 0.2.0 as one that is over."""
    return token if token.get("scope") is None else {**token, "ends_at": token["made_at"]}


def _remove(collection: MongoCollection, id: str) -> bool:
    return collection.delete_one({"_id": id}).deleted_count == 1
