"""Ports for episodes, and for what operators say of them and do with them."""

from datetime import datetime
from typing import Protocol

from alerting.episodes.episode import Episode, Feedback, Notification
from alerting.episodes.extract import Alarm
from alerting.operators.shelves import Shelf


class Episodes(Protocol):
    """Episodes, with one open per definition and asset."""

    def insert(self, episode: Episode) -> bool:
        """Insert; False when this id exists, or another one is open for the same definition and asset."""
        ...

    def replace(self, episode: Episode) -> bool:
        """Write the next version of an episode: succeeds only while the stored version is `episode.version - 1`."""
        ...

    def get(self, id: str) -> Episode | None: ...

    def starting_with(self, prefix: str) -> list[Episode]:
        """Episodes whose id begins so, at most ten."""
        ...

    def find(
        self,
        definition: str | None = None,
        asset: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        open_only: bool = False,
        limit: int | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> list[Episode]:
        """Episodes raised in [start, end), newest first, those of one instant by descending id.

        `before` (raised_at, id) leaves out that episode and all that come ahead of it in this order: the next page.
        """
        ...

    def over_unacknowledged(self, limit: int) -> list[Episode]:
        """Live episodes that are over and that no operator has acknowledged (ISA-18.2 state D), newest first."""
        ...

    def alarms(self, start: datetime, end: datetime, active_from: datetime | None = None) -> list[Alarm]:
        """Extracts of the episodes raised in [start, end), oldest first.

        With `active_from` also of those raised before `start` and not over by then: from that instant on, or open still.
        """
        ...

    def unsettled(self, as_of: datetime) -> list[Episode]:
        """Episodes with `outcome_due_at` at or before as_of, oldest first."""
        ...

    def with_due_notifications(self, now: datetime, limit: int = 100) -> list[Episode]:
        """Episodes with a pending notification whose next attempt is due, oldest first."""
        ...

    def dead_letters(self) -> list[tuple[str, Notification]]:
        """Episode id and notification of every delivery that was given up."""
        ...

    def told_since(self, asset: str, since: datetime) -> list[Notification]:
        """Notifications of raises on this asset made after this instant."""
        ...

    def sent_since(self, since: datetime) -> list[Notification]:
        """Notifications that were delivered since this instant."""
        ...

    def held_in_floods(self, now: datetime) -> list[Episode]:
        """Episodes with a pending notification that was held back in a flood until now, oldest first."""
        ...

    def held_for_digest(self) -> list[Episode]:
        """Episodes with a pending notification that waits for a digest, oldest first."""
        ...

    def muted(self) -> list[Episode]:
        """Episodes with `muted_by`, oldest first."""
        ...


class Shelves(Protocol):
    """What is muted: one in force per definition, asset and kind. Shelves that ended stay."""

    def insert(self, shelf: Shelf) -> bool:
        """Insert; False when one of its kind is in force for the same definition and asset."""
        ...

    def replace(self, shelf: Shelf) -> bool:
        """Write the next version of a shelf: succeeds only while the stored version is `shelf.version - 1`."""
        ...

    def get(self, id: str) -> Shelf | None: ...

    def in_force(self, definition: str | None = None, asset: str | None = None) -> list[Shelf]:
        """Shelves that nobody has ended, those without an end first, then by end; their time may be over."""
        ...

    def of(self, definition: str, asset: str) -> list[Shelf]:
        """Every shelf of a definition on an asset, oldest first."""
        ...

    def with_due_notifications(self, now: datetime) -> list[Shelf]:
        """Shelves with a pending notification whose next attempt is due."""
        ...

    def dead_letters(self) -> list[tuple[str, Notification]]:
        """Shelf id and notification of every delivery that was given up, oldest shelf first."""
        ...


class FeedbackLog(Protocol):
    """Append-only feedback."""

    def append(self, feedback: Feedback, once: str | None = None) -> Feedback:
        """Keep it; of the very same feedback, or of all with the same text `once`, the first is kept. Returns what is kept."""
        ...

    def of(self, episode: str) -> list[Feedback]: ...
