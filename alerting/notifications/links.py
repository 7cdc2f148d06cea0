"""Signed links in messages: each grants one answer of one recipient to one episode, for a short time."""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast, get_args

from alerting.definitions.faults import UserError
from alerting.readings.instants import from_millis, to_millis

Purpose = Literal["true_alarm", "false_alarm", "acted", "acknowledge"]


PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


_CONTEXT = b"alerting feedback link 1:"


class LinkRefused(UserError):
    """The link does not count: not ours, too old, or revoked."""


@dataclass(frozen=True)
class Grant:
    """What a link allows: this one answer, in the name of this recipient, to this episode, until it expires."""

    episode: str
    recipient: str
    purpose: Purpose
    made_at: datetime
    expires_at: datetime


def seal(grant: Grant, key: bytes) -> str:
    """The grant as text that nobody without the key can make or change (HMAC-SHA256)."""
    fields = [grant.episode, grant.recipient, grant.purpose, to_millis(grant.made_at), to_millis(grant.expires_at)]
    content = json.dumps(fields, separators=(",", ":")).encode()
    return f"{_encoded(content)}.{_encoded(_signature(content, key))}"


def unseal(token: str, key: bytes, now: datetime) -> Grant:
    """The grant behind a token. Raises LinkRefused unless it was sealed with this key and has not expired."""
    try:
        content, signature = (_decoded(part) for part in token.split("."))
    except (ValueError, binascii.Error):
        raise LinkRefused("this link is not one of ours, or a part of it is missing") from None
    if not hmac.compare_digest(_signature(content, key), signature):
        raise LinkRefused("this link is not one of ours, or a part of it is missing")
    episode, recipient, purpose, made, expires = json.loads(content)
    grant = Grant(episode, recipient, cast(Purpose, purpose), from_millis(made), from_millis(expires))
    if now >= grant.expires_at:
        raise LinkRefused("this link has expired; answer on the page of the episode instead")
    return grant


def _signature(content: bytes, key: bytes) -> bytes:
    return hmac.new(key, _CONTEXT + content, hashlib.sha256).digest()


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
