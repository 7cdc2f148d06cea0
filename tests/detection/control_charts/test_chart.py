"""A fitted chart from reading to reading: the tabular example of D. C. Montgomery, Introduction to
Statistical Quality Control.

Table 9.1: 30 observations of a process with mean 10 and standard deviation 1, of which the last ten
have the mean 11.
"""

from dataclasses import replace

import numpy as np
import pytest

from alerting.kinds.control_chart.definition import RULES, violated
from alerting.kinds.control_chart.model import LIMIT, SPREAD, Chart, ChartState, estimate
from alerting.kinds.control_chart.training import limit_of, spread_limits

MONTGOMERY = [
    *(
        9.45,
        7.99,
        9.29,
        11.66,
        12.16,
        10.18,
        8.04,
        11.46,
        9.20,
        10.34,
        9.03,
        11.47,
        10.51,
        9.40,
        10.08,
    ),
    *(
        9.37,
        10.62,
        10.31,
        8.52,
        10.84,
        10.90,
        9.33,
        12.29,
        11.50,
        10.60,
        11.08,
        10.38,
        11.62,
        11.31,
        10.52,
    ),
]


def charted(chart, values, state=None):
    state = ChartState() if state is None else state
    points = [state.add(chart, at, value) for at, value in enumerate(values, start=1)]
    return [point for point in points if point is not None]


def first_signal(points):
    return next((point.at for point in points if point.signals), None)


def test_the_cusum_of_the_textbook_signals_at_29():
    points = charted(Chart("cusum", 10, 1, 5, allowance=0.5), MONTGOMERY)
    assert points[28].statistic == pytest.approx(5.28)
    assert first_signal(points) == 29


def test_the_ewma_of_the_textbook_follows_its_recursion_and_leaves_its_limits():
    chart = Chart("ewma", 10, 1, 2.7, smoothing=0.1)
    assert chart.limits == pytest.approx((9.38, 10, 10.62), abs=0.01)
    points = charted(chart, MONTGOMERY)
    assert [round(p.statistic, 3) for p in points[:2]] == [9.945, round(0.9 * 9.945 + 0.799, 3)]
    assert first_signal(points) == 29


def test_three_sigma_limits_alone_miss_the_shift_and_a_run_of_eight_finds_it():
    assert (
        first_signal(charted(Chart("shewhart", 10, 1, 1, rules=("nelson_1",)), MONTGOMERY)) is None
    )
    points = charted(Chart("shewhart", 10, 1, 1, rules=("western_electric_4",)), MONTGOMERY)
    assert points[29].signals == {"western_electric_4": (23, 24, 25, 26, 27, 28, 29, 30)}
    assert first_signal(points) == 30


def test_residuals_are_what_the_autoregressive_model_does_not_expect():
    points = charted(Chart("shewhart", 10, 1, 1, (0.5, 0.25), ("nelson_1",)), [12, 14, 13])
    assert [(p.at, p.statistic) for p in points] == [(3, 3 - 0.5 * 4 - 0.25 * 2)]


def test_a_subgroup_is_one_point_with_mean_and_standard_deviation():
    chart = Chart("shewhart", 10, 2, 1, rules=("nelson_1",), subgroup=4, spread=(0.1, 1.5))
    calm, wild = charted(chart, [10, 11, 12, 11, 4, 16, 4, 16])
    assert (calm.at, calm.statistic, calm.signals, calm.spread) == (
        4,
        11,
        {},
        pytest.approx(0.8165, abs=1e-4),
    )
    assert wild.signals == {SPREAD: (8,)}
    assert chart.limits == (7, 10, 13)


def test_a_cusum_recovers_from_a_long_shift():
    points = charted(Chart("cusum", 0, 1, 5, allowance=0.5), [3.0] * 100 + [0.0] * 20)
    assert points[99].signals == {LIMIT: (100,)}
    assert not points[110].signals


def test_a_code_of_a_fault_does_not_stay_in_the_chart():
    for kind in ("ewma", "cusum"):
        points = charted(Chart(kind, 10, 1, 3), [10.0, 1.7e308, *[10.0] * 150])
        assert points[1].signals == {LIMIT: (2,)}
        assert not points[-1].signals
    grouped = Chart("shewhart", 10, 1, 1, rules=("nelson_1",), subgroup=3, spread=(0.1, 1.5))
    (point,) = charted(grouped, [10, -1e200, 10])
    assert point.signals.keys() == {"nelson_1", SPREAD}


def test_the_state_survives_as_plain_numbers():
    chart = Chart("shewhart", 10, 1, 1, (0.3,), ("nelson_2",), subgroup=2)
    whole = ChartState()
    part = ChartState()
    for at, value in enumerate(MONTGOMERY):
        part = ChartState.from_numbers(part.to_numbers())
        assert whole.add(chart, at, value) == part.add(chart, at, value)
    assert whole == part


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


def test_the_limits_of_370_points_are_the_published_ones():
    published = [
        ({"kind": "ewma", "smoothing": 0.1}, 2.701),
        ({"kind": "cusum", "allowance": 0.5}, 4.774),
    ]
    found = [limit_of(plain(**settings), 370) for settings, _ in published]
    assert found == pytest.approx([limit for _, limit in published])


