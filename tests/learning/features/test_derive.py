"""Stride and windows from the data: never finer than the sampling, as fine as rows and problems
allow."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.faults import UserError, parse_duration
from alerting.learning.features.plan import _FEW_ROWS, Columns
from alerting.learning.features.planning import MOST_CELLS, MOST_ROWS, derive, derive_stride
from tests.builders import classifier


def spans(*words):
    return [parse_duration(word) for word in words]


def test_the_stride_follows_sampling_horizon_and_rows():
    rows = [
        # a sixth, 10m, sees one-minute readings too seldom
        ("1h", ["1m"], "10d", "1m", "finest sampling is 1m"),
        # a sixth would make six equal rows an hour
        ("1h", ["1h"], "365d", "1h", "finest sampling is 1h"),
        ("30m", ["1m", "1h"], "10d", "1m", "finest sampling is 1m"),
        ("30m", ["1s"], "2d", "1m", "finest sampling is 1s"),  # evaluated once a minute at most
        ("24h", ["1m"], "200d", "30m", "60 rows before a problem"),
        ("24h", ["1h"], "1800d", "2h", f"at most {MOST_ROWS} rows"),
        ("30m", ["1m"], "30d", "2m", f"at most {MOST_ROWS} rows"),
        ("30m", ["1m"], "3650d", "5m", "a sixth of the horizon 30m"),
        ("1h", ["61s"], "10d", "1m", "finest sampling is"),
        ("30m", ["1h"], "10d", "30m", "finest sampling is 1h"),  # never longer than the horizon
        ("1h", ["2d", "5m"], "10d", "5m", "finest sampling is 5m"),
        ("2h", [], "10d", "2m", "60 rows before a problem"),
    ]
    wrong = []
    for horizon, sampling, observed, stride, why in rows:
        found, reason = derive_stride(*spans(horizon), spans(*sampling), *spans(observed), 26)
        if found != spans(stride)[0] or why not in reason:
            wrong.append((horizon, sampling, observed, found, reason))
    assert wrong == []


def test_many_columns_make_the_stride_coarser():
    arguments = (timedelta(hours=1), [timedelta(minutes=1)], timedelta(days=10))
    few = derive_stride(*arguments, 100)[0]
    many = derive_stride(*arguments, 2_000)[0]
    assert few == timedelta(minutes=1)
    assert many == timedelta(minutes=3)
    assert timedelta(days=10) / many <= MOST_CELLS / 2_000 / 0.9


def test_what_the_definition_states_is_not_derived():
    minute = [timedelta(minutes=1)]
    ten_days = timedelta(days=10)
    assert (
        derive(classifier(features={"stride": "7m", "windows": ["1h"]}), minute, ten_days, 26)
        is None
    )
    found = derive(classifier(features={"stride": "7m"}), minute, ten_days, 26)
    filled = found.fill(classifier(features={"stride": "7m"})).features
    assert filled.stride == timedelta(minutes=7)
    assert filled.windows == tuple(spans("21m", "63m", "182m"))
    windows = derive(classifier(features={"windows": ["1h"]}), minute, ten_days, 26)
    assert (windows.stride, windows.windows) == (timedelta(minutes=1), (timedelta(hours=1),))
    assert (
        "Stride 1m and windows 1h were derived from the data: the finest sampling is 1m"
        in windows.message
    )


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
def test_numbers_that_are_not_finite_are_missing_and_categories_are_numbers(count):
    for columns in (NUMBERS, WITH_LEVELS):
        wanted = expected(count, columns)
        for order in (list(columns.names), list(NAMES[::-1])):
            np.testing.assert_array_equal(columns.matrix(rows(count)[order]), wanted)
            np.testing.assert_array_equal(columns.view(rows(count)[order]), wanted)


def test_missing_columns_are_named():
    with pytest.raises(UserError, match=r"needs 1 of 3 columns.*recipe\.last"):
        WITH_LEVELS.matrix(rows(4)[["speed.mean", "speed.max"]])
