"""Confidence intervals, and the median that trainings and reports share."""

import numpy as np
import pytest

from alerting.episodes.counting import CountedEpisode
from alerting.learning.metrics.confidence import weighted_median
from alerting.learning.metrics.metrics import ProblemIntervals, event_metrics
from alerting.reporting.base.estimates import Cases, median

LEADS = Cases(("{number} lead", "{number} leads"), ("", ""), "no leads")


@pytest.mark.parametrize("leads", [[600, 1200], [60, 600, 1200], [60, 120, 600, 3000], [900]])
def test_a_training_and_a_report_print_the_same_median_lead_time(leads):
    start = 10_000_000 * np.arange(1, len(leads) + 1)
    raised = start - 1000 * np.array(leads)
    problems = ProblemIntervals(start, start + 1, np.ones(len(leads), bool))
    met = event_metrics(
        {"a": [CountedEpisode(int(at), int(at) + 1) for at in raised]},
        {"a": problems},
        0,
        4_000_000,
        {"a": 604_800.0},
        seed=0,
        samples=10,
    )
    assert met.median_lead_time == median(leads, "s", LEADS).value == np.median(leads)


def test_a_weight_counts_as_so_many_equal_values():
    values = np.array([3.0, 1.0, 2.0, 9.0])
    weights = np.array([[1, 1, 1, 1], [0, 2, 2, 0], [3, 0, 1, 0], [0, 0, 0, 0]])
    repeated = [np.median(np.repeat(values, row)) for row in weights[:3]]
    np.testing.assert_allclose(weighted_median(values, weights), [*repeated, np.nan])
