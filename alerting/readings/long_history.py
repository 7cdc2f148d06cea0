"""A history larger than memory: read piece by piece, or a few variables at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from alerting.deferred import pd
from alerting.definitions.assets import Asset
from alerting.readings.history import History, Millis, millis

_EVER = np.iinfo(np.int64)


@dataclass(frozen=True)
class LongHistory:
    """Data of one asset over some interval. `head`: all but its readings; `variables`: of which
    there are readings.

    `ends`: the last instant (ms) of each piece, increasing; a piece has at most some 100,000
    readings.
    """

    head: History
    variables: tuple[str, ...]
    ends: Sequence[int]
    # variables with start < ts <= end (ms), as a frame with the conventions of `History`
    read: Callable[[Sequence[str], int, int], pd.DataFrame]

    @property
    def asset(self) -> Asset:
        """Return the asset."""
        return self.head.asset

    def load_interval(self, start: int, end: int, names: Sequence[str] | None = None) -> History:
        """Return the history with readings, start < ts <= end (ms), of these variables."""
        there = [name for name in self.variables if names is None or name in names]
        return replace(self.head, readings=self.read(there, start, end))

    def load_all(self, names: Sequence[str] | None = None) -> History:
        """Return the history with all readings of these variables: only for few ones."""
        return self.load_interval(_EVER.min, _EVER.max, names)

    def pieces(self, names: Sequence[str] | None = None) -> Iterator[History]:
        """Yield the history piece by piece, with the readings of these variables."""
        for start, end in pairwise([_EVER.min, *self.ends]):
            yield self.load_interval(start, end, names)


def in_memory(history: History, rows: int = 100_000) -> LongHistory:
    """Return a history that is in memory as one of pieces of so many rows."""
    readings = history.readings
    ts = millis(pd.DatetimeIndex(history.readings.index))

    def read(names: Sequence[str], start: int, end: int) -> pd.DataFrame:
        first, last = np.searchsorted(ts, [start, end], side="right")
        return readings[list(names)].iloc[int(first) : int(last)]

    ends = [int(ts[min(first + rows, len(ts)) - 1]) for first in range(0, len(ts), rows)]
    return LongHistory(
        replace(history, readings=readings.iloc[:0]), tuple(map(str, readings)), ends, read
    )


def split_instants(history: LongHistory, at: Millis, least: int) -> Iterator[slice]:
    """Yield runs of increasing instants (ms) of some pieces, `least` ms long at least."""
    first = 0
    for end in history.ends:
        last = int(np.searchsorted(at, end, side="right"))
        if last > first and end - int(at[first]) >= least:
            yield slice(first, last)
            first = last
    if first < len(at):
        yield slice(first, len(at))
