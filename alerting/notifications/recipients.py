"""Who may be notified of an alert, and by which rules: the channels of routes whose shift it is or,
without such a route, all channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from alerting.definitions.alert_definition import Definition, Severity
from alerting.definitions.fields.names_and_times import end_of, is_within
from alerting.definitions.routes_and_sinks import Flood, Route, is_for

TOP: Severity = "critical"
LOG = "log"
"""The channel that reaches no person by itself."""


@dataclass(frozen=True)
class Recipient:
    """One channel that may be notified, and its rules.

    `escalates_after`: the recipient is notified only if the episode is not acknowledged for this
    time. `quiet_until`: until then the recipient is notified of the worst severity only.
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

    A definition that names channels notifies these and no others. All other definitions follow the
    routes. If no matching route is in force, every channel is notified except those that routes use
    only for other assets, and every one if none of the rest reaches a person, so that no alert is
    lost between two shifts or because of a faulty route.
    """
    if definition.notify.channels is not None:
        return [Recipient(channel) for channel in definition.notify.channels]
    candidates = [
        Recipient(channel, route.name, quiet_until, route.repeat, route.flood)
        for route, quiet_until in _in_force(definition, asset, severity, routes, now)
        for channel in route.channels
    ]
    # a route that may notify a channel now comes before one in quiet hours, then the order of names
    by_channel: dict[str, Recipient] = {}
    for recipient in sorted(candidates, key=lambda r: (r.quiet_until is not None, r.route or "")):
        by_channel.setdefault(recipient.channel, recipient)
    if by_channel:
        return [*by_channel.values()]
    of_asset = {c for route in routes if is_for(route, asset) for c in channels_of(route)}
    foreign = {c for route in routes for c in channels_of(route)} - of_asset
    usable = [channel for channel in channels if channel not in foreign]
    reaches = any(channel != LOG for channel in usable)
    return [Recipient(channel) for channel in sorted(usable if reaches else channels)]


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
        Recipient(channel, route.name, quiet_until, escalates_after=step.after)
        for route, quiet_until in _in_force(definition, asset, severity, routes, now)
        for step in route.escalation
        for channel in step.channels
    ]
    return sorted(steps, key=lambda r: (r.escalates_after or timedelta(0), r.channel))


def _in_force(
    definition: Definition,
    asset: str,
    severity: Severity,
    routes: Sequence[Route],
    now: datetime,
) -> list[tuple[Route, datetime | None]]:
    """Return the routes that an alert fits and whose shift it is, each with the end of its quiet
    hours, which do not hold back the worst severity."""
    return [
        (route, None if severity == TOP else end_of(route.quiet, route.zone, now))
        for route in routes
        if (route.match.severity is None or severity in route.match.severity)
        and is_for(route, asset)
        and any(fnmatchcase(definition.name, pattern) for pattern in route.match.definitions)
        and (not route.match.tags or not set(route.match.tags).isdisjoint(definition.tags))
        and is_on_shift(route, now)
    ]


def is_on_shift(route: Route, now: datetime) -> bool:
    """Return whether a route is in force: always, if it has no shifts."""
    return not route.shifts or is_within(route.shifts, route.zone, now)


def channels_of(route: Route) -> tuple[str, ...]:
    """Return the channels of a route, then the channels that only its escalation has."""
    return tuple(
        dict.fromkeys(
            [*route.channels, *(channel for step in route.escalation for channel in step.channels)]
        )
    )
