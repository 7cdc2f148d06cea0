"""How far apart the values of a variable come."""

from collections.abc import Sequence

import numpy as np

from alerting.readings.cleaning import present
from alerting.readings.history import History, Millis, millis, span_millis


def sampling_ms(name: str, histories: Sequence[History]) -> int | None:
    """The usual time between two values: as the asset's document says, or the median of the distances; None when nobody knows."""
    for history in histories:
        declared = history.asset.variables.get(name)
        if declared and declared.sampling:
            return span_millis(declared.sampling)
    found = distances(name, histories)
    return int(np.median(found)) if len(found) else None


def distances(name: str, histories: Sequence[History]) -> Millis:
    """Times (ms) between neighbouring values of a variable on one asset, of all assets."""
    return np.concatenate([np.empty(0, np.int64), *(np.diff(value_times(h, name)) for h in histories)])


def value_times(history: History, name: str) -> Millis:
    """At which instants (ms) a variable has a value within its engineering range."""
    return millis(history.readings.index)[present(history, name)]  # type: ignore[arg-type]
