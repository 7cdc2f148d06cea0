"""Attempts at a failed delivery: when the next is made, and after how many none is."""

import hashlib
from datetime import timedelta

from alerting.notifications.notification import DeliveryStatus


def retry_delay(attempts: int, key: str) -> timedelta:
    """Return the pause before the next attempt: 5 s doubled with every failure, at most ten
    minutes, ± a quarter.

    The spread depends on key and attempt alone: many deliveries do not come back at once, and each
    pause can be computed.
    """
    pause = min(timedelta(seconds=5) * 2 ** min(attempts - 1, 20), timedelta(minutes=10))
    share = int.from_bytes(hashlib.sha256(f"{key}:{attempts}".encode()).digest()[:4], "big") / 2**32
    spread: timedelta = pause * (0.75 + share / 2)
    return spread


def after_failure(attempts: int, permanent: bool) -> DeliveryStatus:
    """Return `dead` when another attempt is useless or there were enough, else `failed`."""
    return "dead" if permanent or attempts >= 60 else "failed"  # about ten hours
