"""Whom to tell of a transition, and why: the notifications written together with the transition that causes them."""

from collections.abc import Sequence
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
        told = {n.channel for n in episode.outbox if n.transition == "raised"}
        channels = [c for c in channels if c in told] if tell_resolved else []
    return tuple(
        Notification(
            key=f"{episode.id}:{transition}:{channel}",
            channel=channel,
            transition=transition,
            reason=reason,
            created_at=at,
            next_attempt_at=at,
        )
        for channel in channels
    )


def retry_delay(attempts: int) -> timedelta:
    """Pause before the next attempt: 5 s doubled with every failure, at most ten minutes."""
    delay: timedelta = min(_FIRST_DELAY * 2 ** min(attempts - 1, 20), _LONGEST_DELAY)
    return delay


def after_failure(attempts: int, permanent: bool) -> DeliveryStatus:
    """`dead` when trying again is useless or was tried often enough, `pending` otherwise."""
    return "dead" if permanent or attempts >= GIVE_UP_AFTER else "pending"
