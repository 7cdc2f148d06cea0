"""Samples of an asset's variables over a span, newest first within a bound."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.definitions.assets import Asset, types_of
from alerting.definitions.faults import UserError
from alerting.ports import ReadingColumns, Readings, Wanted
from alerting.readings.buckets import Buckets, join_buckets, sample_buckets
from alerting.readings.cleaning import Floats
from alerting.readings.history import millis
from alerting.readings.instants import from_millis
from alerting.readings.sample_quality import NO_INSTANTS

_FIRST = 600_000  # ms; how dense readings are is not known before
_MOMENT = timedelta(milliseconds=1)


class Samples(NamedTuple):
    """The samples of each variable as buckets of one, from `start` (ms) on; `rows`: instants that
    were read."""

    of: Mapping[str, Buckets]
    start: int
    rows: int


def read_samples(
    readings: Readings, asset: Asset, names: Sequence[str], start: int, end: int, most: int
) -> Samples:
    """Return the samples in [start, end) (ms), as far back as about `most` instants reach; a text
    counts as 0.

    The lengths that are read grow with the distance of the readings, so the bound holds without a
    count. Raises UserError if a stored value is not of its variable's type.
    """
    pieces: list[Mapping[str, Buckets]] = []
    first = end
    rows = 0
    length = _FIRST
    while first > start and rows < most:
        begin = max(start, first - length)
        found = _load(readings, asset, names, begin, first)
        pieces.append(
            {
                name: sample_buckets(
                    asset, name, found.ts, _numbers(values), found.doubts.bad.get(name, NO_INSTANTS)
                )
                for name, values in found.values.items()
            }
        )
        first = begin
        rows = rows + len(found.ts)
        density = rows / (end - first)
        fits = (most - rows) / density if rows else 10 * length
        length = int(min(10 * length, max(fits, _FIRST)))
        if rows and density * (first - start) > 10 * most:
            break
    in_order = pieces[::-1]
    return Samples(
        {name: join_buckets([piece[name] for piece in in_order]) for name in names}, first, rows
    )


def _load(
    readings: Readings, asset: Asset, names: Sequence[str], start: int, end: int
) -> ReadingColumns:
    after = from_millis(start) - _MOMENT
    until = from_millis(end) - _MOMENT
    if not any(asset.is_computed(name) for name in names):
        found = readings.load_many([Wanted(asset.name, types_of(asset, names), after)], until)
        for fault in found[asset.name].faults.values():
            raise UserError(fault)
        return found[asset.name]
    history = readings.load(asset, after, until, names, events_since=until)
    columns = {name: history.readings[name].to_numpy() for name in names}
    return ReadingColumns(
        millis(pd.DatetimeIndex(history.readings.index)), columns, doubts=history.doubts
    )


def _numbers(values: npt.NDArray[Any]) -> Floats:
    if values.dtype != object:
        return values
    return np.where(pd.isna(values), np.nan, 0.0)
