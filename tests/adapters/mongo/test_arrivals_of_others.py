"""What other processes write is told once it is written: by the change stream of its arrival
records."""

from dataclasses import replace

from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.mongo.mongo import MongoStores
from alerting.definitions.asset_documents import EventType
from alerting.ports import EventRow, LatePart, ReadingRow
from alerting.stores.readings.arrivals import MongoArrivals
from alerting.stream.threads import Evaluator
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.receivers import wait_until
from tests.in_memory_platform import HandClock, Mailbox, platform_on


def process(database):
    """Return a platform whose arrival records are in the database."""
    plant = replace(memory_platform(), arrivals=MongoArrivals(database))
    plant.assets.store_assets([oven()])
    plant.assets.put_event_types([EventType(name="jam", duration="lasting")])
    return plant


def rows(*minutes):
    return [ReadingRow("oven-1", at(minute), {"temperature": 200.0}) for minute in minutes]


def part(first, last, count):
    return LatePart("oven-1", at(first), at(last), count, ("temperature",))


def test_rows_of_others_are_told_once_whether_late_or_not_and_own_ones_never(real):
    service = process(real.database)
    other = process(real.database)
    service.arrivals.extend_evaluated_until(at(10))
    stopped = []
    told = service.arrivals.written_by_others(lambda: bool(stopped))
    assert next(told) == ()
    add_readings(service, rows(20), at(20))
    add_readings(other, rows(21), at(21))
    assert wait_until(lambda: next(told)) == (part(21, 21, 1),)
    add_readings(service, rows(3), at(22))
    add_readings(other, rows(4, 22), at(23))
    assert wait_until(lambda: next(told)) == (part(4, 22, 2),), "also the row that is not late"
    add_events(other, [EventRow("oven-1", "jam", at(24), None, "line")], at(24))
    jam = LatePart("oven-1", at(24), at(24), 1, events=("jam",))
    assert wait_until(lambda: next(told)) == (jam,)
    learned = []
    for minute in range(31, 36):
        add_readings(other, rows(minute), at(minute))
    wait_until(lambda: learned.extend(next(told)) or len(learned) == 5)
    assert learned == [part(minute, minute, 1) for minute in range(31, 36)]
    stopped.append(True)
    assert list(told) == []


def test_the_first_rows_of_a_plant_are_evaluated_by_one_process_that_another_one_stores(real):
    """Nothing was evaluated before them, so no row was ever late."""
    platform = platform_on(real, [Mailbox("mail")], HandClock(at(0)))
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot()], "engineer", at(0), "test")
    evaluator = Evaluator(platform)
    try:
        evaluator.start()
        platform.clock.instant = at(2)
        hot = [ReadingRow("oven-1", at(1), {"temperature": 230.0})]
        add_readings(MongoStores(real.database), hot, at(2))
        assert wait_until(platform.episodes.find, "the evaluator never heard of the rows")
    finally:
        evaluator.close()
