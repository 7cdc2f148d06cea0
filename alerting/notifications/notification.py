"""The notification: one message to one recipient, a document with a state; and the attempts at a
failed delivery: when the next is made, and after how many none is."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from alerting.definitions.model import Severity
from alerting.episodes.episode import TransitionKind

PostponedBy = Literal["quiet", "flood", "digest"]
DeliveryStatus = Literal[
    "pending", "claimed", "failed", "sent", "dead", "muted", "grouped", "dropped"
]
WAITING: tuple[DeliveryStatus, ...] = ("pending", "claimed", "failed")
"""The states before the last one: not tried yet, being delivered, to be tried again."""


@dataclass(frozen=True)
class Content:
    """The fixed text of a notification that belongs to no single episode."""

    subject: str
    text: str
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Notification:
    """One message to one channel. `key` is unique: `episode:transition:channel`, `:n` for repeats;
    receivers can drop repeats.

    It is due at `next_attempt_at`: the first attempt, the end of a claim, or the next attempt after
    a failure; None when nothing more follows. `postponed_by`: why it waits although nothing failed.
    `grouped`: sent in one message with others; `dropped`: the episode ended before the quiet hours
    did. `severity` is that of the episode at that time. It belongs to an `episode` (on `asset`), or
    has a `content`.
    """

    key: str
    channel: str
    transition: TransitionKind
    reason: str
    created_at: datetime
    next_attempt_at: datetime | None
    status: DeliveryStatus = "pending"
    attempts: int = 0
    delivered_at: datetime | None = None
    error: str | None = None
    route: str | None = None
    severity: Severity | None = None
    postponed_by: PostponedBy | None = None
    number: int | None = None
    episode: str | None = None
    asset: str | None = None
    content: Content | None = None

    @property
    def is_waiting(self) -> bool:
        """Return whether it is still to be delivered."""
        return self.status in WAITING


def new_message(
    key: str,
    channel: str,
    subject: str,
    text: str,
    now: datetime,
    route: str | None,
    **payload: Any,
) -> Notification:
    """Return a notification of no single episode, to deliver now."""
    content = Content(subject, text, payload)
    return Notification(key, channel, "raised", subject, now, now, route=route, content=content)


GIVE_UP_AFTER = 60  # attempts, about ten hours
_FIRST_DELAY = timedelta(seconds=5)
_LONGEST_DELAY = timedelta(minutes=10)


def retry_delay(attempts: int, key: str) -> timedelta:
    """Return the pause before the next attempt: 5 s doubled with every failure, at most ten
    minutes, ± a quarter.

    The spread depends on key and attempt alone: many deliveries do not come back at once, and each
    pause can be computed.
    """
    pause = min(_FIRST_DELAY * 2 ** min(attempts - 1, 20), _LONGEST_DELAY)
    share = int.from_bytes(hashlib.sha256(f"{key}:{attempts}".encode()).digest()[:4], "big") / 2**32
    spread: timedelta = pause * (0.75 + share / 2)
    return spread


def after_failure(attempts: int, permanent: bool) -> DeliveryStatus:
    """Return `dead` when another attempt is useless or there were enough, else `failed`."""
    return "dead" if permanent or attempts >= GIVE_UP_AFTER else "failed"
