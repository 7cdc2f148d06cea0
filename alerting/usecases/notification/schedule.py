"""Notifications that time alone makes due: repeats, escalations, rises of severity, flood summaries, heartbeats."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.definitions.durations import format_duration
from alerting.definitions.model import Definition
from alerting.definitions.routes import Route
from alerting.episodes.episode import Episode, Notification
from alerting.notifications.group_message import GroupMessage, new_group_message
from alerting.ports import Platform
from alerting.reporting.sentences import sentence
from alerting.usecases.episodes.store import update
from alerting.usecases.notification.dead_letters import dead_letters
from alerting.usecases.notification.digests import create_digests
from alerting.usecases.notification.muting import mute_notifications, record_suppression
from alerting.usecases.notification.platform_alerts import announce_platform_alerts
from alerting.usecases.notification.routes import read_routes, timed_notifications

_LISTED = 20


def announce_due(platform: Platform, now: datetime) -> int:
    """Add the notifications that have become due. Return how many. Idempotent."""
    routes, _ = read_routes(platform)
    summaries = summarise_floods(platform, now) + create_digests(platform, now)
    added = _announce_open(platform, routes, now) + summaries
    return added + announce_platform_alerts(platform, routes, now) + _send_heartbeats(platform, routes, now)


def _announce_open(platform: Platform, routes: Sequence[Route], now: datetime) -> int:
    open_episodes = platform.episodes.find(open_only=True)
    revisions = {name: platform.definitions.revisions(name) for name in {e.definition for e in open_episodes}}
    added = 0
    for episode in open_episodes:
        history = revisions[episode.definition]
        definition = history[-1].definition if history else None
        if definition is None:
            continue
        current = record_suppression(platform, definition, episode, now)
        if timed_notifications(platform, definition, current, routes, now):
            added += _add(platform, definition, current, routes, now)
    return added


def _add(platform: Platform, definition: Definition, episode: Episode, routes: Sequence[Route], now: datetime) -> int:
    added = 0

    def add_due(stored: Episode) -> Episode:
        nonlocal added
        new_ones = timed_notifications(platform, definition, stored, routes, now)
        added = len(new_ones)
        return replace(stored, notifications=(*stored.notifications, *new_ones))

    update(platform, episode.id, add_due)
    return added


def summarise_floods(platform: Platform, now: datetime) -> int:
    """Send one flood summary per asset and channel of the notifications held back in a flood. Return how many summaries.

    The summary is stored first, under a key that depends only on the notifications held back; then these are marked as grouped.
    After a crash in between the next call completes the summary, and no recipient is notified twice.
    """
    floods: dict[tuple[str, str, datetime], list[tuple[Episode, Notification]]] = defaultdict(list)
    for waiting_episode in platform.episodes.waiting_in_floods(now):
        episode = mute_notifications(platform, waiting_episode, now)
        for n in _postponed_by_flood(episode, now):
            floods[n.channel, episode.asset, n.next_attempt_at or now].append((episode, n))
    return sum(_summarise(platform, *group, members, now) for group, members in floods.items())


def _postponed_by_flood(episode: Episode, now: datetime) -> Iterator[Notification]:
    for n in episode.notifications:
        if n.status == "pending" and n.postponed_by == "flood" and (n.next_attempt_at or now) <= now:
            yield n


def _summarise(
    platform: Platform, channel: str, asset: str, until: datetime, members: list[tuple[Episode, Notification]], now: datetime
) -> int:
    """Write one flood summary. Members that came too late for a summary sent already are left for the next one."""
    part, created = 1, 0
    rest = members
    while rest:
        id = f"flood:{asset}:{until.isoformat()}:{channel}:{part}"
        stored = platform.group_messages.get(id)
        if stored is None:
            created += platform.group_messages.insert(_flood_summary(id, channel, asset, rest, now))
            stored = platform.group_messages.get(id)
        if stored is None:
            return created
        listed = set(stored.payload["notifications"])
        for episode, n in rest:
            if n.key in listed:
                _record_as_grouped(platform, episode.id, n.key, now)
        rest = [(e, n) for e, n in rest if n.key not in listed]
        part += 1
    return created


def _flood_summary(id: str, channel: str, asset: str, members: list[tuple[Episode, Notification]], now: datetime) -> GroupMessage:
    subject = f"+{len(members)} more on {asset}"
    lines = [subject, *(_line(episode) for episode, _ in members[:_LISTED])]
    if len(members) > _LISTED:
        lines.append(f"and {len(members) - _LISTED} others")
    return new_group_message(
        id,
        channel,
        subject,
        "\n".join(lines),
        now,
        members[0][1].route,
        asset=asset,
        episodes=[episode.id for episode, _ in members],
        notifications=[n.key for _, n in members],
    )


def _line(episode: Episode) -> str:
    over = "; over" if episode.condition == "closed" else ""
    since = episode.raised_at.isoformat()
    return f"{episode.severity.upper()}: {episode.title}, since {since}{over}: {sentence(episode.evaluation.reason)}"


def _record_as_grouped(platform: Platform, episode_id: str, key: str, now: datetime) -> None:
    def record_group(episode: Episode) -> Episode:
        changed = tuple(replace(n, status="grouped", delivered_at=now) if n.key == key else n for n in episode.notifications)
        return replace(episode, notifications=changed)

    update(platform, episode_id, record_group)


def _send_heartbeats(platform: Platform, routes: Sequence[Route], now: datetime) -> int:
    return sum(
        _send_heartbeat(platform, route, route.heartbeat, channel, now)
        for route in routes
        if route.heartbeat is not None
        for channel in route.channels
    )


def _send_heartbeat(platform: Platform, route: Route, every: timedelta, channel: str, now: datetime) -> bool:
    """Send one heartbeat for each whole multiple of the period; heartbeats missed during an outage are not sent later."""
    slot = (now - datetime.fromtimestamp(0, now.tzinfo)) // every
    id = f"heartbeat:{route.name}:{format_duration(every)}:{slot}:{channel}"
    if platform.group_messages.get(id) is not None:
        return False
    still_open = len(platform.episodes.find(open_only=True))
    dead = len(dead_letters(platform))
    text = (
        f"Alerting is alive at {now.isoformat()}: {still_open} open, {dead} messages that could not be delivered.\n"
        f"The next sign of life comes in {format_duration(every)} (route {route.name}); if it does not, look after the platform."
    )
    group_message = new_group_message(id, channel, "Alerting is alive", text, now, route.name, open=still_open, dead_letters=dead)
    return platform.group_messages.insert(group_message)
