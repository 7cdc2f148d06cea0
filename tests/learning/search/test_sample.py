"""A search of a large table works on a sample that stays honest: rare rows are kept, the others
stand for their neighbours."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.learning.search.sample import MOST_SEARCHED, evenly, search_sample
from tests import small_models

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


def rows_of(data, label):
    return np.flatnonzero((data.part == "train") & (data.label == label))


def test_a_small_training_period_is_searched_whole(data):
    sample = search_sample(data)
    train = np.flatnonzero(data.part == "train")
    assert len(train) < MOST_SEARCHED
    assert not sample.thinned
    assert sample.select_rows(train).tolist() == train.tolist()
    assert sample.weights(train) is None


def test_all_rare_rows_stay_and_the_others_weigh_as_much_as_all_of_them(data):
    rare = rows_of(data, 1)
    usual = rows_of(data, 0)
    most = len(rare) + len(usual) // 3
    sample = search_sample(data, most)
    assert sample.thinned
    assert sample.select_rows(rare).tolist() == rare.tolist()
    kept = sample.select_rows(usual)
    assert len(kept) == most - len(rare)
    assert sample.weights(kept).sum() == pytest.approx(len(usual))
    assert sample.weights(rare) is None
    assert np.diff(data.at[kept]).max() <= 4 * data.plan.stride_ms + np.diff(data.at[usual]).max()
    assert sample.notes == (
        f"searched on {most} of {len(rare) + len(usual)} training rows (all {len(rare)} with a "
        f"problem ahead, {len(kept)} of "
        f"{len(usual)} without, evenly in time and weighted); figures and the final fit are of "
        "all rows",
    )


def test_where_no_class_is_rare_both_are_thinned(data):
    rare = rows_of(data, 1)
    usual = rows_of(data, 0)
    sample = search_sample(data, 100)
    for rows in (rare, usual):
        assert len(sample.select_rows(rows)) == 50
        assert sample.weights(sample.select_rows(rows)).sum() == pytest.approx(len(rows))


def test_only_the_training_period_is_thinned(data):
    sample = search_sample(data, 100)
    assert sample.selected[data.part != "train"].all()


def test_a_row_that_counts_less_by_an_operators_word_counts_less_in_the_sample_too(data):
    half = replace(data, weight=np.where(data.label == 1, 0.5, 1.0))
    rare = rows_of(data, 1)
    assert search_sample(half, 100).weights(rare) == pytest.approx(
        0.5 * search_sample(data, 100).weights(rare)
    )


@pytest.mark.parametrize(("rows", "count"), [(10, 3), (10, 9), (1000, 7), (5, 5), (5, 8), (0, 0)])
def test_rows_are_taken_as_far_from_each_other_as_can_be(rows, count):
    taken = evenly(np.arange(rows), count)
    assert len(set(taken.tolist())) == min(rows, count)
    if len(taken) > 1:
        assert np.ptp(np.diff(taken)) <= 1
