"""Ports for episodes, for mutes and feedback of operators, for what changes of them, for alerts
about the platform itself, which are for engineers, for the audit log, and for wrong attempts to
sign in."""

from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from alerting.definitions.alert_definition import Severity
from alerting.episodes.episode import Alarm, Episode, Phase
from alerting.episodes.lifecycle import ReportedMiss
from alerting.operators.actions_and_mutes import Mute
from alerting.ports.evaluation import Unit


class Episodes(Protocol):
    """Episodes, with one open per definition and asset."""

    def insert(self, episode: Episode) -> bool:
        """Insert; return False if this id exists, or another one is open for the same definition
        and asset."""

    def write(self, episodes: Sequence[Episode], unit: Unit) -> None:
        """Write new episodes (version 1) and next versions of stored ones in a unit of work.

        Raises Conflict if one of them is stored in another version, or if another one is open for
        the same definition and asset.
        """

    def size(self, episode: Episode) -> int:
        """Return the size of an episode as it is stored (bytes)."""

    def get(self, id: str) -> Episode | None: ...

    def get_many(self, ids: Collection[str]) -> dict[str, Episode]:
        """Return the stored episodes of these ids, by id."""

    def starting_with(self, prefix: str, assets: Collection[str] | None = None) -> list[Episode]:
        """Return episodes whose id has this prefix, at most ten; `assets`: only of these."""

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
        """Return episodes raised in [start, end), newest first, those of one instant by descending
        id; with `assets` only those of these assets; `with_earlier`: also those raised before
        `start` and not over by then.

        `before` (raised_at, id) leaves out that episode and all episodes ahead of it in this order:
        the next page.
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
        D), newest first; with `assets` only those of these assets."""

    def alarms(
        self,
        start: datetime,
        end: datetime,
        active_from: datetime | None = None,
        assets: Collection[str] | None = None,
        definitions: Collection[str] | None = None,
    ) -> list[Alarm]:
        """Return extracts of the episodes raised in [start, end), oldest first; with `assets` only
        those of these assets, with `definitions` only those of these.

        With `active_from` also of those raised before `start` that were active then: raised from
        `active_from` on, or open still.
        """

    def with_due_outcomes(self, as_of: datetime) -> list[Episode]:
        """Return episodes with `outcome_due_at` at or before as_of, oldest first."""

    def muted(self) -> list[Episode]:
        """Return episodes with `muted_by`, oldest first."""


class Mutes(Protocol):
    """Mutes of alarms. Ended ones stay."""

    def insert(self, mute: Mute) -> bool:
        """Insert; return False if this id is stored already."""

    def replace(self, mute: Mute) -> bool:
        """Write the next version of a mute: succeeds only while the stored version is
        `mute.version - 1`."""

    def get(self, id: str) -> Mute | None: ...

    def not_ended(self) -> list[Mute]:
        """Return the mutes without `ended_at`, by begin; their time may be over."""

    def overlapping(self, start: datetime | None, end: datetime, limit: int = 0) -> list[Mute]:
        """Return the mutes that begin before `end` and end after `start` (None: whenever), those
        that begin last first; `limit` 0: any number."""


class Misses(Protocol):
    """Append-only log of reported misses, beside the feedback on episodes."""

    def append(self, miss: ReportedMiss) -> ReportedMiss:
        """Store a miss and return the stored one: of the same definition, asset and time the first
        is stored."""

    def for_interval(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        definition: str | None = None,
        limit: int = 0,
        assets: Collection[str] | None = None,
    ) -> list[ReportedMiss]:
        """Return misses that happened in [start, end), newest first; of one definition or of all,
        of these assets or of all; `limit` 0: any number."""


ChangedThing = Literal["episode", "mute", "platform", "access"]


@dataclass(frozen=True)
class LiveEpisode:
    """The part of an episode by which pages and programs know that they must look again."""

    id: str
    definition: str
    asset: str
    severity: Severity
    state: Phase
    acknowledged: bool
    muted: bool


@dataclass(frozen=True)
class LiveChange:
    """A change of an episode, of a mute, of the faults of the platform, or of what a person may.

    `mark`: where the change stands in the order of all changes of the database; texts of one
    length, so that they compare as the changes do. `asset`: None for what is of no asset. `access`:
    the account, or the hash of the session or of the token, that was changed or ended.
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
        self, selected: AuditFilter, limit: int, older_than: tuple[datetime, str] | None = None
    ) -> list[AuditEntry]:
        """Return entries, newest first. `older_than`: time and id of the last one of a page."""

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
        """Store an entry with the origin of now. Idempotent, also from another origin."""


@dataclass(frozen=True)
class WrongCount:
    """Wrong attempts to sign in, one after another, and the instant of the last one."""

    wrong: int
    last: datetime
