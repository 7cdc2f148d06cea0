"""Figures of reports: drawings of risks, trainings, values and curves; estimates, words, calendar
periods, the load on operators."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.fields.problem import Problem
from alerting.definitions.wording.language import language
from alerting.detection.evaluation_results_and_texts import (
    ReadingInForce,
    current_value_message,
    limit_message,
)
from alerting.episodes.episode import Change, Contribution, PresentAdvice, RecommendationResult
from alerting.operators.alarm_load import ABOVE
from alerting.reporting.episode_details import operator_load
from alerting.reporting.estimates import Cases, median, rate_per_week, share
from alerting.reporting.model_charts import (
    SHOWN,
    bars_plot,
    curve_plot,
    evidence_charts,
    limit_choosing,
    operating_points,
    risk_steps,
    swarm,
    waterfall,
)
from alerting.reporting.periods import period_at, period_before, periods_within, read_period
from alerting.reporting.phrases import moment, number, percent, seconds
from alerting.reporting.variable_charts import ChartLevel, sparkline
from tests.builders import at, oven, threshold
from tests.helpers.episodes import episode
from tests.helpers.learning.curves import curve_point
from tests.helpers.refusals import assert_refused

pytestmark = pytest.mark.fast
PNG = b"\x89PNG"


def reason(name, value):
    return Contribution(name, value, 1.0, 0.0, name)


def test_steps_lead_from_the_usual_score_to_the_risk_and_the_smallest_shares_are_one_bar():
    chart = waterfall([reason("belt", -0.1), reason("oven", 0.5)], 0.6, 0.4, {"oven": "Oven"})
    assert [(b.label, round(b.start, 6), round(b.end, 6), b.kind) for b in chart.bars] == [
        ("Usual risk", 0.0, 0.2, "usual"),
        ("Oven", 0.2, 0.7, "up"),
        ("belt", 0.6, 0.7, "down"),
        ("Risk", 0.0, 0.6, "risk"),
    ]
    assert chart.description == (
        "How the risk rose from 20 % to 60 %: Usual risk 20 %, Oven +50 points, belt -10 points, "
        "Risk 60 %; alarm at 40 %"
    )
    low, high = bars_plot(chart).x
    assert (low, high > 0.7) == (0.0, True)
    many = waterfall([reason(str(i), 0.05) for i in range(10)], 0.9, None, {})
    assert (len(many.bars), many.bars[-2].label) == (SHOWN + 3, f"{10 - SHOWN} others")
    assert many.bars[-2].end == pytest.approx(0.9)
    together = replace(reason("belt", 0.3), members=("oven", "belt", "fan"))
    (_, bar, _) = waterfall([together], 0.9, None, {"oven": "Oven"}).bars
    assert bar.label == "belt, Oven and 1 more", "variables that move together are one bar"
    assert waterfall([], 0.9, 0.5, {}) is waterfall([reason("belt", 0.1)], None, 0.5, {}) is None


def test_the_risk_before_now_and_after_the_change():
    advice = RecommendationResult((Change("belt", 8.0, 7.4, None),), 0.7, 0.2, True, "Set it")
    raised = episode(is_prediction=True, recommendation=advice)
    raised = replace(raised, evaluation=replace(raised.evaluation, value=0.62, threshold=0.31))
    now = replace(raised, present=PresentAdvice(at(5), at(0), 0.7, 0.31, 1, (), advice))
    come = replace(now, happening_at=at(6))
    first = ("When the alarm came", 0.62)
    last = ("With this change", 0.2)
    found = [[(bar.label, bar.end) for bar in risk_steps(e).bars] for e in (raised, now, come)]
    assert found == [[first, last], [first, ("Now", 0.7), last], [first, last]]
    assert risk_steps(replace(raised, recommendation=None)) is None


def test_evidence_of_a_training_is_drawn_as_far_as_there_is_any():
    point = {"intervals": {}, "time_in_alarm": 0.1, "episode_precision": None}
    curve = [
        {**point, "threshold": t, "event_recall": 1 - t, "false_alarms_per_week": 9 - 8 * t}
        | {"chosen": t == 0.5, "within_budget": t > 0.2}
        for t in (0.1, 0.5, 0.9)
    ]
    bins = [{"score": s, "observed": s, "low": s / 2, "high": s, "rows": 9} for s in (0.1, 0.6)]
    evidence = {
        "threshold_curve": curve,
        "reliability": bins,
        "importance": {str(n): 1.0 for n in range(20)},
    }
    found = {name: data[:4] for name, data in evidence_charts(evidence, {}).items()}
    assert found == dict.fromkeys(("threshold.png", "calibration.png", "importance.png"), PNG)
    assert evidence_charts({"importance": {}}, {}) == {}
    shares = np.array([[0.1, -0.2], [0.3, 0.0]])
    assert swarm(["a", "b"], shares, np.array([[1, np.nan], [2, np.nan]]), {})[:4] == PNG


LIMIT = (ChartLevel(4.5, "limit"), ChartLevel(0.5, "limit"))


def line(values, levels=LIMIT):
    at = np.arange(len(values), dtype=np.int64) * 60_000
    return sparkline(at, np.array(values, np.float64), levels, "%")


def test_the_present_value_is_told_with_its_course():
    courses = [
        (np.linspace(3, 3.9, 40), "3.9 %, rising"),
        (np.linspace(3.9, 3, 40), "3 %, falling"),
        (3 + 0.1 * (np.arange(40) % 2), "3.1 %, steady"),
        ([3.0] * 40, "3 %, steady"),
        ([3.0] * 39 + [3.9], "3.9 %, rising"),
        ([3.9, 4.0] * 19 + [3.0, 2.9], "2.9 %, falling"),
        ([3.0] * 20 + [3.9] + [3.0] * 19, "3 %, steady"),
        ([3.0, 3.9], "3.9 %"),
        ([4.0] * 49 + [3.0] * 11, "3 %, steady"),
        ([4.0] * 53 + [3.0] * 7, "3 %, falling"),
        ([3.0] * 45 + [4.0] * 15, "4 %, steady"),
        ([*np.linspace(3, 4, 45), *[4.0] * 8, *np.linspace(4, 3.7, 7)], "3.7 %, falling"),
        ([*np.linspace(3, 4, 30), *np.linspace(4, 3, 30)], "3 %, falling"),
    ]
    assert [line(values).describe() for values, _ in courses] == [said for _, said in courses]
    assert line([]) is line([float("nan")] * 9) is None


def test_the_limit_is_the_one_nearest_to_the_present_value_with_the_digits_of_reasons():
    assert (line([3.0, 4.0]).limit, line([3.0, 1.0]).limit) == (4.5, 0.5)
    assert {
        "German": line([3.0, 4.0]).describe_limit(language("de")),
        "none": line([3.0, 4.0], ()).describe_limit(),
        "not rounded": line(
            [217.0, 218.7], (ChartLevel(216.5, "limit", is_limit=True),)
        ).describe_limit(),
    } == {"German": "Grenze 4,5\u00a0%", "none": None, "not rounded": "limit 216.5 %"}


@pytest.mark.parametrize(
    ("value", "shown"), [(218.739, "219 %"), (216.3, "216.3 %"), (217.04, "217 %")]
)
def test_the_present_value_and_the_reason_have_the_same_digits_which_tell_it_from_the_limit(
    value, shown
):
    assert line([217.0, value], (ChartLevel(216, "limit", is_limit=True),)).describe() == shown
    alarm = threshold(variable="moisture", above=216)
    said, _ = limit_message(alarm, oven(), ReadingInForce(at(0), value, value, None), None)
    assert said == f"moisture is {shown}, above 216 %"
    problem = Problem(variable="moisture", above=216)
    assert f"oisture is {shown}, limit" in current_value_message(problem, oven(), value, at(0))


def test_only_points_that_find_more_for_their_false_alarms_are_a_choice():
    curve = [
        curve_point(0.9, 0.4, 0.0),
        curve_point(0.8, 0.4, 1.0),
        curve_point(0.7, 0.7, 1.5, chosen=True),
        curve_point(0.6, 0.6, 2.0),
        curve_point(0.5, 0.9, 6.3),
    ]
    points = operating_points(curve, 0.2)
    assert [
        (p.threshold, p.problems_found, p.problems, p.on_all, p.chosen, p.at_most) for p in points
    ] == [
        (0.9, 4, 10, 0.0, False, 0.1),
        (0.7, 7, 10, 3.0, True, 2.0),
        (0.5, 9, 10, 12.6, False, 7.0),
    ]


def test_a_point_that_is_too_long_in_alarm_is_shown_and_cannot_be_chosen():
    curve = [curve_point(0.8, 0.5, 1.0, chosen=True), curve_point(0.4, 0.9, 3.0, time=0.4)]
    assert [p.at_most for p in operating_points(curve, 0.2)] == [1.0, None]
    assert [p.at_most for p in operating_points(curve, 0.5)] == [1.0, 3.0]
    longer = [{**curve[1], "within_budget": True}]  # the training allowed more than was written
    assert operating_points(longer, 0.2)[0].at_most == 3.0
    assert operating_points([curve_point(0.1, 1.0, 0.0, time=0.9)], 0.2) == []


def test_the_chosen_point_is_always_shown_among_ten_at_most():
    curve = [curve_point(0.9, 0.8, 1.0), curve_point(0.5, 0.7, 2.0, chosen=True)]
    assert [p.chosen for p in operating_points(curve, 0.2)] == [True, False]
    many = [curve_point(1 - n / 100, n / 100, float(n), chosen=n == 37) for n in range(1, 60)]
    points = operating_points(many, 0.2)
    assert len(points) <= 10
    assert [p.threshold for p in points if p.chosen] == [pytest.approx(0.63)]
    ends = [curve_point(0.9, 0.0, 0.0), curve_point(0.5, 1.0, 8.0)]
    [line] = [s for s in curve_plot(operating_points(ends, 0.2)).shapes if s.kind == "line"]
    assert line.points == ((0.0, 0.0), (16.0, 1.0))


def test_damaged_points_of_a_curve_are_left_out():
    whole = curve_point(0.5, 0.5, 1.0)
    damaged = [{k: v for k, v in whole.items() if k != "n_found"}, {"threshold": "x"}, {}]
    assert operating_points([whole, *damaged], 0.2) == operating_points([whole], 0.2) != []
    assert operating_points([], 0.2) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.floats(0, 50), st.floats(0, 1)), min_size=1, max_size=40
    ),
    st.floats(0.05, 1),
)
def test_the_limit_of_a_point_chooses_it_among_all_allowed_ones(drawn, longest):
    curve = [
        curve_point(1 - n / 100, found / 20, rate, time=time)
        for n, (found, rate, time) in enumerate(drawn)
    ]
    points = [p for p in operating_points(curve, longest, most=100) if p.at_most is not None]
    for point in points:
        within = [
            p
            for p in curve
            if p["false_alarms_per_week"] <= point.at_most and p["time_in_alarm"] <= longest
        ]
        best = max(p["event_recall"] for p in within)
        fewest = min(p["false_alarms_per_week"] for p in within if p["event_recall"] == best)
        assert (point.share_found, point.false_alarms_per_week) == (best, fewest)


def test_a_limit_is_a_short_number_between_two_points():
    limits = {
        (0, None): 0.1,
        (0, 0.06): 0.03,
        (1.23, None): 2.0,
        (1.23, 1.5): 1.3,
        (1.23, 1.231): 1.23,
        (0, 5e-324): 0.0,
        (5e-324, None): 5e-324,
        (1e-307, 1e-306): 1e-307,
    }
    assert {between: limit_choosing(*between) for between in limits} == limits


def cases(one, several):
    share_of = f"{{count}} of {{number}} {one}", f"{{count}} of {{number}} {several}"
    return Cases((f"{{number}} {one}", f"{{number}} {several}"), share_of, f"no {several}")


PROBLEMS = cases("problem", "problems")
FALSE_ALARMS = cases("false alarm", "false alarms")
EPISODES = cases("episode with an outcome", "episodes with an outcome")


def told(estimate):
    """Return the value and its bounds with three digits, what it rests on, and its doubt."""
    numbers = estimate.value, estimate.low, estimate.high
    return (
        *tuple(None if n is None else round(n, 3) for n in numbers),
        str(estimate.basis),
        str(estimate.doubt),
    )


def test_an_estimate_says_what_it_rests_on_and_fewer_than_five_cases_or_a_week_are_doubtful():
    """By Wilson's interval, worked by hand; the tabled bounds of two cases of Poisson; ranks 2 and
    9 of 10."""
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
        "median of ten": told(median([float(value) for value in range(1, 11)], "s", PROBLEMS)),
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
    assert_refused("write 2026-W46 for a week", read_period, text, UTC)


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
    return operator_load([(at(m), at(m + lasts)) for m in minutes], at(0), at(days * 1440), ABOVE)


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
