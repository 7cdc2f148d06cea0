"""Ports for alerts about the platform itself, which are for engineers, and for the audit log."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


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
    """An entry of the audit: the actor, what was done, on which document, when, and why."""

    actor: str
    what: str
    subject: str
    at: datetime
    why: str


class Audit(Protocol):
    """Append-only log of actors and their actions."""

    def for_interval(self, start: datetime, end: datetime) -> list[AuditEntry]:
        """Return the entries with start <= at < end, oldest first."""

    def add(
        self,
        actor: str,
        what: str,
        subject: str,
        at: datetime,
        before: Any = None,
        after: Any = None,
        why: str = "",
    ) -> None: ...
