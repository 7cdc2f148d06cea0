"""Mute alarms, prolong that and end it: each with an entry in the audit."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alerting.definitions.faults import Conflicting, NotFound, UserError, close_names
from alerting.definitions.model import matching_assets
from alerting.definitions.wording.language import template, translatable
from alerting.operators.actions import Action, Flags, move, permit
from alerting.operators.mutes import (
    EndingEvent,
    Matcher,
    Mute,
    MuteKind,
    MutePhase,
    new_mute,
    require_length,
)
from alerting.ports import MutingPorts
from alerting.readings.history import from_millis, to_millis
from alerting.usecases.definitions.lookup import newest_of_target, require_revision
from alerting.usecases.mutes import MutesInForce, end_by_event, mutes_at
from alerting.usecases.notification.muting import (
    audit_subject,
    record_end,
    record_mutes,
    tend_mutes,
)
from alerting.usecases.operators.operate import Actor

BEGUN = template("muted")
PROLONGED = template("mute prolonged")
_START: Mapping[MuteKind, Action] = {
    "plain": "mute", "maintenance": "mute", "out_of_service": "take_out_of_service",
}  # fmt: skip
_END: Mapping[MuteKind, Action] = {
    "plain": "unmute", "maintenance": "unmute", "out_of_service": "return_to_service",
}  # fmt: skip
_MOST = 1_000
_MOST_PAST = 50
_PAST = timedelta(days=30)


@dataclass(frozen=True)
class MuteList:
    """The mutes that are present, planned (the next first), and over for at most a month (the last
    first)."""

    at: datetime
    present: tuple[Mute, ...]
    planned: tuple[Mute, ...]
    past: tuple[Mute, ...]


def start_mute(
    platform: MutingPorts,
    kind: MuteKind,
    matcher: Matcher,
    since: datetime | None,
    until: datetime | None,
    event: EndingEvent | None,
    reason: str,
    notified: Iterable[str],
    actor: Actor,
    now: datetime,
) -> Mute:
    """Mute alarms now, or from a later time on (`since`). `notified`: channels. Of one that begins
    with it, or mutes the same definition on the same asset already, the new end and reason count.

    Raises NotFound for an unknown asset, definition, event type or channel, Conflicting where too
    many are present or planned, UserError and NotAllowed as `new_mute`.
    """
    permit(_START[kind], actor.role)
    channels = set(notified)
    _require_known(platform, matcher, event, channels)
    made = new_mute(
        kind, matcher, since, until, event, reason, channels, actor.name, actor.role, now
    )
    while True:
        known = [end_by_event(platform, one) for one in platform.mutes.not_ended()]
        running = [one for one in known if one.phase(now) != "over"]
        _require_possible(running, made, now)
        same = next((one for one in running if _is_same(one, made, now)), None)
        longer = made if same is None else made.instead_of(same)
        if platform.mutes.insert(made) if same is None else platform.mutes.replace(longer):
            break
        if same is None:
            made = made.with_new_id()
    before = None if same is None else _audited(same)
    platform.audit.add(
        actor.name, BEGUN, audit_subject(made), now, before, _audited(longer), made.reason
    )
    record_mutes(platform, mutes_at(platform, now), now)
    return longer


def end_mute(platform: MutingPorts, id: str, actor: Actor, now: datetime, reason: str = "") -> Mute:
    """End a mute before its time, or cancel a planned one; an episode that is still open is
    announced once. Idempotent. Raises NotFound."""
    found = find_mute(platform, id)
    permit(_END[found.kind], actor.role)
    while found.phase(now) != "over":
        why = " ".join(reason.split()) or translatable("ended by an operator")
        over = record_end(platform, found, now, actor.name, why)
        found = over or find_mute(platform, id)
    tend_mutes(platform, now)
    return found


def prolong_mute(
    platform: MutingPorts, id: str, until: datetime, actor: Actor, now: datetime
) -> Mute:
    """Move the end of a mute, for the same reason. Raises NotFound, UserError for one that is over,
    and as `require_length`."""
    while True:
        found = find_mute(platform, id)
        permit(_START[found.kind], actor.role)
        if found.phase(now) == "over":
            raise UserError(translatable("it is over already: mute it again"))
        end = from_millis(to_millis(until))
        made_at = from_millis(to_millis(now))
        require_length(found.kind, actor.role, max(found.since, now), end, by_event=False)
        require_length(found.kind, "admin", found.since, end, found.event is not None)
        longer = replace(found, until=end, made_at=made_at, version=found.version + 1)
        if platform.mutes.replace(longer):
            platform.audit.add(
                actor.name,
                PROLONGED,
                audit_subject(found),
                now,
                _audited(found),
                _audited(longer),
            )
            return longer


def find_mute(platform: MutingPorts, id: str) -> Mute:
    """Return the mute of this id, with the event that ended it. Raises NotFound."""
    found = platform.mutes.get(id)
    if found is None:
        raise NotFound(translatable("there is no mute “{id}”", id=id))
    return end_by_event(platform, found)


def list_mutes(
    platform: MutingPorts, now: datetime, definition: str | None = None, asset: str | None = None
) -> MuteList:
    """Return the mutes that are present or planned, and those of the last month; of those that
    name a definition or cover alarms of an asset."""
    stored = [*platform.mutes.overlapping(now - _PAST, now, _MOST), *platform.mutes.not_ended()]
    known = {one.id: end_by_event(platform, one) for one in stored}
    about = MutesInForce([*known.values()], platform.assets).select_for(definition, asset)

    def those(phase: MutePhase) -> list[Mute]:
        return [one for one in about if one.phase(now) == phase]

    return MuteList(
        now,
        tuple(sorted(those("present"), key=lambda one: one.end)),
        tuple(sorted(those("planned"), key=lambda one: one.since)),
        tuple(sorted(those("over"), key=lambda one: one.end, reverse=True)[:_MOST_PAST]),
    )


def _is_same(one: Mute, made: Mute, now: datetime) -> bool:
    """Return whether a mute is prolonged by a new one: of the same alarms, and of one begin or both
    on a single target now."""
    both = [Matcher(m.part, m.asset, m.definition, m.up_to) for m in (one, made)]
    begins = one.since == made.since or (made.is_target and one.since <= made.since <= now)
    return one.kind == made.kind and both[0] == both[1] and begins


def _require_possible(running: Iterable[Mute], made: Mute, now: datetime) -> None:
    """Raise UserError for what is out of service, Conflicting where there are too many."""
    others = [one for one in running if not _is_same(one, made, now)]
    if len(others) >= _MOST:
        raise Conflicting(
            translatable("{number} mutes are present or planned; end some of them", number=_MOST)
        )
    out = any(
        one.kind == "out_of_service"
        and (one.definition, one.asset) == (made.definition, made.asset)
        for one in running
    )
    if made.is_target:
        move(Flags(out_of_service=out), _START[made.kind])


def _require_known(
    platform: MutingPorts, matcher: Matcher, event: EndingEvent | None, notified: set[str]
) -> None:
    """Raise NotFound with a name that is unknown, or for a definition that is not on the asset."""
    for name in (matcher.part, None if matcher.is_target else matcher.asset, event and event.asset):
        if name and platform.assets.get(name) is None:
            raise NotFound(translatable("there is no asset “{name}”", name=name))
    if matcher.definition:
        _require_definition(platform, matcher.definition, matcher.asset)
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


def _require_definition(platform: MutingPorts, name: str, asset: str | None) -> None:
    found = newest_of_target(platform.definitions, name) or require_revision(
        platform.definitions, name
    )
    if asset is None:
        return
    assets = [one.name for one in matching_assets(found.definition, platform.assets.all())]
    if asset not in assets:
        raise NotFound(
            f"{name!r} does not apply to {asset!r}; it applies to "
            f"{', '.join(assets) or 'no known asset'}"
        )


def _audited(mute: Mute) -> dict[str, Any]:
    names = (
        "kind",
        "part",
        "asset",
        "definition",
        "up_to",
        "since",
        "until",
        "event",
        "event_asset",
    )
    document = asdict(mute)
    return {name: document[name] for name in (*names, "notified") if document[name]}
