"""Overview of notifications: every route with its channels, waiting notifications, dead letters; and the test of a route."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.faults import UserError
from alerting.definitions.hours import end_of, is_within
from alerting.definitions.routes import Route
from alerting.episodes.episode import Notification, PostponedBy
from alerting.ports import Platform
from alerting.usecases.episodes.store import NotFound
from alerting.usecases.notification.dead_letters import DeadLetter, dead_letters
from alerting.usecases.notification.deliver import send_test
from alerting.usecases.notification.routes import read_routes

LOOK_BACK = timedelta(days=8)
"""How far back deliveries are looked up: a weekly heartbeat, and a day for it to be late."""
_ANY_TIME = timedelta(days=366)
_SHOWN = 100


@dataclass(frozen=True)
class ChannelStatus:
    """One channel, over all routes. `last_delivery`: None if there was none since `RoutesOverview.since`."""

    name: str
    configured: bool
    last_delivery: datetime | None
    waiting: int
    dead: int


@dataclass(frozen=True)
class RouteStatus:
    """One route. `channels`: its own, then those of its escalation only; `quiet_until`: None outside quiet hours.

    `last_heartbeat`: when its last heartbeat was delivered, by channel; absent without any since `RoutesOverview.since`.
    """

    route: Route
    on_shift: bool
    quiet_until: datetime | None
    channels: tuple[str, ...]
    last_heartbeat: Mapping[str, datetime]


@dataclass(frozen=True)
class WaitingMessage:
    """A notification that is still to be delivered. `postponed_by`: why it waits without a failure; `error`: its last failure."""

    id: str
    episode: str | None
    channel: str
    of: str
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: int
    postponed_by: PostponedBy | None
    error: str | None


@dataclass(frozen=True)
class RoutesOverview:
    """Overview at an instant. `faulty`: unused routes with their faults; `more_waiting`: not all waiting messages are listed."""

    at: datetime
    since: datetime
    routes: tuple[RouteStatus, ...]
    faulty: Mapping[str, Sequence[str]]
    channels: tuple[ChannelStatus, ...]
    waiting: tuple[WaitingMessage, ...]
    more_waiting: bool
    dead: tuple[DeadLetter, ...]


def routes_overview(platform: Platform, now: datetime) -> RoutesOverview:
    """Return the overview of routes, channels and waiting messages now."""
    since = now - LOOK_BACK
    routes, faulty = read_routes(platform)
    group_messages = platform.group_messages.sent_since(since)
    sent = _latest([*platform.episodes.sent_since(since), *group_messages])
    waiting, dead = _waiting(platform, now), dead_letters(platform)
    named = {channel for route in routes for channel in channels_of(route)}
    channels = _channels(platform.channels, named, sent, waiting, dead)
    statuses = tuple(_route_status(route, group_messages, now) for route in routes)
    return RoutesOverview(now, since, statuses, faulty, channels, tuple(waiting[:_SHOWN]), len(waiting) > _SHOWN, tuple(dead))


def try_route(platform: Platform, name: str, actor: str, now: datetime) -> dict[str, str]:
    """Send a test message to every channel of a route. Return `sent` or the fault by channel.

    Raises UserError if the route is faulty, NotFound if there is none of this name.
    """
    routes, faulty = read_routes(platform)
    if name in faulty:
        raise UserError(f"route {name!r} is faulty and not used: {'; '.join(faulty[name])}")
    if all(route.name != name for route in routes):
        raise NotFound(f"there is no route {name!r}; see: alerting route list")
    return send_test(platform, name, actor, now)


def channels_of(route: Route) -> tuple[str, ...]:
    """Return the channels of a route, then those of its escalation only."""
    return tuple(dict.fromkeys([*route.channels, *(channel for step in route.escalation for channel in step.channels)]))


def _route_status(route: Route, group_messages: Iterable[Notification], now: datetime) -> RouteStatus:
    heartbeats = _latest(n for n in group_messages if n.key.startswith(f"heartbeat:{route.name}:"))
    on_shift = not route.shifts or is_within(route.shifts, route.zone, now)
    return RouteStatus(route, on_shift, end_of(route.quiet, route.zone, now), channels_of(route), heartbeats)


def _latest(sent: Iterable[Notification]) -> dict[str, datetime]:
    """Return the last delivery by channel."""
    delivered = sorted((n.delivered_at, n.channel) for n in sent if n.delivered_at is not None)
    return {channel: at for at, channel in delivered}


def _channels(
    configured: Collection[str],
    named: Collection[str],
    sent: Mapping[str, datetime],
    waiting: Iterable[WaitingMessage],
    dead: Iterable[DeadLetter],
) -> tuple[ChannelStatus, ...]:
    waits, given_up = Counter(message.channel for message in waiting), Counter(letter.channel for letter in dead)
    names = sorted({*configured, *named, *waits, *given_up})
    return tuple(ChannelStatus(c, c in configured, sent.get(c), waits[c], given_up[c]) for c in names)


def _waiting(platform: Platform, now: datetime) -> list[WaitingMessage]:
    """Return the oldest waiting messages, due or not; more than the overview shows if there are more."""
    due = now + _ANY_TIME
    found = [
        _waiting_message(e.id, n) for e in platform.episodes.with_due_notifications(due, _SHOWN + 1) for n in e.notifications
    ]
    found += [_waiting_message(None, n) for shelf in platform.shelves.with_due_notifications(due) for n in shelf.notifications]
    found += [_waiting_message(None, b.notification) for b in platform.group_messages.due(due, _SHOWN + 1)]
    return sorted((message for message in found if message is not None), key=lambda message: message.created_at)


def _waiting_message(episode: str | None, n: Notification) -> WaitingMessage | None:
    if n.status != "pending":
        return None
    return WaitingMessage(
        n.key, episode, n.channel, n.transition, n.created_at, n.next_attempt_at, n.attempts, n.postponed_by, n.error
    )
