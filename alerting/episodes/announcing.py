"""Whom to tell of a transition, and why: the notifications written together with the transition that causes them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.episodes.episode import DeliveryStatus, Episode, Notification, TransitionKind

GIVE_UP_AFTER = 12
_FIRST_DELAY = timedelta(seconds=5)
_LONGEST_DELAY = timedelta(minutes=10)


def announcements(
    episode: Episode, transition: TransitionKind, channels: Sequence[str], reason: str, at: datetime, tell_resolved: bool
) -> tuple[Notification, ...]:
    """Notifications that a transition causes. Historical episodes tell nobody; the end is told only where the raise was told."""
    if episode.historical or transition not in ("raised", "closed"):
        return ()
    if transition == "closed":
        told = {n.channel for n in episode.outbox if n.transition in ("raised", "unmuted") and n.status != "muted"}
        channels = [c for c in channels if c in told] if tell_resolved else []
    return _notifications(f"{episode.id}:{transition}", channels, transition, reason, at)


def still_open(episode: Episode, shelf_id: str, channels: Sequence[str], reason: str, at: datetime) -> tuple[Notification, ...]:
    """Told once for each shelf that ends while the episode is open."""
    if episode.historical or episode.condition != "open":
        return ()
    return _notifications(f"{episode.id}:unmuted-{shelf_id}", channels, "unmuted", reason, at)


def shelf_reminder(shelf_id: str, until: datetime, channels: Sequence[str], at: datetime) -> tuple[Notification, ...]:
    """Told once for each end that a shelf has, shortly before it."""
    return _notifications(f"{shelf_id}:reminder-{until.isoformat()}", channels, "reminder", "about to end", at)


def muted(outbox: Sequence[Notification], why: str) -> tuple[Notification, ...]:
    """What waits to be delivered while a shelf mutes: raises are not told, and their ends neither where the raise was not."""
    silent = {n.channel for n in outbox if n.transition != "closed" and n.status in ("pending", "muted")}
    return tuple(
        replace(n, status="muted", next_attempt_at=None, error=why)
        if n.status == "pending" and (n.transition != "closed" or n.channel in silent)
        else n
        for n in outbox
    )


def _notifications(
    stem: str, channels: Sequence[str], transition: TransitionKind, reason: str, at: datetime
) -> tuple[Notification, ...]:
    return tuple(Notification(f"{stem}:{c}", c, transition, reason, at, next_attempt_at=at) for c in channels)


def retry_delay(attempts: int) -> timedelta:
    """Pause before the next attempt: 5 s doubled with every failure, at most ten minutes."""
    delay: timedelta = min(_FIRST_DELAY * 2 ** min(attempts - 1, 20), _LONGEST_DELAY)
    return delay


def after_failure(attempts: int, permanent: bool) -> DeliveryStatus:
    """`dead` when trying again is useless or was tried often enough, `pending` otherwise."""
    return "dead" if permanent or attempts >= GIVE_UP_AFTER else "pending"
