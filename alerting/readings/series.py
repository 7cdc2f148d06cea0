"""Readings of one variable as columns, and of many series in one array: summaries for many
evaluations, made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

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


Numbers: TypeAlias = "npt.NDArray[np.float64]"
Flags: TypeAlias = "npt.NDArray[np.bool_]"
Positions: TypeAlias = "npt.NDArray[np.int64]"


@dataclass(frozen=True)
class RaggedReadings:
    """Readings of one series after the other; within a series instants (ms) increase. No value is
    missing.

    The readings of series s are at [`bounds[s]`, `bounds[s + 1]`).
    """

    ts: Millis
    values: Numbers
    bounds: Positions


@dataclass(frozen=True)
class WindowSummary:
    """Summary of the readings of each window. Where `count` is 0, the other columns have no
    meaning.

    `first`, `last`: instants of the first and last reading. `low`, `high`: the least and the
    greatest value. `gap`: the longest time between two neighbours. `value`: the last one; it has
    been the same since `since`, or, where `constant`, in the whole window.
    """

    count: Positions
    first: Millis
    last: Millis
    low: Numbers
    high: Numbers
    gap: Millis
    value: Numbers
    since: Millis
    constant: Flags


def pack(series: Sequence[tuple[Millis, Numbers]]) -> RaggedReadings:
    """Concatenate series, each as instants and values; a missing value is no reading."""
    ts = np.concatenate([np.empty(0, np.int64), *(instants for instants, _ in series)])
    values = np.concatenate([np.empty(0), *(numbers for _, numbers in series)])
    number = np.repeat(np.arange(len(series)), [len(instants) for instants, _ in series])
    there = ~np.isnan(values)
    bounds = np.append(0, np.cumsum(np.bincount(number[there], minlength=len(series))))
    return RaggedReadings(ts[there], values[there], bounds)


def summarise_windows(
    packed: RaggedReadings, series: Positions, begin: Millis, end: Millis
) -> WindowSummary:
    """Return each window's summary: `series[i]` in [`begin[i]`, `end[i]`); may overlap."""
    start = _positions(packed, series, begin)
    stop = _positions(packed, series, end)
    width = len(packed.ts) + 1
    windows, of_row = np.unique(start * width + stop, return_inverse=True)
    found = _summarise_rows(packed, windows // width, windows % width)
    return WindowSummary(*(column[of_row] for column in vars(found).values()))


def _positions(packed: RaggedReadings, series: Positions, at: Millis) -> Positions:
    """Return, for each row, the index of the first reading at or after an instant in its series."""
    if not len(series):
        return np.empty(0, np.int64)
    origin = min(int(at.min()), int(packed.ts.min(initial=at.min())))
    span = max(int(at.max()), int(packed.ts.max(initial=at.max()))) - origin + 1
    number = np.repeat(np.arange(len(packed.bounds) - 1), np.diff(packed.bounds))
    found: Positions = np.searchsorted(
        number * span + (packed.ts - origin), series * span + (at - origin)
    )
    return found


def _summarise_rows(packed: RaggedReadings, start: Positions, stop: Positions) -> WindowSummary:
    # so that every index exists
    ts = np.append(packed.ts, 0)
    values = np.append(packed.values, 0.0)
    count = stop - start
    last = np.maximum(stop - 1, 0)
    gaps = np.append(np.diff(packed.ts, prepend=packed.ts[:1]), 0)
    turns = np.append(True, values[1:] != values[:-1])
    begun = np.maximum.accumulate(np.where(turns, np.arange(len(values)), 0))[last]
    return WindowSummary(
        count=count,
        first=ts[start],
        last=ts[last],
        low=_over(np.minimum, values, start, stop),
        high=_over(np.maximum, values, start, stop),
        gap=np.where(
            count > 1, _over(np.maximum, gaps, np.minimum(start + 1, len(packed.ts)), stop), 0
        ),
        value=values[last],
        since=ts[np.maximum(begun, start)],
        constant=begun <= start,
    )


def _over(
    reduce: np.ufunc, column: npt.NDArray[Any], start: Positions, stop: Positions
) -> npt.NDArray[Any]:
    """Return each window's least or greatest of a column with one more element."""
    found: npt.NDArray[Any] = reduce.reduceat(column, np.column_stack((start, stop)).ravel())[::2]
    return found
