"""In-memory stores for the import, with the parts of the ports that show its writes."""

from dataclasses import dataclass, field


class Assets:
    def __init__(self, *assets):
        self.known, self.types = {a.name: a for a in assets}, {}

    def all(self):
        return list(self.known.values())

    def get(self, name):
        return self.known.get(name)

    def put(self, assets):
        self.known.update({a.name: a for a in assets})

    def event_types(self):
        return list(self.types.values())

    def put_event_types(self, types):
        self.types.update({t.name: t for t in types})


class Readings:
    def __init__(self):
        self.values, self.quality, self.events, self.batches = {}, {}, {}, []

    def add_readings(self, rows, arrived_at):
        self.batches.append(len(rows))
        changed = 0
        for row in rows:
            before = self.values.get((row.asset, row.ts), {})
            after = {**before, **row.values}
            quality = {**self.quality.get((row.asset, row.ts), {}), **row.quality}
            changed += after != before or quality != self.quality.get((row.asset, row.ts), {})
            self.values[row.asset, row.ts] = after
            if quality:
                self.quality[row.asset, row.ts] = quality
        return changed

    def add_events(self, rows, arrived_at):
        changed = 0
        for row in rows:
            key = (row.asset, row.type, row.start)
            changed += self.events.get(key) != row
            self.events[key] = row
        return changed

    def load(self, asset, start, end, variables=None, events_since=None):
        raise NotImplementedError

    def span(self, asset):
        instants = [ts for name, ts in self.values if name == asset]
        return (min(instants), max(instants)) if instants else None


class Audit:
    def __init__(self):
        self.entries = []

    def add(self, actor, what, subject, at, before=None, after=None, why=""):
        self.entries.append((actor, what, subject))


class Arrivals:
    def of(self, arrived_at):
        return []


@dataclass
class Plant:
    """In-memory stores with these assets."""

    assets: Assets = field(default_factory=Assets)
    readings: Readings = field(default_factory=Readings)
    arrivals: Arrivals = field(default_factory=Arrivals)
    audit: Audit = field(default_factory=Audit)

    def untouched(self):
        return not (self.assets.known or self.assets.types or self.readings.values or self.readings.events or self.audit.entries)
