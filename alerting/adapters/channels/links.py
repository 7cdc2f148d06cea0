"""Feedback links: made and read with a key that this installation generates."""

import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alerting.definitions.faults import UserError
from alerting.notifications.links import Grant, Purpose, seal, unseal
from alerting.ports import Link
from alerting.usecases.operators.links import ANSWERS, LABELS

_LEAST_LENGTH = 32


def wall_clock() -> datetime:
    """Return the real time: links to people expire by it, independent of the platform's clock."""
    return datetime.now(UTC)


class SignedLinks:
    """Make and read feedback links (port `Links`): `<public address>/f/<token>` for each answer, and the page of the episode."""

    def __init__(self, key: bytes, public_url: str, last: timedelta, now: Callable[[], datetime] = wall_clock) -> None:
        self._key, self._url, self._last, self._now = key, public_url, last, now

    def of(self, episode: str, recipient: str, acknowledge: bool = False) -> tuple[Link, ...]:
        """Return one link for each answer that this recipient can give to this episode, and one to its page.

        The first link acknowledges the episode, where that is permitted.
        """
        now = self._now()
        purposes: tuple[Purpose, ...] = ("acknowledge", *ANSWERS) if acknowledge else ANSWERS
        grants = (Grant(episode, recipient, purpose, now, now + self._last) for purpose in purposes)
        answers = [Link(LABELS[g.purpose], f"{self._url}/f/{seal(g, self._key)}") for g in grants]
        return (*answers, Link("Everything about it", f"{self._url}/episodes/{episode}"))

    def read(self, token: str) -> Grant:
        """Return the grant of a token. Raises LinkRefused if the token is not valid."""
        return unseal(token, self._key, self._now())


def load_or_create_key(path: Path) -> bytes:
    """Return the key of all links, made at the first call and readable by its owner alone.

    Raises UserError if other users may read the file.
    """
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise UserError(f"{path} may be read by others on this machine: run `chmod 600 {path}`, or delete it for a new one")
    key = path.read_text(encoding="ascii").strip().encode()
    if len(key) < _LEAST_LENGTH:
        raise UserError(f"{path} is too short for a key: delete it for a new one")
    return key


def _make(path: Path) -> None:
    """Make the key file. Of several processes that do this at once, the first one's key is used by all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
