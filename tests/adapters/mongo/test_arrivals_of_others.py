"""What other processes write is told by the change stream of its arrival records, once it is
written."""

import time

import pytest

from alerting.adapters.mongo.mongo import open_stores
from alerting.definitions.assets import EventType
from alerting.ports import EventRow, ReadingRow
from alerting.ports.late import LatePart
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from tests.builders import at, oven

pytestmark = pytest.mark.server


@pytest.fixture
def stores(real_server):
    with (
        open_stores(real_server, "arrivals-of-others", prepare=True) as one,
        open_stores(real_server, "arrivals-of-others") as other,
    ):
        one.assets.store_assets([oven()])
        one.assets.put_event_types([EventType(name="jam", duration="lasting")])
        one.arrivals.extend_evaluated_until(at(10))
        yield one, other
        one.database.client.drop_database("arrivals-of-others")


def row(minute):
    return [ReadingRow("oven-1", at(minute), {"temperature": 200.0})]


def next_parts(told):
    end = time.monotonic() + 60
    for parts in told:
        assert time.monotonic() < end, "nothing was told"
        if parts:
            return parts
    return None


def test_rows_of_others_are_told_after_they_are_written_whether_late_or_not_and_own_ones_never(
    stores,
):
    service, other = stores
    told = service.arrivals.written_by_others(lambda: False)
    assert next(told) == ()
    add_readings(service, row(20), at(20))
    add_readings(other, row(21), at(21))
    assert next_parts(told) == (LatePart("oven-1", at(21), at(21), 1, ("temperature",)),)
    assert len(service.readings.load(oven(), at(20), at(22)).readings) == 1
    add_readings(service, row(3), at(22))
    add_readings(other, [*row(4), *row(22)], at(23))
    assert next_parts(told) == (LatePart("oven-1", at(4), at(22), 2, ("temperature",)),)
    add_events(other, [EventRow("oven-1", "jam", at(24), None, "line")], at(24))
    assert next_parts(told) == (LatePart("oven-1", at(24), at(24), 1, events=("jam",)),)
    told.close()


def test_it_ends_when_it_is_stopped(stores):
    service, _ = stores
    stopped = []
    told = service.arrivals.written_by_others(lambda: bool(stopped))
    next(told)
    stopped.append(True)
    assert list(told) == []
