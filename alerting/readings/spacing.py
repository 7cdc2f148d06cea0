"""Times between the values of a variable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from alerting.deferred import np
from alerting.definitions.assets import Asset
from alerting.readings.cleaning import has_data
from alerting.readings.history import History, Millis, duration_millis, millis


def sampling_ms(name: str, histories: Sequence[History]) -> int | None:
    """Return the usual time (ms) between two values: from the asset's document, or else the median
    of the distances.

    None without both.
    """
    for history in histories:
        declared = declared_ms(name, history.asset)
        if declared:
            return declared
    found = distances(name, histories)
    return int(np.median(found)) if len(found) else None


def declared_ms(name: str, asset: Asset) -> int | None:
    """Return the usual time (ms) between values of a variable, as its document states."""
    declared = asset.variables.get(name)
    return duration_millis(declared.sampling) if declared and declared.sampling else None


def distances(name: str, histories: Sequence[History]) -> Millis:
    """Return the times (ms) between neighbouring values of a variable on all assets."""
    return np.concatenate(
        [np.empty(0, np.int64), *(np.diff(value_times(h, name)) for h in histories)]
    )


def value_times(history: History, name: str) -> Millis:
    """Return the instants (ms) at which a variable has a value within its engineering range."""
    return millis(history.readings.index)[has_data(history, name)]


class UsualDistance:
    """The median of times (ms) between neighbouring values, of instants added in pieces."""

    def __init__(self) -> None:
        self._last: Millis = np.empty(0, np.int64)
        self._counts = Counter[int]()

    def add(self, times: Millis) -> None:
        """Add the next instants, which are later than those before."""
        times = np.concatenate([self._last, times])
        lengths, counts = np.unique(np.diff(times), return_counts=True)
        self._counts.update(dict(zip(lengths.tolist(), counts.tolist(), strict=True)))
        self._last = times[-1:]

    def median(self) -> int | None:
        """Return the median as `sampling_ms` finds it; None of fewer than two instants."""
        if not self._counts:
            return None
        lengths = sorted(self._counts)
        until = np.cumsum([self._counts[length] for length in lengths])
        middle = [
            lengths[int(np.searchsorted(until, rank, side="right"))]
            for rank in ((until[-1] - 1) // 2, until[-1] // 2)
        ]
        return int(sum(middle) / 2)
