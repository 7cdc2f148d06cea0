"""Silences of a part of the plant, of a definition, or by severity: for a time, with a reason.

A `silence` only mutes. In `maintenance` alarms are evaluated and recorded too, and left out of
learning, outcomes and figures.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from alerting.definitions.faults import UserError
from alerting.definitions.model import SEVERITIES, Severity
from alerting.definitions.wording.language import Styled, translatable
from alerting.operators.actions import LONGEST_SHELF, NotAllowed, Role
from alerting.readings.instants import from_millis, to_millis

SilenceKind = Literal["maintenance", "silence"]
SilencePhase = Literal["present", "planned", "over"]
SILENCE_KINDS: Mapping[SilenceKind, str] = MappingProxyType({
    "maintenance": translatable("maintenance"),
    "silence": translatable("silence"),
})  # fmt: skip
LONGEST_UNTIL_EVENT = timedelta(hours=24)
FURTHEST_PLANNED = timedelta(days=90)
LONGEST_SILENCE_REASON = 500
MOST_NOTIFIED = 20
MOST_SILENCES = 500
"""Silences that are present or planned."""


@dataclass(frozen=True)
class SilenceScope:
    """The alarms that a silence covers: those that meet every field that is given, of which there
    is one at least.

    `part`: an asset with everything below it. `up_to`: the highest severity.
    """

    part: str | None = None
    definition: str | None = None
    up_to: Severity | None = None

    def covers(self, definition: str, line: Collection[str], severity: Severity) -> bool:
        """Return whether an alarm is covered. `line`: its asset and all above it."""
        return (
            (self.part is None or self.part in line)
            and self.definition in (None, definition)
            and (self.up_to is None or SEVERITIES.index(severity) <= SEVERITIES.index(self.up_to))
        )


@dataclass(frozen=True)
class Silence:
    """A silence in [since, until), unless it ended before.

    `event`, `event_asset`: the type and the asset of the event that ends it earlier; None without
    one. `notified`: channels that get a message when it begins and when it ends.
    """

    id: str
    kind: SilenceKind
    scope: SilenceScope
    since: datetime
    until: datetime
    event: str | None
    event_asset: str | None
    reason: str
    author: str
    made_at: datetime
    notified: tuple[str, ...] = ()
    ended_at: datetime | None = None
    ended_by: str | None = None
    end_reason: str | None = None
    version: int = 1

    @property
    def end(self) -> datetime:
        """Return when it ends, or ended."""
        return self.ended_at or self.until

    def phase(self, now: datetime) -> SilencePhase:
        """Return whether it is present, planned or over. It needs no action to begin or end."""
        if self.end <= now or self.end <= self.since:
            return "over"
        return "present" if self.since <= now else "planned"

    def with_new_id(self) -> "Silence":
        """Return the same silence with another identity: one of the same instant has ended."""
        return replace(self, id=hashlib.sha256(self.id.encode()).hexdigest()[:16])

    def ended(self, at: datetime, by: str, reason: str) -> "Silence":
        """Return the next version, which ended at an instant."""
        return replace(self, ended_at=at, ended_by=by, end_reason=reason, version=self.version + 1)


def find_silence(
    silences: Iterable[Silence],
    definition: str,
    line: Collection[str],
    severity: Severity,
    at: datetime,
) -> Silence | None:
    """Return the silence that covers an alarm at an instant, None without one; maintenance before
    others, then the one that ends last. `line`: the asset of the alarm and all above it."""
    found = [
        one
        for one in silences
        if one.phase(at) == "present" and one.scope.covers(definition, line, severity)
    ]
    return max(found, key=lambda one: (one.kind == "maintenance", one.end), default=None)


@dataclass(frozen=True)
class SilenceMark:
    """What is silenced on an asset. `is_whole`: every alarm, not only those of a definition or up
    to a severity."""

    kind: SilenceKind
    is_whole: bool


def find_marks(
    silences: Iterable[Silence],
    lines: Mapping[str, Collection[str]],
    definitions: Mapping[str, Collection[str]],
    at: datetime,
) -> dict[str, SilenceMark]:
    """Return what is silenced at an instant, by asset, where anything is: every alarm before some,
    maintenance before others. `lines`: each asset and all above it; `definitions`: those that are
    evaluated on it."""
    present = [one for one in silences if one.phase(at) == "present"]
    found = {}
    for asset, line in lines.items():
        marks = [
            SilenceMark(one.kind, one.scope.definition is None and one.scope.up_to is None)
            for one in present
            if (one.scope.part is None or one.scope.part in line)
            and (one.scope.definition is None or one.scope.definition in definitions.get(asset, ()))
        ]
        if marks:
            found[asset] = max(marks, key=lambda mark: (mark.is_whole, mark.kind == "maintenance"))
    return found


def new_silence(
    kind: SilenceKind,
    scope: SilenceScope,
    since: datetime | None,
    until: datetime | None,
    event: tuple[str, str] | None,
    reason: str,
    notified: Iterable[str],
    author: str,
    role: Role,
    now: datetime,
) -> Silence:
    """Return a silence with its identity; instants are whole milliseconds. `event`: type and asset
    of the event that ends it.

    Raises UserError without a scope, a reason or an end, for an end that is not after its begin,
    and for a begin too far ahead. Raises NotAllowed for longer than the role may mute.
    """
    if scope == SilenceScope():
        raise UserError(
            translatable("say what is silenced: a part of the plant, a definition or a severity")
        )
    why = " ".join(reason.split())
    if not why:
        raise UserError(
            translatable("a reason is required, for other operators: write why it is muted")
        )
    if len(why) > LONGEST_SILENCE_REASON:
        raise UserError(translatable("the reason has at most 500 characters"))
    names = tuple(sorted(set(notified)))
    if len(names) > MOST_NOTIFIED:
        raise UserError(translatable("name at most 20 channels"))
    made_at = from_millis(to_millis(now))
    begin = made_at if since is None else max(from_millis(to_millis(since)), made_at)
    if begin > now + FURTHEST_PLANNED:
        raise UserError(translatable("plan at most 90 days ahead"))
    if until is None and event is None:
        raise UserError(
            translatable("an end is required: give a time, a duration or the event that ends it")
        )
    longest = min(LONGEST_UNTIL_EVENT, LONGEST_SHELF[role])
    end = begin + longest if until is None else from_millis(to_millis(until))
    check_length(role, begin, end, event is not None)
    content = [kind, repr(scope), begin.isoformat(), end.isoformat(), author, made_at.isoformat()]
    id = hashlib.sha256("|".join(content).encode()).hexdigest()[:16]
    return Silence(
        id=id,
        kind=kind,
        scope=scope,
        since=begin,
        until=end,
        event=event and event[0],
        event_asset=event and event[1],
        reason=why,
        author=author,
        made_at=made_at,
        notified=names,
    )


def check_length(role: Role, since: datetime, until: datetime, by_event: bool) -> None:
    """Check how long a silence lasts. Raises UserError if it does not end after it begins, or lasts
    longer than a day `by_event`; NotAllowed for longer than the role may mute."""
    if until <= since:
        raise UserError(translatable("the time must begin before it ends"))
    if by_event and until - since > LONGEST_UNTIL_EVENT:
        raise UserError(translatable("until an event it lasts at most 24 hours"))
    if until - since > LONGEST_SHELF[role]:
        longest = Styled(LONGEST_SHELF[role].total_seconds(), "duration")
        raise NotAllowed(
            translatable(
                "the role {role} may silence for at most {duration}", role=role, duration=longest
            )
        )


def describe_silence(silence: Silence) -> str:
    """Describe a silence in one clause: kind, end, reason and author."""
    values = {"person": silence.author, "reason": silence.reason}
    when = silence.end.isoformat()
    if silence.kind == "maintenance":
        return translatable("maintenance until {when}, {reason}, {person}", when=when, **values)
    return translatable("silenced until {when}, {reason}, {person}", when=when, **values)
