"""Readings of one simulated line in arrays, as the port `Readings`. The last minutes can be taken
back and computed again."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.definitions.assets import Asset
from alerting.demo.asset import EVENT_TYPES
from alerting.demo.line import LineAdvance
from alerting.ports import (
    EventRow,
    NewestReading,
    ReadingColumns,
    Wanted,
    WantedHistory,
    load_each,
)
from alerting.readings.history import History, Millis, from_millis, millis, no_events, to_millis

FIRST_ROWS = 60 * 1440


class LineReadings:
    """Port `Readings` of one asset with numbers only."""

    def __init__(self, asset: Asset, rows: int = FIRST_ROWS) -> None:
        self._asset = asset
        self._column = {name: i for i, name in enumerate(asset.variables)}
        self._count = 0
        self._at = np.empty(max(1, rows), np.int64)
        self._values = np.full((max(1, rows), len(asset.variables)), np.nan)
        self._events: dict[tuple[str, datetime], EventRow] = {}

    def add(self, advance: LineAdvance) -> None:
        """Add the minutes of a simulation that follow the last one, and its events."""
        values = np.full((len(advance.rows), self._values.shape[1]), np.nan)
        for minute, row in enumerate(advance.rows):
            for name, value in row.values.items():
                values[minute, self._column[name]] = value
        self.add_arrays(
            np.array([to_millis(row.ts) for row in advance.rows], np.int64), values, advance.events
        )

    def add_arrays(
        self, at: Millis, values: npt.NDArray[np.float64], events: Iterable[EventRow]
    ) -> None:
        """Add minutes that follow the last one: instants (ms), values (minutes x variables), and
        events."""
        count = self._count + len(at)
        while count > len(self._at):
            self._at = np.concatenate([self._at, np.empty_like(self._at)])
            self._values = np.concatenate([self._values, np.full_like(self._values, np.nan)])
        self._at[self._count : count] = at
        self._values[self._count : count] = values
        self._count = count
        self._events |= {(e.type, e.start): e for e in events}

    def load_since(self, start: datetime) -> tuple[Millis, npt.NDArray[np.float64], list[EventRow]]:
        """Return instants and values after an instant, and the events that end after it or still go
        on."""
        first, last = self._bounds(start, None)
        events = [e for e in self._events.values() if e.end is None or e.end >= start]
        return self._at[first:last].copy(), self._values[first:last].copy(), events

    def take_back(self, after: datetime) -> None:
        """Remove readings after an instant and events that start after it; a later end of an event
        is not known any more."""
        rest = int(np.searchsorted(self._at[: self._count], to_millis(after), side="right"))
        self._values[rest : self._count] = np.nan
        self._count = rest
        kept = {}
        for key, event in self._events.items():
            if event.start <= after:
                known = event.end is not None and event.end <= after
                kept[key] = (
                    event
                    if known
                    else EventRow(
                        event.asset, event.type, event.start, None, event.source, event.attributes
                    )
                )
        self._events = kept

    def values(self, variable: str, start: datetime, end: datetime) -> npt.NDArray[np.float64]:
        """Return the values of a variable in (start, end], one per minute; NaN where missing."""
        first, last = self._bounds(start, end)
        return self._values[first:last, self._column[variable]].copy()

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
        with_events: bool = True,
    ) -> History:
        first, last = self._bounds(start, end)
        index = pd.DatetimeIndex(
            self._at[first:last].view("datetime64[ms]"), name="ts"
        ).tz_localize("UTC")
        names = list(asset.variables if variables is None else variables)
        columns = {name: self._values[first:last, self._column[name]].copy() for name in names}
        return History(
            asset,
            pd.DataFrame(columns, index=index),
            self._find_events(end, events_since) if with_events else no_events(),
            EVENT_TYPES,
        )

    def _bounds(self, start: datetime | None, end: datetime | None) -> tuple[int, int]:
        at = self._at[: self._count]
        first = 0 if start is None else int(np.searchsorted(at, to_millis(start), side="right"))
        last = (
            self._count if end is None else int(np.searchsorted(at, to_millis(end), side="right"))
        )
        return first, max(first, last)

    def _find_events(self, end: datetime | None, since: datetime | None) -> pd.DataFrame:
        """Return the events that start at or before `end`; until `since` only the last of each
        type, and those that go on."""
        found = sorted(
            (e for e in self._events.values() if end is None or e.start <= end),
            key=lambda e: (e.start, e.type),
        )
        if since is not None:
            last = {e.type: e for e in found if e.start <= since}
            found = [
                e
                for e in found
                if e.start > since or e is last[e.type] or e.end is None or e.end > since
            ]
        if not found:
            return no_events()
        types = pd.Series([e.type for e in found], dtype=object)
        return pd.DataFrame(
            {
                "type": types,
                "start": _instants([e.start for e in found]),
                "end": _instants([e.end for e in found]),
            }
        )

    def load_histories(self, wanted: Sequence[WantedHistory], end: datetime) -> dict[str, History]:
        return load_each(self, wanted, end)

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        found = {}
        for w in wanted:
            history = self.load(self._asset, w.start, end, w.types)
            values = {
                name: column.to_numpy(np.float64) for name, column in history.readings.items()
            }
            found[w.asset] = ReadingColumns(
                millis(pd.DatetimeIndex(history.readings.index)),
                {str(n): v for n, v in values.items()},
            )
        return found

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        found = {
            name: self.load(asset, start, until, [name]).readings[name].dropna().iloc[-1:]
            for name, start in since.items()
        }
        return pd.DataFrame(found)

    def index_newest(self, variables: Iterable[str]) -> None:
        """Prepare nothing: every search looks at the whole array."""

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        at = self._at[: self._count]
        count = (
            len(at) if until is None else int(np.searchsorted(at, to_millis(until), side="right"))
        )
        newest = from_millis(int(at[count - 1])) if count else None
        is_wanted = assets is None or self._asset.name in assets
        return (
            {}
            if newest is None or not is_wanted
            else {self._asset.name: NewestReading(newest, newest)}
        )

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        if asset != self._asset.name or not self._count:
            return None
        ends = pd.DatetimeIndex(self._at[[0, self._count - 1]].view("datetime64[ms]")).tz_localize(
            "UTC"
        )
        last = ends[1].to_pydatetime()
        return ends[0].to_pydatetime(), last if until is None else min(last, until)


def _instants(values: Sequence[datetime | None]) -> pd.Series:
    return pd.to_datetime(pd.Series(np.array(values, dtype=object)), utc=True).dt.as_unit("ms")
