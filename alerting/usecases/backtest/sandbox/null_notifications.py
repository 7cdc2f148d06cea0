"""The notification part of port `Episodes`, for platforms without notifications."""

from datetime import datetime

from alerting.episodes.episode import Episode, Notification


class NoNotifications:
    """Episodes without notifications, pending or held back, and without muting."""

    def with_due_notifications(self, now: datetime, limit: int = 100) -> list[Episode]:  # noqa: ARG002 - the port's signature
        return []

    def dead_letters(self) -> list[tuple[str, Notification]]:
        return []

    def notified_since(self, asset: str, since: datetime) -> list[Notification]:  # noqa: ARG002
        return []

    def sent_since(self, since: datetime) -> list[Notification]:  # noqa: ARG002
        return []

    def waiting_in_floods(self, now: datetime) -> list[Episode]:  # noqa: ARG002
        return []

    def waiting_for_digest(self) -> list[Episode]:
        return []

    def muted(self) -> list[Episode]:
        return []

    def over_unacknowledged(self, limit: int) -> list[Episode]:  # noqa: ARG002
        return []
