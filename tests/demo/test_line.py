"""The simulated line: the same bits however it is cut, sensors within their ranges, stops, cleaning
and causes as stated."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from statistics import fmean

import pytest
from pydantic import TypeAdapter

from alerting.demo.disturbances import DAY, Cause, Disturbance
from alerting.demo.line import (
    HOLD,
    DemoLineState,
    LineAdvance,
    SetPointChange,
    causes,
    demo_asset,
    new_line,
    simulate,
)
from alerting.ports import EventRow, ReadingRow

ORIGIN = datetime(2026, 3, 1, tzinfo=UTC)
LIMIT = 4.5
HELD = 5
STORED = TypeAdapter(DemoLineState)


DAYS = 5
SLOT = 240


@cache
def slots() -> list[LineAdvance]:
    """Five days in stretches of four hours, so that every test starts close to what it looks at."""
    done = [simulate(new_line(1, ORIGIN, 30), SLOT)]
    while len(done) < DAYS * DAY // SLOT:
        done.append(simulate(done[-1].state, (len(done) + 1) * SLOT))
    return done


@cache
def rows() -> list[ReadingRow]:
    return [row for stretch in slots() for row in stretch.rows]


@cache
def events(type: str) -> list[EventRow]:
    """Events of a type as they are when they are over."""
    return [
        e for stretch in slots() for e in stretch.events if e.type == type and e.end is not None
    ]


def state_at(minute: int) -> DemoLineState:
    state = slots()[minute // SLOT - 1].state if minute >= SLOT else new_line(1, ORIGIN, 30)
    return simulate(state, minute).state


def problem_minute(stretch: LineAdvance) -> int | None:
    """Index of the row at which moisture rises over its limit for five minutes."""
    start = None
    for index, row in enumerate(stretch.rows):
        moisture = row.values.get("moisture")
        if moisture is None:
            continue
        if moisture <= LIMIT:
            start = None
            continue
        start = index if start is None else start
        if index - start >= HELD:
            return start
    return None


def first_unanswered(cause: Cause) -> Disturbance:
    found = new_line(1, ORIGIN, 30).schedule.disturbances(0, DAYS * DAY)
    return next(d for d in found if d.cause == cause and d.answered is None)


def test_one_run_and_any_chunks_give_the_same_bits() -> None:
    state = new_line(1, ORIGIN, 30)
    found = []
    for until in (1, 2, 59, 60, 61, 700, 1439, 1440, 1441, 1680):
        stretch = simulate(state, until)
        state = STORED.validate_json(STORED.dump_json(stretch.state))  # as a store keeps it
        found = [*found, *stretch.rows]
    assert found == rows()[:1680]
    assert state == slots()[6].state
    assert {name for row in rows() for name in row.values} == set(demo_asset().variables)
    past = simulate(state, 300)
    assert (past.rows, past.state) == ([], state)


def test_a_stop_is_open_until_it_is_over_and_is_then_the_same_event() -> None:
    works = {e.start for e in events("maintenance")}
    stop = next(e for e in events("line-stop") if e.start not in works)
    assert stop.end is not None
    middle = int((stop.start + (stop.end - stop.start) / 2 - ORIGIN) / timedelta(minutes=1))
    before = simulate(state_at(middle - 30), middle)
    after = simulate(before.state, middle + 30)
    assert [(e.type, e.start, e.end) for e in before.events] == [("line-stop", stop.start, None)]
    assert [(e.type, e.start, e.end) for e in after.events] == [("line-stop", stop.start, stop.end)]


SIGNS: dict[Cause, tuple[str, float]] = {
    "wet-dough": ("dough_moisture", 3.0),
    "burner-fault": ("zone_2_burner_power", 15.0),
    "damp-air": ("air_humidity", 15.0),
    "fast-belt": ("belt_speed_setpoint", 0.8),
}


@pytest.mark.parametrize("cause", SIGNS)
def test_a_disturbance_shows_and_leads_to_wet_biscuits_unless_two_set_points_are_changed_in_time(
    cause: Cause,
) -> None:
    disturbance = first_unanswered(cause)
    variable, least = SIGNS[cause]
    peak = disturbance.start + disturbance.ramp + 5
    assert mean_at(peak, variable) - mean_at(disturbance.start, variable) > least
    begin = state_at(disturbance.start)
    left_alone = problem_minute(simulate(begin, disturbance.end))
    assert left_alone is not None
    assert left_alone >= 10, "nobody could warn of it"

    noticed = simulate(begin, disturbance.start + left_alone - 12).state
    told = causes(noticed, timedelta(hours=1))[-1]
    instants = [noticed.instant(minute) for minute in (disturbance.start, disturbance.end)]
    assert told == (*instants, disturbance)
    answered = _changed(noticed, {"belt_speed_setpoint": -0.8, "zone_3_setpoint": 10.0})
    assert problem_minute(simulate(answered, disturbance.start + left_alone + 30)) is None


def mean_at(minute: int, variable: str) -> float:
    """Mean of the ten readings around a minute."""
    around = rows()[minute - 5 : minute + 5]
    return fmean(float(r.values[variable]) for r in around if variable in r.values)


def _changed(state: DemoLineState, by: dict[str, float]) -> DemoLineState:
    before = {name: state.setpoint(name, state.minute) for name in by}
    changes = tuple(
        SetPointChange(state.minute, n, round(before[n] + by[n], 1), before[n], "anna") for n in by
    )
    return replace(state, changes=changes)


def test_a_value_set_by_a_person_holds_for_eight_hours_and_is_kept_as_an_event() -> None:
    state = _changed(slots()[1].state, {"zone_1_setpoint": 7.0})
    value = state.changes[0].value
    stretch = simulate(state, 480 + HOLD + 60)
    settings = [r.values.get("zone_1_setpoint", value) for r in stretch.rows]
    assert set(settings[:HOLD]) == {value}
    assert value not in settings[HOLD:]
    event = next(e for e in stretch.events if e.type == "set-point-change")
    assert event.start == event.end == ORIGIN + timedelta(minutes=480)
    expected = {"variable": "zone_1_setpoint", "value": value, "before": value - 7.0}
    assert event.attributes.items() >= (expected | {"actor": "anna"}).items()


def test_a_wet_batch_arrives_as_the_live_line_begins_and_nothing_else_disturbs_it() -> None:
    schedule = new_line(1, ORIGIN, 30).schedule
    begin = 30 * DAY
    assert [(d.cause, d.start) for d in schedule.disturbances(begin, begin + 240)] == [
        ("wet-dough", begin)
    ]
    assert not any(schedule.stop(m) for m in range(begin, begin + 240))
