"""The alarms that a definition without a model would have raised in the past, by the functions that
evaluate live, and the readings of previews, held in memory for a while. Nothing is stored.

A held series is read in parts, with progress: another preview of the same times reads nothing. It
is found again by asset, variables and times, and by its newest reading, which is asked for through
the port of whoever previews: a person who may not read an asset finds no series of it. What arrives
late before the newest reading is not in a held series, so a preview states at what time its
readings were read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock

import numpy as np

from alerting.deferred import pd
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError
from alerting.ports import NewestReading, Progress, ReadingColumns, Readings, Wanted
from alerting.readings.history import Doubts, History, events_between, join_instants, to_millis

MOST_CACHED_BYTES = 256 << 20
CACHED_S = 600.0
PART = timedelta(days=1)
"""Time of readings that are read at once."""


@dataclass(frozen=True)
class CachedSeries:
    """Readings of an asset in (start, end] and its events up to `end`, as read at `read_at`.

    `newest`: the asset's newest reading up to `end` at that time.
    """

    start: datetime
    end: datetime
    names: frozenset[str]
    history: History
    newest: NewestReading
    read_at: datetime

    @property
    def size(self) -> int:
        """Return the bytes of instants and values."""
        return int(self.history.readings.memory_usage().sum())

    def covers(self, asset: Asset, start: datetime, end: datetime, names: Collection[str]) -> bool:
        """Return whether it holds these readings of an asset as that is declared."""
        return (
            asset == self.history.asset
            and self.start <= start
            and self.end >= end
            and self.names.issuperset(names)
        )

    def part(self, start: datetime, end: datetime, names: Sequence[str]) -> History:
        """Return readings of (start, end], with all events up to `end`, as `Readings.load`."""
        frame = self.history.readings
        ts = pd.DatetimeIndex(frame.index).asi8
        first, last = np.searchsorted(ts, [to_millis(start), to_millis(end)], side="right")
        return replace(
            self.history,
            readings=frame.iloc[first:last][list(names)],
            events=events_between(self.history, None, to_millis(end)),
        )


class SeriesCache:
    """Held series of all previews of a process: at most `most_bytes`, each for `cached_s` seconds.
    The oldest give way; a larger one is not held."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        most_bytes: int = MOST_CACHED_BYTES,
        cached_s: float = CACHED_S,
    ) -> None:
        """`monotonic`: a clock in seconds."""
        self._most_bytes = most_bytes
        self._cached_s = cached_s
        self._monotonic = monotonic
        self._lock = Lock()
        self._cached: list[tuple[float, CachedSeries]] = []

    @property
    def bytes_used(self) -> int:
        """Return the bytes of all series that are held now."""
        with self._lock:
            self._drop_old()
            return sum(one.size for _, one in self._cached)

    def find(
        self,
        asset: Asset,
        start: datetime,
        end: datetime,
        names: Collection[str],
        newest: NewestReading,
    ) -> CachedSeries | None:
        """Return a series with these readings, None unless the newest reading is still the same."""
        with self._lock:
            self._drop_old()
            return next(
                (
                    one
                    for _, one in self._cached
                    if one.covers(asset, start, end, names) and one.newest == newest
                ),
                None,
            )

    def hold(self, series: CachedSeries) -> None:
        """Hold a series, in place of those that it contains, and of the oldest if need be."""
        with self._lock:
            self._drop_old()
            self._cached = [
                (until, one)
                for until, one in self._cached
                if not series.covers(one.history.asset, one.start, one.end, one.names)
            ]
            if series.size > self._most_bytes:
                return
            while sum(one.size for _, one in self._cached) + series.size > self._most_bytes:
                del self._cached[0]
            self._cached.append((self._monotonic() + self._cached_s, series))

    def drop_old(self) -> bool:
        """Drop what was held long enough; return whether anything is left."""
        with self._lock:
            self._drop_old()
            return bool(self._cached)

    def _drop_old(self) -> None:
        now = self._monotonic()
        self._cached = [(until, one) for until, one in self._cached if until > now]


