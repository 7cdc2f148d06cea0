"""Notifications in memory."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from alerting.notifications.notification import Notification
from alerting.ports import Conflict, Unit
from alerting.ports.notifications import Change


class MemoryNotifications:
    """Port `Notifications`."""

    def __init__(self) -> None:
        self._rows: dict[str, Notification] = {}
        self._keys: dict[str, dict[str, None]] = {}  # by episode

    def add(self, notifications: Sequence[Notification], unit: Unit | None = None) -> int:  # noqa: ARG002 - the port's signature
        before = len(self._rows)
        for n in notifications:
            self._rows.setdefault(n.key, n)
            if n.episode is not None:
                self._keys.setdefault(n.episode, {})[n.key] = None
        return len(self._rows) - before

    def change(self, changes: Sequence[Change], unit: Unit | None = None) -> int:
        found = [after for before, after in changes if self._is_stored(before, after)]
        if unit is not None and len(found) < len(changes):
            raise Conflict("another process has changed some of these notifications")
        self._rows |= {n.key: n for n in found}
        return len(found)

    def _is_stored(self, before: Notification | None, after: Notification) -> bool:
        stored = self._rows.get(after.key)
        return stored is not None and (
            before is None or (stored.status, stored.attempts) == (before.status, before.attempts)
        )

    def due(self, now: datetime, limit: int) -> list[Notification]:
        due = self._chosen(lambda n: n.next_attempt_at is not None and n.next_attempt_at <= now)
        due.sort(key=lambda n: n.transition, reverse=True)  # the raise before its end
        return sorted(due, key=lambda n: n.next_attempt_at or now)[:limit]

    def claim(
        self, notifications: Sequence[Notification], now: datetime, until: datetime
    ) -> list[Notification]:
        stored = [self._rows[n.key] for n in notifications if n.key in self._rows]
        due = [n for n in stored if n.next_attempt_at is not None and n.next_attempt_at <= now]
        claimed = [
            replace(n, status="claimed", attempts=n.attempts + 1, next_attempt_at=until)
            for n in due
        ]
        self._rows |= {n.key: n for n in claimed}
        return claimed

    def get(self, keys: Collection[str]) -> list[Notification]:
        return [self._rows[key] for key in keys if key in self._rows]

    def of_episodes(self, episodes: Collection[str]) -> dict[str, tuple[Notification, ...]]:
        return {id: tuple(_oldest_first(self.get(self._keys.get(id, ())))) for id in episodes}

    def waiting(self, limit: int | None = None) -> list[Notification]:
        return self._chosen(lambda n: n.next_attempt_at is not None)[:limit]

    def dead(self) -> list[Notification]:
        return self._chosen(lambda n: n.status == "dead")

    def raised_since(self, asset: str, since: datetime) -> list[Notification]:
        return self._chosen(
            lambda n: (n.asset, n.transition) == (asset, "raised") and n.created_at > since
        )

    def sent_since(self, since: datetime) -> list[Notification]:
        return self._chosen(
            lambda n: n.status == "sent" and n.delivered_at is not None and n.delivered_at >= since
        )

    def forget(
        self,
        before: datetime,
        episodes: Collection[str],
        keys: Collection[str],
        *,
        dry: bool = False,
    ) -> int:
        finished = self._chosen(lambda n: n.created_at < before and n.next_attempt_at is None)
        gone = {n.key for n in finished if n.episode not in episodes and n.key not in keys}
        self._rows = (
            self._rows if dry else {key: n for key, n in self._rows.items() if key not in gone}
        )
        return len(gone)

    def _chosen(self, fits: Callable[[Notification], bool]) -> list[Notification]:
        return _oldest_first(filter(fits, self._rows.values()))


def _oldest_first(notifications: Iterable[Notification]) -> list[Notification]:
    return sorted(notifications, key=lambda n: (n.created_at, n.key))
