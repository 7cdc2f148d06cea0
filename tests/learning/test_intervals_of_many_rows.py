"""Intervals of row figures where that takes many rows: do they hold the truth, and are they
quick?"""

import numpy as np
import pytest

from alerting.learning.metrics.bootstrap import evaluate_rows
from alerting.learning.metrics.metrics import row_metrics
from tests.helpers.learning.bootstrap import rows

pytestmark = pytest.mark.models


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    truth = row_metrics(*rows(400_000, seed=99, share=0.1))
    held = {"ap": 0, "roc_auc": 0}
    for seed in range(40):
        label, score = rows(3000, seed, share=0.1)
        intervals = evaluate_rows(label, score, np.arange(3000) // 30, seed)["intervals"]
        for name in held:
            low, high = intervals[name]
            held[name] += low <= truth[name] <= high
    assert held["ap"] >= 34
    assert held["roc_auc"] >= 34
