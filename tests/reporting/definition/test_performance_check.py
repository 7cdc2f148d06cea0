"""Estimated precision and recall beside what the promotion measured."""

import numpy as np
import pandas as pd
import pytest

from alerting.learning.metrics.bootstrap import OperatingRows, measure_operating
from alerting.reporting.definition.estimated import compare_with_promotion
from tests.builders import at

MEASURED = OperatingRows(0.8, 0.7, (0.7, 0.9), (0.6, 0.8))
HOUR = 60


def scores(high, days=28, low=0.05, label=True):
    """Return two weeks of calibrated scores and two more: two hours a day at `high`, the others
    low. `high`: of the last seven days; before it is 0.8."""
    random = np.random.default_rng(3)
    rows = []
    for hour in range(days * 24):
        recent = hour >= (days - 7) * 24
        score = (high if recent else 0.8) if hour % 24 < 2 else low
        outcome = float(random.random() < score) if label and not recent else np.nan
        rows.append((at(hour * HOUR), "oven-1", score, 0.5, outcome))
    found = pd.DataFrame(rows, columns=["ts", "asset", "score", "threshold", "label"])
    return found.assign(ts=found["ts"].astype("datetime64[ms, UTC]"))


def checked(frame, days=28):
    return compare_with_promotion(frame, at((days - 7) * 24 * HOUR), MEASURED, 0, HOUR * 60_000)


def test_scores_that_lead_to_expect_what_was_measured_are_not_worse():
    found = checked(scores(0.8))
    assert found.doubt == ""
    assert found.estimated.precision == pytest.approx(0.8)
    assert "precision" not in found.worse


def test_alarms_that_will_seldom_be_right_are_worse_than_at_the_promotion():
    found = checked(scores(0.55))
    assert found.estimated.precision == pytest.approx(0.55)
    assert "precision" in found.worse


def test_risk_that_stays_below_the_threshold_is_recall_lost():
    frame = scores(0.8)
    frame.loc[frame.index[-7 * 24 :], "score"] = np.where(np.arange(7 * 24) % 24 < 2, 0.8, 0.2)
    found = checked(frame)
    assert found.estimated.recall < 0.35
    assert found.worse == ("recall",)


def test_nothing_is_said_without_known_outcomes_scores_or_calibration():
    assert "no calibration" in checked(scores(0.8, label=False)).doubt
    assert "only 24 scores" in checked(scores(0.8).tail(24)).doubt
    off = scores(0.8)
    off["label"] = off["label"].where(off["label"].isna(), 0.0)
    off["score"] = off["score"].where(off["score"] < 0.5, 0.95) + 0.04
    assert "not calibrated" in checked(off).doubt
    quiet = scores(0.3)
    assert checked(quiet).doubt == "no score was above its threshold"
    assert checked(quiet).worse == ()


def test_precision_and_recall_of_rows_with_the_intervals_of_their_blocks():
    positive = np.array([1.0, 0.0, 1.0, 0.0] * 20)
    above = np.array([True, True, False, False] * 20)
    block = np.repeat(np.arange(20), 4)
    found = measure_operating(positive, above, block, 0)
    assert (found.precision, found.recall) == (0.5, 0.5)
    assert found.precision_interval == (0.5, 0.5), "each block has the same"
    assert OperatingRows.from_document(found.to_document()) == found
    assert measure_operating(positive, above & False, block, 0) is None
    assert measure_operating(positive * 0, above, block, 0) is None
    assert measure_operating(positive, above, block * 0, 0) is None
