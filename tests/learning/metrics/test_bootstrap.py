"""Intervals of row figures where that takes many rows: do they hold the truth, and are they
quick?"""

import json

import numpy as np
import pytest

from alerting.learning.score_metrics import (
    MOST_BLOCKS,
    bootstrap_rows,
    evaluate_rows,
    flatten_metrics,
    merge_metrics,
    reliability_with_intervals,
    row_metrics,
    time_blocks,
)
from alerting.readings.history import DAY_MS
from tests.helpers.learning.bootstrap import rows

pytestmark = pytest.mark.models

HOUR_MS = 3_600_000


def test_every_row_figure_has_an_interval_that_holds_it_and_is_repeatable():
    label, score = rows(4000)
    block = np.arange(4000) // 40
    judged, again, other = (evaluate_rows(label, score, block, seed) for seed in (3, 3, 4))
    outside = [
        name for name, (low, high) in judged["intervals"].items() if not low < judged[name] < high
    ]
    assert (outside, set(judged["intervals"])) == ([], {"ap", "roc_auc", "brier"})
    assert judged == again != other
    assert json.loads(json.dumps(judged, allow_nan=False)) == judged
    assert judged.items() >= row_metrics(label, score).items()


def differences(label, score, blocks):
    """Return the largest difference of each figure of three draws from that of their rows."""
    block = np.arange(len(label)) // (len(label) // blocks)
    counts = np.random.default_rng(7).multinomial(blocks, np.full(blocks, 1 / blocks), size=3)
    drawn = bootstrap_rows(label, score, block, seed=7, samples=3)
    repeated = [np.repeat(np.arange(len(label)), times[block]) for times in counts]
    expected = [row_metrics(label[each], score[each]) for each in repeated]
    return {
        name: max(abs(drawn[name][i] - figures[name]) for i, figures in enumerate(expected))
        for name in ("ap", "roc_auc", "brier")
    }


def test_a_draw_gives_the_figures_of_the_rows_that_it_repeats():
    label, score = rows(600, share=0.2)
    few = differences(label, np.round(score, 2), 10)  # with many ties
    assert max(few.values()) < 1e-12
    many = differences(*rows(40_000, share=0.3), 100)  # positives are summed up in steps
    assert many["ap"] < 2e-3
    assert many["roc_auc"] < 1e-3


def intervals(label, score, block):
    return evaluate_rows(label, score, block, seed=0)["intervals"]


def test_what_cannot_be_drawn_again_has_no_interval_and_rows_that_repeat_make_none_narrower():
    label, score = rows(1000)
    block = np.arange(1000) // 10
    ten_times = intervals(*(np.repeat(each, 10) for each in (label, score, block)))
    assert ten_times["ap"] == pytest.approx(intervals(label, score, block)["ap"])
    one_spell = (block == 5).astype(np.int8)
    assert set(intervals(one_spell, score, block)) == {"brier"}
    assert intervals(label, score, np.zeros(1000, np.int64)) == {}
    assert intervals(np.empty(0, np.int8), np.empty(0), np.empty(0, np.int64)) == {}


def test_blocks_are_days_of_one_asset_and_shorter_where_there_are_few_days():
    at = np.tile(np.arange(0, 40 * DAY_MS, HOUR_MS), 2)
    asset = np.repeat(np.array(["a", "b"], object), len(at) // 2)
    block = time_blocks(at, asset, 0, HOUR_MS)
    assert len(np.unique(block)) == 80
    assert not set(block[asset == "a"]) & set(block[asset == "b"])
    # two days: blocks of about a tenth of a day, never shorter than twice gap + horizon
    short, shortest = (time_blocks(at[:48], asset[:48], 0, h * HOUR_MS) for h in (1, 24))
    assert (len(np.unique(short)), len(np.unique(shortest))) == (pytest.approx(22, abs=3), 1)
    many = np.tile(np.arange(0, 100 * DAY_MS, DAY_MS // 2), 100)
    joined = time_blocks(many, np.repeat(np.arange(100).astype(object), 200), 0, HOUR_MS)
    assert len(np.unique(joined)) <= MOST_BLOCKS


def test_the_calibration_curve_has_bounds_that_hold_each_point_wider_where_rows_are_alike():
    label, score = rows(5000)
    bins = reliability_with_intervals(label, score, np.arange(5000) // 50, seed=0)
    assert len(bins) == 10
    assert [p for p in bins if not p["low"] <= p["observed"] <= p["high"] > p["low"]] == []
    same = np.repeat((np.random.default_rng(0).random(50) < 0.3).astype(np.int8), 100)
    alike, apart = (
        reliability_with_intervals(same, np.full(5000, 0.3), block, seed=0)[0]
        for block in (np.arange(5000) // 100, np.arange(5000))
    )
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
    for seed in range(20):
        found = intervals(*rows(3000, seed, share=0.1), np.arange(3000) // 30)
        for name in held:
            low, high = found[name]
            held[name] += low <= truth[name] <= high
    assert min(held.values()) >= 17
