"""Episodes, notifications, mutes, misses, audit and platform alerts in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from alerting.adapters.memory.table import MemoryTable, is_among, is_within
from alerting.episodes.episode import Alarm, Episode, alarm_of
from alerting.episodes.lifecycle import ReportedMiss
from alerting.notifications.notification import Notification
from alerting.operators.actions_and_mutes import Mute
from alerting.ports import (
    AUDIT_ORIGIN,
    AuditEntry,
    AuditFilter,
    Change,
    Conflict,
    PlatformAlert,
    Unit,
)

_BYTES = 1_000  # of an episode, about


class MemoryEpisodes(MemoryTable[Episode]):
    """Port `Episodes`. `backfilled`: all episodes are stored as found in past times."""

    def __init__(self, backfilled: bool = False) -> None:
        super().__init__(attrgetter("id"), attrgetter("raised_at", "id"))
        self._backfilled = backfilled
        self._open = MemoryTable[Episode](self._key, self._order)

    def insert(self, episode: Episode) -> bool:
        if self._backfilled:
            episode = replace(episode, backfilled=True, detected_at=episode.raised_at)
        return self._is_free(episode) and super().insert(episode)

    def store_row(self, episode: Episode) -> bool:
        self._open.rows.pop(episode.id, None)
        if episode.condition == "open":
            self._open.store_row(episode)
        return super().store_row(episode)

    def _is_free(self, episode: Episode) -> bool:
        """Return whether no other live episode of the target is open, if this one is."""
        if episode.condition != "open" or episode.backfilled:
            return True
        target = episode.definition, episode.asset
        return not any(
            (e.definition, e.asset) == target and not e.backfilled and e.id != episode.id
            for e in self._open.rows.values()
        )

    def write(self, episodes: Sequence[Episode], unit: Unit) -> None:  # noqa: ARG002 - the port's signature
        before = dict(self.rows), dict(self._open.rows)
        for episode in sorted(episodes, key=lambda e: e.condition == "open"):
            if not (self.insert(episode) if episode.version == 1 else self._replace(episode)):
                self.rows, self._open.rows = before
                raise Conflict("another process has changed some of these episodes")

    def _replace(self, episode: Episode) -> bool:
        return self._is_free(episode) and self.exchange(
            episode, lambda stored: stored.version == episode.version - 1
        )

    def size(self, episode: Episode) -> int:
        return _BYTES + sum(len(str(t)) for t in episode.transitions)

    def starting_with(self, prefix: str, assets: Collection[str] | None = None) -> list[Episode]:
        episodes = (e for e in self.rows.values() if e.id.startswith(prefix))
        return [e for e in episodes if is_among(e.asset, assets)][:10]

    def find(
        self,
        definition: str | None = None,
        asset: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        open_only: bool = False,
        limit: int | None = None,
        before: tuple[datetime, str] | None = None,
        assets: Collection[str] | None = None,
        with_earlier: bool = False,
    ) -> list[Episode]:
        return (self._open if open_only else self).select_newest(
            limit,
            lambda e: (
                definition in (None, e.definition)
                and asset in (None, e.asset)
                and is_within(e.raised_at, None, end)
                and (
                    is_within(e.raised_at, start, None)
                    or (with_earlier and start is not None and _goes_on_after(e, start))
                )
                and (before is None or (e.raised_at, e.id) < before)
                and is_among(e.asset, assets)
            ),
        )

    def overlapping(
        self, definition: str, asset: str, start: datetime, end: datetime
    ) -> list[Episode]:
        return self.select_newest(
            None,
            lambda e: (
                (e.definition, e.asset) == (definition, asset)
                and e.raised_at <= end
                and _goes_on_after(e, start)
            ),
        )

    def over_unacknowledged(
        self, limit: int, assets: Collection[str] | None = None
    ) -> list[Episode]:
        return self.select_newest(
            limit,
            lambda e: (
                not (e.condition == "open" or e.acknowledged or e.backfilled or e.withdrawn)
                and is_among(e.asset, assets)
            ),
        )

    def alarms(
        self,
        start: datetime,
        end: datetime,
        active_from: datetime | None = None,
        assets: Collection[str] | None = None,
        definitions: Collection[str] | None = None,
    ) -> list[Alarm]:
        def is_active(e: Episode) -> bool:
            if active_from is None or e.raised_at >= start:
                return is_within(e.raised_at, start, end)
            return e.condition == "open" or (
                e.raised_at >= active_from and e.closed_at is not None and e.closed_at > start
            )

        chosen = self.select(
            lambda e: is_among(e.asset, assets) and is_among(e.definition, definitions)
        )
        return [alarm_of(e) for e in chosen if is_active(e)]

    def with_due_outcomes(self, as_of: datetime) -> list[Episode]:
        return self.select(lambda e: e.outcome_due_at is not None and e.outcome_due_at <= as_of)

    def muted(self) -> list[Episode]:
        return self.select(lambda e: e.muted_by is not None)


def _goes_on_after(episode: Episode, at: datetime) -> bool:
    return episode.closed_at is None or episode.closed_at > at


class MemoryNotifications(MemoryTable[Notification]):
    """Port `Notifications`."""

    def __init__(self) -> None:
        super().__init__(attrgetter("key"), attrgetter("created_at", "key"))
        self._of_episode: dict[str | None, dict[str, None]] = {}  # their keys

    def store_row(self, notification: Notification) -> bool:
        self._of_episode.setdefault(notification.episode, {})[notification.key] = None
        return super().store_row(notification)

    def add(self, notifications: Sequence[Notification], unit: Unit | None = None) -> int:  # noqa: ARG002 - the port's signature
        return sum([self.insert(notification) for notification in notifications])

    def change(self, changes: Sequence[Change], unit: Unit | None = None) -> int:
        changed = [after for before, after in changes if self._is_stored(before, after)]
        if unit is not None and len(changed) < len(changes):
            raise Conflict("another process has changed some of these notifications")
        return sum([self.store_row(notification) for notification in changed])

    def _is_stored(self, before: Notification | None, after: Notification) -> bool:
        stored = self.rows.get(after.key)
        return stored is not None and (
            before is None or (stored.status, stored.attempts) == (before.status, before.attempts)
        )

    def of_episodes(self, episodes: Collection[str]) -> dict[str, tuple[Notification, ...]]:
        return {
            id: tuple(sorted(self.get_many(self._of_episode.get(id, ())).values(), key=self._order))
            for id in episodes
        }

    def raised_since(self, asset: str, since: datetime) -> list[Notification]:
        return self.select(
            lambda n: (n.asset, n.transition) == (asset, "raised") and n.created_at > since
        )


class MemoryMutes(MemoryTable[Mute]):
    """Port `Mutes`."""

    def __init__(self) -> None:
        super().__init__(attrgetter("id"), attrgetter("since", "id"))

    def replace(self, mute: Mute) -> bool:
        return self.exchange(mute, lambda stored: stored.version == mute.version - 1)

    def not_ended(self) -> list[Mute]:
        return self.select(lambda mute: mute.ended_at is None)

    def overlapping(self, start: datetime | None, end: datetime, limit: int = 0) -> list[Mute]:
        return self.select_newest(
            limit, lambda mute: mute.since < end and (start is None or start < mute.end)
        )


class MemoryMisses(MemoryTable[ReportedMiss]):
    """Port `Misses`."""

    def __init__(self) -> None:
        super().__init__(attrgetter("id"), attrgetter("missed_at", "id"))

    def append(self, miss: ReportedMiss) -> ReportedMiss:
        return self.rows.setdefault(miss.id, miss)

    def for_interval(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        definition: str | None = None,
        limit: int = 0,
        assets: Collection[str] | None = None,
    ) -> list[ReportedMiss]:
        return self.select_newest(
            limit,
            lambda miss: (
                is_within(miss.missed_at, start, end)
                and definition in (None, miss.definition)
                and is_among(miss.asset, assets)
            ),
        )


class MemoryAudit:
    """Port `Audit`. `entries`: all entries, in the order in which they were added."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._origins: list[str] = []

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
        entry = {
            "actor": actor,
            "what": action,
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
        self, selected: AuditFilter, limit: int, older_than: tuple[datetime, str] | None = None
    ) -> list[AuditEntry]:
        numbered = enumerate(zip(self.entries, self._origins, strict=True))
        entries = [AuditEntry(**e, origin=origin, id=f"{n:024x}") for n, (e, origin) in numbered]
        exact = {"actor": selected.actor, "what": selected.what}
        about = selected.subject
        fits = [
            e
            for e in entries
            if all(value in (None, getattr(e, name)) for name, value in exact.items())
            and (about is None or e.subject in ((about,) if isinstance(about, str) else about))
            and is_within(e.at, selected.start, selected.end)
            and (older_than is None or (e.at, e.id) < older_than)
        ]
        return sorted(fits, key=lambda e: (e.at, e.id), reverse=True)[:limit]


class MemoryPlatformAlerts:
    """Port `PlatformAlerts`."""

    def __init__(self) -> None:
        self._open = MemoryTable[PlatformAlert](
            attrgetter("kind", "subject"), attrgetter("opened_at", "kind", "subject")
        )
        self._resolved: list[tuple[datetime, PlatformAlert]] = []

    def open(self) -> list[PlatformAlert]:
        return self._open.select()

    def subjects(self, kind: str) -> set[str]:
        alerts = [*self._open.rows.values(), *(alert for _, alert in self._resolved)]
        return {alert.subject for alert in alerts if alert.kind == kind}

    def resolved_since(self, since: datetime) -> list[PlatformAlert]:
        ordered = sorted(self._resolved, key=lambda resolved: (resolved[0], resolved[1].opened_at))
        return [alert for at, alert in ordered if at > since]

    def report(self, kind: str, subject: str, reason: str, at: datetime) -> None:
        stored = self._open.get((kind, subject)) or PlatformAlert(kind, subject, reason, at)
        self._open.store_row(replace(stored, reason=reason))

    def resolve(self, kind: str, subject: str, at: datetime) -> None:
        if alert := self._open.rows.pop((kind, subject), None):
            self._resolved.append((at, replace(alert, resolved_at=at)))
