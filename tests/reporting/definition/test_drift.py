import math

import numpy as np
import pandas as pd
import pytest

from alerting.reporting.definition.chance import (
    measure_correlation,
    psi,
    psi_by_chance,
    wasserstein_by_chance,
)
from alerting.reporting.definition.drift import drift_of_inputs
from alerting.reporting.definition.estimated import (
    estimate_performance,
    expected_performance,
    expected_roc_auc,
)

pytestmark = pytest.mark.fast


def test_the_index_sums_differences_of_shares_times_their_log_ratio():
    expected = (0.7 - 0.5) * math.log(0.7 / 0.5) + (0.3 - 0.5) * math.log(0.3 / 0.5)
    assert psi(np.array([0.5, 0.5]), np.array([0.7, 0.3])) == pytest.approx(expected)


def test_a_bin_that_became_empty_counts_as_a_hundredth_of_a_percent():
    expected = (1e-4 - 0.5) * math.log(1e-4 / 0.5) + (1.0 - 0.5) * math.log(2)
    assert psi(np.array([0.5, 0.5]), np.array([0.0, 1.0])) == pytest.approx(expected)


def minutes(number):
    return pd.date_range("2026-01-01", periods=number, freq="1min", tz="UTC")


def test_independent_values_follow_from_the_correlation():
    # values that stay for 20 minutes: correlation falls linearly to 0 over 20 minutes, and each 20
    # minutes are worth one value
    held = np.repeat(np.random.default_rng(5).integers(10, size=200), 20)
    correlation = measure_correlation(np.arange(len(held)) * 60.0, held, are_numbers=True)
    assert correlation.independent_within(len(held) * 60.0) == pytest.approx(200, rel=0.5)
    assert measure_correlation(np.array([0.0]), np.array([1]), are_numbers=True) is None


def test_index_by_chance_falls_with_number_of_independent_values_as_its_known_distribution_says():
    shares = np.full(10, 0.1)
    chi_square_of_9_degrees = 21.67  # its 99 % quantile
    for values in (200, 2000):
        assert psi_by_chance(shares, 1e6, values) == pytest.approx(
            chi_square_of_9_degrees / values, rel=0.2
        )
    assert psi_by_chance(shares, 1e6, 3) > psi_by_chance(shares, 1e6, 30)
    # a mean of 100 values is within 2.6 tenths of a standard deviation 99 times of 100
    distance = wasserstein_by_chance(np.random.default_rng(2).standard_normal(20_000), 1e6, 100)
    assert distance == pytest.approx(0.28, abs=0.05)


def test_categories_are_their_own_bins_and_new_ones_come_together():
    before = pd.DataFrame({"product": ["a"] * 75 + ["b"] * 25}, dtype=object, index=minutes(100))
    now = pd.DataFrame({"product": ["a"] * 50 + ["c"] * 50}, dtype=object, index=minutes(100))
    [found] = drift_of_inputs({"x": before}, {"x": now})
    assert found.labels == ("a", "b", "other")
    assert found.reference == (0.75, 0.25, 0.0)
    assert found.current == (0.5, 0.0, 0.5)
    assert found.wasserstein is None
    assert found.is_slow, "two products in turn, once each: chance explains another one"


def test_expected_recall_and_precision_are_sums_of_scores():
    found = expected_performance(np.array([0.9, 0.6, 0.3, 0.2]), np.full(4, 0.5))
    assert found.recall == pytest.approx(1.5 / 2.0)
    assert found.precision == pytest.approx(1.5 / 2)


def test_the_expected_area_of_two_scores_follows_from_the_probabilities_of_their_order():
    # the higher score is the only positive: 0.9 * 0.8; a pair within one score is a tie
    positives = 0.9 + 0.2
    negatives = 0.1 + 0.8
    area = (0.9 * 0.8 + 0.5 * 0.9 * 0.1 + 0.5 * 0.2 * 0.8) / (positives * negatives)
    score = np.array([0.9, 0.2])
    assert expected_roc_auc(score, score) == pytest.approx(area)


def scored(score, label):
    return pd.DataFrame({"score": score, "threshold": 0.5, "label": label})


def test_the_estimate_of_calibrated_scores_is_what_comes_true():
    score = np.repeat([0.1, 0.8], [200, 100])
    label = np.r_[np.tile([1.0] + [0.0] * 9, 20), np.tile([1.0] * 4 + [0.0], 20)]
    found = estimate_performance(pd.concat([scored(score, label), scored(score, np.nan)]))
    assert found.doubt == ""
    assert [
        found.precision,
        found.realised_precision,
        found.recall,
        found.realised_recall,
    ] == pytest.approx([0.8] * 4)
    assert [found.roc_auc, found.realised_roc_auc] == pytest.approx([0.85] * 2)


def test_no_estimate_is_given_where_scores_are_not_calibrated_or_nothing_is_known():
    score = np.full(200, 0.8)
    off = estimate_performance(
        pd.concat([scored(score, np.r_[np.ones(20), np.zeros(180)]), scored(score, np.nan)])
    )
    assert "70.0 percentage points off" in off.doubt
    assert "no calibration" in estimate_performance(scored(score, np.nan)).doubt
    assert (
        estimate_performance(scored(score[:5], np.nan)).doubt
        == "only 5 scores wait for their outcome"
    )
    assert estimate_performance(scored(score, np.ones(200))) is None
