"""Readings of a block of assets: fetched once, for every definition that watches them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from alerting.definitions.assets import Asset
from alerting.definitions.faults import Refused
from alerting.pipelines.ports import EventRow, ReadingColumns, ReadingRow, Readings, Wanted
from alerting.readings.history import History, to_millis
from alerting.readings.packed import Packed, pack

Series = tuple[str, str | None]  # an asset and a variable, by name


class BlockReadings:
    """Port `Readings` over what was fetched of a block. What goes beyond it is asked of the store.

    A history out of the block has no events: the threshold kinds, for which blocks are fetched, judge none.
    """

    def __init__(self, stored: Readings, wanted: Sequence[Wanted], until: datetime) -> None:
        self._stored, self._until = stored, until
        self._starts = {w.asset.name: w.start for w in wanted}
        self._fetched = stored.load_many(wanted, until)

    def packed(self) -> tuple[Packed, dict[Series, int]]:
        """Every series of numbers side by side, and the place of each; those with samples of bad quality are left out."""
        numbers = {
            (asset, variable): (fetched.ts, values)
            for asset, fetched in self._fetched.items()
            for variable, values in fetched.values.items()
            if values.dtype == np.float64 and variable not in fetched.doubts.bad
        }
        return pack(list(numbers.values())), {series: place for place, series in enumerate(numbers)}

    def load(self, asset: Asset, start: datetime | None, end: datetime | None, variables: Iterable[str] | None = None) -> History:
        names = list(asset.variables if variables is None else variables)
        fetched = self._fetched.get(asset.name)
        if fetched is None or start is None or end is None or start < self._starts[asset.name] or end > self._until:
            return self._stored.load(asset, start, end, names)
        for name in names:
            if name in fetched.faults:
                raise Refused(fetched.faults[name])
        if not set(names) <= set(fetched.values):
            return self._stored.load(asset, start, end, names)
        return History(asset, _frame(fetched, start, end, names), doubts=fetched.doubts)

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        return self._stored.load_many(wanted, end)

    def newest(self, asset: Asset, since: Mapping[str, datetime], until: datetime) -> pd.DataFrame:
        return self._stored.newest(asset, since, until)

    def span(self, asset: str) -> tuple[datetime, datetime] | None:
        return self._stored.span(asset)

    def add_readings(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> int:
        return self._stored.add_readings(rows, arrived_at)

    def add_events(self, rows: Sequence[EventRow], arrived_at: datetime) -> int:
        return self._stored.add_events(rows, arrived_at)


def _frame(fetched: ReadingColumns, start: datetime, end: datetime, names: Sequence[str]) -> pd.DataFrame:
    first, last = np.searchsorted(fetched.ts, [to_millis(start), to_millis(end)], side="right")
    index = pd.DatetimeIndex(fetched.ts[first:last].view("datetime64[ms]"), name="ts").tz_localize("UTC")
    return pd.DataFrame({name: fetched.values[name][first:last] for name in names}, index=index)
