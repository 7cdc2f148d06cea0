"""Suppression of a definition by design: states of the line and the calendar, as spans of time."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.fields.shared_fields import Suppression
from alerting.detection.suppressed_intervals import (
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

STATE = oven(
    line_state=Variable(type="category"),
    speed=Variable(low=0, high=10),
    running=Variable(type="boolean"),
)
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


LONG_STOP = [1, *[0] * 8, 1, 0, 0, 1]
# when, readings of a variable from minute 0 on, and the suppressed minutes
STATES = [
    (SLOW, "speed", [1, 0, 0, 1, 1], [(1, 3)]),
    # it must have lasted for its time
    ({**SLOW, "for": "5m"}, "speed", LONG_STOP, [(6, 9)]),
    # the start-up after a stop belongs to it
    ({**SLOW, "recovery": "3m"}, "speed", [1, 0, 0, 1, 1, 1, 1, 1], [(1, 6)]),
    # a category and a truth are compared as what they are
    (
        {"variable": "line_state", "equals": "stopped"},
        "line_state",
        ["runs", "stopped", "runs"],
        [(1, 2)],
    ),
    ({"variable": "running", "equals": False}, "running", [1.0, 0.0, 1.0], [(1, 2)]),
]


def test_a_state_holds_from_one_reading_to_the_next():
    found = [
        minutes(
            suppressed_intervals(
                suppression(when),
                [history(range(len(values)), STATE, **{variable: values})],
                at(0),
                at(len(values)),
            )
        )
        for when, variable, values, _ in STATES
    ]
    assert found == [spans for *_, spans in STATES]


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


# when, speeds from minute 0 on, the minute, whether it is suppressed, and what is not known
KNOWN = [
    (SLOW, [0, 0], 10.5, True, ""),
    (SLOW, [0, 0], 11.5, False, "no reading of speed within 10 min on oven-1"),
    (SLOW, [0, -5], 1.5, False, "outside its engineering range"),
    # sent only when it changes
    ({**SLOW, "stale_after": "24h"}, [1, 0], 23 * 60, True, ""),
    ({**SLOW, "recovery": "3m"}, [1, 0, 0, 1], 5.99, True, ""),
    ({**SLOW, "recovery": "3m"}, [1, 0, 0, 1], 6, False, ""),
    # one unknown state does not hide another that holds
    ([SLOW, {"event": "maintenance"}], [], 5, True, "no reading of speed"),
]


def test_a_state_that_is_not_known_suppresses_nothing_and_says_so():
    stands = [
        line_condition_at(
            suppression(when), [speeds(*values, events=[("maintenance", 1, None)])], at(minute)
        )
        for when, values, minute, *_ in KNOWN
    ]
    assert [one.suppressed for one in stands] == [suppressed for *_, suppressed, _ in KNOWN]
    said = [" ".join(one.unknown) for one in stands]
    assert [bool(one) for one in said] == [bool(words) for *_, words in KNOWN]
    assert [one for one, (*_, words) in zip(said, KNOWN, strict=True) if words not in one] == []


# --- calendar
# --------------------------------------------------------------------------------------------------


def night(zone="Europe/Berlin"):
    return suppression(windows=[{"days": ["sat"], "from": "22:00", "to": "06:00"}], timezone=zone)


def test_a_window_is_kept_by_the_clock_on_the_wall_when_clocks_change():
    hours = {"2026-03-28T21:00": 7, "2026-10-24T20:00": 9, "2026-11-07T21:00": 8}
    for evening, lasts in hours.items():
        start = datetime.fromisoformat(evening).replace(tzinfo=UTC)
        end = start + timedelta(hours=lasts)
        around = (start - timedelta(hours=1), start + timedelta(hours=12))
        spans = suppressed_intervals(night(), [], *around)
        assert [(span.start, span.end) for span in spans] == [(start, end)]
        instants = (start - timedelta(seconds=1), start, end)
        found = [line_condition_at(night(), [], instant).suppressed for instant in instants]
        assert found == [False, True, False]
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


@given(
    st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60),
    st.integers(0, 59),
    st.sampled_from([0, 3]),
)
def test_what_holds_at_an_instant_is_what_the_whole_history_says(values, minute, hold):
    state = {"variable": "speed", "below": 0.1, "for": f"{hold}m", "recovery": "4m"}
    stop = Suppression.model_validate({"when": [state]})
    whole = history(range(len(values)), STATE, speed=values)
    now = at(minute + 0.5)
    near = History(whole.asset, whole.readings.loc[now - lookback(stop) : now])
    spans = suppressed_intervals(stop, [whole], at(-60), at(60))
    assert line_condition_at(stop, [near], now).suppressed == any(
        s.start <= now < s.end for s in spans
    )
    assert all(a.start <= b.start for a, b in pairwise(spans))
