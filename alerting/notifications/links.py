"""Signed links: each grants one answer of a recipient to an episode, for a short time."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast, get_args

from itsdangerous import BadData, URLSafeSerializer

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.readings.history import from_millis, to_millis

Purpose = Literal["true_alarm", "false_alarm", "acted", "acknowledge"]
LONGEST_TOKEN = 2000
"""Characters; a token of the platform has about 170."""


class LinkRefused(UserError):
    """Refusal of a link: it was not made by this platform, or has expired."""


@dataclass(frozen=True)
class Grant:
    """Permission in a link: this one answer of this recipient to this episode, until it expires."""

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
        grant = _grant(_serializer(key).loads(token))
    except (BadData, UnicodeError):
        raise LinkRefused(
            translatable("this link is not a link of this platform, or a part of it is missing")
        ) from None
    if now >= grant.expires_at:
        raise LinkRefused(
            translatable("this link has expired; answer on the page of the alarm instead")
        )
    return grant


def _grant(fields: object) -> Grant:
    """Return the grant of sealed fields. Raises BadData for those that this version does not know:
    the key may have sealed them in another version."""
    match fields:
        case [str(episode), str(recipient), purpose, int(made), int(expires)]:
            if purpose in get_args(Purpose):
                with suppress(ValueError, OverflowError):
                    known = cast(Purpose, purpose)
                    return Grant(episode, recipient, known, from_millis(made), from_millis(expires))
    raise BadData("no fields of a link of this version")


def _serializer(key: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(
        key,
        b"alerting feedback link 2",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
