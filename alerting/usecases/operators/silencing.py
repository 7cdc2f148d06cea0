"""Silence a part of the plant, a definition or severities, and end it: each with an entry in the
audit."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alerting.definitions.faults import Conflicting, NotFound, UserError, close_names
from alerting.definitions.wording.language import template, translatable
from alerting.episodes.episode import Episode
from alerting.operators.actions import permit
from alerting.operators.silences import (
    MOST_SILENCES,
    Silence,
    SilenceKind,
    SilencePhase,
    SilenceScope,
    check_length,
    new_silence,
)
from alerting.ports import MutingPorts
from alerting.readings.instants import from_millis, to_millis
from alerting.usecases.definitions.lookup import newest_of_target
from alerting.usecases.notification.muting import record_silences, tend_shelves
from alerting.usecases.notification.silencing import end_silence, raised_meanwhile
from alerting.usecases.operators.operate import Actor
from alerting.usecases.silences.in_force import end_by_event

BEGUN = template("silenced")
EXTENDED = template("silence extended")
_PAST = timedelta(days=30)
_MOST_PAST = 50


@dataclass(frozen=True)
class EndingEvent:
    """The event that ends a silence."""

    type: str
    asset: str


@dataclass(frozen=True)
class SilenceList:
    """The silences that are present, planned (the next first), and over for at most a month (the
    last first)."""

    present: tuple[Silence, ...]
    planned: tuple[Silence, ...]
    past: tuple[Silence, ...]


def start_silence(
    platform: MutingPorts,
    kind: SilenceKind,
    scope: SilenceScope,
    since: datetime | None,
    until: datetime | None,
    event: EndingEvent | None,
    reason: str,
    notified: Iterable[str],
    actor: Actor,
    now: datetime,
) -> Silence:
    """Silence alarms now, or from a later time on (`since`). `notified`: channels. Idempotent: the
    same one of the same instant is returned, unless it has ended.

    Raises NotFound for an unknown asset, definition, event type or channel, Conflicting where too
    many are present or planned, UserError and NotAllowed as `new_silence`.
    """
    permit("shelve", actor.role)
    channels = set(notified)
    _require_known(platform, scope, event, channels)
    ends_with = None if event is None else (event.type, event.asset)
    made = new_silence(
        kind, scope, since, until, ends_with, reason, channels, actor.name, actor.role, now
    )
    if len(platform.silences.not_ended()) >= MOST_SILENCES:
        raise Conflicting(translatable("500 silences are present or planned; end some of them"))
    while not platform.silences.insert(made):
        same = platform.silences.get(made.id)
        if same is None or same.ended_at is None:
            return same or made
        made = made.with_new_id()
    platform.audit.add(actor.name, BEGUN, made.id, now, None, _shown(made), made.reason)
    record_silences(platform, now)
    return made


def stop_silence(
    platform: MutingPorts, id: str, actor: Actor, now: datetime, reason: str = ""
) -> Silence:
    """End a silence before its time, or cancel a planned one; an episode that is still open is
    announced. Idempotent. Raises NotFound."""
    permit("unshelve", actor.role)
    found = find_silence_of(platform, id)
    while found.phase(now) != "over":
        why = " ".join(reason.split()) or translatable("ended by an operator")
        over = end_silence(platform, found, now, actor.name, why)
        found = over or find_silence_of(platform, id)
    tend_shelves(platform, now)
    return found


def extend_silence(
    platform: MutingPorts, id: str, until: datetime, actor: Actor, now: datetime
) -> Silence:
    """Move the end of a silence that is not over. Raises NotFound, UserError for one that is over,
    and as `check_length`."""
    permit("shelve", actor.role)
    while True:
        found = find_silence_of(platform, id)
        if found.phase(now) == "over":
            raise UserError(translatable("it is over already: silence it again"))
        end = from_millis(to_millis(until))
        check_length(actor.role, max(found.since, now), end, False)
        check_length("admin", found.since, end, found.event is not None)
        longer = replace(found, until=end, version=found.version + 1)
        if platform.silences.replace(longer):
            before = found.until.isoformat()
            platform.audit.add(actor.name, EXTENDED, id, now, before, end.isoformat())
            return longer


def find_silence_of(platform: MutingPorts, id: str) -> Silence:
    """Return the silence of this id, with the event that ended it. Raises NotFound."""
    found = platform.silences.get(id)
    if found is None:
        raise NotFound(translatable("there is no silence “{id}”", id=id))
    return end_by_event(platform, found)


def list_silences(platform: MutingPorts, now: datetime) -> SilenceList:
    """Return the silences that are present or planned, and those of the last month."""
    ahead = timedelta(days=3650)
    found = [
        end_by_event(platform, one)
        for one in platform.silences.overlapping(
            now - _PAST, now + ahead, MOST_SILENCES + _MOST_PAST
        )
    ]

    def those(phase: SilencePhase) -> list[Silence]:
        return [one for one in found if one.phase(now) == phase]

    return SilenceList(
        tuple(sorted(those("present"), key=lambda one: one.end)),
        tuple(reversed(those("planned"))),
        tuple(sorted(those("over"), key=lambda one: one.end, reverse=True)[:_MOST_PAST]),
    )


def alarms_of(platform: MutingPorts, silence: Silence, now: datetime) -> list[Episode]:
    """Return the episodes raised while a silence covered them, newest first."""
    return raised_meanwhile(platform, silence, now)


def _require_known(
    platform: MutingPorts, scope: SilenceScope, event: EndingEvent | None, notified: set[str]
) -> None:
    """Raise NotFound with every name that is unknown."""
    assets = [name for name in (scope.part, event and event.asset) if name]
    for name in assets:
        if platform.assets.get(name) is None:
            raise NotFound(translatable("there is no asset “{name}”", name=name))
    if scope.definition and newest_of_target(platform.definitions, scope.definition) is None:
        raise NotFound(translatable("there is no definition “{name}”", name=scope.definition))
    types = [one.name for one in platform.assets.event_types()]
    if event is not None and event.type not in types:
        near = ", ".join(close_names(event.type, types) or types[:10])
        raise NotFound(
            translatable(
                "there is no event type “{name}”; known: {known}",
                name=event.type,
                known=near or "-",
            )
        )
    for name in sorted(notified - platform.channels.keys()):
        raise NotFound(translatable("there is no channel “{name}”", name=name))


def _shown(silence: Silence) -> dict[str, Any]:
    names = ("kind", "since", "until", "event", "event_asset", "notified")
    document = asdict(silence)
    scope = {key: value for key, value in document["scope"].items() if value is not None}
    return scope | {name: document[name] for name in names if document[name]}
