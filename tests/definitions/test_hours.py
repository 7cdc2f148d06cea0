"""Shifts and quiet hours on the days on which the clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.fields.names_and_times import Hours, end_of, is_within

pytestmark = pytest.mark.fast

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = [Hours.model_validate({"from": "22:00", "to": "06:00"})]
SHIFTS = [
    Hours.model_validate({"from": a, "to": b})
    for a, b in (("06:00", "14:00"), ("14:00", "22:00"), ("22:00", "06:00"))
]


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def test_a_night_goes_on_after_midnight_and_belongs_to_the_day_on_which_it_starts():
    inside = {"22:00": True, "23:59": True, "05:59": True, "06:00": False, "21:59": False}
    found = {now: is_within(NIGHT, BERLIN, local(f"2026-01-07T{now}")) for now in inside}
    assert found == inside
    friday_night = [Hours.model_validate({"days": ["fri"], "from": "22:00", "to": "06:00"})]
    assert is_within(friday_night, BERLIN, local("2026-01-10T05:00"))  # Saturday morning
    assert not is_within(friday_night, BERLIN, local("2026-01-09T05:00"))


def test_the_night_of_spring_has_seven_hours_and_that_of_autumn_nine():
    hours = {"2026-03-28T22:00": 7, "2026-10-24T22:00": 9, "2026-10-25T22:00": 8}
    starts = {evening: local(evening).astimezone(UTC) for evening in hours}
    ends = {evening: end_of(NIGHT, BERLIN, start) for evening, start in starts.items()}
    assert {one: (ends[one] - starts[one]) / timedelta(hours=1) for one in hours} == hours
    assert {end.astimezone(BERLIN).strftime("%H:%M") for end in ends.values()} == {"06:00"}


def test_a_time_that_does_not_exist_is_the_next_and_one_that_comes_twice_the_first():
    quiet = [Hours.model_validate({"from": "00:00", "to": "02:30"})]
    # in spring 02:00 became 03:00
    assert end_of(quiet, BERLIN, utc("2026-03-29T00:00")) == utc("2026-03-29T01:00")
    assert end_of(quiet, BERLIN, utc("2026-10-24T23:00")) == utc("2026-10-25T00:30")
    assert not is_within(quiet, BERLIN, utc("2026-10-25T01:15"))  # 02:15 for the second time


@given(
    st.integers(min_value=0, max_value=366 * 24 * 60),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
def test_three_shifts_cover_every_minute_of_the_year_exactly_once(minute, zone):
    now = utc("2026-01-01T00:00") + timedelta(minutes=minute)
    assert sum(is_within([shift], ZoneInfo(zone), now) for shift in SHIFTS) == 1


def test_stretches_that_follow_on_are_one():
    weekend = [
        Hours.model_validate({"days": ["sat", "sun"], "from": "00:00", "to": "24:00"}),
        *NIGHT,
    ]
    assert end_of(weekend, BERLIN, local("2026-01-09T23:00")) == local("2026-01-12T06:00")
    assert end_of(NIGHT, BERLIN, local("2026-01-07T12:00")) is None


def test_what_is_no_time_of_day_is_refused():
    for clock in ("25:00", "24:01", -1, 1441, True, "noon"):
        with pytest.raises(ValueError, match=r"from"):
            Hours.model_validate({"from": clock, "to": "06:00"})
