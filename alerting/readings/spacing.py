"""Times between the values of a variable."""

from collections.abc import Sequence

import numpy as np

from alerting.readings.cleaning import present
from alerting.readings.history import History, Millis, duration_millis, millis


def sampling_ms(name: str, histories: Sequence[History]) -> int | None:
    """Return the usual time (ms) between two values: from the asset's document, or else the median of the distances.

    None without both.
    """
    for history in histories:
        declared = history.asset.variables.get(name)
        if declared and declared.sampling:
            return duration_millis(declared.sampling)
    found = distances(name, histories)
    return int(np.median(found)) if len(found) else None


def distances(name: str, histories: Sequence[History]) -> Millis:
    """Return the times (ms) between neighbouring values of a variable on each asset, of all assets together."""
    return np.concatenate([np.empty(0, np.int64), *(np.diff(value_times(h, name)) for h in histories)])


def value_times(history: History, name: str) -> Millis:
    """Return the instants (ms) at which a variable has a value within its engineering range."""
    return millis(history.readings.index)[present(history, name)]  # type: ignore[arg-type]
