"""Digests: one message for all episodes that were over before a notification was possible: after an outage, or from late data."""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime

from alerting.episodes.episode import Episode, Notification
from alerting.notifications.group_message import GroupMessage, new_group_message
from alerting.ports import Platform
from alerting.reporting.sentences import sentence
from alerting.usecases.episodes.store import update
from alerting.usecases.notification.muting import mute_notifications

_LISTED = 20
Member = tuple[Episode, Notification]


def create_digests(platform: Platform, now: datetime) -> int:
    """Send one digest per channel of all waiting notifications, once the first has waited long enough. Return how many digests.

    The digest is stored first, under the key of its first member, and this member is marked as notified last. After a crash in
    between the next call completes the digest, and no recipient is notified twice.
    """
    waiting: dict[str, list[Member]] = defaultdict(list)
    for waiting_episode in platform.episodes.waiting_for_digest():
        episode = mute_notifications(platform, waiting_episode, now)
        for n in episode.notifications:
            if n.status == "pending" and n.postponed_by == "digest":
                waiting[n.channel].append((episode, n))
    due = {c: sorted(members, key=_age) for c, members in waiting.items() if any(_is_due(n, now) for _, n in members)}
    return sum(_send_digest(platform, channel, members, now) for channel, members in due.items())


def _age(member: Member) -> tuple[datetime, str]:
    return member[1].created_at, member[1].key


def _is_due(n: Notification, now: datetime) -> bool:
    return n.next_attempt_at is None or n.next_attempt_at <= now


def _send_digest(platform: Platform, channel: str, members: list[Member], now: datetime) -> bool:
    id = f"digest:{members[0][1].key}"
    is_new = platform.group_messages.insert(_digest(id, channel, members, now))
    stored = platform.group_messages.get(id)
    listed = set(stored.payload["notifications"]) if stored is not None else set()
    for episode, n in reversed(members):
        if n.key in listed:
            _record_as_grouped(platform, episode.id, n.key, now)
    return is_new


def _digest(id: str, channel: str, members: list[Member], now: datetime) -> GroupMessage:
    subject = _digest_subject(members)
    in_time = sorted((episode for episode, _ in members[:_LISTED]), key=lambda e: (e.raised_at, e.id))
    lines = [f"{subject}:", *(_line(episode) for episode in in_time)]
    if len(members) > _LISTED:
        lines.append(f"and {len(members) - _LISTED} others")
    episodes, keys = [e.id for e, _ in members], [n.key for _, n in members]
    return new_group_message(
        id, channel, subject, "\n".join(lines), now, members[0][1].route, episodes=episodes, notifications=keys
    )


def _digest_subject(members: list[Member]) -> str:
    """Return the subject of a digest: the number of alarms, or the alarm if it is a single one."""
    if len(members) == 1:
        episode = members[0][0]
        return f"Came and went: {episode.severity.upper()}: {episode.title} on {episode.asset}"
    return f"{len(members)} alerts raised and over before anybody was told"


def _line(episode: Episode) -> str:
    over = f"to {episode.closed_at.isoformat()}" if episode.closed_at else "and open again"
    what = f"{episode.severity.upper()}: {episode.title} on {episode.asset}"
    return f"{what}, {episode.raised_at.isoformat()} {over}: {sentence(episode.evaluation.reason)}"


def _record_as_grouped(platform: Platform, episode_id: str, key: str, now: datetime) -> None:
    def record_group(episode: Episode) -> Episode:
        changed = tuple(replace(n, status="grouped", delivered_at=now) if n.key == key else n for n in episode.notifications)
        return replace(episode, notifications=changed)

    update(platform, episode_id, record_group)
