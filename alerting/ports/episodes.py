"""Ports for episodes, mutes and reported misses, for live changes of these, for alerts to engineers
about the platform itself, for the audit log, and for wrong attempts to sign in."""

from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol

from alerting.definitions.alert_definition import Severity
from alerting.episodes.episode import Alarm, Episode, Phase
from alerting.episodes.lifecycle import ReportedMiss
from alerting.operators.actions_and_mutes import Mute
from alerting.ports.evaluation import Unit


class Episodes(Protocol):
    """Episodes, with one open per definition and asset."""

    def insert(self, episode: Episode) -> bool:
        """Insert an episode; return False if its id exists, or another episode of the same
        definition and asset is open."""

    def write(self, episodes: Sequence[Episode], unit: Unit) -> None:
        """Write new episodes (version 1) and next versions of stored ones in a unit of work.

        Raises Conflict if one of them is stored in another version, or if another episode of the
        same definition and asset is open.
        """

    def size(self, episode: Episode) -> int:
        """Return the size of an episode as it is stored (bytes)."""

    def get(self, id: str) -> Episode | None: ...

    def get_many(self, ids: Collection[str]) -> dict[str, Episode]:
        """Return the stored episodes of these ids, by id."""

    def starting_with(self, prefix: str, assets: Collection[str] | None = None) -> list[Episode]:
        """Return at most ten episodes whose id has this prefix; with `assets` only episodes of
        these assets."""

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
        """Return episodes raised in [start, end), newest first, and by descending id where they
        have the same raise; with `assets` only episodes of these assets; `with_earlier`: also
        episodes raised before `start` that were not over at `start`.

        `before` (raised_at, id) returns the next page: only episodes that come after this one in
        the order.
        """

    def overlapping(
        self, definition: str, asset: str, start: datetime, end: datetime
    ) -> list[Episode]:
        """Return the episodes of one target that are raised by `end` and not over at `start`,
        newest first."""

    def over_unacknowledged(
        self, limit: int, assets: Collection[str] | None = None
    ) -> list[Episode]:
        """Return live episodes that are over and that no operator has acknowledged (ISA-18.2 state
        D), newest first; with `assets` only episodes of these assets."""

    def alarms(
        self,
        start: datetime,
        end: datetime,
        active_from: datetime | None = None,
        assets: Collection[str] | None = None,
        definitions: Collection[str] | None = None,
    ) -> list[Alarm]:
        """Return extracts of the episodes raised in [start, end), oldest first; with `assets` or
        `definitions` only episodes of these.

        `active_from`: also return episodes raised before `start` that may have been active at
        `start`: raised from `active_from` on, or still open.
        """

    def with_due_outcomes(self, as_of: datetime) -> list[Episode]:
        """Return episodes with `outcome_due_at` at or before as_of, oldest first."""

    def muted(self) -> list[Episode]:
        """Return episodes with `muted_by`, oldest first."""


class Mutes(Protocol):
    """Mutes of alarms. Ended mutes stay stored."""

    def insert(self, mute: Mute) -> bool:
        """Insert; return False if this id is stored already."""

    def replace(self, mute: Mute) -> bool:
        """Write the next version of a mute: succeeds only while the stored version is
        `mute.version - 1`."""

    def get(self, id: str) -> Mute | None: ...

    def not_ended(self) -> list[Mute]:
        """Return the mutes that were not ended early (without `ended_at`), by begin; their time may
        be over."""

    def overlapping(self, start: datetime | None, end: datetime, limit: int = 0) -> list[Mute]:
        """Return the mutes that begin before `end` and end after `start` (None: no bound), the
        latest begin first; `limit` 0: any number."""


class Misses(Protocol):
    """Append-only log of reported misses, beside the feedback on episodes."""

    def append(self, miss: ReportedMiss) -> ReportedMiss:
        """Store a miss, unless one exists for the same definition, asset and time; return the
        stored one."""

    def for_interval(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        definition: str | None = None,
        limit: int = 0,
        assets: Collection[str] | None = None,
    ) -> list[ReportedMiss]:
        """Return misses that happened in [start, end), newest first, of one definition or all, and
        of these assets or all; `limit` 0: any number."""


ChangedThing = Literal["episode", "mute", "platform", "access"]


@dataclass(frozen=True)
class LiveEpisode:
    """The part of an episode that tells pages and programs whether they must load it again."""

    id: str
    definition: str
    asset: str
    severity: Severity
    state: Phase
    acknowledged: bool
    muted: bool


@dataclass(frozen=True)
class LiveChange:
    """A change of an episode, a mute, the platform alerts, or a person's access.

    `mark`: position of the change in the order of all changes of the database; all marks have one
    length, so that they compare as texts. `asset`: None for a change that concerns no asset.
    `access`: the account, or the hash of the session or token, that was changed or ended.
    """

    mark: str
    thing: ChangedThing
    asset: str | None = None
    episode: LiveEpisode | None = None
    access: str | None = None


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
    """Return no disk, for a platform that stores nothing on this machine."""
    return ()


class ClockDifference(NamedTuple):
    """How far the clock of a machine is ahead of the real time `now` by which the platform works;
    None: its clock shows the real time."""

    machine: str
    difference: timedelta
    now: datetime | None = None


def no_difference() -> ClockDifference:
    """Return no difference, for a platform whose stores have no clock of their own."""
    return ClockDifference("", timedelta(0))


def no_database() -> DatabaseState | None:
    """Return no state, for a platform that is stored in memory."""
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
    """An entry of the audit. `before` and `after`: the changed values, None if they are not
    recorded.

    `origin`: where the request came from, as in `AUDIT_ORIGIN`.
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
    """A person's selection of audit entries; None selects any. Times: start <= at < end. `subject`:
    of several, those of any of them."""

    actor: str | None = None
    subject: str | Collection[str] | None = None
    what: str | None = None
    start: datetime | None = None
    end: datetime | None = None


class Audit(Protocol):
    """Append-only log of actors and their actions; only retention deletes entries."""

    def find(
        self, selected: AuditFilter, limit: int, older_than: tuple[datetime, str] | None = None
    ) -> list[AuditEntry]:
        """Return entries, newest first. `older_than`: time and id of the last entry of the previous
        page."""

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
        """Store an entry with the origin of the current request. Idempotent, also for a repeat from
        another origin."""


@dataclass(frozen=True)
class WrongCount:
    """Wrong attempts to sign in, one after another, and the instant of the last one."""

    wrong: int
    last: datetime
