"""Notifications that time alone makes due: repeats, escalations, rises of severity, heartbeats."""

from collections.abc import Sequence
from datetime import UTC, datetime

from alerting.definitions.durations import format_duration
from alerting.definitions.routes import Route, is_for
from alerting.notifications.notification import Notification, new_message
from alerting.ports import DeliveryPorts, MutingPorts
from alerting.usecases.notification.muting import record_suppression
from alerting.usecases.notification.platform_alerts import platform_notifications
from alerting.usecases.notification.routes import (
    find_plants,
    language_of,
    read_routes,
    timed_notifications,
)

_EPOCH = datetime.fromtimestamp(0, UTC)


def announce_due(platform: DeliveryPorts, now: datetime) -> int:
    """Add the notifications that have become due. Return how many. Idempotent."""
    routes, _ = read_routes(platform.routes)
    found = _of_open_episodes(platform, routes, now) + platform_notifications(platform, routes, now)
    return platform.notifications.add(found + _heartbeats(platform, routes, now))


def _of_open_episodes(
    platform: MutingPorts, routes: Sequence[Route], now: datetime
) -> list[Notification]:
    open_episodes = platform.episodes.find(open_only=True)
    if not open_episodes:
        return []
    sent = platform.notifications.of_episodes({e.id for e in open_episodes})
    newest = {
        name: platform.definitions.newest_revision(name)
        for name in {e.definition for e in open_episodes}
    }
    plants = find_plants(platform.assets, routes, {e.asset for e in open_episodes})
    found: list[Notification] = []
    for episode in open_episodes:
        revision = newest[episode.definition]
        if revision is not None:
            current = record_suppression(platform, revision.definition, episode, now)
            found += timed_notifications(
                platform.channels,
                revision.definition,
                current,
                sent[episode.id],
                routes,
                now,
                plants,
            )
    return found


def _heartbeats(
    platform: MutingPorts, routes: Sequence[Route], now: datetime
) -> list[Notification]:
    """Return one heartbeat for each whole multiple of the period, with counts of the assets of its
    route; heartbeats missed during an outage are not sent later."""
    beats = {
        f"heartbeat:{route.name}:{format_duration(every)}:{(now - _EPOCH) // every}:{channel}": (
            route.name,
            channel,
            every,
        )
        for route in routes
        if (every := route.heartbeat) is not None
        for channel in route.channels
    }
    for stored in platform.notifications.get([*beats]) if beats else ():
        del beats[stored.key]
    if not beats:
        return []
    still_open = [episode.asset for episode in platform.episodes.find(open_only=True)]
    dead_letters = [letter.asset or "" for letter in platform.notifications.dead()]
    plants = find_plants(platform.assets, routes, {*still_open, *dead_letters})
    found = []
    by_name = {route.name: route for route in routes}
    for key, (name, channel, every) in beats.items():
        open_ = sum(is_for(by_name[name], asset, plants) for asset in still_open)
        dead = sum(is_for(by_name[name], asset, plants) for asset in dead_letters)
        reads = language_of(by_name[name], platform.language)
        text = reads.say(
            "Alerting is running ({when}): open alarms {open}, undelivered messages {dead}.",
            when=now.isoformat(),
            open=open_,
            dead=dead,
        )
        following = reads.say(
            "The next such message comes in {duration} (route {route}); if it does not, check the "
            "platform.",
            duration=reads.duration(every),
            route=name,
        )
        counts = {"open": open_, "dead_letters": dead}
        found.append(
            new_message(
                key,
                channel,
                reads.say("Alerting is running"),
                f"{text}\n{following}",
                now,
                name,
                **counts,
            )
        )
    return found
