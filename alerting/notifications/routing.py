"""Decide which channels get an alert: of routes in their shift or, without any, all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from alerting.definitions.hours import end_of, is_within
from alerting.definitions.model import Definition, Severity
from alerting.definitions.routes import Flood, Route, is_for

TOP: Severity = "critical"
LOG = "log"
"""The channel that reaches no person by itself."""


@dataclass(frozen=True)
class Recipient:
    """One channel that may be notified, and its rules.

    `escalates_after`: only if the episode is not acknowledged for this time. `quiet_until`: until
    then only the top severity is notified.
    """

    channel: str
    route: str | None = None
    quiet_until: datetime | None = None
    repeat: timedelta | None = None
    flood: Flood | None = None
    escalates_after: timedelta | None = None


def recipients(
    definition: Definition,
    asset: str,
    severity: Severity,
    routes: Sequence[Route],
    channels: Sequence[str],
    now: datetime,
) -> list[Recipient]:
    """Return the recipients that are notified at once of an alert of this severity on this asset,
    each channel once.

    A definition that names its channels notifies these and no others. All others follow the routes;
    where none is in force, others are notified (`_without_route`), so that no alert is lost between
    two shifts or behind a faulty route.
    """
    if definition.notify.channels is not None:
        return [Recipient(channel) for channel in definition.notify.channels]
    chosen = _in_force(definition, asset, severity, routes, now)
    found = [
        Recipient(
            channel, route.name, _quiet_until(route, severity, now), route.repeat, route.flood
        )
        for route in chosen
        for channel in route.channels
    ]
    # a route that may notify a channel now comes before one in quiet hours, then the order of names
    by_channel: dict[str, Recipient] = {}
    for recipient in sorted(found, key=lambda r: (r.quiet_until is not None, r.route or "")):
        by_channel.setdefault(recipient.channel, recipient)
    return list(by_channel.values()) or _without_route(asset, routes, channels)


def _without_route(asset: str, routes: Sequence[Route], channels: Sequence[str]) -> list[Recipient]:
    """Return the recipients of an alert that no route in force matches: every channel but those
    that routes use for other assets only; every one if none is left that reaches a person."""
    own = {c for route in routes if is_for(route, asset) for c in channels_of(route)}
    foreign = {c for route in routes for c in channels_of(route)} - own
    rest = [channel for channel in channels if channel not in foreign]
    reaches = any(channel != LOG for channel in rest)
    return [Recipient(channel) for channel in sorted(rest if reaches else channels)]


def escalations(
    definition: Definition,
    asset: str,
    severity: Severity,
    routes: Sequence[Route],
    now: datetime,
) -> list[Recipient]:
    """Return the recipients of escalations, the soonest first."""
    if definition.notify.channels is not None:
        return []
    steps = [
        Recipient(
            channel, route.name, _quiet_until(route, severity, now), escalates_after=step.after
        )
        for route in _in_force(definition, asset, severity, routes, now)
        for step in route.escalation
        for channel in step.channels
    ]
    return sorted(steps, key=lambda r: (r.escalates_after or timedelta(0), r.channel))


def matches(route: Route, definition: Definition, asset: str, severity: Severity) -> bool:
    """Return whether an alert fits everything that a route selects by."""
    match = route.match
    return (
        (match.severity is None or severity in match.severity)
        and is_for(route, asset)
        and any(fnmatchcase(definition.name, p) for p in match.definitions)
        and (not match.tags or not set(match.tags).isdisjoint(definition.tags))
    )


def _in_force(
    definition: Definition,
    asset: str,
    severity: Severity,
    routes: Sequence[Route],
    now: datetime,
) -> list[Route]:
    fitting = (route for route in routes if matches(route, definition, asset, severity))
    return [route for route in fitting if is_on_shift(route, now)]


def is_on_shift(route: Route, now: datetime) -> bool:
    """Return whether a route is in force: always, if it has no shifts."""
    return not route.shifts or is_within(route.shifts, route.zone, now)


def channels_of(route: Route) -> tuple[str, ...]:
    """Return the channels of a route, then those of its escalation only."""
    return tuple(
        dict.fromkeys(
            [*route.channels, *(channel for step in route.escalation for channel in step.channels)]
        )
    )


def _quiet_until(route: Route, severity: Severity, now: datetime) -> datetime | None:
    return None if severity == TOP else end_of(route.quiet, route.zone, now)
