"""Ports for episodes, and for shelves and feedback of operators."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from alerting.episodes.episode import Episode, Feedback
from alerting.episodes.extract import Alarm
from alerting.episodes.misses import ReportedMiss
from alerting.operators.shelves import Shelf
from alerting.ports.unit_of_work import Unit


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
    ) -> list[Episode]:
        """Return episodes raised in [start, end), newest first, those of one instant by descending
        id; with `assets` only those of these assets.

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

    def versions(self, start: datetime, end: datetime) -> dict[str, str]:
        """Return a text for each definition that changes whenever one of its episodes raised in
        [start, end) does."""


class Shelves(Protocol):
    """Shelves: one in force per definition, asset and kind. Ended shelves stay."""

    def insert(self, shelf: Shelf) -> bool:
        """Insert; return False if one of its kind is in force for the same definition and asset."""

    def replace(self, shelf: Shelf) -> bool:
        """Write the next version of a shelf: succeeds only while the stored version is
        `shelf.version - 1`."""

    def get(self, id: str) -> Shelf | None: ...

    def in_force(self, definition: str | None = None, asset: str | None = None) -> list[Shelf]:
        """Return shelves that no actor has ended, those without an end first, then by end; their
        time may be over."""

    def for_target(self, definition: str, asset: str) -> list[Shelf]:
        """Return every shelf of a definition on an asset, oldest first."""


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


class FeedbackLog(Protocol):
    """Append-only log of feedback."""

    def append(self, feedback: Feedback, once: str | None = None) -> Feedback:
        """Store feedback and return the stored one.

        Of equal feedback, or of feedback with the same text `once`, the first is stored.
        """

    def for_episode(self, episode: str) -> list[Feedback]: ...
