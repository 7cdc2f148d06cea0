"""Shelves mute a definition on an asset for a time. Evaluation goes on."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import Styled, translatable
from alerting.episodes.episode import Episode
from alerting.operators.actions import LONGEST_SHELF, ROLES, Flags, NotAllowed, Role

ShelfKind = Literal["shelved", "out_of_service"]
KIND_NAMES: Mapping[ShelfKind, str] = MappingProxyType(
    {"shelved": translatable("shelved"), "out_of_service": translatable("out of service")}
)
_EARLIEST_REMINDER = timedelta(minutes=15)  # before the end of a shelf


@dataclass(frozen=True)
class Shelf:
    """One muting with actor and reason, in [since, until) unless ended before.

    Only an out-of-service shelf may have no end. `remind_at`: when a reminder announces its end.
    """

    id: str
    definition: str
    asset: str
    kind: ShelfKind
    since: datetime
    until: datetime | None
    reason: str
    actor: str
    remind_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    end_reason: str | None = None
    version: int = 1

    def mutes(self, now: datetime) -> bool:
        """Return whether the shelf mutes at this instant. It needs no action to end."""
        return (
            self.ended_at is None and self.since <= now and (self.until is None or now < self.until)
        )


def new_shelf(
    definition: str,
    asset: str,
    kind: ShelfKind,
    since: datetime,
    until: datetime | None,
    reason: str,
    actor: str,
    before: int,
) -> Shelf:
    """Return a shelf with identity and reminder. `before`: how many there were before."""
    id = hashlib.sha256(
        f"{definition}|{asset}|{kind}|{since.isoformat()}|{before}".encode()
    ).hexdigest()[:24]
    return Shelf(
        id, definition, asset, kind, since, until, reason, actor, reminder_time(since, until)
    )


def reminder_time(since: datetime, until: datetime | None) -> datetime | None:
    """Return the time of the reminder of an end; None without an end."""
    return None if until is None else until - min(_EARLIEST_REMINDER, (until - since) / 4)


def check_shelf(
    role: Role, now: datetime, until: datetime | None, reason: str, kind: ShelfKind
) -> None:
    """Check a request for a shelf.

    Raises UserError without a reason or (for a shelf) an end in the future. Raises NotAllowed for
    longer than the role may mute.
    """
    if not reason.strip():
        raise UserError(
            translatable("a reason is required, for other operators: write why it is muted")
        )
    if until is not None and until <= now:
        raise UserError(
            translatable(
                "the end {end} is not after now, {now}", end=until.isoformat(), now=now.isoformat()
            )
        )
    if kind == "out_of_service":
        return
    if until is None:
        raise UserError(
            translatable(
                "an end is required, because a shelf ends by itself: give a time or a duration"
            )
        )
    longest = LONGEST_SHELF[role]
    if until - now > longest:
        may = [r for r in ROLES if LONGEST_SHELF[r] >= until - now]
        limit = {"role": role, "duration": Styled(longest.total_seconds(), "duration")}
        if not may:
            raise NotAllowed(
                translatable(
                    "the role {role} may shelve for at most {duration}; no role may shelve for "
                    "longer: take it out of service",
                    **limit,
                )
            )
        raise NotAllowed(
            translatable(
                "the role {role} may shelve for at most {duration}; a longer shelf needs the role "
                "{other}",
                other=may[0],
                **limit,
            )
        )


def find_muting_shelf(shelves: Iterable[Shelf], now: datetime) -> Shelf | None:
    """Return the shelf that mutes now, the longest where there are two."""
    found = [shelf for shelf in shelves if shelf.mutes(now)]
    return max(found, key=lambda s: (s.until is None, s.until or s.since), default=None)


def record_end(shelf: Shelf, at: datetime, actor: str, reason: str) -> Shelf:
    """Return the shelf after its end."""
    return replace(shelf, ended_at=at, ended_by=actor, end_reason=reason)


def describe_shelf(shelf: Shelf) -> str:
    """Describe a shelf in one clause: kind, end, actor and reason."""
    values = {"state": KIND_NAMES[shelf.kind], "person": shelf.actor, "reason": shelf.reason}
    if shelf.until is None:
        return translatable("{state} by {person}: {reason}", **values)
    return translatable(
        "{state} until {when} by {person}: {reason}", when=shelf.until.isoformat(), **values
    )


def current_flags(
    episode: Episode | None, shelves: Iterable[Shelf], now: datetime, suppressed: bool
) -> Flags:
    """Return a target's flags. A backfilled episode needs no acknowledgement."""
    kinds = {shelf.kind for shelf in shelves if shelf.mutes(now)}
    return Flags(
        active=episode is not None and episode.condition == "open",
        acknowledged=episode is None or episode.backfilled or episode.acknowledged is not None,
        shelved="shelved" in kinds,
        out_of_service="out_of_service" in kinds,
        suppressed=suppressed,
    )
