from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.fields.names_and_times import Hours
from alerting.operators.alarm_views import (
    Shift,
    ShiftHours,
    find_change,
    find_neighbours,
    find_running,
    usual_hours,
)

pytestmark = pytest.mark.fast
BERLIN = ZoneInfo("Europe/Berlin")
WEEK = ("mon", "tue", "wed", "thu", "fri")


def hours(start, end, *days):
    return Hours.model_validate({"from": start, "to": end, **({"days": days} if days else {})})


def plan(name, *periods):
    return ShiftHours(name, tuple(hours(*one) for one in periods), BERLIN)


def local(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


EARLY = plan("early", ("06:00", "14:00"))
LATE = plan("late", ("14:00", "22:00"))
NIGHT = plan("night", ("22:00", "06:00"))
THREE = [EARLY, LATE, NIGHT]
OFFICE = plan("office", ("08:00", "17:00"))
OF_WEEKDAYS = [plan("day", ("07:00", "15:30", *WEEK)), plan("night", ("22:00", "06:00", *WEEK))]


def shown(shift):
    start, end = (f"{t.astimezone(BERLIN):%d %H:%M}" for t in (shift.start, shift.end))
    return f"{shift.name} {start} {end}"


CREW = plan("crew", ("06:00", "18:00"), ("18:00", "06:00"))
RUNNING = [
    (THREE, "2026-01-14 10:00", "night 13 22:00", "early 14 06:00 14 14:00", "late 14 14:00"),
    # at the instant of the change the new one runs
    (THREE, "2026-01-14 14:00", "early 14 06:00", "late 14 14:00 14 22:00", "night 14 22:00"),
    # over midnight
    (THREE, "2026-01-14 02:00", "late 13 14:00", "night 13 22:00 14 06:00", "early 14 06:00"),
    # one route with all shifts
    ([CREW], "2026-01-14 03:00", "crew 13 06:00", "crew 13 18:00 14 06:00", "crew 14 06:00"),
    # a route of other hours is not taken for the shift before
    (
        *([*THREE, OFFICE], "2026-01-14 18:00"),
        *("early 14 06:00", "late 14 14:00 14 22:00", "night 14 22:00"),
    ),
    # on Sunday none runs: the one that ended last
    (OF_WEEKDAYS, "2026-01-18 12:00", "day 16 07:00", "night 16 22:00 17 06:00", "day 19 07:00"),
    # the clocks are put forward: seven hours
    (THREE, "2026-03-29 04:00", "late 28 14:00", "night 28 22:00 29 06:00", "early 29 06:00"),
    # no shifts are named
    ([usual_hours(BERLIN)], "2026-01-14 05:59", " 13 14:00", " 13 22:00 14 06:00", " 14 06:00"),
]


def around(plans, at):
    """Return the shift that runs, between the beginnings of those before and after it."""
    running = find_running(plans, local(at))[0]
    before, after = (shown(one).rpartition(" ")[0][:-3] for one in find_neighbours(plans, running))
    return before, shown(running), after


def test_the_shift_that_runs_the_one_before_and_the_one_after():
    assert [(plans, at, *around(plans, at)) for plans, at, *_ in RUNNING] == RUNNING


def test_a_night_in_which_the_clocks_change_is_shorter_or_longer():
    lengths = {"2026-03-28 23:00": 7, "2026-10-24 23:00": 9, "2026-01-14 23:00": 8}
    shifts = {night: find_running(THREE, local(night))[0] for night in lengths}
    found = {night: (one.end - one.start).total_seconds() / 3600 for night, one in shifts.items()}
    assert found == lengths


def test_of_shifts_that_run_at_once_a_person_can_name_one():
    at = local("2026-01-14 09:00")
    names = [shift.name for shift in find_running([*THREE, OFFICE], at)]
    named = [shift.name for shift in find_running([*THREE, OFFICE], at, "early")]
    assert (names, named) == (["office", "early"], ["early", "office"])


def test_without_hours_no_shift_runs():
    at = local("2026-01-14 09:00")
    assert find_running([], at) == []
    alone = Shift("once", at, at.replace(hour=at.hour + 1))
    assert find_neighbours([], alone) == (None, None)


def test_a_shift_is_handed_over_around_its_end():
    changes = {
        "2026-01-14 13:29": None,
        "2026-01-14 13:30": "early",
        "2026-01-14 14:00": "early",
        "2026-01-14 14:30": "early",
        "2026-01-14 14:31": None,
        "2026-01-14 06:10": "night",
    }
    found = {at: find_change(THREE, local(at)) for at in changes}
    assert {at: shift and shift.name for at, shift in found.items()} == changes
