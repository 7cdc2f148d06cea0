"""Suppression of a definition by design: states of the line and the calendar, as spans of time."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Asset, EventType, Variable
from alerting.definitions.suppression import Suppression
from alerting.detection.suppression import (
    SuppressedInterval,
    first_free,
    is_covered,
    line_condition_at,
    lookback,
    suppressed_intervals,
)
from alerting.readings.history import History, to_millis
from tests.builders import at, history, oven

pytestmark = pytest.mark.fast

STATE = oven(line_state=Variable(type="category"), speed=Variable(low=0, high=10))
SLOW = {"variable": "speed", "below": 0.1}


def suppression(when=(), **more):
    return Suppression.model_validate({"when": when, **more})


def minutes(spans):
    return [
        ((s.start - at(0)) / timedelta(minutes=1), (s.end - at(0)) / timedelta(minutes=1))
        for s in spans
    ]


def speeds(*values, **more):
    return history(range(len(values)), STATE, speed=[float(v) for v in values], **more)


def test_a_state_holds_from_one_reading_to_the_next():
    assert minutes(
        suppressed_intervals(suppression(SLOW), [speeds(1, 0, 0, 1, 1)], at(0), at(4))
    ) == [(1, 3)]


def test_a_state_must_have_lasted_for_its_time():
    long_stop = speeds(1, *[0] * 8, 1, 0, 0, 1)
    assert minutes(
        suppressed_intervals(suppression({**SLOW, "for": "5m"}), [long_stop], at(0), at(12))
    ) == [(6, 9)]


def test_the_start_up_after_a_stop_belongs_to_it():
    stop = speeds(1, 0, 0, 1, 1, 1, 1, 1)
    assert minutes(
        suppressed_intervals(suppression({**SLOW, "recovery": "3m"}), [stop], at(0), at(7))
    ) == [(1, 6)]
    assert [line_condition_at(suppression({**SLOW, "recovery": "3m"}), [stop],
    at(m)).suppressed for m in (2, 5.99, 6)] == [
        True, True, False,
    ]  # fmt: skip


def test_a_category_and_a_truth_are_compared_as_what_they_are():
    line = history([0, 1, 2], STATE, line_state=["runs", "stopped", "runs"])
    stopped = suppression({"variable": "line_state", "equals": "stopped"})
    assert minutes(suppressed_intervals(stopped, [line], at(0), at(3))) == [(1, 2)]
    running = Asset(name="oven-1", variables={"running": Variable(type="boolean")})
    off = suppression({"variable": "running", "equals": False})
    assert minutes(
        suppressed_intervals(
            off, [history([0, 1, 2], running, running=[1.0, 0.0, 1.0])], at(0), at(3)
        )
    ) == [(1, 2)]


def test_the_nearest_asset_that_has_the_variable_is_asked():
    line = Asset(name="line-1", variables={"speed": Variable()})
    machine = history([], oven())
    above = history([0, 1, 2], line, speed=[1.0, 0.0, 1.0])
    assert minutes(suppressed_intervals(suppression(SLOW), [machine, above], at(0), at(3))) == [
        (1, 2)
    ]
    assert (
        "speed below 0.1 on line-1"
        in line_condition_at(suppression(SLOW), [machine, above], at(1.5)).reason
    )


def test_an_event_suppresses_while_it_goes_on_and_one_of_the_line_counts_for_its_machines():
    types = [EventType(name="maintenance", duration="lasting")]
    line = history(
        [0],
        Asset(name="line-1"),
        events=[("maintenance", 1, 4), ("maintenance", 8, None)],
        event_types=types,
    )
    found = suppressed_intervals(
        suppression({"event": "maint*"}), [history([0], oven()), line], at(0), at(10)
    )
    assert minutes(found)[0] == (1, 4)
    assert found[1].start == at(8)
    assert found[1].end.year == 9999
    assert (
        line_condition_at(suppression({"event": "maint*"}), [line], at(9)).reason
        == "maintenance on line-1"
    )


# --- unknown
# --------------------------------------------------------------------------------------------------


def test_a_state_that_is_not_known_suppresses_nothing_and_says_so():
    stands = line_condition_at(suppression(SLOW), [speeds(0, 0)], at(11.5))
    assert not stands.suppressed
    assert stands.unknown == ("no reading of speed within 10 min on oven-1",)
    assert line_condition_at(suppression(SLOW), [speeds(0, 0)], at(10.5)).suppressed


def test_an_impossible_value_is_unknown_and_suppresses_nothing():
    stands = line_condition_at(suppression(SLOW), [speeds(0, -5)], at(1.5))
    assert not stands.suppressed
    assert "outside its engineering range" in stands.unknown[0]


def test_a_state_sent_only_when_it_changes_holds_as_long_as_the_definition_says():
    stop = suppression({**SLOW, "stale_after": "24h"})
    assert line_condition_at(stop, [speeds(1, 0)], at(23 * 60)).suppressed


def test_one_unknown_state_does_not_hide_another_that_holds():
    both = suppression([SLOW, {"event": "maintenance"}])
    line = history([], STATE, events=[("maintenance", 1, None)])
    stands = line_condition_at(both, [line], at(5))
    assert (stands.suppressed, len(stands.unknown)) == (True, 1)


# --- calendar
# --------------------------------------------------------------------------------------------------


def night(zone="Europe/Berlin"):
    return suppression(windows=[{"days": ["sat"], "from": "22:00", "to": "06:00"}], timezone=zone)


@pytest.mark.parametrize(
    ("evening", "hours"),
    [("2026-03-28T21:00", 7), ("2026-10-24T20:00", 9), ("2026-11-07T21:00", 8)],
)
def test_a_window_is_kept_by_the_clock_on_the_wall_when_clocks_change(evening, hours):
    start = datetime.fromisoformat(evening).replace(tzinfo=UTC)
    [span] = suppressed_intervals(
        night(), [], start - timedelta(hours=1), start + timedelta(hours=12)
    )
    assert (span.start, span.end - span.start) == (start, timedelta(hours=hours))
    assert [line_condition_at(night(), [], t).suppressed for t in (start - timedelta(seconds=1),
    start, span.end)] == [
        False, True, False,
    ]  # fmt: skip


def test_windows_of_a_year_are_all_found():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert len(suppressed_intervals(night(), [], start, start + timedelta(days=364))) == 52


# --- spans
# --------------------------------------------------------------------------------------------------

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=8)


@settings(deadline=None)  # a busy machine is no fault
@given(SPANS, st.integers(0, 80))
def test_the_first_free_instant_is_the_first_that_no_span_covers(spans, start):
    made = [SuppressedInterval(at(a), at(a + n), "") for a, n in spans]
    free = next(m for m in range(start, 200) if not any(a <= m < a + n for a, n in spans))
    assert first_free(made, at(start)) == at(free)
    inside = [any(a <= m < a + n for a, n in spans) for m in range(100)]
    assert is_covered(made, np.array([to_millis(at(m)) for m in range(100)])).tolist() == inside


@pytest.mark.parametrize("hold", [0, 3])
def test_what_holds_at_an_instant_is_what_the_whole_history_says(hold):
    stop = suppression({**SLOW, "for": f"{hold}m", "recovery": "4m"})
    whole = speeds(1, 1, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1)
    spans = suppressed_intervals(stop, [whole], at(-60), at(60))
    for minute in (1, 4, 7, 10, 12, 14, 16, 20):
        now = at(minute + 0.5)
        near = History(whole.asset, whole.readings.loc[now - lookback(stop) : now])
        assert line_condition_at(stop, [near], now).suppressed == any(
            s.start <= now < s.end for s in spans
        )
