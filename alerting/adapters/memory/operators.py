"""In-memory stores of mutes, feedback, audit, links and platform alerts."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from alerting.adapters.memory.tables import MemoryTable
from alerting.episodes.episode import Feedback
from alerting.episodes.misses import ReportedMiss
from alerting.operators.mutes import Mute
from alerting.ports import AUDIT_ORIGIN, AuditEntry, AuditFilter, PlatformAlert


class MemoryMutes(MemoryTable[Mute]):
    """Port `Mutes`."""

    def not_ended(self) -> list[Mute]:
        found = [one for one in self.rows.values() if one.ended_at is None]
        return sorted(found, key=lambda one: (one.since, one.id))

    def overlapping(self, start: datetime | None, end: datetime, limit: int = 0) -> list[Mute]:
        found = [
            one
            for one in self.rows.values()
            if one.since < end and (start is None or start < one.end)
        ]
        newest = sorted(found, key=lambda one: (one.since, one.id), reverse=True)
        return newest[: limit or None]


class MemoryFeedback:
    """Port `FeedbackLog`."""

    def __init__(self) -> None:
        self._feedback: dict[object, Feedback] = {}

    def append(self, feedback: Feedback, once: str | None = None) -> Feedback:
        return self._feedback.setdefault(feedback if once is None else once, feedback)

    def for_episode(self, episode: str) -> list[Feedback]:
        return sorted(
            (f for f in self._feedback.values() if f.episode == episode), key=lambda f: f.at
        )


class MemoryMisses:
    """Port `Misses`."""

    def __init__(self) -> None:
        self._misses: dict[str, ReportedMiss] = {}

    def append(self, miss: ReportedMiss) -> ReportedMiss:
        return self._misses.setdefault(miss.id, miss)

    def for_interval(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        definition: str | None = None,
        limit: int = 0,
        assets: Collection[str] | None = None,
    ) -> list[ReportedMiss]:
        found = [
            miss
            for miss in self._misses.values()
            if (start is None or miss.missed_at >= start)
            and (end is None or miss.missed_at < end)
            and definition in (None, miss.definition)
            and (assets is None or miss.asset in assets)
        ]
        return sorted(found, key=lambda miss: (miss.missed_at, miss.id), reverse=True)[
            : limit or None
        ]


class MemoryAudit:
    """Port `Audit`. `entries`: all entries, in the order in which they were added."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._origins: list[str] = []

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
        entry = {
            "actor": actor,
            "what": what,
            "subject": subject,
            "at": at,
            "before": before,
            "after": after,
            "why": why,
        }
        if entry not in self.entries:
            self.entries.append(entry)
            self._origins.append(AUDIT_ORIGIN.get())

    def find(
        self, wanted: AuditFilter, limit: int, older_than: tuple[datetime, str] | None = None
    ) -> list[AuditEntry]:
        numbered = enumerate(zip(self.entries, self._origins, strict=True))
        found = [AuditEntry(**e, origin=origin, id=f"{n:024x}") for n, (e, origin) in numbered]
        exact = {"actor": wanted.actor, "subject": wanted.subject, "what": wanted.what}
        fits = [
            e
            for e in found
            if all(value in (None, getattr(e, name)) for name, value in exact.items())
            and (wanted.start is None or e.at >= wanted.start)
            and (wanted.end is None or e.at < wanted.end)
            and (older_than is None or (e.at, e.id) < older_than)
        ]
        return sorted(fits, key=lambda e: (e.at, e.id), reverse=True)[:limit]


class MemoryPlatformAlerts:
    """Port `PlatformAlerts`."""

    def __init__(self) -> None:
        self._alerts: list[PlatformAlert] = []

    def open(self) -> list[PlatformAlert]:
        return sorted(
            (a for a in self._alerts if a.resolved_at is None),
            key=lambda a: (a.opened_at, a.kind, a.subject),
        )

    def subjects(self, kind: str) -> set[str]:
        return {alert.subject for alert in self._alerts if alert.kind == kind}

    def resolved_since(self, since: datetime) -> list[PlatformAlert]:
        resolved = [
            (a.resolved_at, n) for n, a in enumerate(self._alerts) if a.resolved_at is not None
        ]
        return [self._alerts[n] for at, n in sorted(resolved) if at > since]

    def report(self, kind: str, subject: str, reason: str, at: datetime) -> None:
        if not self._change(kind, subject, reason=reason):
            self._alerts.append(PlatformAlert(kind, subject, reason, at))

    def resolve(self, kind: str, subject: str, at: datetime) -> None:
        self._change(kind, subject, resolved_at=at)

    def _change(self, kind: str, subject: str, **fields: Any) -> bool:
        for n, alert in enumerate(self._alerts):
            if (alert.kind, alert.subject, alert.resolved_at) == (kind, subject, None):
                self._alerts[n] = replace(alert, **fields)
                return True
        return False
