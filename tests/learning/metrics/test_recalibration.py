"""Calibration slope and intercept: those of a logistic regression, with bounds, and unknown where
nothing can be fitted."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from alerting.learning.metrics.bootstrap import evaluate_rows

pytestmark = pytest.mark.models

ROWS = 6000


def scored(slope, intercept, seed=0):
    """Labels whose true log-odds are `intercept` + `slope` times those of the score, blocks of 40
    rows."""
    random = np.random.default_rng(seed)
    odds = random.normal(-2.0, 1.5, ROWS)
    label = (random.random(ROWS) < 1 / (1 + np.exp(-(intercept + slope * odds)))).astype(np.int8)
    return label, 1 / (1 + np.exp(-odds)), np.arange(ROWS) // 40


def test_slope_and_intercept_are_those_of_a_logistic_regression():
    label, score, block = scored(0.5, -0.4)
    found = evaluate_rows(label, score, block, seed=0)
    odds = np.log(score / (1 - score))[:, None]
    peer = LogisticRegression(C=1e12, tol=1e-10).fit(odds, label)
    assert found["calibration_slope"] == pytest.approx(peer.coef_[0, 0], abs=1e-5)
    assert found["calibration_intercept"] == pytest.approx(peer.intercept_[0], abs=1e-5)


def test_the_bounds_hold_the_truth_and_tell_too_extreme_scores_from_exact_ones():
    for slope, intercept in ((1.0, 0.0), (0.5, -0.4)):
        bounds = evaluate_rows(*scored(slope, intercept), seed=0)["intervals"]
        low, high = bounds["calibration_slope"]
        assert low < slope < high < slope + 0.2
        low, high = bounds["calibration_intercept"]
        assert low < intercept < high


def test_classes_that_are_separate_or_one_class_alone_have_no_slope():
    label = np.array([0, 0, 0, 1, 1], np.int8)
    score = np.array([0.1, 0.2, 0.2, 0.8, 0.9])
    block = np.array([0, 0, 1, 1, 2])
    for labels in (label, np.zeros(5, np.int8)):
        found = evaluate_rows(labels, score, block, seed=0)
        assert found["calibration_slope"] is None
        assert "calibration_slope" not in found["intervals"]


def test_values_that_are_no_probabilities_have_none():
    label, score, block = scored(1.0, 0.0)
    assert "calibration_slope" not in evaluate_rows(label, score * 100, block, seed=0)
