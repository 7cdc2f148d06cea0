"""Readings of one variable as columns."""

from __future__ import annotations

from typing import Any, NamedTuple

from alerting.deferred import np, npt, pd
from alerting.definitions.assets import Asset
from alerting.definitions.model import Condition
from alerting.readings.history import History, Millis, millis, no_instants


class Series(NamedTuple):
    """Readings of one variable at `ts` (ms, increasing), and instants of samples of bad quality.

    A missing value is NaN, of a category None.
    """

    ts: Millis
    values: npt.NDArray[Any]
    bad: Millis


def series_of(definition: Condition, history: History) -> Series:
    """Return the readings of the definition's variable."""
    bad = history.doubts.bad.get(definition.variable, no_instants())
    dtype: Any = object if is_text(history.asset, definition.variable) else np.float64
    if definition.variable not in history.readings:
        return Series(np.empty(0, np.int64), np.empty(0, dtype), bad)
    ts = millis(pd.DatetimeIndex(history.readings.index))
    return Series(ts, history.readings[definition.variable].to_numpy(dtype), bad)


def is_text(asset: Asset, name: str) -> bool:
    """Return whether a variable is a category."""
    variable = asset.variables.get(name)
    return variable is not None and variable.type == "category"


def has_value(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return whether each number or text is there."""
    return values == values if values.dtype != object else np.asarray(pd.notna(values), np.bool_)  # noqa: PLR0124 - NaN