class CountedReadings:
    """Loads from port `Readings` up to a number of readings in all. Raises UserError beyond it."""

    def __init__(self, live: Readings, most: int, require_time: Callable[[], None]) -> None:
        self._live = live
        self._left = most
        self._most = most
        self._require_time = require_time

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
        with_events: bool = True,
    ) -> History:
        """Return what the port loads."""
        self._require_time()
        found = self._live.load(asset, start, end, variables, events_since, with_events)
        self._left -= len(found.readings)
        if self._left < 0:
            raise UserError(
                f"this preview needs more than {self._most} readings; choose a shorter period or "
                "fewer assets, or run `alerting backtest`"
            )
        return found


class CachedReadings(Readings):
    """Port `Readings` of one preview over about (start, end].

    What covers at least half of that time is read whole and held; other requests are answered from
    what is held, or from the live port. `read_at`: when the oldest of the used readings were read.
    """

    def __init__(
        self,
        live: Readings,
        store: SeriesCache,
        period: tuple[datetime, datetime],
        now: datetime,
        most: int,
        require_time: Callable[[], None],
        progress: Progress,
    ) -> None:
        self._live = live
        self._counted = CountedReadings(live, most, require_time)
        self._store = store
        self._least = (period[1] - period[0]) / 2
        self._now = now
        self._progress = progress
        self._used: list[CachedSeries] = []
        self._steps = 1
        self._done = 0

    @property
    def read_at(self) -> datetime:
        """Return when the oldest readings that this preview has used were read."""
        return min((one.read_at for one in self._used), default=self._now)

    def hold_no_more(self) -> None:
        """From now on read what is not held from the live port, and hold nothing of it."""
        self._least = timedelta.max

    def expect(self, series: int) -> None:
        """State how many series this preview needs, of which progress is a share."""
        self._steps = max(series, 1)

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
        with_events: bool = True,
    ) -> History:
        names = list(asset.variables if variables is None else variables)
        if start is None or end is None:
            return self._counted.load(asset, start, end, names, events_since, with_events)
        found = next((one for one in self._used if one.covers(asset, start, end, names)), None)
        if found is None and names and end - start >= self._least:
            found = self.hold(asset, start, end, names)
        if found is None:
            return self._counted.load(asset, start, end, names, events_since, with_events)
        history = found.part(start, end, names)
        if events_since is None:
            return history
        events = events_between(history, to_millis(events_since), to_millis(end))
        return replace(history, events=events)

    def hold(
        self, asset: Asset, start: datetime, end: datetime, names: Sequence[str]
    ) -> CachedSeries | None:
        """Return a series from the store, else read it; None of an asset without readings."""
        used = next((one for one in self._used if one.covers(asset, start, end, names)), None)
        if used is not None:
            return used
        newest = self._live.newest_readings(until=end, assets=[asset.name]).get(asset.name)
        if newest is None:
            return None
        found = self._store.find(asset, start, end, names, newest)
        if found is None:
            found = CachedSeries(
                start,
                end,
                frozenset(names),
                self._read(asset, start, end, names),
                newest,
                self._now,
            )
            self._store.hold(found)
        self._used.append(found)
        self._done += 1
        return found

    def _read(self, asset: Asset, start: datetime, end: datetime, names: Sequence[str]) -> History:
        parts: list[History] = []
        count = max(-(-(end - start) // PART), 1)
        for number in range(count):
            begin = start + number * PART
            stop = min(begin + PART, end)
            share = (min(self._done, self._steps - 1) * count + number, self._steps * count)
            self._progress("reading", *share)
            since = None if number == count - 1 else stop
            parts.append(self._counted.load(asset, begin, stop, names, since))
        frames = [one.readings for one in parts if len(one.readings)]
        return replace(
            parts[-1],
            readings=pd.concat(frames) if frames else parts[-1].readings,
            doubts=Doubts(
                join_instants([one.doubts.bad for one in parts]),
                join_instants([one.doubts.uncertain for one in parts]),
            ),
        )

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        return self._live.load_many(wanted, end)

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        return self._live.newest_values(asset, since, until)

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        return self._live.newest_readings(until, assets)

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        return self._live.span(asset, until)
