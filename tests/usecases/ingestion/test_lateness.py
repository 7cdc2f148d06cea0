"""The meter of late data, and what `why` says of them."""

from datetime import timedelta

from alerting.definitions.assets import EventType, Variable
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.explain.explain import why
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.ingestion.lateness import late_rows, lateness
from tests.builders import at, oven, too_hot
from tests.helpers.late_line import Line

SECOND = timedelta(seconds=1)


def send(line, minute, seconds_late, **values):
    rows = [ReadingRow("oven-1", at(minute), values)]
    add_readings(line.platform, rows, at(minute) + seconds_late * SECOND)


def test_a_latency_is_proposed_that_waits_for_nineteen_of_twenty_deliveries():
    line = Line()
    line.run(100)
    for n in range(40):
        send(line, n, 3 if n < 38 else 600, temperature=200.0)
    (found,) = lateness(line.platform, at(0))
    assert (found.asset, found.what, found.deliveries, found.rows) == (
        "oven-1",
        "temperature",
        40,
        40,
    )
    assert (found.longest, found.latency) == (600 * SECOND, 3 * SECOND)
    assert lateness(line.platform, at(60)) == []


def test_nobody_is_advised_to_wait_for_hours_nor_for_events_and_a_delay_is_no_lateness():
    line = Line(variables={"moisture": Variable(delay="1h")})
    line.platform.assets.put_event_types([EventType(name="stop", duration="instant")])
    line.run(300)
    send(line, 100, 3 * 3600, temperature=200.0)
    send(line, 100, 3600 + 20, moisture=4.0)
    add_events(line.platform, [EventRow("oven-1", "stop", at(100), at(100), "test")], at(101))
    found = {f.what: f for f in lateness(line.platform, at(0))}
    assert {what: f.latency for what, f in found.items()} == {
        "temperature": None,
        "moisture": 20 * SECOND,
        "stop": None,
    }


def facts(line, minute):
    return "\n".join(why(line.platform, "too-hot", "oven-1", at(minute)).facts)


def test_why_names_what_late_data_have_changed_and_what_still_waits():
    line = Line(variables={"temperature": Variable(latency="5m")})
    line.feed({1: 200, 40: 200}, 40)
    line.run(50)
    line.feed({30: 230, 33: 200}, 51)
    line.run(51)
    assert "evaluated to 2026-01-05 00:46 UTC (latency 5 min)" in facts(line, 40)
    assert "it was found late: late data showed it at 2026-01-05 00:51 UTC" in facts(line, 31)
    line.feed({32: 200}, 52)
    line.platform.arrivals.request_reprocessing([{("too-hot", "oven-1"): at(32)}])
    assert (
        "the next evaluation evaluates it again with late data, from 2026-01-05 00:32 UTC on"
        in facts(line, 40)
    )
    line.run(53)
    assert "late data: it was over 2026-01-05 00:32 UTC" in facts(line, 31)


def a_month_of_history(line, until):
    """A reading every ten minutes of the thirty days before a minute, delivered at it."""
    minutes = range(until - 30 * 24 * 60, until, 10)
    rows = [ReadingRow("oven-1", at(minute), {"temperature": 200.0}) for minute in minutes]
    add_readings(line.platform, rows, at(until))
    return rows


def test_history_from_before_the_definition_began_is_not_late():
    line = Line()
    line.run(60)
    rows = a_month_of_history(line, 0)
    assert len(rows) > 4000
    assert late_rows(line.platform, at(0)) == 0
    assert lateness(line.platform, at(0)) == []
    counts = line.run(61)
    assert (counts.late, counts.too_late) == (0, 0)


def test_of_history_that_reaches_into_the_time_that_was_judged_only_that_part_is_late():
    line = Line()
    line.run(60)
    a_month_of_history(line, 60)
    assert late_rows(line.platform, at(60)) == 6
    [found] = lateness(line.platform, at(0))
    assert (found.rows, found.longest) == (6, 3600 * SECOND)
    counts = line.run(61)
    assert (counts.late, counts.too_late) == (6, 0)


def test_history_is_not_late_for_a_definition_that_was_changed_since_it_began():
    line = Line()
    line.run(30)
    line.platform.clock.instant = at(40)
    apply(line.platform, [too_hot(above=220)], "engineer", at(40), "a higher limit")
    line.run(60)
    a_month_of_history(line, 0)
    counts = line.run(61)
    assert (counts.late, counts.too_late) == (0, 0)
    assert lateness(line.platform, at(0)) == []


def test_history_of_an_asset_that_no_definition_watches_is_not_late():
    line = Line()
    line.platform.assets.store_assets([oven().model_copy(update={"name": "press-1"})])
    line.run(60)
    add_readings(line.platform, [ReadingRow("press-1", at(5), {"temperature": 1.0})], at(60))
    assert lateness(line.platform, at(0)) == []
    assert late_rows(line.platform, at(60)) == 0
