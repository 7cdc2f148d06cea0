"""Overview of notifications: every route with its channels, waiting notifications, dead letters;
and the test of a route."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.fields.names_and_times import end_of
from alerting.definitions.routes_and_sinks import Route
from alerting.notifications.notification import Notification
from alerting.notifications.policy import channels_of, is_on_shift
from alerting.ports import DeliveryPorts
from alerting.usecases.notification.deliver import send_test
from alerting.usecases.notification.routes import ROUTES

LOOK_BACK = timedelta(days=8)
"""Age of the oldest deliveries shown: a week, for a weekly heartbeat, and a day of delay."""
_SHOWN = 100


@dataclass(frozen=True)
class ChannelStatus:
    """One channel, over all routes. `last_delivery`: None if there was none since
    `RoutesOverview.since`."""

    name: str
    configured: bool
    last_delivery: datetime | None
    waiting: int
    dead: int


@dataclass(frozen=True)
class RouteStatus:
    """One route. `channels`: its own, then those of its escalation only; `quiet_until`: None
    outside quiet hours.

    `last_heartbeat`: when its last heartbeat was delivered, by channel; absent without any since
    `RoutesOverview.since`.
    """

    route: Route
    on_shift: bool
    quiet_until: datetime | None
    channels: tuple[str, ...]
    last_heartbeat: Mapping[str, datetime]


@dataclass(frozen=True)
class RoutesOverview:
    """Overview at an instant. `faulty`: unused routes with their faults; `more_waiting`: not all
    waiting messages are listed."""

    at: datetime
    since: datetime
    routes: tuple[RouteStatus, ...]
    faulty: Mapping[str, Sequence[str]]
    channels: tuple[ChannelStatus, ...]
    waiting: tuple[Notification, ...]
    more_waiting: bool
    dead: tuple[Notification, ...]


def routes_overview(platform: DeliveryPorts, now: datetime) -> RoutesOverview:
    """Return the overview of routes, channels and waiting messages now."""
    since = now - LOOK_BACK
    routes, faulty = ROUTES.read(platform)
    waiting = platform.notifications.waiting(_SHOWN + 1)
    dead = platform.notifications.dead()
    sent = platform.notifications.sent_since(since)
    named = {channel for route in routes for channel in channels_of(route)}
    channels = _channels(platform.channels, named, _latest_sent(sent), waiting, dead)
    statuses = tuple(_route_status(route, sent, now) for route in routes)
    return RoutesOverview(
        now,
        since,
        statuses,
        faulty,
        channels,
        tuple(waiting[:_SHOWN]),
        len(waiting) > _SHOWN,
        tuple(dead),
    )


def try_route(platform: DeliveryPorts, name: str, actor: str, now: datetime) -> dict[str, str]:
    """Send a test message to every channel of a route. Return `sent` or the fault by channel.

    Raises UserError if the route is faulty, NotFound if there is none of this name.
    """
    routes, faulty = ROUTES.read(platform)
    if name in faulty:
        raise UserError(f"route {name!r} is faulty and not used: {'; '.join(faulty[name])}")
    if all(route.name != name for route in routes):
        raise NotFound(f"there is no route {name!r}; see: alerting list routes")
    return send_test(platform, name, actor, now)


def _route_status(route: Route, sent: Iterable[Notification], now: datetime) -> RouteStatus:
    heartbeats = _latest_sent(n for n in sent if n.key.startswith(f"heartbeat:{route.name}:"))
    return RouteStatus(
        route,
        is_on_shift(route, now),
        end_of(route.quiet, route.zone, now),
        channels_of(route),
        heartbeats,
    )


def _latest_sent(sent: Iterable[Notification]) -> dict[str, datetime]:
    """Return the last delivery by channel."""
    delivered = sorted((n.delivered_at, n.channel) for n in sent if n.delivered_at is not None)
    return {channel: at for at, channel in delivered}


def _channels(
    configured: Collection[str],
    named: Collection[str],
    sent: Mapping[str, datetime],
    waiting: Iterable[Notification],
    dead: Iterable[Notification],
) -> tuple[ChannelStatus, ...]:
    waits = Counter(message.channel for message in waiting)
    given_up = Counter(letter.channel for letter in dead)
    names = sorted({*configured, *named, *waits, *given_up})
    return tuple(
        ChannelStatus(c, c in configured, sent.get(c), waits[c], given_up[c]) for c in names
    )
