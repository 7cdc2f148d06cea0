"""What other processes write is told by the change stream of its arrival records, once it is
written."""

import time

import pytest

from alerting.adapters.mongo.mongo import open_stores
from alerting.definitions.assets import EventType
from alerting.ports import EventRow, ReadingRow
from alerting.ports.late import LatePart
from alerting.stream.evaluator import Evaluator
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import HandClock, Mailbox, platform_on

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


def test_the_first_rows_of_a_plant_are_evaluated_by_one_process_that_another_one_stores(
    real_server,
):
    """Nothing was evaluated before them, so no row was ever late."""
    with (
        open_stores(real_server, "first-of-others", prepare=True) as one,
        open_stores(real_server, "first-of-others") as other,
    ):
        platform = platform_on(one, [Mailbox("mail")], HandClock(at(0)))
        platform.assets.store_assets([oven()])
        apply(platform, [too_hot()], "engineer", at(0), "test")
        evaluator = Evaluator(platform)
        try:
            evaluator.start()
            platform.clock.instant = at(2)
            add_readings(other, [ReadingRow("oven-1", at(1), {"temperature": 230.0})], at(2))
            end = time.monotonic() + 60
            while not platform.episodes.find():
                assert time.monotonic() < end, "the evaluator never heard of the rows"
                time.sleep(0.05)
        finally:
            evaluator.close()
            one.database.client.drop_database("first-of-others")
