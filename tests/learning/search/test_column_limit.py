"""The limit on columns: never more than rows, chosen by the rows of the fit alone."""

import numpy as np
import pytest

from alerting.learning.features.plan import Columns, FeaturePlan, NumberSource
from alerting.learning.models.families.contract import STRONGEST, get_family
from alerting.learning.selection.candidates import ColumnLimit, ranking_strength

HOUR = 3_600_000


def many(count):
    """The limit on this number of variables with one column each."""
    numbers = tuple(NumberSource(f"v{i:03}", None) for i in range(count))
    return ColumnLimit(
        Columns.from_plan(
            FeaturePlan(
                stride_ms=60_000, windows_ms=(HOUR,), aggregations=("last",), numbers=numbers
            )
        )
    )


def choose(limit, params, matrix, rows, label):
    return limit.choose(params, len(rows), lambda: limit.rank_all(matrix, rows, label))


def test_a_fit_never_has_more_columns_than_rows_and_keeps_what_ranks_them():
    random = np.random.default_rng(0)
    matrix = random.standard_normal((50, 300))
    label = (np.arange(50) % 2).astype(np.int8)
    matrix[:, 123] += label
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    chosen = choose(many(300), {"column": "v007.last"}, matrix, np.arange(50), label)
    assert len(chosen) == 50
    assert {7, 123} <= set(chosen.tolist())
    assert np.all(np.diff(chosen) > 0)


def test_a_fit_takes_the_few_columns_that_its_parameters_ask_for():
    random = np.random.default_rng(0)
    matrix = random.standard_normal((200, 50))
    label = (np.arange(200) % 4 == 0).astype(np.int8)
    matrix[:, [7, 31]] += label[:, None]
    few = {**get_family("logistic_regression").defaults, STRONGEST: 2}
    assert choose(many(50), few, matrix, np.arange(200), label).tolist() == [7, 31]
    assert len(choose(many(50), few | {STRONGEST: 0}, matrix, np.arange(200), label)) == 50


def test_labels_and_values_outside_of_the_rows_of_a_fit_choose_no_column():
    limit = many(300)
    random = np.random.default_rng(0)
    matrix = random.standard_normal((200, 300))
    label = (np.arange(200) % 4 == 0).astype(np.int8)
    rows = np.arange(100)
    first = choose(limit, {}, matrix, rows, label)
    matrix[100:] = 1000.0 * random.standard_normal((100, 300))
    label[100:] = label[100:][::-1].copy()
    assert np.array_equal(choose(limit, {}, matrix, rows, label), first)
    assert not np.array_equal(choose(limit, {}, matrix, rows + 100, label), first)


def test_strength_is_that_of_all_pairs_of_rows_with_and_without_the_problem_missing_values_aside():
    random = np.random.default_rng(1)
    values = random.integers(0, 30, 300)
    label = (random.random(300) < 0.2).astype(np.int8)
    there = random.random(300) > 0.2
    matrix = np.where(there, values, np.nan)[:, None] * [1.0, -1.0, 1e9]
    found = ranking_strength(matrix, np.arange(300), np.arange(3), label, ())
    ones = values[there & (label == 1)]
    zeros = values[there & (label == 0)]
    u = sum((one > zeros).sum() + (one == zeros).sum() / 2 for one in ones)
    sizes = len(ones) * len(zeros)
    expected = abs(u - sizes / 2) / np.sqrt(sizes * (len(ones) + len(zeros) + 1) / 12)
    assert found == pytest.approx(np.full(3, expected))


def test_a_category_counts_by_its_level_that_separates_best_and_columns_without_values_not_at_all():
    label = np.array([1] * 50 + [0] * 50, np.int8)
    matrix = np.column_stack(
        [np.where(label == 1, 2.0, 0.0), np.arange(100) % 3, np.full(100, np.nan)]
    )
    separated, mixed, empty = ranking_strength(matrix, np.arange(100), np.arange(3), label, (0, 1))
    assert separated > 5
    assert mixed < 2
    assert empty == 0


def test_columns_are_ranked_only_where_some_are_left_out():
    ranked = []

    def rank():
        ranked.append(np.arange(300.0))
        return ranked[0]

    assert len(many(300).choose({}, 300, rank)) == 300
    assert not ranked
    assert many(300).choose({STRONGEST: 2}, 300, rank).tolist() == [298, 299]
    assert many(300).choose({STRONGEST: 2, "column": "v007.last"}, 300, rank).tolist() == [7, 299]
    assert np.isfinite(ranked[0]).all()
