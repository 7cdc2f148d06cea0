"""Shelves of operators: mute an alert on an asset for a time, prolong that, and end it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.matching import matching_assets
from alerting.definitions.wording.language import translatable
from alerting.operators.actions import Action, move, permit
from alerting.operators.shelves import (
    Shelf,
    ShelfKind,
    check_shelf,
    new_shelf,
    reminder_time,
)
from alerting.ports import EpisodePorts, MutingPorts, Shelves
from alerting.usecases.notification.muting import end_shelf, record_muting, tend_shelves
from alerting.usecases.operators.operate import (
    Actor,
    require_definition_of_target,
    shelves_now,
    target_flags,
)

_START: Mapping[ShelfKind, Action] = {"shelved": "shelve", "out_of_service": "take_out_of_service"}
_END: Mapping[ShelfKind, Action] = {"shelved": "unshelve", "out_of_service": "return_to_service"}


def shelve(
    platform: MutingPorts,
    definition: str,
    asset: str,
    actor: Actor,
    at: datetime,
    until: datetime | None,
    reason: str,
    kind: ShelfKind = "shelved",
) -> Shelf:
    """Mute a definition on an asset until a time. For a target on the shelf already, the new end
    and reason count.

    Only out of service may it be without an end, until it is returned. Raises UserError without a
    reason, or an end in the future, NotAllowed if it is longer than the role may shelve, NotFound
    for an unknown target.
    """
    action = _START[kind]
    permit(action, actor.role)
    check_shelf(actor.role, at, until, reason, kind)
    _require_target(platform, definition, asset)
    while True:
        tend_shelves(platform, at, definition, asset)
        move(target_flags(platform, definition, asset, at), action)
        same = next(
            (s for s in platform.shelves.in_force(definition, asset) if s.kind == kind), None
        )
        before = len(platform.shelves.for_target(definition, asset))
        shelf = _write_shelf(
            platform.shelves,
            same,
            new_shelf(definition, asset, kind, at, until, reason, actor.name, before),
        )
        if shelf is not None:
            break
    platform.audit.add(
        actor.name, kind, f"{definition} on {asset}", at, same and same.until, until, reason
    )
    record_muting(platform, shelf, at)
    return shelf


def unshelve(
    platform: MutingPorts,
    definition: str,
    asset: str,
    actor: Actor,
    at: datetime,
    reason: str = "",
    kind: ShelfKind = "shelved",
) -> Shelf:
    """End a shelf before its time, or return a target to service. An open episode is notified once.

    Raises UserError if the target is not muted in this way.
    """
    action = _END[kind]
    permit(action, actor.role)
    require_definition_of_target(platform.definitions, definition)
    while True:
        move(target_flags(platform, definition, asset, at), action)
        shelf = next(
            (s for s in shelves_now(platform.shelves, at, definition, asset) if s.kind == kind),
            None,
        )
        if shelf is not None and end_shelf(
            platform.audit,
            platform.shelves,
            shelf,
            at,
            actor.name,
            reason or "ended by an operator",
        ):
            break
    tend_shelves(platform, at, definition, asset)
    return find_shelf(platform.shelves, shelf.id)


def extend_shelf(
    platform: MutingPorts, id: str, actor: Actor, at: datetime, longer: timedelta
) -> Shelf:
    """Move the end of a shelf, for the same reason. Raises UserError if it is over or has no end,
    and as `shelve`."""
    shelf = find_shelf(platform.shelves, id)
    if shelf.until is None or not shelf.mutes(at):
        raise UserError(translatable("it does not end in the future, so it cannot end later"))
    return shelve(
        platform,
        shelf.definition,
        shelf.asset,
        actor,
        at,
        shelf.until + longer,
        shelf.reason,
        shelf.kind,
    )


def find_shelf(shelves: Shelves, id: str) -> Shelf:
    """Return the shelf of this id. Raises NotFound if there is none."""
    shelf = shelves.get(id)
    if shelf is None:
        raise NotFound(f"there is no shelf {id!r}")
    return shelf


def _write_shelf(shelves: Shelves, same: Shelf | None, wanted: Shelf) -> Shelf | None:
    """Write a new shelf, or the one in force with the new end and reason. Return None if another
    process was first."""
    if same is None:
        return wanted if shelves.insert(wanted) else None
    remind = reminder_time(wanted.since, wanted.until)
    longer = replace(
        same,
        until=wanted.until,
        reason=wanted.reason,
        actor=wanted.actor,
        remind_at=remind,
        version=same.version + 1,
    )
    return longer if shelves.replace(longer) else None


def _require_target(platform: EpisodePorts, definition: str, asset: str) -> None:
    found = require_definition_of_target(platform.definitions, definition)
    assets = [a.name for a in matching_assets(found, platform.assets.all())]
    if asset not in assets:
        raise NotFound(
            f"{definition!r} does not apply to {asset!r}; it applies to "
            f"{', '.join(assets) or 'no known asset'}"
        )
