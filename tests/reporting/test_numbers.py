"""Numbers of reports: estimates, words, calendar periods, the load on operators."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerting.alarm_kpis.floods import ABOVE
from alerting.definitions.faults import UserError
from alerting.learning.metrics.confidence import wilson_interval
from alerting.reporting.base.estimates import Cases, median, rate_per_week, share
from alerting.reporting.base.load import operator_load
from alerting.reporting.base.messages import moment, number, percent, seconds
from alerting.reporting.base.periods import period_at, period_before, periods_within, read_period
from tests.builders import threshold

pytestmark = pytest.mark.fast


def cases(one, several):
    share_of = f"{{count}} of {{number}} {one}", f"{{count}} of {{number}} {several}"
    return Cases((f"{{number}} {one}", f"{{number}} {several}"), share_of, f"no {several}")


PROBLEMS = cases("problem", "problems")
FALSE_ALARMS = cases("false alarm", "false alarms")


def test_a_share_says_what_it_rests_on():
    estimate = share(7, 9, PROBLEMS)
    assert estimate.value == pytest.approx(7 / 9)
    # Wilson's interval, worked by hand
    assert (round(estimate.low, 3), round(estimate.high, 3)) == (
        0.453,
        0.937,
    )
    assert estimate.basis == "7 of 9 problems"
    assert not estimate.doubt


def test_fewer_than_five_cases_are_doubtful_and_still_show_their_interval():
    estimate = share(3, 4, PROBLEMS)
    assert estimate.doubt == "only 4 problems"
    assert estimate.low < 0.4
    assert estimate.high > 0.9


def test_nothing_to_count_has_no_value():
    estimate = share(0, 0, PROBLEMS)
    assert estimate.value is None
    assert estimate.doubt == "no problems"


def test_an_interval_never_leaves_zero_and_one():
    assert wilson_interval(0, 6)[0] == 0.0
    assert wilson_interval(6, 6)[1] == 1.0
    assert 0.3 < wilson_interval(0, 6)[1] < 0.45


def test_a_rate_has_the_exact_poisson_interval():
    estimate = rate_per_week(2, 4.0, FALSE_ALARMS)
    assert estimate.value == 0.5
    # the tabled bounds for two cases
    assert (round(estimate.low * 4, 3), round(estimate.high * 4, 3)) == (
        0.242,
        7.225,
    )
    assert rate_per_week(0, 4.0, FALSE_ALARMS).low == 0.0


def test_a_rate_over_less_than_a_week_is_doubtful():
    assert rate_per_week(2, 0.5, FALSE_ALARMS).doubt == "only 3.5 asset-days were evaluated"
    assert rate_per_week(2, 0.0, FALSE_ALARMS).value is None


def test_the_median_has_the_interval_of_its_order_statistics():
    estimate = median([float(v) for v in range(1, 11)], "s", PROBLEMS)
    # ranks 2 and 9 of 10: the tabled ones
    assert (estimate.value, estimate.low, estimate.high) == (
        5.5,
        2.0,
        9.0,
    )
    assert median([1.0, 9.0], "s", PROBLEMS).doubt == "only 2 problems"


def test_one_case_is_said_in_the_singular():
    assert (
        share(1, 1, cases("episode with an outcome", "episodes with an outcome")).doubt
        == "only 1 episode with an outcome"
    )
    assert share(0, 2, PROBLEMS).basis == "0 of 2 problems"
    assert rate_per_week(1, 2.0, FALSE_ALARMS).basis == "1 false alarm in 2.0 asset-weeks"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),  # noqa: RUF001
        (0.0, "0"),
        (0.51234, "0.512"),
        (12.0, "12"),
        (999.6, "1\u202f000"),
        (671, "671"),
        (12345.6, "12\u202f346"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0 %"), (0.0331, "3.3 %"), (0.0999, "10 %"), (1.0, "100 %")],  # noqa: RUF001
)
def test_shares_are_percent(value, text):
    assert percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (7140, "1 h 59 min"),
        (7200, "2 h"),
        (-90, "-1 min 30 s"),
        (90_000, "1 d 1 h"),
        (86_460, "1 d"),
    ],
)
def test_lengths_of_time_have_two_units(value, text):
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "2026-07-05 22:30 UTC"),
        ("Europe/Berlin", "2026-07-06 00:30 CEST"),
        ("Asia/Kathmandu", "2026-07-06 04:15 UTC+0545"),
    ],
)
def test_an_instant_is_told_in_the_zone_of_the_plant_which_is_named(zone, text):
    assert moment(datetime(2026, 7, 5, 22, 30, tzinfo=UTC), ZoneInfo(zone)) == text


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


START = datetime(2026, 1, 5, tzinfo=UTC)


def at(minutes):
    return START + timedelta(minutes=minutes)


def load(*minutes, days=7, lasts=5):
    return operator_load(
        [(at(m), at(m + lasts)) for m in minutes], START, START + timedelta(days=days), ABOVE
    )


def test_a_quiet_stretch_asks_nothing_of_anybody():
    quiet = load()
    assert (quiet.episodes, quiet.peak, quiet.peak_at, quiet.busiest_day, quiet.longest_s) == (
        0,
        0,
        None,
        None,
        None,
    )
    assert quiet.days_without == 7
    assert quiet.per_week.value == 0
    assert quiet.per_week.high > 0


def test_rates_are_of_all_assets_together_with_an_interval():
    busy = load(*range(0, 14 * 1440, 1440), days=14)
    assert (busy.episodes, busy.per_day, busy.per_week.value, busy.days_without) == (
        14,
        1.0,
        7.0,
        0,
    )
    assert busy.per_week.low < 7 < busy.per_week.high
    assert busy.per_week.unit == "per week"


def test_the_peak_lies_anywhere_not_only_on_the_clocks_tens():
    bunched = load(5, 13, 14.9, 15.0, 100, 1500)
    assert (bunched.peak, bunched.peak_at) == (3, at(5))
    assert (bunched.busiest_day, bunched.busiest_day_episodes) == (date(2026, 1, 5), 5)


@pytest.mark.parametrize(("count", "floods"), [(10, 0), (11, 1)])
def test_more_than_ten_in_ten_minutes_is_a_flood(count, floods):
    assert load(*(20 + i * 0.5 for i in range(count))).floods == floods


def test_the_longest_episode_is_told_in_seconds():
    assert (
        operator_load([(at(0), at(1)), (at(5), at(65))], START, at(1440), ABOVE).longest_s == 3600
    )
