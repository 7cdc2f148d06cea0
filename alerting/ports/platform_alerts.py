"""Ports for alerts about the platform itself, which are for engineers, for the audit log, and for
accounts, tokens of programs and sessions of browsers."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

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


@dataclass(frozen=True)
class WrongCount:
    """Wrong attempts to sign in, one after another, and the instant of the last one."""

    wrong: int
    last: datetime
