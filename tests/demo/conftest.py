"""Stores of the demo line that live in memory, and die on request."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import TypeAdapter

from alerting.adapters.memory.arrivals import MemoryArrivals
from alerting.definitions.assets import Asset, EventType
from alerting.demo.line import DemoLineState
from alerting.demo.line_store import SetPointRequest, StoredLine
from alerting.ports import BatchMatch, EventRow, ReadingBatch, ReadingKey, ReadingRow
from alerting.readings.instants import from_millis

ORIGIN = datetime(2026, 3, 1, tzinfo=UTC)


class Killed(Exception):
    """The process died here."""


class MemoryPlatform:
    """Assets, readings, events and lines in dictionaries. After `writes_left` writes every further
    one raises Killed."""

    def __init__(self) -> None:
        self.assets: dict[str, Asset] = {}
        self.types: dict[str, EventType] = {}
        self.readings: dict[tuple[str, datetime], dict[str, float | str | bool]] = {}
        self.events: dict[tuple[str, str, datetime], EventRow] = {}
        self.line: StoredLine | None = None
        self.arrivals = MemoryArrivals()
        self.writes_left: int | None = None

    def copy(self) -> "MemoryPlatform":
        """The same content; its rows are never changed in place."""
        twin = MemoryPlatform()
        for name, value in vars(self).items():
            setattr(twin, name, dict(value) if isinstance(value, dict) else value)
        return twin

    def _write(self) -> None:
        if self.writes_left is not None:
            if self.writes_left == 0:
                raise Killed
            self.writes_left -= 1

    def store_assets(self, assets: Sequence[Asset]) -> None:
        self.assets.update({a.name: a for a in assets})

    def put_event_types(self, types: Sequence[EventType]) -> None:
        self.types.update({t.name: t for t in types})

    @property
    def reading_writes(self) -> "MemoryPlatform":
        return self

    def match(self, batch: ReadingBatch) -> BatchMatch:
        """Say nothing of any row: all are compared with the stored ones."""
        unknown = np.zeros(len(batch), bool)
        return BatchMatch(unknown, unknown)

    def stored(self, keys: Iterable[ReadingKey]) -> dict[ReadingKey, ReadingRow]:
        found = {(asset, at): (asset, from_millis(at)) for asset, at in keys}
        return {
            key: ReadingRow(*row, self.readings[row])
            for key, row in found.items()
            if row in self.readings
        }

    def insert(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> list[int]:
        self._write()
        self.readings.update({(r.asset, r.ts): dict(r.values) for r in rows})
        return []

    def update(
        self, changes: Sequence[tuple[ReadingRow, ReadingRow]], arrived_at: datetime
    ) -> None:
        self.readings.update(
            {(new.asset, new.ts): {**before.values, **new.values} for before, new in changes}
        )

    def stored_events(self, rows: Sequence[EventRow]) -> list[EventRow]:
        return [
            self.events[key] for r in rows if (key := (r.asset, r.type, r.start)) in self.events
        ]

    def write_events(
        self, changes: Sequence[tuple[EventRow | None, EventRow]], arrived_at: datetime
    ) -> bool:
        self._write()
        self.events.update({(after.asset, after.type, after.start): after for _, after in changes})
        return True

    def load(self, asset: str) -> StoredLine | None:
        return self.line

    def save(
        self,
        asset: str,
        before: StoredLine | None,
        state: DemoLineState,
        taken: Sequence[SetPointRequest] = (),
    ) -> StoredLine | None:
        self._write()
        version = self.line.version if self.line else 0
        if version != (before.version if before else 0):
            return None
        waiting = tuple(r for r in (self.line.requests if self.line else ()) if r not in taken)
        self.line = StoredLine(through_json(state), version + 1, waiting)
        return self.line

    def ask(self, asset: str, request: SetPointRequest) -> bool:
        if self.line is None:
            return False
        self.line = StoredLine(self.line.state, self.line.version, (*self.line.requests, request))
        return True


def through_json(state: DemoLineState) -> DemoLineState:
    """The state as it comes back from a store that keeps JSON."""
    stored = TypeAdapter(DemoLineState)
    return stored.validate_json(stored.dump_json(state))


@pytest.fixture
def memory() -> MemoryPlatform:
    return MemoryPlatform()


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)
