"""Calendar periods of reports in the plant's zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.faults import UserError
from alerting.reporting.base.periods import period_at, period_before, periods_within, read_period
from tests.builders import threshold

pytestmark = pytest.mark.fast

BERLIN = ZoneInfo("Europe/Berlin")


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_a_week_runs_from_monday_to_monday_by_the_clock_of_the_plant():
    week = period_at("week", utc(2026, 11, 15, 23, 30), BERLIN)  # Monday 00:30 in Berlin
    assert (week.name, week.start, week.end) == (
        "2026-W47",
        utc(2026, 11, 15, 23),
        utc(2026, 11, 22, 23),
    )


def test_weeks_with_a_change_of_the_clock_have_an_hour_less_or_more():
    spring = read_period("2026-W13", BERLIN)
    autumn = read_period("2026-W43", BERLIN)
    assert (spring.start, spring.end) == (utc(2026, 3, 22, 23), utc(2026, 3, 29, 22))
    assert spring.end - spring.start == timedelta(days=7, hours=-1)
    assert autumn.end - autumn.start == timedelta(days=7, hours=1)
    assert period_before(autumn, BERLIN).end == autumn.start


def test_a_day_whose_midnight_does_not_exist_begins_after_the_change():
    zone = ZoneInfo("America/Havana")  # 2026-03-08 begins at 01:00
    assert period_at("week", utc(2026, 3, 9, 12), zone).start == utc(2026, 3, 9, 4)
    assert read_period("2026-03", zone).start == utc(2026, 3, 1, 5)


def test_months_and_quarters_end_where_the_next_ones_begin():
    month = read_period("2026-12", BERLIN)
    quarter = read_period("2026-Q4", BERLIN)
    assert (month.end, quarter.end) == (utc(2026, 12, 31, 23), utc(2026, 12, 31, 23))
    assert quarter.start == read_period("2026-10", BERLIN).start
    assert period_before(read_period("2027-Q1", BERLIN), BERLIN) == quarter


def test_the_first_days_of_january_may_belong_to_the_last_week_of_the_year_before():
    assert period_at("week", utc(2027, 1, 2), UTC).name == "2026-W53"


@pytest.mark.parametrize(
    "text",
    ["2026-W54", "2025-W53", "2026-13", "2026-Q5", "last week", "2026", "0000-01", "9999-12"],
)
def test_what_is_not_in_the_calendar_is_refused_with_the_forms(text):
    with pytest.raises(UserError, match="write 2026-W46 for a week"):
        read_period(text, UTC)


def test_periods_within_a_time_are_the_newest_and_those_that_ended_in_it():
    names = [p.name for p in periods_within("week", utc(2026, 11, 21), UTC, timedelta(days=20))]
    assert names == ["2026-W46", "2026-W45", "2026-W44"]
    assert [
        p.name for p in periods_within("quarter", utc(2026, 11, 21), UTC, timedelta(days=20))
    ] == ["2026-Q3"]


@pytest.mark.parametrize(
    ("written", "period"),
    [
        ("week", "week"),
        ("month", "month"),
        ("quarter", "quarter"),
        (None, None),
        ("0 6 * * 1", "week"),
        ("0 6 * * *", "week"),
        ("0 6 1 * *", "month"),
        ("0 6 1,15 * *", "month"),
        ("@weekly", "week"),
        ("0 6 1 1,4,7,10 *", "quarter"),
        ("0 6 1 1 *", "quarter"),
    ],
)
def test_a_cron_of_an_earlier_version_means_a_calendar_period(written, period):
    assert threshold(schedule={"report": written}).report_period == period
