"""Mask values outside the engineering range: an impossible value counts as missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from alerting.deferred import np, npt
from alerting.definitions.assets import Asset

if TYPE_CHECKING:  # a process without histories needs no library of frames
    from alerting.readings.history import History

Floats: TypeAlias = "npt.NDArray[np.float64]"
BoolArray: TypeAlias = "npt.NDArray[np.bool_]"


def engineering_range(asset: Asset, variable: str) -> tuple[float, float]:
    """Return the least and greatest possible value of a number; infinite if not stated."""
    declared = asset.variables.get(variable)
    low, high = (None, None) if declared is None else (declared.low, declared.high)
    return -np.inf if low is None else low, np.inf if high is None else high


def is_outside_range(asset: Asset, variable: str, values: Floats) -> BoolArray:
    """Return which values are outside a number's range; missing ones are not."""
    if variable not in asset.variables:
        return np.zeros(len(values), np.bool_)
    low, high = engineering_range(asset, variable)
    return (values < low) | (values > high)


def in_range(asset: Asset, variable: str, values: Floats) -> Floats:
    """Return the values, NaN where they lie outside the variable's engineering range."""
    wrong = is_outside_range(asset, variable, values)
    return np.where(wrong, np.nan, values) if wrong.any() else values


def has_data(history: History, variable: str) -> BoolArray:
    """Return at which readings a variable has a value: finite, within its range."""
    if variable not in history.readings:
        return np.zeros(len(history.readings), np.bool_)
    column = history.readings[variable]
    if not np.issubdtype(column.to_numpy().dtype, np.number):
        return column.notna().to_numpy(np.bool_)
    values = column.to_numpy(np.float64)
    there: BoolArray = np.isfinite(values) & ~is_outside_range(history.asset, variable, values)
    return there
