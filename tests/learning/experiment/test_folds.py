"""The schemes of folds: no row is scored by a fit that knows it, or what is too near to it."""

import numpy as np
import pytest

from alerting.learning.experiment.folds import (
    Fold,
    cut_by_group,
    cut_by_interval,
    cut_by_results,
    cut_walk_forward,
    folds_among,
    merge,
)

pytestmark = pytest.mark.fast


def instants(at, folds):
    return [(sorted(set(at[f.train].tolist())), sorted(set(at[f.test].tolist()))) for f in folds]


def test_folds_walk_forward_and_grow_without_the_purge_before_what_they_score():
    at = np.tile(np.arange(400), 2)  # two assets
    folds = cut_walk_forward(at, 10, 3)
    assert instants(at, folds) == [
        (list(range(start - 10)), list(range(start, start + 100))) for start in (100, 200, 300)
    ]
    sizes = [(fold.number, len(fold.train), len(fold.test)) for fold in folds]
    assert sizes == [(1, 180, 200), (2, 380, 200), (3, 580, 200)]
    assert cut_walk_forward(at[:0], 10, 3) == []


def test_results_are_shared_out_evenly_and_none_within_the_purge_is_learned_from():
    at = np.tile(np.arange(0, 1200, 2), 2)
    has_result = (at % 60 == 0) & ((at < 460) | (at > 900))
    folds = cut_by_results(at, has_result, 20, 4)
    assert [int(has_result[fold.test].sum()) for fold in folds] == [6, 6, 6, 6]
    assert np.bincount(np.concatenate([f.test for f in folds]), minlength=len(at)).max() == 1
    for fold in folds:
        begin = at[fold.test].min()
        end = at[fold.test].max()
        near = (at >= begin - 20) & (at <= end + 20)
        assert not near[fold.train].any()
        assert set(at[fold.train]) >= set(at[(at < begin - 20) | (at > end + 22)])
    assert cut_by_results(at, has_result, 20, 1) == [], "without a result to learn from"


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_on_one_side_and_those_with_an_event_are_spread_evenly(seed):
    random = np.random.default_rng(seed)
    group = random.permutation(np.repeat(np.arange(23), random.integers(1, 9, 23)))
    ended = random.random(23) < 0.4
    folds = cut_by_group(group, ended[group], 5)
    assert [fold.number for fold in folds] == [1, 2, 3, 4, 5]
    for fold in folds:
        assert not np.intersect1d(group[fold.train], group[fold.test]).size
        assert len(fold.train) + len(fold.test) == len(group)
    held = [np.unique(group[fold.test]) for fold in folds]
    for counts in ([len(groups) for groups in held], [ended[groups].sum() for groups in held]):
        assert max(counts) - min(counts) <= 1
    assert sorted(np.concatenate(held)) == list(range(23))


def test_intervals_take_turns_over_the_whole_history_and_share_no_reading_within_a_window():
    at = np.sort(np.random.default_rng(0).choice(40_000, 3_000, replace=False))
    folds = list(cut_by_interval(at, 50, 4))
    assert sorted(np.concatenate([f.test for f in folds]).tolist()) == list(range(len(at)))
    for fold in folds:
        apart = np.abs(at[fold.train][:, None] - at[fold.test]).min()
        assert apart >= 50
        assert set(at[fold.test] // 4_000) == set(range(10)), "each regime of the history"
        assert len(fold.train) > len(at) / 2


def test_a_history_of_few_windows_is_learned_from_without_a_distance():
    at = np.arange(100)
    first, second = cut_by_interval(at, 30, 2)
    assert (len(first.train), len(second.train)) == (100 - len(first.test), 100 - len(second.test))
    assert [fold.number for fold in cut_by_interval(at, 500, 3)] == [1]


def test_folds_of_some_rows_are_folds_of_all_and_their_scores_are_merged():
    rows = np.array([2, 3, 5, 7])
    (fold,) = folds_among(rows, [Fold(4, np.array([0, 1]), np.array([3, 2]))])
    assert (fold.number, fold.train.tolist(), fold.test.tolist()) == (4, [2, 3], [7, 5])
    merged = merge([fold], [[0.7, 0.5]], 9)
    assert np.isnan(merged).sum() == 7
    assert merged[[7, 5]].tolist() == [0.7, 0.5]
    wide = merge([fold], [np.ones((2, 3))], 9)
    assert (wide.shape, np.nansum(wide)) == ((9, 3), 6)
