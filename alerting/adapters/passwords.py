"""Hashes of passwords by argon2id (RFC 9106)."""

from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

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
        """Return whether a password has this hash; as slow, and False, without a hash."""
        if stored is None:
            self._of_no_account = self._of_no_account or self.make_hash("of no account")
        with self._turn:
            try:
                self._hasher.verify(stored or self._of_no_account, password)
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None
