"""Numbers of reports: estimates, words, calendar periods, the load on operators."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerting.alarm_kpis.floods import ABOVE
from alerting.definitions.faults import UserError
from alerting.reporting.base.estimates import Cases, median, rate_per_week, share
from alerting.reporting.base.load import operator_load
from alerting.reporting.base.messages import moment, number, percent, seconds
from alerting.reporting.base.periods import period_at, period_before, periods_within, read_period
from tests.builders import at, threshold

pytestmark = pytest.mark.fast


def cases(one, several):
    share_of = f"{{count}} of {{number}} {one}", f"{{count}} of {{number}} {several}"
    return Cases((f"{{number}} {one}", f"{{number}} {several}"), share_of, f"no {several}")


PROBLEMS = cases("problem", "problems")
FALSE_ALARMS = cases("false alarm", "false alarms")
EPISODES = cases("episode with an outcome", "episodes with an outcome")


def told(estimate):
    """Return the value and its bounds with three digits, what it rests on, and its doubt."""
    numbers = estimate.value, estimate.low, estimate.high
    rounded = tuple(None if n is None else round(n, 3) for n in numbers)
    return *rounded, str(estimate.basis), str(estimate.doubt)


def test_an_estimate_says_what_it_rests_on_and_fewer_than_five_cases_or_a_week_are_doubtful():
    """By Wilson's interval, worked by hand; the tabled bounds of two cases of Poisson; ranks 2 and
    9 of 10."""
    ten = [float(value) for value in range(1, 11)]
    assert {
        "seven of nine": told(share(7, 9, PROBLEMS)),
        "few": told(share(3, 4, PROBLEMS)),
        "none": told(share(0, 0, PROBLEMS)),
        "never": told(share(0, 6, PROBLEMS)),
        "always": told(share(6, 6, PROBLEMS)),
        "one": told(share(1, 1, EPISODES)),
        "two in four weeks": told(rate_per_week(2, 4.0, FALSE_ALARMS)),
        "none in four weeks": told(rate_per_week(0, 4.0, FALSE_ALARMS)),
        "one in two weeks": told(rate_per_week(1, 2.0, FALSE_ALARMS)),
        "less than a week": told(rate_per_week(2, 0.5, FALSE_ALARMS)),
        "no time": told(rate_per_week(2, 0.0, FALSE_ALARMS)),
        "median of ten": told(median(ten, "s", PROBLEMS)),
        "median of two": told(median([1.0, 9.0], "s", PROBLEMS)),
    } == {
        "seven of nine": (0.778, 0.453, 0.937, "7 of 9 problems", ""),
        "few": (0.75, 0.301, 0.954, "3 of 4 problems", "only 4 problems"),
        "none": (None, None, None, "no problems", "no problems"),
        "never": (0.0, 0.0, 0.39, "0 of 6 problems", ""),
        "always": (1.0, 0.61, 1.0, "6 of 6 problems", ""),
        "one": (
            *(1.0, 0.207, 1.0, "1 of 1 episode with an outcome"),
            "only 1 episode with an outcome",
        ),
        "two in four weeks": (0.5, 0.061, 1.806, "2 false alarms in 4.0 asset-weeks", ""),
        "none in four weeks": (0.0, 0.0, 0.922, "0 false alarms in 4.0 asset-weeks", ""),
        "one in two weeks": (0.5, 0.013, 2.786, "1 false alarm in 2.0 asset-weeks", ""),
        "less than a week": (
            *(4.0, 0.484, 14.449, "2 false alarms in 0.5 asset-weeks"),
            "only 3.5 asset-days were evaluated",
        ),
        "no time": (None, None, None, "no time was evaluated", "no time was evaluated"),
        "median of ten": (5.5, 2.0, 9.0, "10 problems", ""),
        "median of two": (5.0, 1.0, 9.0, "2 problems", "only 2 problems"),
    }


WRITTEN = {
    number: {
        None: "–",  # noqa: RUF001
        0.0: "0",
        0.51234: "0.512",
        12.0: "12",
        999.6: "1\u202f000",
        671: "671",
        12345.6: "12\u202f346",
    },
    percent: {None: "–", 0.0: "0 %", 0.0331: "3.3 %", 0.0999: "10 %", 1.0: "100 %"},  # noqa: RUF001
    seconds: {
        0: "0 s",
        59.6: "1 min",
        7140: "1 h 59 min",
        7200: "2 h",
        -90: "-1 min 30 s",
        90_000: "1 d 1 h",
        86_460: "1 d",
    },
}
MOMENTS = {
    "UTC": "2026-07-05 22:30 UTC",
    "Europe/Berlin": "2026-07-06 00:30 CEST",
    "Asia/Kathmandu": "2026-07-06 04:15 UTC+0545",
}


def test_numbers_shares_and_times_are_short_and_an_instant_names_the_zone_of_the_plant():
    assert {
        write: {value: write(value) for value in texts} for write, texts in WRITTEN.items()
    } == WRITTEN
    instant = datetime(2026, 7, 5, 22, 30, tzinfo=UTC)
    assert {zone: moment(instant, ZoneInfo(zone)) for zone in MOMENTS} == MOMENTS


BERLIN = ZoneInfo("Europe/Berlin")
HAVANA = ZoneInfo("America/Havana")  # 2026-03-08 begins at 01:00


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_periods_begin_and_end_by_the_clock_of_the_plant():
    a_monday = period_at("week", utc(2026, 11, 15, 23, 30), BERLIN)  # 00:30 in Berlin
    december = read_period("2026-12", BERLIN)
    quarter = read_period("2026-Q4", BERLIN)
    spring = read_period("2026-W13", BERLIN)
    autumn = read_period("2026-W43", BERLIN)
    assert {p.name: (p.start, p.end) for p in (a_monday, december, quarter, spring, autumn)} == {
        "2026-W47": (utc(2026, 11, 15, 23), utc(2026, 11, 22, 23)),
        "2026-12": (utc(2026, 11, 30, 23), utc(2026, 12, 31, 23)),
        "2026-Q4": (read_period("2026-10", BERLIN).start, utc(2026, 12, 31, 23)),
        "2026-W13": (utc(2026, 3, 22, 23), utc(2026, 3, 29, 22)),  # an hour less
        "2026-W43": (utc(2026, 10, 18, 22), utc(2026, 10, 25, 23)),  # an hour more
    }
    assert period_before(autumn, BERLIN).end == autumn.start
    assert period_before(read_period("2027-Q1", BERLIN), BERLIN) == quarter
    assert period_at("week", utc(2026, 3, 9, 12), HAVANA).start == utc(2026, 3, 9, 4)
    assert read_period("2026-03", HAVANA).start == utc(2026, 3, 1, 5)
    assert period_at("week", utc(2027, 1, 2), UTC).name == "2026-W53"


@pytest.mark.parametrize(
    "text",
    ["2026-W54", "2025-W53", "2026-13", "2026-Q5", "last week", "2026", "0000-01", "9999-12"],
)
def test_what_is_not_in_the_calendar_is_refused_with_the_forms(text):
    with pytest.raises(UserError, match="write 2026-W46 for a week"):
        read_period(text, UTC)


def test_periods_within_a_time_are_the_newest_and_those_that_ended_in_it():
    given = utc(2026, 11, 21), UTC, timedelta(days=20)
    assert {
        name: [p.name for p in periods_within(name, *given)] for name in ("week", "quarter")
    } == {"week": ["2026-W46", "2026-W45", "2026-W44"], "quarter": ["2026-Q3"]}


WRITTEN_PERIODS = {
    "week": "week",
    "month": "month",
    "quarter": "quarter",
    None: None,
    "0 6 * * 1": "week",
    "0 6 * * *": "week",
    "0 6 1 * *": "month",
    "0 6 1,15 * *": "month",
    "@weekly": "week",
    "0 6 1 1,4,7,10 *": "quarter",
    "0 6 1 1 *": "quarter",
}


def test_a_cron_of_an_earlier_version_means_a_calendar_period():
    assert {
        written: threshold(schedule={"report": written}).report_period
        for written in WRITTEN_PERIODS
    } == WRITTEN_PERIODS


def load(*minutes, days=7, lasts=5):
    times = [(at(m), at(m + lasts)) for m in minutes]
    return operator_load(times, at(0), at(days * 1440), ABOVE)


def test_the_load_is_of_all_assets_together_and_its_peak_lies_anywhere():
    quiet = load()
    assert (quiet.episodes, quiet.peak, quiet.peak_at, quiet.busiest_day, quiet.longest_s) == (
        *(0, 0, None),
        *(None, None),
    )
    assert (quiet.days_without, *told(quiet.per_week)[:3]) == (7, 0.0, 0.0, 3.689)
    busy = load(*range(0, 14 * 1440, 1440), days=14)
    assert (busy.episodes, busy.per_day, busy.days_without) == (14, 1.0, 0)
    assert (busy.per_week.unit, *told(busy.per_week)[:3]) == ("per week", 7.0, 3.827, 11.745)
    bunched = load(5, 13, 14.9, 15.0, 100, 1500)
    assert (bunched.peak, bunched.peak_at) == (3, at(5))
    assert (bunched.busiest_day, bunched.busiest_day_episodes) == (date(2026, 1, 5), 5)
    assert (bunched.longest_s, load(5, lasts=60).longest_s) == (300, 3600)
    floods = [load(*(20 + i * 0.5 for i in range(count))).floods for count in (10, 11)]
    assert floods == [0, 1], "more than ten in ten minutes"
