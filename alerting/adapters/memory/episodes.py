"""Episodes, notifications, mutes, misses, audit and platform alerts in memory."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

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
    Document,
    DocumentRevision,
    PlatformAlert,
    Unit,
)


class Row(Protocol):
    """A value with an identity and a version."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...


R = TypeVar("R", bound=Row)


class MemoryTable(Generic[R]):
    """Rows by their id, in the order of their insertion."""

    def __init__(self) -> None:
        self.rows: dict[str, R] = {}

    def insert(self, row: R) -> bool:
        """Insert a row; return False if its id exists, or if it is not free beside the other
        rows."""
        if row.id in self.rows or not self.is_free(row):
            return False
        self.rows[row.id] = row
        return True

    def replace(self, row: R) -> bool:
        """Write the next version; return False unless the stored one is `row.version - 1`."""
        stored = self.rows.get(row.id)
        if stored is None or stored.version != row.version - 1 or not self.is_free(row):
            return False
        self.rows[row.id] = row
        return True

    def get(self, id: str) -> R | None:
        return self.rows.get(id)

    def is_free(self, row: R) -> bool:  # noqa: ARG002 - for rows that exclude each other
        """Return whether no other row excludes this one."""
        return True


def plain(value: Any) -> Any:
    """Return a value as a store gives it back: lists, plain numbers, texts as keys."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value.tolist() if hasattr(value, "tolist") else value


_BYTES = 1_000  # of an episode, about


class Numbered(Protocol):
    """A numbered revision of a document with a name."""

    @property
    def name(self) -> str: ...
    @property
    def number(self) -> int: ...


N = TypeVar("N", bound=Numbered)


class MemoryRevisions(Generic[N]):
    """Documents by name, with their revisions by number."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}
        self._revisions: dict[str, dict[int, N]] = {}

    def add_revision(self, revision: N) -> bool:
        numbered = self._revisions.setdefault(revision.name, {})
        return numbered.setdefault(revision.number, revision) is revision

    def revisions(self, name: str) -> list[N]:
        return [revision for _, revision in sorted(self._revisions.get(name, {}).items())]

    def last_number(self, name: str) -> int:
        return max(self._revisions.get(name, ()), default=0)


class MemoryDocumentStore(MemoryRevisions[DocumentRevision]):
    """Port `DocumentStore`."""

    def documents(self) -> list[Document]:
        return deepcopy([self._documents[name] for name in sorted(self._documents)])

    def find(self, name: str) -> Document | None:
        return deepcopy(self._documents.get(name))

    def store_document(self, document: Document) -> None:
        self._documents[document["name"]] = deepcopy(document)

    def remove(self, name: str) -> bool:
        return self._documents.pop(name, None) is not None


class MemoryEpisodes(MemoryTable[Episode]):
    """Port `Episodes`. `backfilled`: all episodes are stored as found in past times."""

    def __init__(self, backfilled: bool = False) -> None:
        super().__init__()
        self._backfilled = backfilled
        self._open: set[str] = set()

    def insert(self, episode: Episode) -> bool:
        if self._backfilled:
            episode = replace(episode, backfilled=True, detected_at=episode.raised_at)
        return super().insert(episode) and self._index(episode)

    def replace(self, episode: Episode) -> bool:
        return super().replace(episode) and self._index(episode)

    def _index(self, episode: Episode) -> bool:
        (self._open.add if episode.condition == "open" else self._open.discard)(episode.id)
        return True

    def is_free(self, episode: Episode) -> bool:
        """Return whether no other live episode of the target is open, if this one is."""
        if episode.condition != "open" or episode.backfilled:
            return True
        others = (self.rows[id] for id in self._open if id != episode.id)
        return not any(
            (e.definition, e.asset) == (episode.definition, episode.asset) and not e.backfilled
            for e in others
        )

    def write(self, episodes: Sequence[Episode], unit: Unit) -> None:  # noqa: ARG002 - the port's signature
        rows = dict(self.rows)
        open_ids = set(self._open)
        for episode in sorted(episodes, key=lambda e: e.condition == "open"):
            if not (self.insert(episode) if episode.version == 1 else self.replace(episode)):
                self.rows = rows
                self._open = open_ids
                raise Conflict("another process has changed some of these episodes")

    def size(self, episode: Episode) -> int:
        return _BYTES + sum(len(str(t)) for t in episode.transitions)

    def get_many(self, ids: Collection[str]) -> dict[str, Episode]:
        return {id: self.rows[id] for id in ids if id in self.rows}

    def starting_with(self, prefix: str, assets: Collection[str] | None = None) -> list[Episode]:
        episodes = (e for e in self.rows.values() if e.id.startswith(prefix) and _is_of(e, assets))
        return [*episodes][:10]

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
        episodes = (
            e
            for e in ([self.rows[id] for id in self._open] if open_only else self.rows.values())
            if (definition is None or e.definition == definition)
            and (asset is None or e.asset == asset)
            and (
                start is None
                or e.raised_at >= start
                or (with_earlier and (e.closed_at is None or e.closed_at > start))
            )
            and (end is None or e.raised_at < end)
            and (before is None or (e.raised_at, e.id) < before)
            and _is_of(e, assets)
        )
        return _oldest_first(episodes)[::-1][:limit]

    def overlapping(
        self, definition: str, asset: str, start: datetime, end: datetime
    ) -> list[Episode]:
        return [
            e
            for e in self.find(definition, asset)
            if e.raised_at <= end and (e.closed_at is None or e.closed_at > start)
        ]

    def over_unacknowledged(
        self, limit: int, assets: Collection[str] | None = None
    ) -> list[Episode]:
        over = self._chosen(
            lambda e: (
                not (e.condition == "open" or e.acknowledged or e.backfilled or e.withdrawn)
                and _is_of(e, assets)
            )
        )
        return over[::-1][:limit]

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
                return start <= e.raised_at < end
            return e.condition == "open" or (
                e.raised_at >= active_from and e.closed_at is not None and e.closed_at > start
            )

        return [
            alarm_of(e)
            for e in self._chosen(is_active)
            if _is_of(e, assets) and (definitions is None or e.definition in definitions)
        ]

    def with_due_outcomes(self, as_of: datetime) -> list[Episode]:
        return self._chosen(lambda e: e.outcome_due_at is not None and e.outcome_due_at <= as_of)

    def muted(self) -> list[Episode]:
        return self._chosen(lambda e: e.muted_by is not None)

    def _chosen(self, fits: Callable[[Episode], object]) -> list[Episode]:
        return _oldest_first(filter(fits, self.rows.values()))


