"""Figures: the kit, bars of a risk, drawings of a training, a line beside a value, the points of a
model's curve that a person can choose from."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.fields.problem import Problem
from alerting.definitions.wording.language import language
from alerting.detection.carried import ReadingInForce
from alerting.detection.messages.condition_messages import limit_message
from alerting.detection.messages.problem_messages import current_value_message
from alerting.episodes.episode import Change, Contribution, PresentAdvice, RecommendationResult
from alerting.reporting.figures.bars import SHOWN, risk_steps, waterfall
from alerting.reporting.figures.charts import evidence_charts, swarm
from alerting.reporting.figures.episode_chart import ChartLevel
from alerting.reporting.figures.kit import Plot, number_ticks, png, svg, time_ticks
from alerting.reporting.figures.operating_curve import (
    curve_line,
    limit_choosing,
    operating_points,
)
from alerting.reporting.figures.sparkline import sparkline
from alerting.reporting.page.charts import importance
from tests.builders import at, oven, threshold
from tests.helpers.episodes import episode
from tests.helpers.learning.curves import curve_point

pytestmark = pytest.mark.fast
PNG = b"\x89PNG"


def share(name, value):
    return Contribution(name, value, 1.0, 0.0, name)


def test_steps_lead_from_the_usual_score_to_the_risk_and_the_smallest_shares_are_one_bar():
    chart = waterfall([share("belt", -0.1), share("oven", 0.5)], 0.6, 0.4, {"oven": "Oven"})
    assert [(b.label, round(b.start, 6), round(b.end, 6), b.kind) for b in chart.bars] == [
        ("Usual score", 0.0, 0.2, "usual"),
        ("Oven", 0.2, 0.7, "up"),
        ("belt", 0.6, 0.7, "down"),
        ("Risk", 0.0, 0.6, "risk"),
    ]
    assert chart.description == (
        "How the risk rose from 20 % to 60 %: Usual score 20 %, Oven +50 points, belt -10 points, "
        "Risk 60 %; alarm at 40 %"
    )
    assert (chart.low, chart.percent_at(0.0)) == (0.0, 0.0)
    assert chart.percent_at(0.7) < 100
    many = waterfall([share(str(i), 0.05) for i in range(10)], 0.9, None, {})
    assert (len(many.bars), many.bars[-2].label) == (SHOWN + 3, f"{10 - SHOWN} others")
    assert many.bars[-2].end == pytest.approx(0.9)
    assert waterfall([], 0.9, 0.5, {}) is waterfall([share("belt", 0.1)], None, 0.5, {}) is None


def test_the_risk_before_now_and_after_the_change():
    advice = RecommendationResult((Change("belt", 8.0, 7.4, None),), 0.7, 0.2, True, "Set it")
    raised = episode(is_prediction=True, recommendation=advice)
    raised = replace(raised, evaluation=replace(raised.evaluation, value=0.62, threshold=0.31))
    now = replace(raised, present=PresentAdvice(at(5), at(0), 0.7, 0.31, 1, (), advice))
    come = replace(now, happening_at=at(6))
    first, last = ("When the alarm came", 0.62), ("With this change", 0.2)
    found = [[(bar.label, bar.end) for bar in risk_steps(e).bars] for e in (raised, now, come)]
    assert found == [[first, last], [first, ("Now", 0.7), last], [first, last]]
    assert risk_steps(replace(raised, recommendation=None)) is None


def test_one_plot_is_an_svg_without_colours_of_its_own_and_the_same_bytes_of_a_png():
    plot = Plot((0, 10), (0, 1), title="Risk", y_ticks=number_ticks(0, 1))
    plot.line([0, 5, 20], [0, 1, 0.5], dashed=True, steps=True)
    plot.bar((2, 3), (0, 1), "false-alarm", 0.2)
    plot.dots([4], [0.5])
    plot.write(10, 0.5, "limit ü →", "end")
    drawn = svg([plot], 'a "label"')
    assert "#" not in drawn
    assert "a &quot;label&quot;" in drawn
    points = [float(x) for x in drawn.split('d="M')[4].split('"')[0].replace("L", " ").split()[::2]]
    assert max(points) <= 760, "what lies outside is drawn at the edge"
    assert png([plot]) == png([plot])
    assert png([plot])[:4] == PNG
    assert "cost $a{$ &lt;b&gt;" in importance({"x": 0.2}, {"x": "cost $a{$ <b>"})


def test_numbers_and_times_on_an_axis_are_round_and_in_the_zone_of_the_plant():
    numbers = {
        (0, 1): ["0", "0.25", "0.5", "0.75", "1"],
        (3.1, 5.3): ["4", "5"],
        (-2e6, 1e6): ["-2000000", "-1000000", "0", "1000000"],
    }
    assert {ends: [text for _, text in number_ticks(*ends)] for ends in numbers} == numbers
    start = datetime(2026, 3, 28, 20, tzinfo=UTC)
    hours = time_ticks(start, start + timedelta(hours=8), ZoneInfo("Europe/Berlin"))
    assert [text for _, text in hours][:3] == ["21:00", "22:00", "23:00"]
    days = time_ticks(start, start + timedelta(days=28), UTC)
    assert [text for _, text in days][:2] == ["2 Apr", "7 Apr"]


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
    limit = ChartLevel(216.5, "limit", is_limit=True)
    assert {
        "German": line([3.0, 4.0]).describe_limit(language("de")),
        "none": line([3.0, 4.0], ()).describe_limit(),
        "not rounded": line([217.0, 218.7], (limit,)).describe_limit(),
    } == {"German": "Grenze 4,5\u00a0%", "none": None, "not rounded": "limit 216.5 %"}


@pytest.mark.parametrize(
    ("value", "shown"), [(218.739, "219 %"), (216.3, "216.3 %"), (217.04, "217 %")]
)
def test_the_present_value_and_the_reason_have_the_same_digits_which_tell_it_from_the_limit(
    value, shown
):
    limit = ChartLevel(216, "limit", is_limit=True)
    assert line([217.0, value], (limit,)).describe() == shown
    alarm = threshold(variable="moisture", above=216)
    reading = ReadingInForce(at(0), value, value, None)
    said, _ = limit_message(alarm, oven(), reading, None)
    assert said == f"moisture is {shown}, above 216 %"
    problem = Problem(variable="moisture", above=216)
    assert f"oisture is {shown}, limit" in current_value_message(problem, oven(), value, at(0))


def test_line_and_limit_lie_within_the_picture():
    made = line(np.linspace(3, 6, 500))
    heights = [float(point.split()[1]) for point in made.path[1:].split("L")]
    assert 0 <= min(heights) <= max(heights) <= 100
    assert 0 <= made.limit_y <= 100
    assert made.path.count("L") <= 120


def test_only_points_that_find_more_for_their_false_alarms_are_a_choice():
    curve = [
        curve_point(0.9, 0.4, 0.0),
        curve_point(0.8, 0.4, 1.0),
        curve_point(0.7, 0.7, 1.5, chosen=True),
        curve_point(0.6, 0.6, 2.0),
        curve_point(0.5, 0.9, 6.3),
    ]
    points = operating_points(curve, 0.2)
    assert [(p.threshold, p.found, p.problems, p.on_all, p.chosen, p.at_most) for p in points] == [
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
    always = [curve_point(0.1, 1.0, 0.0, time=0.9)]
    assert operating_points(always, 0.2) == []


def test_the_chosen_point_is_always_shown_among_ten_at_most():
    curve = [curve_point(0.9, 0.8, 1.0), curve_point(0.5, 0.7, 2.0, chosen=True)]
    assert [p.chosen for p in operating_points(curve, 0.2)] == [True, False]
    many = [curve_point(1 - n / 100, n / 100, float(n), chosen=n == 37) for n in range(1, 60)]
    points = operating_points(many, 0.2)
    assert len(points) <= 10
    assert [p.threshold for p in points if p.chosen] == [pytest.approx(0.63)]
    ends = [curve_point(0.9, 0.0, 0.0), curve_point(0.5, 1.0, 8.0)]
    assert curve_line(operating_points(ends, 0.2)) == [(4.0, 94.0), (96.0, 6.0)]


def test_a_curve_of_an_earlier_version_and_damaged_points_are_read():
    old = {k: v for k, v in curve_point(0.5, 0.5, 1.0).items() if not k.startswith("n_")}
    (point,) = operating_points([old, {"threshold": "x"}, {}], 0.2)
    assert (point.found, point.problems, point.on_all) == (None, None, 1.0)
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
        assert (point.recall, point.false_alarms) == (best, fewest)


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
