"""A fitted chart from reading to reading: the tabular example of D. C. Montgomery, Introduction to
Statistical Quality Control.

Table 9.1: 30 observations of a process with mean 10 and standard deviation 1, of which the last ten
have the mean 11.
"""

import pytest

from alerting.detection.control_charts.chart import LIMIT, SPREAD, Chart, ChartState

pytestmark = pytest.mark.fast

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


@pytest.mark.parametrize("kind", ["ewma", "cusum"])
def test_a_code_of_a_fault_does_not_stay_in_the_chart(kind):
    points = charted(Chart(kind, 10, 1, 3), [10.0, 1.7e308, *[10.0] * 150])
    assert points[1].signals == {LIMIT: (2,)}
    assert not points[-1].signals


def test_a_code_of_a_fault_in_a_subgroup_is_a_signal_and_no_overflow():
    (point,) = charted(
        Chart("shewhart", 10, 1, 1, rules=("nelson_1",), subgroup=3, spread=(0.1, 1.5)),
        [10, -1e200, 10],
    )
    assert point.signals.keys() == {"nelson_1", SPREAD}


def test_the_state_survives_as_plain_numbers():
    chart = Chart("shewhart", 10, 1, 1, (0.3,), ("nelson_2",), subgroup=2)
    whole = ChartState()
    part = ChartState()
    for at, value in enumerate(MONTGOMERY):
        part = ChartState.from_numbers(part.to_numbers())
        assert whole.add(chart, at, value) == part.add(chart, at, value)
    assert whole == part
