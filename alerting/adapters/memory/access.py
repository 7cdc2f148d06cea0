"""Accounts, tokens and sessions in memory."""

from dataclasses import replace
from datetime import datetime
from threading import Lock

from alerting.adapters.memory.tables import MemoryTable
from alerting.operators.people import AccessToken, Account, Session
from alerting.ports import WrongCount


class MemoryAccounts(MemoryTable[Account]):
    """Port `Accounts`."""

    def all(self) -> list[Account]:
        return sorted(self.rows.values(), key=lambda account: account.id)

    def find_by_link(self, link: str) -> Account | None:
        return next((account for account in self.rows.values() if account.link == link), None)

    def remove(self, id: str) -> bool:
        return self.rows.pop(id, None) is not None


class MemoryAccessTokens:
    """Port `AccessTokens`."""

    def __init__(self) -> None:
        self._tokens: dict[str, AccessToken] = {}

    def insert(self, token: AccessToken) -> bool:
        return self._tokens.setdefault(token.id, token) is token

    def get(self, id: str) -> AccessToken | None:
        return self._tokens.get(id)

    def all(self, owner: str | None = None) -> list[AccessToken]:
        found = [token for token in self._tokens.values() if owner in (None, token.owner)]
        return sorted(found, key=lambda token: (token.made_at, token.id))

    def record_use(self, id: str, at: datetime) -> None:
        if id in self._tokens:
            self._tokens[id] = replace(self._tokens[id], used_at=at)

    def remove(self, id: str) -> bool:
        return self._tokens.pop(id, None) is not None


_COUNTING = Lock()  # of all stores: one that is copied or stored holds none


class MemorySessions:
    """Port `Sessions`."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._wrong: dict[str, WrongCount] = {}

    def add(self, session: Session) -> None:
        self._sessions[session.id] = session

    def get(self, id: str) -> Session | None:
        return self._sessions.get(id)

    def all(self, now: datetime, account: str | None = None) -> list[Session]:
        found = [
            session
            for session in self._sessions.values()
            if session.ends_at > now and account in (None, session.account)
        ]
        return sorted(found, key=lambda session: (session.began_at, session.id), reverse=True)

    def end(self, id: str) -> bool:
        return self._sessions.pop(id, None) is not None

    def add_wrong(self, key: str, at: datetime, since: datetime) -> int:
        with _COUNTING:
            before = self._wrong.get(key)
            count = 1 if before is None or before.last <= since else before.wrong + 1
            self._wrong[key] = WrongCount(count, at)
            return count

    def take_back_wrong(self, key: str, at: datetime, last: datetime | None) -> None:
        with _COUNTING:
            if (found := self._wrong.get(key)) is not None:
                before = last if last is not None and found.last == at else found.last
                self._wrong[key] = WrongCount(max(found.wrong - 1, 0), before)

    def count_wrong(self, key: str) -> WrongCount | None:
        return self._wrong.get(key)