def test_the_deviation_in_subgroups_leaves_its_limits_as_often_as_the_mean():
    chart = Chart("shewhart", 0, 1, 1, rules=("nelson_1",), subgroup=5, spread=spread_limits(5, 22))
    state = ChartState()
    found = [
        state.add(chart, at, v)
        for at, v in enumerate(np.random.default_rng(6).standard_normal(50_000).tolist())
    ]
    assert sum("spread" in p.signals for p in found if p) / 10_000 == pytest.approx(1 / 22, rel=0.1)


RANDOM = np.random.default_rng(5)
AT = np.arange(2000, dtype=np.int64) * 60_000
NOISE = RANDOM.normal(0, 2, 2000)


def test_a_stretch_out_of_control_and_single_points_are_left_out():
    values = 100 + NOISE
    values[800:1200] += 6
    values[50] = 1000
    found = estimate(AT, values, 600_000, residuals=True)
    (stretch,) = found.left_out
    assert (stretch.start / 60_000, stretch.end / 60_000) == (
        pytest.approx(800, abs=9),
        pytest.approx(1199, abs=9),
    )
    assert found.outliers >= 1
    assert (found.centre, found.sigma, found.coefficients) == (
        pytest.approx(100, abs=0.2),
        pytest.approx(2, abs=0.1),
        (),
    )


def test_a_hundredth_of_the_time_hardly_more_than_a_deviation_off_is_left_out():
    values = np.random.default_rng(3).normal(10, 1, 4000)
    values[1000:1040] += 1.2
    at = np.arange(4000, dtype=np.int64) * 60_000
    (stretch,) = estimate(at, values, 600_000, residuals=True).left_out
    assert stretch.start / 60_000 == pytest.approx(1000, abs=9)


def test_dependence_is_fitted_unless_it_is_ignored():
    values = np.zeros(2000)
    for i in range(1, 2000):
        values[i] = 0.8 * values[i - 1] + NOISE[i]
    found = estimate(AT, values + 50, 600_000, residuals=True)
    assert (found.coefficients[0], found.sigma) == (
        pytest.approx(0.8, abs=0.05),
        pytest.approx(2, abs=0.1),
    )
    ignored = estimate(AT, values + 50, 600_000, residuals=False)
    assert (ignored.coefficients, ignored.sigma) == ((), pytest.approx(2 / 0.6, abs=0.3))


def test_too_few_readings_and_a_constant_have_no_limits():
    few = estimate(AT[:20], NOISE[:20], 600_000, residuals=False)
    assert few == "it has 20 usable readings, 30 are needed"
    constant = estimate(AT, np.full(2000, 3.0), 600_000, residuals=True)
    assert constant == "its 2000 usable readings do not vary (they are 3)"


SIGNALS = {
    "western_electric_1": [0.2, 3.1],
    "western_electric_2": [2.1, 0.0, 2.3],
    "western_electric_3": [1.2, 1.1, -0.4, 1.6, 1.3],
    "western_electric_4": [0.1] * 8,
    "nelson_1": [-3.01],
    "nelson_2": [-0.1] * 9,
    "nelson_3": [0.1, 0.2, 0.4, 0.5, 0.7, 0.8],
    "nelson_4": [0.5, -0.5] * 7,
    "nelson_5": [-2.1, -2.2, 0.0, -2.4],
    "nelson_6": [-1.2, -1.1, -1.6, 0.3, -1.3],
    "nelson_7": [0.9, -0.9, 0.2] * 5,
    "nelson_8": [1.1, -1.2] * 4,
}
SILENT = {
    "western_electric_1": [3.1, 0.2],
    "western_electric_2": [2.1, 2.3, 0.0],  # the last point is not among them
    "western_electric_3": [1.2, 1.1, 0.4, 0.6, 1.3],
    "western_electric_4": [0.1] * 7 + [-0.1],
    "nelson_1": [-2.99],
    "nelson_2": [-0.1] * 8,
    "nelson_3": [0.1, 0.2, 0.4, 0.4, 0.7, 0.8],
    "nelson_4": [0.5, -0.5] * 6 + [0.5, 0.6],
    "nelson_5": [2.1, 0.0, -2.4],
    "nelson_6": [-1.2, 1.1, -1.6, 0.3, -1.3],
    "nelson_7": [0.9, -0.9, 0.2] * 4 + [0.9, -1.1, 0.2],
    "nelson_8": [1.1, -1.2] * 3 + [0.9, -1.2],
}


def test_a_rule_signals_on_its_series_only_and_wider_zones_signal_less():
    assert SIGNALS.keys() == SILENT.keys() == RULES.keys()
    assert [name for name in RULES if violated([name], SIGNALS[name], 1.0) != (name,)] == []
    assert [name for name in RULES if violated([name], SILENT[name], 1.0)] == []
    limited = [name for name, rule in RULES.items() if rule.has_limit]
    assert [name for name in limited if violated([name], SIGNALS[name], 2.0)] == []
