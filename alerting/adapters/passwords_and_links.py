"""Hashes of passwords by argon2id (RFC 9106); feedback links, made and read with a key of this
installation."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from alerting.definitions.wording.language import translatable
from alerting.notifications.notification import Grant, Purpose, seal, unseal
from alerting.ports import MessageLink

PASSES = 4
MEMORY_KIB = 64 * 1024
MOST_AT_ONCE = 4
"""Checks at the same time, each of which takes `MEMORY_KIB` of memory; further ones wait."""


class Argon2Passwords:
    """Port `Passwords`: a check takes about a quarter of a second and 64 MiB."""

    def __init__(self, passes: int = PASSES, memory_kib: int = MEMORY_KIB) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._turn = BoundedSemaphore(MOST_AT_ONCE)
        self._of_no_account = ""

    def make_hash(self, password: str) -> str:
        """Return the hash of a new password, with a salt of its own."""
        with self._turn:
            return self._hasher.hash(password)

    def matches(self, stored: str | None, password: str) -> bool:
        """Return whether a password has this hash. Without a hash it takes the same time, and is
        False."""
        if stored is None:
            self._of_no_account = self._of_no_account or self.make_hash("of no account")
        with self._turn:
            try:
                self._hasher.verify(stored or self._of_no_account, password)
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None


# links to people expire by it, independent of the platform's clock
_real_time = partial(datetime.now, UTC)


class SignedLinks:
    """Make and read feedback links (port `Links`), `<public address>/f/<token>`, and links to
    pages.

    `key`: the key, or a function that reads it when the first link is made or read.
    """

    def __init__(
        self,
        key: bytes | Callable[[], bytes],
        public_url: str,
        last: timedelta,
        now: Callable[[], datetime] = _real_time,
    ) -> None:
        self._read_key = key if callable(key) else lambda: key
        self._url = public_url
        self._last = last
        self._now = now

    def answer_links(
        self, episode: str, recipient: str, acknowledge: bool = False
    ) -> tuple[MessageLink, ...]:
        """Return one link for each answer that this recipient can give to this episode, and one to
        its page.

        The first link acknowledges the episode, where that is permitted.
        """
        from alerting.usecases.operators.links_and_misses import ANSWERS, LABELS  # noqa: PLC0415 - every command makes this port, few a link

        now = self._now()
        key = self._read_key()
        purposes: tuple[Purpose, ...] = ("acknowledge", *ANSWERS) if acknowledge else ANSWERS
        grants = (Grant(episode, recipient, purpose, now, now + self._last) for purpose in purposes)
        return (
            *[MessageLink(LABELS[g.purpose], f"{self._url}/f/{seal(g, key)}") for g in grants],
            MessageLink(translatable("Open the alarm"), f"{self._url}/episodes/{episode}"),
        )

    def page(self, path: str, label: str) -> MessageLink:
        return MessageLink(label, f"{self._url}{path}")

    def read(self, token: str) -> Grant:
        return unseal(token, self._read_key(), self._now())
