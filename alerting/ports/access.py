"""Ports for accounts, tokens of programs and sessions of browsers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alerting.operators.people import AccessToken, Account, Session


class Accounts(Protocol):
    """Accounts by their name (`id`), each replaced only by its next version."""

    def insert(self, account: Account) -> bool:
        """Store a new account; return False if there is one of this name."""

    def replace(self, account: Account) -> bool:
        """Store the next version; return False unless `version - 1` is stored."""

    def get(self, id: str) -> Account | None: ...

    def all(self) -> list[Account]:
        """Return all accounts by name."""

    def find_by_link(self, link: str) -> Account | None:
        """Return the account whose one-time link has this hash."""

    def remove(self, id: str) -> bool:
        """Delete an account; return False if there is none."""


class AccessTokens(Protocol):
    """Tokens of programs by their hash."""

    def insert(self, token: AccessToken) -> bool:
        """Store a token; return False if its hash is stored already."""

    def get(self, id: str) -> AccessToken | None: ...

    def all(self, owner: str | None = None) -> list[AccessToken]:
        """Return the tokens of an owner, or all, oldest first."""

    def record_use(self, id: str, at: datetime) -> None:
        """Store the time of the last use."""

    def set_scope(self, id: str, scope: tuple[str, ...] | None) -> None:
        """Store another scope of a token."""

    def remove(self, id: str) -> bool:
        """Delete a token, so that it is refused from now on; return False if there is none."""


@dataclass(frozen=True)
class WrongCount:
    """Wrong attempts to sign in, one after another, and the instant of the last one."""

    wrong: int
    last: datetime


class Sessions(Protocol):
    """Sessions by the hash of their cookie, and wrong attempts to begin one; a session that is
    over, and a count of an hour ago, may be deleted at any time."""

    def add(self, session: Session) -> None: ...

    def get(self, id: str) -> Session | None: ...

    def all(self, now: datetime, account: str | None = None) -> list[Session]:
        """Return sessions that are not over, newest first."""

    def end(self, id: str) -> bool:
        """Delete a session; return False if there is none. Idempotent."""

    def add_wrong(self, key: str, at: datetime, since: datetime) -> int:
        """Count a wrong attempt of a key, from 1 again if the last one was not after `since`;
        return the count."""

    def count_wrong(self, key: str) -> WrongCount | None:
        """Return the wrong attempts of a key; None without any."""
