"""Attempts at a failed delivery: when the next is made, and after how many none is."""

import hashlib
from datetime import timedelta

from alerting.notifications.notification import DeliveryStatus

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
