"""The meter of late data, and what `why` says of them."""

from alerting.definitions.asset_documents import Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.explain import why
from alerting.usecases.ingestion.arrived_rows import add_readings, late_rows
from tests.builders import at, too_hot
from tests.helpers.late_line import Line


def facts(line, minute):
    return "\n".join(why(line.platform, "too-hot", "oven-1", at(minute)).facts)


def test_why_names_what_late_data_have_changed_and_what_still_waits():
    line = Line(variables={"temperature": Variable(latency="5m")})
    line.feed({1: 200, 40: 200}, 40)
    line.run(50)
    line.feed({30: 230, 33: 200}, 51)
    line.run(51)
    assert "evaluated to 2026-01-05 00:46 UTC (latency 5 min)" in facts(line, 40)
    assert "it came with late readings, at 2026-01-05 00:51 UTC" in facts(line, 31)
    line.feed({32: 200}, 52)
    line.platform.arrivals.request_reprocessing([{("too-hot", "oven-1"): at(32)}])
    assert (
        "the next evaluation evaluates it again with late data, from 2026-01-05 00:32 UTC on"
        in facts(line, 40)
    )
    line.run(53)
    assert "late data: it was over 2026-01-05 00:32 UTC" in facts(line, 31)


def a_month_of_history(line, until):
    """Deliver a reading every ten minutes of the thirty days before a minute, at it; return how
    many rows are late, and what the next evaluation counts as late and too late."""
    minutes = range(until - 30 * 24 * 60, until, 10)
    rows = [ReadingRow("oven-1", at(minute), {"temperature": 200.0}) for minute in minutes]
    add_readings(line.platform, rows, at(until))
    late = late_rows(line.platform, at(until))
    counts = line.run(61)
    return late, counts.late, counts.too_late


def test_of_history_only_the_part_in_the_time_that_was_judged_is_late():
    before = Line()
    before.run(60)
    assert a_month_of_history(before, 0) == (0, 0, 0)
    within = Line()
    within.run(60)
    assert a_month_of_history(within, 60) == (6, 6, 0)


def test_history_is_not_late_for_a_definition_that_was_changed_since_it_began():
    line = Line()
    line.run(30)
    line.platform.clock.instant = at(40)
    apply(line.platform, [too_hot(above=220)], "engineer", at(40), "a higher limit")
    line.run(60)
    assert a_month_of_history(line, 0)[1:] == (0, 0)
