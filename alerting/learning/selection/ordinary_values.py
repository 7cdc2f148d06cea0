"""Ordinary values of each column: medians, and quantiles, of the rows that a model learned from."""

from __future__ import annotations

import numpy as np

from alerting.deferred import pd
from alerting.detection.problems import BoolArray
from alerting.learning.features.plan import FeaturePlan

ORDINARY = (0.001, 0.999)  # quantiles of the training rows between which a value counts as seen
USUAL = (0.1, 0.9)  # quantiles between which a value counts as usual
_EVERY = slice(None)  # row


def usual_values(
    plan: FeaturePlan, rows: pd.DataFrame, used: BoolArray | slice = _EVERY
) -> dict[str, float | str | None]:
    """Return, by column, the median of the used rows, or the most frequent level; None where all
    are missing."""
    return {name: _usual(rows[name], used) for name in plan.columns}


def _usual(values: pd.Series, used: BoolArray | slice) -> float | str | None:
    if isinstance(values.dtype, pd.CategoricalDtype):
        present = values[used].dropna()
        return str(present.value_counts().index[0]) if len(present) else None
    numbers = values.to_numpy(np.float64)[used]  # thousands of columns: no Series of each part
    numbers = np.sort(numbers[~np.isnan(numbers)])
    middle = len(numbers) // 2
    if not len(numbers):
        return None
    return float(
        numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2
    )


def ordinary_ranges(
    plan: FeaturePlan, rows: pd.DataFrame, used: BoolArray | slice = _EVERY
) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[float, float]]]:
    """Return, by number column, the quantiles ORDINARY of the used rows, and USUAL; columns that
    are always missing are absent."""
    ranges = {}
    usual = {}
    for name in plan.columns:
        if name in plan.levels:
            continue
        values = rows[name].to_numpy(np.float64)[used]
        values = values[np.isfinite(values)]
        if len(values):
            lowest, highest, low, high = np.quantile(values, (*ORDINARY, *USUAL)).tolist()
            ranges[name] = (lowest, highest)
            usual[name] = (low, high)
    return ranges, usual
