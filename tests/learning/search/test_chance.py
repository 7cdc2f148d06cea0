"""Labels shifted in time: what scores reach on them, beside the definition by scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from alerting.learning.experiment.chance import (
    SHIFTS,
    ShiftedLabels,
    placed_share,
    share_between_groups,
)
from alerting.learning.experiment.folds import evenly
from alerting.learning.selection.candidates import search_sample, usable_folds

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def folds(data):
    return usable_folds(data, 2)[0]


def rows_after(data, rows):
    """Select as many rows after each problem as no evaluation was made at."""
    at = data.at[rows] // data.plan.stride_ms
    most = (data.gap_ms + data.horizon_ms) // data.plan.stride_ms
    found = np.zeros(len(rows), bool)
    for row in range(len(rows) - 1):
        if data.label[rows[row]] == 1:
            found[row + 1 : row + min(at[row + 1] - at[row] - 1, most) + 1] = True
    return found & (data.label[rows] == 0)


@pytest.mark.parametrize("digits", [12, 1], ids=["distinct scores", "scores with ties"])
def test_every_figure_is_the_average_precision_on_labels_shifted_in_time(folds, data, digits):
    score = np.random.default_rng(0).random(len(folds[0].test)).round(digits)
    label = data.label[folds[0].test]
    after = rows_after(data, folds[0].test)
    assert after.any()
    negative = (label == 0).sum()
    weight = np.where(after, 0.0, np.where(label == 1, 1.0, negative / (negative - after.sum())))
    by_shift = [
        average_precision_score(np.roll(label, shift), score, sample_weight=np.roll(weight, shift))
        for shift in range(len(label))
    ]
    shifted = ShiftedLabels(data, [folds[0]], 0)
    figures = shifted.evaluate([score])
    assert len(figures) == SHIFTS
    assert np.isclose(figures[:, None], by_shift, rtol=0, atol=1e-12).any(axis=1).all()
    assert len(np.unique(figures)) > 100
    assert shifted.evaluate([label + 0.0]).max() < 1, "no shift leaves labels nearly where they are"


def test_to_know_only_which_asset_has_more_problems_is_no_more_than_chance(folds, data):
    half = len(folds[0].test) // 2
    asset = data.asset.copy()
    label = data.label.copy()
    asset[folds[0].test[half:]] = "oven-2"
    label[folds[0].test[half:]] = 0
    score = (asset[folds[0].test] == "oven-1").astype(float)
    two = replace(data, asset=asset, label=label)
    figures = ShiftedLabels(two, [folds[0]], 0).evaluate([score])
    # shifts leave out rows of the one asset that has problems, and weigh those of both
    figure = average_precision_score(label[folds[0].test], score)
    assert (figures >= figure - 1e-9).all()
    assert figures == pytest.approx(figure, rel=0.1)


def test_a_pruned_trial_counts_by_the_problems_of_the_folds_that_it_scored(folds, data):
    random = np.random.default_rng(0)
    scores = [random.random(len(fold.test)) for fold in folds]
    shifted = ShiftedLabels(data, folds, 0)
    first = shifted.evaluate(scores[:1]) - shifted.prevalence
    # of equal scores the average precision is the prevalence
    alone = shifted.evaluate([scores[0], np.zeros(len(folds[1].test))]) - shifted.prevalence
    counts = [data.count_problems(fold.test) for fold in folds]
    assert first == pytest.approx(2 * alone * np.sqrt(counts[0] / sum(counts)))
    other, again = (ShiftedLabels(data, folds, seed).evaluate(scores) for seed in (2, 0))
    assert np.array_equal(shifted.evaluate(scores), again)
    assert not np.array_equal(other, again)
    label = np.zeros_like(data.label)
    label[folds[0].test[[3, 4, 5, 9]]] = 1
    assert ShiftedLabels(replace(data, label=label), folds, 0).problems == 2


HORIZON = 6  # rows


def problems_at(data, starts, rows=400):
    """Return a dataset of one asset with problems at these rows, each followed by as many rows
    without evaluation as are before it."""
    row = np.arange(rows)
    ahead = np.zeros(rows, bool)
    gone = np.zeros(rows, bool)
    for start in starts:
        ahead[max(start - HORIZON, 0) : start] = True
        gone[start : start + HORIZON] = True
    there = row[~gone]
    stride = data.plan.stride_ms
    return replace(
        data,
        at=there * stride,
        asset=np.full(len(there), "oven-1", object),
        label=ahead[there].astype(np.int8),
        gap_ms=0,
        horizon_ms=HORIZON * stride,
    )


def noise(random, correlation, rows):
    values = random.standard_normal(rows)
    for row in range(1, rows):
        fresh = np.sqrt(1 - correlation**2) * values[row]
        values[row] = correlation * values[row - 1] + fresh
    return values


def share_of(data, score, seed=0):
    return placed_share(data, np.arange(len(data.label)), score, seed)


@pytest.mark.parametrize("correlation", [0.0, 0.98], ids=["fast", "slow"])
def test_problems_that_come_by_chance_seldom_rank_high_however_slow_the_score_is(data, correlation):
    random = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        few = problems_at(data, np.sort(random.integers(HORIZON, 390, 5)))
        shares.append(share_of(few, noise(random, correlation, len(few.label))))
    for level in (0.025, 0.1, 0.2):  # once in a thousand times more
        assert np.mean(np.array(shares) <= level) <= level + 3.1 * np.sqrt(level / 300)
    assert np.mean(np.array(shares) <= 0.5) > 0.3


def test_a_score_that_ranks_two_of_three_problems_high_is_beyond_chance_and_repeats(data):
    few = problems_at(data, [90, 200, 310])
    score = np.random.default_rng(1).random(len(few.label))
    score[few.label == 1] += np.repeat([0.9, 0.0, 0.9], HORIZON)
    assert share_of(few, score) < 0.01
    assert share_of(few, score) == share_of(few, np.argsort(np.argsort(score)) / 3), "of ranks"
    assert share_of(few, -score) > 0.9
    assert share_of(few, np.full(len(few.label), 0.9)) == 1.0
    assert share_of(problems_at(data, []), np.arange(400.0)) == 1.0
    often = problems_at(data, range(30, 400, 40))
    told = often.label + np.random.default_rng(2).normal(0, 0.5, len(often.label))
    assert share_of(often, told) < 0.01


def test_an_asset_with_higher_scores_and_more_problems_is_no_evidence_of_a_forecast(data):
    first = problems_at(data, range(30, 400, 40))
    count = len(first.label)
    both = replace(
        first,
        at=np.tile(first.at, 2),
        asset=np.repeat(np.array(["oven-1", "oven-2"], object), count),
        label=np.append(first.label, np.zeros(count, np.int8)),
    )
    random = np.random.default_rng(3)
    score = np.append(1 + random.random(count), random.random(count))
    assert share_of(both, score) > 0.05


def test_the_groups_of_what_is_shown_are_compared_with_the_others_and_each_counts_once():
    score = np.array([9.0, 1.0, 8.0, 7.0, 1.0, 2.0, 3.0, 3.0, 3.0])
    shown = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0], bool)
    group = np.array([4, 4, 5, 6, 1, 2, 3, 3, 3])
    # the three shown are the highest of six: 1 of 20 orders
    assert share_between_groups(score, shown, group) == pytest.approx(1 / 20)
    assert share_between_groups(-score, shown, group) > 0.5
    assert share_between_groups(score, np.ones(9, bool), group) == 1
    assert share_between_groups(score, np.zeros(9, bool), group) == 1


def rows_of(data, label):
    return np.flatnonzero((data.part == "train") & (data.label == label))


def test_all_rare_rows_stay_and_the_others_weigh_as_much_as_all_of_them(data):
    rare = rows_of(data, 1)
    usual = rows_of(data, 0)
    whole = search_sample(data)
    assert (whole.thinned, whole.weights(usual)) == (False, None)
    most = len(rare) + len(usual) // 3
    sample = search_sample(data, most)
    assert (sample.thinned, sample.weights(rare)) == (True, None)
    assert sample.select_rows(rare).tolist() == rare.tolist()
    kept = sample.select_rows(usual)
    assert len(kept) == most - len(rare)
    assert sample.weights(kept).sum() == pytest.approx(len(usual))
    assert np.diff(data.at[kept]).max() <= 4 * data.plan.stride_ms + np.diff(data.at[usual]).max()
    assert sample.notes == (
        f"searched on {most} of {len(rare) + len(usual)} training rows (all {len(rare)} with a "
        f"problem ahead, {len(kept)} of "
        f"{len(usual)} without, evenly in time and weighted); figures and the final fit are of "
        "all rows",
    )


def test_where_no_class_is_rare_both_are_thinned_and_no_other_part(data):
    sample = search_sample(data, 100)
    half = search_sample(replace(data, weight=np.where(data.label == 1, 0.5, 1.0)), 100)
    rows = [rows_of(data, label) for label in (1, 0)]
    kept = [sample.select_rows(one) for one in rows]
    assert [len(one) for one in kept] == [50, 50]
    weights = [sample.weights(one).sum() for one in kept]
    assert weights == pytest.approx([len(one) for one in rows])
    assert half.weights(rows[0]) == pytest.approx(0.5 * sample.weights(rows[0]))
    assert sample.selected[data.part != "train"].all()


def test_rows_are_taken_as_far_from_each_other_as_can_be():
    asked = [(10, 3), (10, 9), (1000, 7), (5, 5), (5, 8), (0, 0)]
    taken = {(rows, count): evenly(np.arange(rows), count) for rows, count in asked}
    number = {key: len(set(found.tolist())) for key, found in taken.items()}
    assert number == {(rows, count): min(rows, count) for rows, count in asked}
    assert max(np.ptp(np.diff(found)) for found in taken.values() if len(found) > 1) <= 1
