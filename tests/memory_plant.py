"""In-memory stores for the import, with the parts of the ports that show its writes."""

from dataclasses import dataclass, field

from alerting.adapters.memory.plant import MemoryAssets, MemoryReadings
from tests.helpers.twins import Arrivals


class Assets(MemoryAssets):
    """Stored assets and types of events, by name."""

    def __init__(self, *assets):
        super().__init__()
        self.store_assets(assets)

    @property
    def known(self):
        return {asset.name: asset for asset in self.all()}

    @property
    def types(self):
        return {type.name: type for type in self.event_types()}


class Readings(MemoryReadings):
    """Stored readings and events, and the number of rows of each write."""

    def __init__(self):
        super().__init__(MemoryAssets())
        self.batches = []

    def insert(self, rows, arrived_at):
        self.batches.append(len(rows))
        return super().insert(rows, arrived_at)

    @property
    def rows(self):
        return [row for of_asset in self._rows.values() for row in of_asset.values()]

    @property
    def values(self):
        return {(row.asset, row.ts): row.values for row in self.rows}

    @property
    def quality(self):
        return {(row.asset, row.ts): row.quality for row in self.rows if row.quality}

    @property
    def events(self):
        return {
            (e.asset, e.type, e.start): e
            for of_asset in self._events.values()
            for e in of_asset.values()
        }


class Audit:
    def __init__(self):
        self.entries = []

    def add(self, actor, action, subject, at, before=None, after=None, why=""):
        self.entries.append((actor, action, subject))


@dataclass
class Plant:
    """In-memory stores with these assets."""

    assets: Assets = field(default_factory=Assets)
    readings: Readings = field(default_factory=Readings)
    arrivals: Arrivals = field(default_factory=Arrivals)
    audit: Audit = field(default_factory=Audit)

    @property
    def reading_writes(self):
        return self.readings

    def contents(self):
        """Return all that is stored, to see whether it changes."""
        return (
            dict(self.assets.known),
            dict(self.assets.types),
            dict(self.readings.values),
            dict(self.readings.events),
            [*self.audit.entries],
        )

    def untouched(self):
        return self.contents() == Plant().contents()
