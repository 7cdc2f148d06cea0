"""Grouped notification: a message of no single episode, such as a flood summary or a sign of life."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from alerting.episodes.episode import Notification


@dataclass(frozen=True)
class GroupMessage:
    """A message with a fixed text, and `notification`, its delivery, whose key is the id of the message."""

    id: str
    subject: str
    text: str
    notification: Notification
    payload: dict[str, Any] = field(default_factory=dict)
    version: int = 1

    def after(self, notification: Notification) -> "GroupMessage":
        """Return the next version, with this state of its delivery."""
        return replace(self, notification=notification, version=self.version + 1)


def new_group_message(
    id: str, channel: str, subject: str, text: str, now: datetime, route: str | None, **payload: Any
) -> GroupMessage:
    """Return a grouped notification to deliver now."""
    notification = Notification(id, channel, "raised", subject, now, next_attempt_at=now, route=route)
    return GroupMessage(id, subject, text, notification, payload)


def delivered_group_message(id: str, channel: str, subject: str, text: str, now: datetime, route: str | None) -> GroupMessage:
    """Return a grouped notification that was delivered just now."""
    made = new_group_message(id, channel, subject, text, now, route)
    return replace(made, notification=replace(made.notification, status="sent", attempts=1, delivered_at=now))
