"""Feedback by a tap in a message: sealed grants, each for one answer of one recipient to one episode, for a short time."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args

from alerting.definitions.faults import Refused
from alerting.episodes.episode import Episode
from alerting.pipelines.feedback import find_episode, give_feedback
from alerting.pipelines.operate import Who, acknowledge
from alerting.pipelines.ports import Platform
from alerting.readings.history import from_millis, to_millis

Purpose = Literal["true_alarm", "false_alarm", "acted", "acknowledge"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
ANSWERS: tuple[Purpose, ...] = ("true_alarm", "false_alarm", "acted")
WORDS: Mapping[Purpose, str] = {
    "true_alarm": "It was right",
    "false_alarm": "It was wrong",
    "acted": "I acted on it",
    "acknowledge": "I have seen it",
}
_CONTEXT = b"alerting feedback link 1:"


class LinkRefused(Refused):
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


def open_link(platform: Platform, token: str) -> tuple[Grant, Episode]:
    """What a link is for; changes nothing. Raises LinkRefused."""
    if platform.links is None:
        raise LinkRefused("feedback links are switched off")
    grant = platform.links.read(token)
    if platform.revocations.is_revoked(grant.episode, grant.recipient, grant.made_at):
        raise LinkRefused("this link was revoked; answer on the page of the episode instead")
    return grant, find_episode(platform, grant.episode)


def has_answered(grant: Grant, episode: Episode) -> bool:
    """Whether this recipient has said just this already."""
    if grant.purpose == "acknowledge":
        return episode.acknowledged is not None and episode.acknowledged.who == _name(grant)
    return any(f.who == _name(grant) and _answer(grant).items() <= vars(f).items() for f in episode.feedback)


def use_link(platform: Platform, token: str, at: datetime) -> Episode:
    """Give the one answer that the link is for, or acknowledge; again changes nothing. Raises LinkRefused, or Refused for an
    alert that nobody can acknowledge any more.
    """
    grant, episode = open_link(platform, token)
    if has_answered(grant, episode):
        return episode
    if grant.purpose == "acknowledge":
        return acknowledge(platform, episode.id, Who(_name(grant), "operator"), at)
    return give_feedback(platform, episode_id=episode.id, action=None, comment=None, who=_name(grant), at=at, **_answer(grant))


def revoke_links(
    platform: Platform, episode: str | None, recipient: str | None, who: str, made_until: datetime, at: datetime
) -> None:
    """Refuse from now on the links made until then: of an episode, a recipient, both, or (None, None) all of them."""
    chosen = find_episode(platform, episode).id if episode is not None else None
    platform.revocations.revoke(chosen, recipient, made_until)
    what = " of ".join(name for name in (chosen or "all episodes", recipient or "all recipients"))
    platform.audit.add(who, "feedback links revoked", what, at)


def _answer(grant: Grant) -> dict[str, Any]:
    return {"verdict": None, "acted": True} if grant.purpose == "acted" else {"verdict": grant.purpose, "acted": False}


def _name(grant: Grant) -> str:
    return f"{grant.recipient} (by link)"


def _signature(content: bytes, key: bytes) -> bytes:
    return hmac.new(key, _CONTEXT + content, hashlib.sha256).digest()


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
