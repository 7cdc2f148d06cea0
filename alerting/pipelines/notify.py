"""Deliver what the outboxes hold: claim, deliver, record. At least once, each with a key that never changes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from alerting.episodes.announcing import after_failure, muted, retry_delay
from alerting.episodes.episode import Episode, Notification
from alerting.episodes.shelving import Shelf, in_words
from alerting.pipelines.muting import muted_now, tend_shelves
from alerting.pipelines.ports import DeliveryFailed, Message, Platform
from alerting.pipelines.settle import update


@dataclass
class DeliveryCounts:
    """What one round of deliveries did."""

    sent: int = 0
    failed: int = 0
    dead: int = 0


def deliver_due(platform: Platform, now: datetime) -> DeliveryCounts:
    """Pay what shelves that ended owe, then try every notification that is due once. What is muted is not told."""
    tend_shelves(platform, now)
    counts = DeliveryCounts()
    for episode in platform.episodes.with_due_notifications(now):
        current = _mute(platform, episode, now)
        _deliver_all(platform, current.outbox, _episode_outbox(platform, current), now, counts)
    for shelf in platform.shelves.with_due_notifications(now):
        _deliver_all(platform, shelf.outbox, _shelf_outbox(platform, shelf), now, counts)
    return counts


Notices = tuple[Notification, ...]


@dataclass(frozen=True)
class _Outbox:
    """Where notifications stand: how to change them by compare-and-set, and what they say."""

    change: Callable[[Callable[[Notices], Notices]], None]
    message: Callable[[Notification], Message]


def _episode_outbox(platform: Platform, episode: Episode) -> _Outbox:
    def change(to: Callable[[Notices], Notices]) -> None:
        update(platform, episode.id, lambda e: replace(e, outbox=to(e.outbox)))

    return _Outbox(change, partial(message, episode))


def _shelf_outbox(platform: Platform, shelf: Shelf) -> _Outbox:
    def change(to: Callable[[Notices], Notices]) -> None:
        stored = platform.shelves.get(shelf.id)
        while stored is not None and (after := to(stored.outbox)) != stored.outbox:
            if platform.shelves.replace(replace(stored, outbox=after, version=stored.version + 1)):
                return
            stored = platform.shelves.get(shelf.id)

    return _Outbox(change, partial(shelf_message, shelf))


def _mute(platform: Platform, episode: Episode, now: datetime) -> Episode:
    """An episode that a shelf mutes: what still waits in its outbox is not told."""
    shelf = muted_now(platform, episode.definition, episode.asset, now)
    if shelf is None:
        return episode
    return update(platform, episode.id, lambda e: replace(e, outbox=muted(e.outbox, in_words(shelf))))


def _deliver_all(platform: Platform, notices: Notices, outbox: _Outbox, now: datetime, counts: DeliveryCounts) -> None:
    for notification in notices:
        if _is_due(notification, now) and _claim(outbox, notification, now):
            _deliver(platform, outbox, notification, now, counts)


def _is_due(notification: Notification, now: datetime) -> bool:
    due = notification.next_attempt_at
    return notification.status == "pending" and (due is None or due <= now)


def _claim(outbox: _Outbox, notification: Notification, now: datetime) -> bool:
    """Count the attempt before it is made: whoever counts first delivers, and a crash leaves evidence and a next attempt."""
    claimed = False

    def count_attempt(notices: Notices) -> Notices:
        nonlocal claimed
        claimed = notification in notices
        if not claimed:
            return notices
        attempts = notification.attempts + 1
        return _put(notices, replace(notification, attempts=attempts, next_attempt_at=now + retry_delay(attempts)))

    outbox.change(count_attempt)
    return claimed


def _deliver(platform: Platform, outbox: _Outbox, notification: Notification, now: datetime, counts: DeliveryCounts) -> None:
    try:
        channel = platform.channels.get(notification.channel)
        if channel is None:
            raise DeliveryFailed(f"channel {notification.channel!r} is not configured", permanent=True)
        channel.deliver(outbox.message(notification))
    except DeliveryFailed as failure:
        status = after_failure(notification.attempts + 1, failure.permanent)
        _record(outbox, notification.key, status=status, error=str(failure))
        counts.failed += 1
        counts.dead += status == "dead"
    else:
        _record(outbox, notification.key, status="sent", delivered_at=now, error=None)
        counts.sent += 1


def _record(outbox: _Outbox, key: str, **changes: Any) -> None:
    outbox.change(lambda notices: tuple(replace(n, **changes) if n.key == key else n for n in notices))


def _put(notices: Notices, notification: Notification) -> Notices:
    return tuple(notification if n.key == notification.key else n for n in notices)


def shelf_message(shelf: Shelf, notification: Notification) -> Message:
    """What people receive shortly before a shelf ends."""
    until = shelf.until.isoformat() if shelf.until else ""
    subject = f"Shelf ends soon: {shelf.definition} on {shelf.asset}"
    lines = [
        f"{subject} ({until})",
        f"Shelved since {shelf.since.isoformat()} by {shelf.who}: {shelf.reason}",
        f"(it ends by itself; longer: alerting shelve {shelf.definition} {shelf.asset} --for ... --reason ...)",
    ]
    payload = {"shelf": shelf.id, "definition": shelf.definition, "asset": shelf.asset, "until": until, "transition": "reminder"}
    return Message(notification.key, subject, "\n".join(lines), payload)


def message(episode: Episode, notification: Notification) -> Message:
    """What people and systems receive of one transition."""
    if notification.transition == "closed":
        subject = f"Over: {episode.title} on {episode.asset}"
        lines = [f"{subject} ({notification.reason})"]
    else:
        subject = f"{episode.severity.upper()}: {episode.title} on {episode.asset}"
        lines = [subject, *_raise_lines(episode, notification)]
    return Message(notification.key, subject, "\n".join(lines), _payload(episode, notification))


def _raise_lines(episode: Episode, notification: Notification) -> list[str]:
    lines = [f"Since {episode.raised_at.isoformat()}: {episode.evaluation.reason}"]
    lines += [f"Why: {c.words}" for c in episode.contributions[:3]]
    if episode.recommendation:
        lines.append(f"What-if of the model: {episode.recommendation.words}")
    lines += [f"{name.capitalize()}: {text}" for name, text in episode.guidance.items()]
    lines.append(f"({notification.reason}; answer with: alerting feedback {episode.id})")
    return lines


def _payload(episode: Episode, notification: Notification) -> dict[str, Any]:
    advice = episode.recommendation
    return {
        "episode": episode.id,
        "definition": episode.definition,
        "revision": episode.revision,
        "asset": episode.asset,
        "transition": notification.transition,
        "reason": notification.reason,
        "severity": episode.severity,
        "title": episode.title,
        "raised_at": episode.raised_at.isoformat(),
        "closed_at": episode.closed_at and episode.closed_at.isoformat(),
        "evaluation": episode.evaluation.reason,
        "value": episode.evaluation.value,
        "threshold": episode.evaluation.threshold,
        "contributions": [{"variable": c.variable, "share": c.share, "words": c.words} for c in episode.contributions],
        "recommendation": advice and {"words": advice.words, "helps": advice.helps},
        "guidance": episode.guidance,
    }
