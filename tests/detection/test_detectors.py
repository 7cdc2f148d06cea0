"""Detectors: threshold, space of rows, the sensor that they name, categories over windows."""

import numpy as np
import pytest

from alerting.kinds.anomaly.detectors import (
    cluster_peaks,
    detector_of,
    lasting_scores,
    threshold_for_rate,
    threshold_for_share,
)
from alerting.kinds.anomaly.model import FittedDetector
from alerting.kinds.anomaly.normal_rows import NormalSpace, far_from_others
from alerting.kinds.anomaly.scored_strides import responsible
from alerting.learning.features.plan import FeaturePlan, NumberSource
from alerting.readings.history import WEEK_MS
from alerting.readings.variable_series import CategoryValues
from tests.helpers.former_detectors import former_detector

MINUTE = 60_000


def test_peaks_are_the_largest_scores_of_clusters():
    at = np.array([0, 1, 2, 10, 11, 30]) * MINUTE
    scores = np.array([2.0, 3.0, 0.0, 4.0, 2.0, 5.0])
    assert cluster_peaks(at, scores, 1.0, 5 * MINUTE).tolist() == [3.0, 4.0, 5.0]
    assert cluster_peaks(at, scores, 1.0, 9 * MINUTE).tolist() == [4.0, 5.0]


def test_a_score_lasts_only_without_a_gap():
    at = np.array([0, 1, 2, 4, 5]) * MINUTE
    found = lasting_scores(at, np.array([3.0, 2.0, 4.0, 5.0, 6.0]), MINUTE, 90_000)
    assert found.tolist() == [-np.inf, -np.inf, 2.0, -np.inf, -np.inf]


def test_the_threshold_for_a_rate_is_passed_that_often_in_as_much_new_time():
    random = np.random.default_rng(0)
    count = 4 * 7 * 24 * 60
    at = np.arange(count, dtype=np.int64) * MINUTE
    found = threshold_for_rate(at, random.exponential(size=count), MINUTE, MINUTE, 0, 5.0)
    assert found.method.startswith("peaks over a threshold: generalized Pareto")
    assert found.weeks == pytest.approx(count * MINUTE / WEEK_MS)
    again = random.exponential(size=count)
    assert 8 <= (again >= found.value).sum() <= 40  # 20 expected


def test_the_threshold_of_heavy_tails_is_passed_as_often_as_asked():
    random = np.random.default_rng(1)
    at = np.arange(4 * 7 * 24 * 60, dtype=np.int64) * MINUTE
    limits = [
        threshold_for_rate(at, random.pareto(0.8, size=len(at)), MINUTE, MINUTE, 0, 5.0).value
        for _ in range(5)
    ]
    again = random.pareto(0.8, size=len(at))
    assert all(8 <= (again >= limit).sum() <= 40 for limit in limits)  # 20 expected


def test_too_little_normal_time_is_stated():
    at = np.arange(50, dtype=np.int64) * MINUTE
    found = threshold_for_rate(at, np.linspace(0, 1, 50), MINUTE, MINUTE, 0, 1.0)
    assert found.value == pytest.approx(1 + 0.2 * 0.5)
    assert (
        "days of normal time with 1 peaks are too little to set 1 false alarms a week"
        in found.method
    )
    assert found.not_reached.startswith("about 1 a week asked, 2")
    assert found.not_reached.endswith("e+02 is the least that 1 peak can promise")


def test_the_threshold_for_a_share_is_its_quantile():
    at = np.arange(101, dtype=np.int64) * MINUTE
    assert threshold_for_share(at, np.arange(101.0), MINUTE, 0.1).value == pytest.approx(90)


def test_a_missing_column_is_what_the_others_lead_to_expect():
    random = np.random.default_rng(0)
    load = random.normal(size=2_000)
    space = NormalSpace.fit(np.column_stack([10 + load, 20 + 2 * load, random.normal(size=2_000)]))
    row = space.encode(np.array([[12.0, np.nan, 0.0]]))
    assert space.decode(row)[0, 1] == pytest.approx(24, abs=0.2)


def test_far_rows_are_left_out_at_most_the_share_and_never_trusted_ones():
    random = np.random.default_rng(0)
    matrix = random.normal(size=(500, 3))
    matrix[:20] += 30
    trusted = np.zeros(500, np.bool_)
    assert np.flatnonzero(far_from_others(matrix, 0.1, trusted)).tolist() == [*range(20)]
    assert far_from_others(matrix, 0.02, trusted).sum() == 10
    assert not far_from_others(matrix[20:], 0.1, trusted[20:]).any()
    alone = random.normal(size=(4_000, 1))
    assert not far_from_others(alone, 0.1, np.zeros(4_000, np.bool_)).any()
    trusted[:5] = True
    assert np.flatnonzero(far_from_others(matrix, 0.1, trusted)).tolist() == [*range(5, 20)]


NAMES = "abcdef"
PLAN = FeaturePlan(
    60_000, (600_000,), ("mean",), tuple(NumberSource(name, 60_000) for name in NAMES)
)


def matrix(seed, rows):
    random = np.random.default_rng(seed)
    load = random.normal(size=(rows, 2))
    follows = np.array([[1, 0], [2, 0], [-1, 0.2], [0, 1], [0, 3], [1, 1]])
    return 50 + load @ follows.T + 0.15 * random.normal(size=(rows, len(NAMES)))


def fitted():
    normal = matrix(0, 1_000)
    space = NormalSpace.fit(normal)
    detector = former_detector("pca", space.encode(normal))
    usual, limit = np.quantile(detector.score(space.encode(normal)), [0.5, 0.99])
    return FittedDetector(PLAN, space, detector, float(usual), float(limit), 1.0, 1.0, ())


def test_the_sensor_with_an_injected_fault_is_ranked_first():
    model = fitted()
    random = np.random.default_rng(7)
    first = 0
    for number, row in enumerate(matrix(3, 60)):
        broken = number % len(NAMES)
        row[broken] += float(random.choice([-1, 1])) * 3 * model.space.scale[broken]
        first += responsible(model, row)[0].variable == NAMES[broken]
    assert first / 60 >= 0.9


AT = np.array([10, 20, 30, 50], np.int64)
RECIPES = CategoryValues(AT, np.array([*"AABC"], object), longest=40)


def over(values, ends, length, told_apart=None):
    found = values.over_windows(np.array(ends, np.int64), length, told_apart)
    return [*zip(found.values.tolist(), found.changes.tolist(), strict=True)]


def test_a_window_over_a_change_is_of_no_value_alone():
    """One that begins at a change is of the new value; the first value and the end of the last are
    changes too; values that are not told apart are one."""
    none = CategoryValues(np.empty(0, np.int64), np.empty(0, object), 40)
    table = [
        (RECIPES, [29, 30, 39, 40], None, [("A", 0), ("B", 1), ("B", 1), ("B", 0)]),
        (RECIPES, [9, 10, 19, 20], None, [(None, 0), ("A", 1), ("A", 1), ("A", 0)]),
        (RECIPES, [90, 91, 100, 101], None, [("C", 0), (None, 1), (None, 1), (None, 0)]),
        (RECIPES, [35, 55, 65], {"A"}, [(None, 1), (None, 0), (None, 0)]),
        (none, [10, 20], None, [(None, 0)] * 2),
    ]
    found = [over(values, ends, 10, told_apart) for values, ends, told_apart, _ in table]
    assert found == [expected for *_, expected in table]


def test_a_detector_that_is_trained_no_more_says_what_to_do():
    with pytest.raises(ValueError, match="no local_outliers is trained any more; train the model"):
        detector_of("local_outliers", {}, 6)
