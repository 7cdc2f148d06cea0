"""Deliver what the outboxes hold: claim, deliver, record. At least once, each with a key that never changes."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from alerting.episodes.announcing import after_failure, retry_delay
from alerting.episodes.episode import Episode, Notification
from alerting.pipelines.ports import DeliveryFailed, Message, Platform
from alerting.pipelines.settle import update


@dataclass
class DeliveryCounts:
    """What one round of deliveries did."""

    sent: int = 0
    failed: int = 0
    dead: int = 0


def deliver_due(platform: Platform, now: datetime) -> DeliveryCounts:
    """Try every notification that is due once."""
    counts = DeliveryCounts()
    for episode in platform.episodes.with_due_notifications(now):
        for notification in episode.outbox:
            if _is_due(notification, now) and _claim(platform, episode.id, notification, now):
                _deliver(platform, episode, notification, now, counts)
    return counts


def _is_due(notification: Notification, now: datetime) -> bool:
    due = notification.next_attempt_at
    return notification.status == "pending" and (due is None or due <= now)


def _claim(platform: Platform, episode_id: str, notification: Notification, now: datetime) -> bool:
    """Count the attempt before it is made: whoever counts first delivers, and a crash leaves evidence and a next attempt."""
    claimed = False

    def count_attempt(episode: Episode) -> Episode:
        nonlocal claimed
        current = _find(episode, notification.key)
        claimed = current == notification
        if not claimed:
            return episode
        attempts = notification.attempts + 1
        return _put(episode, replace(notification, attempts=attempts, next_attempt_at=now + retry_delay(attempts)))

    update(platform, episode_id, count_attempt)
    return claimed


def _deliver(platform: Platform, episode: Episode, notification: Notification, now: datetime, counts: DeliveryCounts) -> None:
    try:
        channel = platform.channels.get(notification.channel)
        if channel is None:
            raise DeliveryFailed(f"channel {notification.channel!r} is not configured", permanent=True)
        channel.deliver(message(episode, notification))
    except DeliveryFailed as failure:
        status = after_failure(notification.attempts + 1, failure.permanent)
        _record(platform, episode.id, notification.key, status=status, error=str(failure))
        counts.failed += 1
        counts.dead += status == "dead"
    else:
        _record(platform, episode.id, notification.key, status="sent", delivered_at=now, error=None)
        counts.sent += 1


def _record(platform: Platform, episode_id: str, key: str, **changes: Any) -> None:
    update(platform, episode_id, lambda e: _put(e, replace(_find(e, key), **changes)))


def _find(episode: Episode, key: str) -> Notification:
    return next(n for n in episode.outbox if n.key == key)


def _put(episode: Episode, notification: Notification) -> Episode:
    return replace(episode, outbox=tuple(notification if n.key == notification.key else n for n in episode.outbox))


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
