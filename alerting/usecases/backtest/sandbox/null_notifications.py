"""The port of notifications, for platforms that notify no recipient."""

from collections.abc import Collection, Sequence
from datetime import datetime

from alerting.notifications.notification import Notification
from alerting.ports import Unit
from alerting.ports.notifications import Change
from alerting.usecases.backtest.sandbox.live_write import refuse


class NoNotifications:
    """Port `Notifications` without any."""

    def add(self, notifications: Sequence[Notification], unit: Unit | None = None) -> int:  # noqa: ARG002 - the port's signature
        """Write nothing. All episodes are backfilled, so no recipient is notified."""
        return 0

    def change(self, changes: Sequence[Change], unit: Unit | None = None) -> int:  # noqa: ARG002
        return 0

    def due(self, now: datetime, limit: int) -> list[Notification]:  # noqa: ARG002
        return []

    def claim(self, notifications: Sequence[Notification], now: datetime, until: datetime) -> list[Notification]:  # noqa: ARG002
        refuse("deliver notifications")

    def get(self, keys: Collection[str]) -> list[Notification]:  # noqa: ARG002
        return []

    def of_episodes(self, episodes: Collection[str]) -> dict[str, tuple[Notification, ...]]:
        return dict.fromkeys(episodes, ())

    def waiting(self, limit: int | None = None) -> list[Notification]:  # noqa: ARG002
        return []

    def dead(self) -> list[Notification]:
        return []

    def raised_since(self, asset: str, since: datetime) -> list[Notification]:  # noqa: ARG002
        return []

    def sent_since(self, since: datetime) -> list[Notification]:  # noqa: ARG002
        return []

    def forget(self, before: datetime, episodes: Collection[str], keys: Collection[str]) -> int:  # noqa: ARG002
        return 0
