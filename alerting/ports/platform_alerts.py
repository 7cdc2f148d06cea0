"""Ports for alerts about the platform itself, which are for engineers, for the audit log, and for
accounts, tokens of programs and sessions of browsers."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from alerting.operators.people import AccessToken, Account, Session

AUDIT_ORIGIN: ContextVar[str] = ContextVar("audit_origin", default="platform")
"""From where the work of now was asked for, set at the edges: `console 10.0.0.7`, `command`,
`platform` for its own DAGs and processes."""


@dataclass(frozen=True)
class PlatformAlert:
    """A fault of the platform itself that an engineer must correct. Open while `resolved_at` is
    None."""

    kind: str
    subject: str
    reason: str
    opened_at: datetime
    resolved_at: datetime | None = None


@dataclass(frozen=True)
class Disk:
    """A disk on which the platform stores data, with its free bytes."""

    name: str
    free: int


@dataclass(frozen=True)
class DatabaseState:
    """The database server: its name with version, bytes of documents and indexes on its disk, and
    the state of each member of its replica set, empty if the account may not read it."""

    server: str
    bytes: int
    members: Mapping[str, str]


def no_disks() -> Sequence[Disk]:
    """Return no disk: of a platform that stores nothing on this machine."""
    return ()


def no_database() -> DatabaseState | None:
    """Return no state: of a platform that is stored in memory."""
    return None


class PlatformAlerts(Protocol):
    """Alerts about the platform itself; at most one open per kind and subject."""

    def open(self) -> list[PlatformAlert]:
        """Return open alerts, oldest first."""

    def subjects(self, kind: str) -> set[str]:
        """Return the subjects of all alerts of a kind, open or resolved."""

    def resolved_since(self, since: datetime) -> list[PlatformAlert]:
        """Return alerts that were resolved after this instant, oldest first."""

    def report(self, kind: str, subject: str, reason: str, at: datetime) -> None:
        """Open an alert, or update the reason of the open one."""

    def resolve(self, kind: str, subject: str, at: datetime) -> None:
        """Close the open alert of this kind, if there is one."""


@dataclass(frozen=True)
class AuditEntry:
    """An entry of the audit. `before` and `after`: what changed, None where it is not recorded.

    `origin`: from where it was asked for, empty in entries of earlier versions.
    """

    actor: str
    what: str
    subject: str
    at: datetime
    why: str
    origin: str = ""
    before: Any = None
    after: Any = None
    id: str = ""


@dataclass(frozen=True)
class AuditFilter:
    """Entries that people ask for; None stands for any. Times: start <= at < end."""

    actor: str | None = None
    subject: str | None = None
    what: str | None = None
    start: datetime | None = None
    end: datetime | None = None


class Audit(Protocol):
    """Append-only log of actors and their actions; only retention deletes entries."""

    def find(
        self, wanted: AuditFilter, limit: int, older_than: tuple[datetime, str] | None = None
    ) -> list[AuditEntry]:
        """Return entries, newest first. `older_than`: time and id of the last one of a page."""

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
        """Store an entry with the origin of now. Idempotent, also from another origin."""


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

    def take_back_wrong(self, key: str, at: datetime, last: datetime | None) -> None:
        """Count one attempt less: that of `at` was right. The last wrong one is of `last` again,
        unless another has come since."""

    def count_wrong(self, key: str) -> WrongCount | None:
        """Return the wrong attempts of a key; None without any."""
