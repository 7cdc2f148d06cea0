"""The notification: one message to one recipient, a document with a state; the pause before
a failed delivery is attempted again, and the number of attempts; and signed links, each of which
lets a recipient give one answer to an episode for a short time."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, cast, get_args

from itsdangerous import BadData, URLSafeSerializer

from alerting.definitions.alert_definition import Severity
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import TransitionKind
from alerting.readings.history import from_millis, to_millis

PostponedBy = Literal["quiet", "flood", "digest"]
DeliveryStatus = Literal[
    "pending", "claimed", "failed", "sent", "dead", "muted", "grouped", "dropped"
]
FIRST = translatable("first notification")
"""The reason of the notification of a raise."""
WAITING: tuple[DeliveryStatus, ...] = ("pending", "claimed", "failed")
"""The states before the last one: not tried yet, being delivered, to be tried again."""
WITH_OTHERS: tuple[PostponedBy, ...] = ("flood", "digest")
"""Why a notification waits that is delivered only together with others."""


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
    a failure; None when no attempt follows. `postponed_by`: why it waits although nothing failed.
    `failed_at`: the last attempt, if it failed; `failing_since`: the first one that failed. States:
    `grouped`: sent in one message with others; `dropped`: the episode ended before the quiet hours
    did. `severity`: severity of the episode when the notification was made. A
    notification belongs to an `episode` (on `asset`), or has a `content`.
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
    failed_at: datetime | None = None
    failing_since: datetime | None = None
    route: str | None = None
    severity: Severity | None = None
    postponed_by: PostponedBy | None = None
    number: int | None = None
    episode: str | None = None
    asset: str | None = None
    content: Content | None = None

    @property
    def is_waiting(self) -> bool:
        """Return whether the notification is still to be delivered."""
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
    """Return a notification that belongs to no single episode, to deliver now."""
    content = Content(subject, text, payload)
    return Notification(key, channel, "raised", subject, now, now, route=route, content=content)


GIVE_UP_AFTER = 60  # attempts, about ten hours
UNDELIVERED_FOR = timedelta(minutes=15)
"""Time without a delivery after which a channel with waiting messages has failed."""


def retry_delay(attempts: int, key: str) -> timedelta:
    """Return the pause before the next attempt: 5 s doubled with every failure, at most ten
    minutes, ± a quarter.

    The deviation of up to a quarter depends on key and attempt alone, so that many deliveries are
    not repeated at once, and each pause can be computed.
    """
    pause = min(timedelta(seconds=5) * 2 ** min(attempts - 1, 20), timedelta(minutes=10))
    share = int.from_bytes(hashlib.sha256(f"{key}:{attempts}".encode()).digest()[:4], "big") / 2**32
    return cast(timedelta, pause * (0.75 + share / 2))


def has_failed(notification: Notification, now: datetime) -> bool:
    """Return whether a notification is given up, or could not be delivered for long."""
    since = notification.failing_since
    return notification.status == "dead" or (
        notification.is_waiting and since is not None and now - since >= UNDELIVERED_FOR
    )


Purpose = Literal["true_alarm", "false_alarm", "acted", "acknowledge"]
LONGEST_TOKEN = 2000
"""Characters; a token of the platform has about 170."""


class LinkRefused(UserError):
    """Refusal of a link: it was not made by this platform, or has expired."""


@dataclass(frozen=True)
class Grant:
    """The permission that a link carries: one answer of one recipient to one episode, until it
    expires."""

    episode: str
    recipient: str
    purpose: Purpose
    made_at: datetime
    expires_at: datetime


def seal(grant: Grant, key: bytes) -> str:
    """Return the grant as text that cannot be made or changed without the key (HMAC-SHA256)."""
    fields = [
        grant.episode,
        grant.recipient,
        grant.purpose,
        to_millis(grant.made_at),
        to_millis(grant.expires_at),
    ]
    return _serializer(key).dumps(fields)


def unseal(token: str, key: bytes, now: datetime) -> Grant:
    """Return the grant in a token. Raises LinkRefused unless it was sealed with this key and has
    not expired at `now`.

    Nothing of a token is decoded before its signature has been found right.
    """
    try:
        if len(token) > LONGEST_TOKEN:
            raise BadData("too long")
        match _serializer(key).loads(token):
            case [str(episode), str(recipient), purpose, int(made), int(expires)] if (
                purpose in get_args(Purpose)
            ):
                grant = Grant(episode, recipient, purpose, from_millis(made), from_millis(expires))
            case _:  # sealed with this key by another version
                raise BadData("no fields of a link of this version")
    except (BadData, UnicodeError, ValueError, OverflowError):
        raise LinkRefused(
            translatable("this link is not a link of this platform, or a part of it is missing")
        ) from None
    if now >= grant.expires_at:
        raise LinkRefused(
            translatable("this link has expired; answer on the page of the alarm instead")
        )
    return grant


def _serializer(key: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(
        key,
        b"alerting feedback link 2",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
