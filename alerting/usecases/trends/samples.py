"""Samples of an asset's variables over a span, newest first within a bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from alerting.deferred import np, pd
from alerting.definitions.assets import Asset, types_of
from alerting.definitions.faults import UserError
from alerting.ports import ReadingColumns, Readings, Wanted
from alerting.readings.buckets import Buckets, join_buckets, sample_buckets
from alerting.readings.history import from_millis, millis, no_instants

_FIRST = 600_000  # ms; how dense readings are is not known before
_MOMENT = timedelta(milliseconds=1)


class AssetSamples(NamedTuple):
    """The samples of each variable as buckets of one, from `start` (ms) on; `rows`: instants that
    were read."""

    of: Mapping[str, Buckets]
    start: int
    rows: int


def read_samples(
    readings: Readings, asset: Asset, names: Sequence[str], start: int, end: int, most: int
) -> AssetSamples:
    """Return the samples in [start, end) (ms), as far back as about `most` instants reach.

    The lengths that are read grow with the distance of the readings, so the bound holds without a
    count. Raises UserError if a stored value is not of its variable's type.
    """
    pieces: dict[str, list[Buckets]] = {name: [] for name in names}
    first = end
    rows = 0
    length = _FIRST
    while first > start and rows < most:
        begin = max(start, first - length)
        found = load_columns(readings, asset, names, begin, first)
        for fault in found.faults.values():
            raise UserError(fault)
        for name in names:
            pieces[name].append(samples_of(asset, name, found))
        first = begin
        rows = rows + len(found.ts)
        fits = (most - rows) * (end - first) / rows if rows else 10 * length
        length = int(min(10 * length, max(fits, _FIRST)))
    joined = {name: join_buckets(reversed(found)) for name, found in pieces.items()}
    return AssetSamples(joined, first, rows)


def samples_of(asset: Asset, name: str, columns: ReadingColumns) -> Buckets:
    """Return the samples of a variable; a text counts as 0."""
    values = columns.values[name]
    numbers = np.where(pd.isna(values), np.nan, 0.0) if values.dtype == object else values
    bad = columns.doubts.bad.get(name, no_instants())
    return sample_buckets(asset, name, columns.ts, numbers, bad)


def load_columns(
    readings: Readings, asset: Asset, names: Sequence[str], start: int, end: int
) -> ReadingColumns:
    """Return all readings of variables in [start, end) (ms), computed ones among them. Raises
    UserError for a value that is not of its type, if one of them is computed."""
    after = from_millis(start) - _MOMENT
    until = from_millis(end) - _MOMENT
    if not any(asset.is_computed(name) for name in names):
        wanted = Wanted(asset.name, types_of(asset, names), after)
        return readings.load_many([wanted], until)[asset.name]
    history = readings.load(asset, after, until, names, events_since=until)
    columns = {name: history.readings[name].to_numpy() for name in names}
    return ReadingColumns(
        millis(pd.DatetimeIndex(history.readings.index)), columns, doubts=history.doubts
    )
