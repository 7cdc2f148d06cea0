"""Notifications as a base for test cases."""

from dataclasses import replace

from alerting.notifications.notification import Notification
from tests.builders import at


def notice(key, minute, **changes):
    made = Notification(key, "mail", "raised", "r", at(minute), next_attempt_at=at(minute))
    is_over = changes.get("status", "pending") not in ("pending", "claimed", "failed")
    return replace(made, **({"next_attempt_at": None} if is_over else {}) | changes)


def notifications_of(platform):
    """Every notification of every stored episode."""
    found = platform.notifications.of_episodes([e.id for e in platform.episodes.find()])
    return [n for of_episode in found.values() for n in of_episode]