def _is_of(episode: Episode, assets: Collection[str] | None) -> bool:
    return assets is None or episode.asset in assets


def _oldest_first(episodes: Iterable[Episode]) -> list[Episode]:
    return sorted(episodes, key=lambda e: (e.raised_at, e.id))


class MemoryNotifications:
    """Port `Notifications`."""

    def __init__(self) -> None:
        self._rows: dict[str, Notification] = {}
        self._keys: dict[str, dict[str, None]] = {}  # by episode

    def add(self, notifications: Sequence[Notification], unit: Unit | None = None) -> int:  # noqa: ARG002 - the port's signature
        before = len(self._rows)
        for n in notifications:
            self._rows.setdefault(n.key, n)
            if n.episode is not None:
                self._keys.setdefault(n.episode, {})[n.key] = None
        return len(self._rows) - before

    def change(self, changes: Sequence[Change], unit: Unit | None = None) -> int:
        changed = [after for before, after in changes if self._is_stored(before, after)]
        if unit is not None and len(changed) < len(changes):
            raise Conflict("another process has changed some of these notifications")
        self._rows |= {n.key: n for n in changed}
        return len(changed)

    def _is_stored(self, before: Notification | None, after: Notification) -> bool:
        stored = self._rows.get(after.key)
        return stored is not None and (
            before is None or (stored.status, stored.attempts) == (before.status, before.attempts)
        )

    def of_episodes(self, episodes: Collection[str]) -> dict[str, tuple[Notification, ...]]:
        return {
            id: tuple(_in_order(self._rows[key] for key in self._keys.get(id, ())))
            for id in episodes
        }

    def raised_since(self, asset: str, since: datetime) -> list[Notification]:
        return self._chosen(
            lambda n: (n.asset, n.transition) == (asset, "raised") and n.created_at > since
        )

    def _chosen(self, fits: Callable[[Notification], bool]) -> list[Notification]:
        return _in_order(filter(fits, self._rows.values()))


def _in_order(notifications: Iterable[Notification]) -> list[Notification]:
    return sorted(notifications, key=lambda n: (n.created_at, n.key))


class MemoryMutes(MemoryTable[Mute]):
    """Port `Mutes`."""

    def not_ended(self) -> list[Mute]:
        mutes = [mute for mute in self.rows.values() if mute.ended_at is None]
        return sorted(mutes, key=lambda mute: (mute.since, mute.id))

    def overlapping(self, start: datetime | None, end: datetime, limit: int = 0) -> list[Mute]:
        mutes = [
            mute
            for mute in self.rows.values()
            if mute.since < end and (start is None or start < mute.end)
        ]
        return sorted(mutes, key=lambda mute: (mute.since, mute.id), reverse=True)[: limit or None]


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
        misses = [
            miss
            for miss in self._misses.values()
            if (start is None or miss.missed_at >= start)
            and (end is None or miss.missed_at < end)
            and definition in (None, miss.definition)
            and (assets is None or miss.asset in assets)
        ]
        return sorted(misses, key=lambda miss: (miss.missed_at, miss.id), reverse=True)[
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
            and (selected.start is None or e.at >= selected.start)
            and (selected.end is None or e.at < selected.end)
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
