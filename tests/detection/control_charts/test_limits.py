"""The limits of the tables give the run lengths that they are for, by simulation."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.detection.control_charts.chart import Chart, ChartState
from alerting.detection.control_charts.limits import limit_of, spread_limits


def plain(kind, **settings):
    return Chart(kind, 0.0, 1.0, 0.0, **settings)


def run_length(chart, points=120_000):
    """Return the points between two signals of a chart that is begun anew after each."""
    values = np.random.default_rng(6).standard_normal(points).tolist()
    state = ChartState()
    signals = 0
    for at, value in enumerate(values):
        point = state.add(chart, at, value)
        if point is not None and point.signals:
            signals += 1
            state = ChartState()
    return points / signals


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "ewma", "smoothing": 0.05},
        {"kind": "ewma", "smoothing": 0.15},
        {"kind": "cusum", "allowance": 0.125},
        {"kind": "cusum", "allowance": 0.6},
        {"kind": "shewhart", "rules": ("nelson_1",)},
        {"kind": "shewhart", "rules": tuple(f"western_electric_{n}" for n in (1, 2, 3))},
    ],
)
@pytest.mark.parametrize("wanted", [100, 370])
def test_a_chart_has_the_run_length_of_its_limit(settings, wanted):
    chart = plain(**settings)
    assert run_length(replace(chart, limit=limit_of(chart, wanted))) == pytest.approx(
        wanted, rel=0.12
    )


@pytest.mark.parametrize(
    ("settings", "published"),
    [({"kind": "ewma", "smoothing": 0.1}, 2.701), ({"kind": "cusum", "allowance": 0.5}, 4.774)],
)
def test_the_limits_of_370_points_are_the_published_ones(settings, published):
    assert limit_of(plain(**settings), 370) == pytest.approx(published)


def test_the_deviation_in_subgroups_leaves_its_limits_as_often_as_the_mean():
    chart = Chart("shewhart", 0, 1, 1, rules=("nelson_1",), subgroup=5, spread=spread_limits(5, 22))
    state = ChartState()
    found = [
        state.add(chart, at, v)
        for at, v in enumerate(np.random.default_rng(6).standard_normal(50_000).tolist())
    ]
    assert sum("spread" in p.signals for p in found if p) / 10_000 == pytest.approx(1 / 22, rel=0.1)
