"""Labels of times in memory."""

from collections.abc import Collection
from datetime import datetime

from alerting.readings.interval_labels import IntervalLabel


class MemoryLabels:
    """Port `Labels`."""

    def __init__(self) -> None:
        self._labels: dict[str, IntervalLabel] = {}

    def insert(self, label: IntervalLabel) -> bool:
        return self._labels.setdefault(label.id, label) is label

    def store_undone(self, label: IntervalLabel) -> bool:
        stored = self._labels.get(label.id)
        if stored is None or stored.undone_at is not None:
            return False
        self._labels[label.id] = label
        return True

    def get(self, id: str) -> IntervalLabel | None:
        return self._labels.get(id)

    def in_force(self, assets: Collection[str], at: datetime | None) -> list[IntervalLabel]:
        found = [o for o in self._labels.values() if o.asset in assets and o.in_force(at)]
        return sorted(found, key=lambda one: (one.start, one.id))

    def newest(
        self, asset: str, limit: int, before: tuple[datetime, str] | None = None
    ) -> list[IntervalLabel]:
        found = [
            one
            for one in self._labels.values()
            if one.asset == asset and (before is None or (one.made_at, one.id) < before)
        ]
        return sorted(found, key=lambda one: (one.made_at, one.id), reverse=True)[:limit]
