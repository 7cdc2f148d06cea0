"""Rows become the same matrix whatever their number, order and other columns."""

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.faults import UserError
from alerting.learning.features.encoding import _FEW_ROWS, Columns

pytestmark = pytest.mark.fast

NAMES = ("speed.mean", "speed.max", "recipe.last")
NUMBERS = Columns(NAMES[:2], {})
WITH_LEVELS = Columns(NAMES, {"recipe.last": ("a", "b")})


def rows(count):
    """Rows with infinite and missing numbers, and an unknown recipe."""
    return pd.DataFrame(
        {
            "speed.mean": np.arange(count, dtype=np.float64),
            "speed.max": [np.inf, -np.inf, np.nan, 4.0] * (count // 4),
            "recipe.last": pd.Categorical(["a", "b", "other", None] * (count // 4)),
        }
    )


def expected(count, columns):
    numbers = [
        np.arange(count, dtype=np.float64),
        np.tile([np.nan, np.nan, np.nan, 4.0], count // 4),
    ]
    codes = np.tile([0.0, 1.0, np.nan, np.nan], count // 4)
    return np.column_stack([*numbers, codes][: len(columns.names)])


@pytest.mark.parametrize("count", [4, 4 * _FEW_ROWS])
@pytest.mark.parametrize("columns", [NUMBERS, WITH_LEVELS])
def test_numbers_that_are_not_finite_are_missing_and_categories_are_numbers(count, columns):
    found = rows(count)
    for order in (list(columns.names), list(NAMES[::-1])):
        assert np.array_equal(
            columns.matrix(found[order]), expected(count, columns), equal_nan=True
        )


def test_missing_columns_are_named():
    with pytest.raises(UserError, match=r"needs 1 of 3 columns.*recipe\.last"):
        WITH_LEVELS.matrix(rows(4)[["speed.mean", "speed.max"]])


def test_many_rows_of_numbers_alone_are_not_copied():
    numbers = pd.DataFrame(np.arange(400.0).reshape(200, 2), columns=list(NAMES[:2]))
    numbers.iloc[3, 1] = np.nan
    view = NUMBERS.view(numbers)
    assert np.shares_memory(view, numbers.to_numpy())
    assert np.array_equal(view, NUMBERS.matrix(numbers), equal_nan=True)
    count = 4 * _FEW_ROWS
    for columns in (NUMBERS, WITH_LEVELS):  # infinite numbers, and categories
        found = columns.view(rows(count)[list(columns.names)])
        assert np.array_equal(found, expected(count, columns), equal_nan=True)
