"""Notifications as a base for test cases."""

from alerting.episodes.episode import Notification
from tests.builders import at


def notice(key, minute, **changes):
    return Notification(key, "mail", "raised", "r", at(minute), next_attempt_at=at(minute), **changes)
