"""Ports for what the platform says of itself: alerts for engineers, and who did what."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class PlatformAlert:
    """Something about the platform itself that an engineer must mend. Open while `resolved_at` is None."""

    kind: str
    subject: str
    reason: str
    opened_at: datetime
    resolved_at: datetime | None = None


class PlatformAlerts(Protocol):
    """Alerts about the platform itself; at most one open of a kind for a subject."""

    def open(self) -> list[PlatformAlert]:
        """Open alerts, oldest first."""
        ...

    def of(self, subject: str) -> list[PlatformAlert]:
        """All alerts about a subject, oldest first."""
        ...

    def resolved_since(self, since: datetime) -> list[PlatformAlert]:
        """Alerts that were resolved after this instant, oldest first."""
        ...

    def report(self, kind: str, subject: str, reason: str, at: datetime) -> None:
        """Open an alert, or give the open one its newest reason."""
        ...

    def resolve(self, kind: str, subject: str, at: datetime) -> None:
        """Close the open alert of this kind, if there is one."""
        ...


class Audit(Protocol):
    """Append-only: who did what."""

    def add(
        self, who: str, what: str, subject: str, at: datetime, before: Any = None, after: Any = None, why: str = ""
    ) -> None: ...
