"""Messages of a broker, and writes that fail, for tests of the stream service and its use case."""

import json
from datetime import UTC, datetime

from alerting.usecases.sources.stream import BrokerMessage

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ROW = {"ts": NOON.isoformat(), "values": {"t": 1}}
SOURCE = {
    "name": "line",
    "kind": "mqtt",
    "url": {"env": "BROKER_URL"},
    "topic": "line-3/{asset}/readings",
}


def message(row, topic="line-3/oven-1/readings", done=None):
    payload = row if isinstance(row, bytes) else json.dumps(row).encode()
    return BrokerMessage(
        topic, payload, NOON, lambda: done.append(topic) if done is not None else None
    )


def dead(platform):
    """Return the reasons of the dead messages."""
    return [letter.reason for letter in platform.dead_messages.dead("line", 100)]


class Refusing:
    """Writes that fail for the rows of one asset, until they are mended."""

    def __init__(self, writes, asset, fault):
        self._writes = writes
        self._asset = asset
        self._fault = fault

    def mend(self):
        self._asset = None

    def __getattr__(self, name):
        def call(rows, *others):
            if self._asset is not None and any(
                getattr(row, "asset", row[0] if isinstance(row, tuple) else None) == self._asset
                for row in rows
            ):
                raise self._fault
            return getattr(self._writes, name)(rows, *others)

        return call


class Batches:
    """A subscription with these batches. A fault among them is raised."""

    def __init__(self, batches):
        self._batches = list(batches)
        self.is_closed = False

    def batch(self):
        found = self._batches.pop(0) if self._batches else []
        if isinstance(found, Exception):
            raise found
        return found

    def losses(self):
        return []

    def close(self):
        self.is_closed = True
