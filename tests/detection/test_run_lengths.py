"""Average run lengths against published ones, within 2 %, and the limits that follow from a chosen
one.

Sources: J. M. Lucas and M. S. Saccucci, Technometrics 32 (1990), table 3 (EWMA); D. C. Montgomery,
Introduction to Statistical Quality Control, table 9.4 (CUSUM); C. W. Champ and W. H. Woodall,
Technometrics 29 (1987), table 1 (rules).
"""

import numpy as np
import pytest

from alerting.detection.control_charts.chart import Chart, ChartState
from alerting.detection.control_charts.rules import RULES, violated
from alerting.detection.control_charts.run_length import (
    _joint_width,
    cusum_run_length,
    ewma_run_length,
    limit_for,
    rules_width,
    shewhart_run_length,
    simulate_run_lengths,
    spread_limits,
)

WESTERN_ELECTRIC = tuple(f"western_electric_{n}" for n in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("found", "published"),
    [
        (shewhart_run_length(3), 370.4),
        (shewhart_run_length(3, 1.0), 43.89),
        (ewma_run_length(2.814, 0.1), 499.6),
        (ewma_run_length(2.814, 0.1, 1.0), 10.33),
        (cusum_run_length(5, 0.5), 465.4),
        (cusum_run_length(5, 0.5, 1.0), 10.38),
        (cusum_run_length(4, 0.5), 168),
    ],
)
def test_run_lengths_are_the_published_ones(found, published):
    assert found == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize(
    ("names", "published"),
    [
        (WESTERN_ELECTRIC, 91.75),
        (("western_electric_1", "western_electric_3"), 166.05),
    ],
)
def test_rules_together_have_the_published_run_length(names, published):
    (found,) = simulate_run_lengths(names, np.array([1.0]), 2500, runs=40_000, seed=1)
    assert found == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("name", RULES)
def test_the_simulation_sees_what_the_live_rule_sees(name):
    """Both end the first run of the same numbers at the same point."""
    random = np.random.default_rng(2)
    numbers = random.standard_normal((500, 40))
    (found,) = simulate_run_lengths((name,), np.array([0.7]), 500, runs=40, seed=2)
    firsts = [
        next((i for i in range(500) if violated([name], z[: i + 1].tolist(), 0.7)), None)
        for z in numbers.T
    ]
    signals = [i + 1 if i is not None else 500 for i in firsts]
    assert found == pytest.approx(sum(signals) / max(1, sum(i is not None for i in firsts)))


def test_the_limit_of_a_chosen_run_length_has_it():
    limit = limit_for(lambda h, m, s: ewma_run_length(h, 0.2, m, s), 1000)
    assert ewma_run_length(limit, 0.2) == pytest.approx(1000, rel=0.001)
    width = rules_width(WESTERN_ELECTRIC[:3], 500)
    (again,) = simulate_run_lengths(
        WESTERN_ELECTRIC[:3], np.array([width]), 1500, runs=4000, seed=9
    )
    assert again == pytest.approx(500, rel=0.06)


def test_rules_without_a_limit_bound_the_run_length():
    with pytest.raises(ValueError, match=r"^2[0-9][0-9]$"):
        _joint_width(WESTERN_ELECTRIC, 370, 0)


def test_limits_of_a_small_phase_one_are_wider_and_hold_for_nine_of_ten():
    known = limit_for(shewhart_run_length, 370)
    estimated = limit_for(shewhart_run_length, 370, 100)
    assert known == pytest.approx(3.0, abs=0.001)
    assert estimated > known
    random = np.random.default_rng(4)
    phases = random.standard_normal((2000, 100))
    means = phases.mean(axis=1)
    deviations = phases.std(axis=1, ddof=1)
    true = np.array(
        [
            shewhart_run_length(estimated, -m / d, 1 / d)
            for m, d in zip(means, deviations, strict=True)
        ]
    )
    assert (true >= 370).mean() == pytest.approx(0.9, abs=0.05)
    narrow = np.array(
        [shewhart_run_length(3.0, -m / d, 1 / d) for m, d in zip(means, deviations, strict=True)]
    )
    assert (narrow >= 370).mean() < 0.6
    assert np.quantile(narrow, 0.95) > 8 * np.quantile(narrow, 0.05)


def test_the_deviation_in_subgroups_leaves_its_limits_as_often_as_the_mean():
    random = np.random.default_rng(6)
    chart = Chart("shewhart", 0, 1, 1, rules=("nelson_1",), subgroup=5, spread=spread_limits(5, 2))
    state = ChartState()
    signals = 0
    for at, value in enumerate(random.standard_normal(50_000).tolist()):
        point = state.add(chart, at, value)
        signals += point is not None and "spread" in point.signals
    assert signals / 10_000 == pytest.approx(0.0455, rel=0.1)
