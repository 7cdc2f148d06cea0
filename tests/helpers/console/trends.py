"""A plant with an oven whose temperature swings, for tests of trends."""

import math

import pytest

from alerting.definitions.asset_documents import EventType
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from tests.builders import at, oven
from tests.helpers.console.api import episode
from tests.in_memory_platform import in_memory_platform

TREND = "/trends?asset=oven-1&variable=temperature&variable=moisture"
HOURS = 10
MISSING = (240, 280)  # minutes without readings


@pytest.fixture
def swinging():
    """Return ten hours of an oven with a reading each 10 s: its temperature swings by 10 °C around
    210 °C within an hour."""
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    made.assets.put_event_types([EventType(name="stop", duration="lasting")])
    made.clock.instant = at(60 * HOURS)
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": temperature(m), "moisture": 3.0})
        for m in (n / 6 for n in range(360 * HOURS))
        if not MISSING[0] < m < MISSING[1]
    ]
    add_readings(made, rows, at(60 * HOURS))
    add_events(made, [EventRow("oven-1", "stop", at(400), at(430), "plc")], at(600))
    made.episodes.insert(episode(500))
    return made


def temperature(minute):
    return 210 + 10 * math.sin(2 * math.pi * minute / 60)
