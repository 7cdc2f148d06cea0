"""The points of a model's curve that a person can choose from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.reporting.figures.operating_curve import (
    curve_line,
    limit_choosing,
    operating_points,
)
from tests.helpers.learning.curves import curve_point

pytestmark = pytest.mark.fast


def test_only_points_that_find_more_for_their_false_alarms_are_a_choice():
    curve = [
        curve_point(0.9, 0.4, 0.0),
        curve_point(0.8, 0.4, 1.0),
        curve_point(0.7, 0.7, 1.5, chosen=True),
        curve_point(0.6, 0.6, 2.0),
        curve_point(0.5, 0.9, 6.3),
    ]
    points = operating_points(curve, 0.2)
    assert [p.threshold for p in points] == [0.9, 0.7, 0.5]
    assert [(p.found, p.problems, p.on_all) for p in points] == [
        (4, 10, 0.0),
        (7, 10, 3.0),
        (9, 10, 12.6),
    ]
    assert [p.chosen for p in points] == [False, True, False]
    assert [p.at_most for p in points] == [0.1, 2.0, 7.0]


def test_a_point_that_is_too_long_in_alarm_is_shown_and_cannot_be_chosen():
    curve = [curve_point(0.8, 0.5, 1.0, chosen=True), curve_point(0.4, 0.9, 3.0, time=0.4)]
    assert [p.at_most for p in operating_points(curve, 0.2)] == [1.0, None]
    assert [p.at_most for p in operating_points(curve, 0.5)] == [1.0, 3.0]
    longer = [{**curve[1], "within_budget": True}]  # the training allowed more than was written
    assert operating_points(longer, 0.2)[0].at_most == 3.0
    always = [curve_point(0.1, 1.0, 0.0, time=0.9)]
    assert operating_points(always, 0.2) == []


def test_the_chosen_point_is_always_shown():
    curve = [curve_point(0.9, 0.8, 1.0), curve_point(0.5, 0.7, 2.0, chosen=True)]
    assert [p.chosen for p in operating_points(curve, 0.2)] == [True, False]
    many = [curve_point(1 - n / 100, n / 100, float(n), chosen=n == 37) for n in range(1, 60)]
    points = operating_points(many, 0.2)
    assert len(points) <= 10
    assert [p.threshold for p in points if p.chosen] == [pytest.approx(0.63)]


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
    for point in operating_points(curve, longest, most=100):
        if point.at_most is None:
            continue
        within = [
            p
            for p in curve
            if p["false_alarms_per_week"] <= point.at_most and p["time_in_alarm"] <= longest
        ]
        best = max(p["event_recall"] for p in within)
        fewest = min(p["false_alarms_per_week"] for p in within if p["event_recall"] == best)
        assert (point.recall, point.false_alarms) == (best, fewest)


@pytest.mark.parametrize(
    ("rate", "following", "limit"),
    [
        *[(0, None, 0.1), (0, 0.06, 0.03), (1.23, None, 2.0), (1.23, 1.5, 1.3)],
        *[(1.23, 1.231, 1.23), (0, 5e-324, 0.0), (5e-324, None, 5e-324), (1e-307, 1e-306, 1e-307)],
    ],
)
def test_a_limit_is_a_short_number_between_two_points(rate, following, limit):
    assert limit_choosing(rate, following) == limit


def test_places_of_a_plot_rise_with_what_is_found():
    curve = [curve_point(0.9, 0.0, 0.0), curve_point(0.5, 1.0, 8.0)]
    assert curve_line(operating_points(curve, 0.2)) == [(4.0, 94.0), (96.0, 6.0)]
