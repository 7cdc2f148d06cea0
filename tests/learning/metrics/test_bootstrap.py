"""Intervals of row figures where that takes many rows: do they hold the truth, and are they
quick?"""

import json

import numpy as np
import pytest

from alerting.learning.metrics.bootstrap import (
    DAY_MS,
    MOST_BLOCKS,
    bootstrap_rows,
    evaluate_rows,
    reliability_with_intervals,
    time_blocks,
)
from alerting.learning.metrics.confidence import flatten_metrics, merge_metrics
from alerting.learning.metrics.metrics import row_metrics
from tests.helpers.learning.bootstrap import rows

pytestmark = pytest.mark.models

HOUR_MS = 3_600_000


def test_every_row_figure_has_an_interval_that_holds_it_and_is_repeatable():
    label, score = rows(4000)
    block = np.arange(4000) // 40
    judged = evaluate_rows(label, score, block, seed=3)
    for name in ("ap", "roc_auc", "brier"):
        low, high = judged["intervals"][name]
        assert low < judged[name] < high
    assert judged == evaluate_rows(label, score, block, seed=3)
    assert judged != evaluate_rows(label, score, block, seed=4)
    assert json.loads(json.dumps(judged, allow_nan=False)) == judged
    assert judged.items() >= row_metrics(label, score).items()


def test_a_draw_gives_the_figures_of_the_rows_that_it_repeats():
    label, score = rows(600, share=0.2)
    score = np.round(score, 2)  # many ties
    block = np.arange(600) // 60
    counts = np.random.default_rng(7).multinomial(10, np.full(10, 0.1), size=5)
    drawn = bootstrap_rows(label, score, block, seed=7, samples=5)
    for sample in range(5):
        repeated = np.repeat(np.arange(600), counts[sample][block])
        expected = row_metrics(label[repeated], score[repeated])
        for name in ("ap", "roc_auc", "brier"):
            assert drawn[name][sample] == pytest.approx(expected[name], abs=1e-12)


def test_many_positives_are_summed_up_in_steps_and_the_figures_stay_right_to_a_thousandth():
    label, score = rows(40_000, share=0.3)
    block = np.arange(40_000) // 400
    counts = np.random.default_rng(7).multinomial(100, np.full(100, 0.01), size=3)
    drawn = bootstrap_rows(label, score, block, seed=7, samples=3)
    for sample in range(3):
        repeated = np.repeat(np.arange(40_000), counts[sample][block])
        expected = row_metrics(label[repeated], score[repeated])
        assert drawn["ap"][sample] == pytest.approx(expected["ap"], abs=2e-3)
        assert drawn["roc_auc"][sample] == pytest.approx(expected["roc_auc"], abs=1e-3)


def test_rows_that_repeat_each_other_make_no_interval_narrower():
    label, score = rows(1000)
    once = evaluate_rows(label, score, np.arange(1000) // 10, seed=0)["intervals"]["ap"]
    ten_times = evaluate_rows(
        np.repeat(label, 10), np.repeat(score, 10), np.arange(10_000) // 100, seed=0
    )["intervals"]["ap"]
    assert ten_times == pytest.approx(once)


def test_what_cannot_be_drawn_again_has_no_interval():
    label, score = rows(1000)
    assert evaluate_rows(label, score, np.zeros(1000, np.int64), seed=0)["intervals"] == {}
    one_spell = (np.arange(1000) // 10 == 5).astype(np.int8)
    assert set(evaluate_rows(one_spell, score, np.arange(1000) // 10, seed=0)["intervals"]) == {
        "brier"
    }
    assert (
        evaluate_rows(np.empty(0, np.int8), np.empty(0), np.empty(0, np.int64), seed=0)["intervals"]
        == {}
    )


def test_blocks_are_days_of_one_asset_and_shorter_where_there_are_few_days():
    at = np.tile(np.arange(0, 40 * DAY_MS, HOUR_MS), 2)
    asset = np.repeat(np.array(["a", "b"], object), len(at) // 2)
    block = time_blocks(at, asset, 0, HOUR_MS)
    assert len(np.unique(block)) == 80
    assert not set(block[asset == "a"]) & set(block[asset == "b"])
    # two days: blocks of about a tenth of a day
    short = time_blocks(at[:48], asset[:48], 0, HOUR_MS)
    assert 19 <= len(np.unique(short)) <= 25
    # never shorter than twice gap + horizon
    assert len(np.unique(time_blocks(at[:48], asset[:48], 0, 24 * HOUR_MS))) == 1


def test_very_many_blocks_are_joined():
    at = np.tile(np.arange(0, 100 * DAY_MS, DAY_MS // 2), 100)
    asset = np.repeat(np.array([f"a{i:03}" for i in range(100)], object), 200)
    assert len(np.unique(time_blocks(at, asset, 0, HOUR_MS))) <= MOST_BLOCKS


def test_the_calibration_curve_has_bounds_that_hold_each_point_and_are_never_certain():
    label, score = rows(5000)
    bins = reliability_with_intervals(label, score, np.arange(5000) // 50, seed=0)
    assert len(bins) == 10
    for point in bins:
        assert point["low"] <= point["observed"] <= point["high"]
        assert point["high"] > point["low"]


def test_the_calibration_curve_is_less_certain_where_rows_are_alike():
    label = np.repeat((np.random.default_rng(0).random(50) < 0.3).astype(np.int8), 100)
    score = np.full(5000, 0.3)
    alike = reliability_with_intervals(label, score, np.arange(5000) // 100, seed=0)[0]
    apart = reliability_with_intervals(
        label, score, np.arange(5000) % 50 * 0 + np.arange(5000), seed=0
    )[0]
    assert alike["high"] - alike["low"] > 3 * (apart["high"] - apart["low"])


def test_figures_are_flat_on_a_run_and_one_in_a_summary():
    judged = {"ap": 0.5, "intervals": {"ap": [0.4, 0.6]}}
    assert flatten_metrics("test", judged) == {
        "test_ap": 0.5,
        "test_ap_low": 0.4,
        "test_ap_high": 0.6,
    }
    both = merge_metrics(judged, {"event_recall": 0.9, "intervals": {"event_recall": (0.5, 1.0)}})
    assert both["intervals"] == {"ap": [0.4, 0.6], "event_recall": (0.5, 1.0)}


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
