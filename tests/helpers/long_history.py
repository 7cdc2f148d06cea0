"""Long histories whose readings are in memory."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from alerting.readings.history import History, LongHistory, millis


def in_memory(history: History, rows: int = 100_000) -> LongHistory:
    """Return a history in memory as a long history with pieces of so many rows."""
    readings = history.readings
    ts = millis(pd.DatetimeIndex(history.readings.index))

    def read(names: Sequence[str], start: int, end: int) -> pd.DataFrame:
        first, last = np.searchsorted(ts, [start, end], side="right")
        return readings[list(names)].iloc[int(first) : int(last)]

    ends = [int(ts[min(first + rows, len(ts)) - 1]) for first in range(0, len(ts), rows)]
    return LongHistory(
        replace(history, readings=readings.iloc[:0]), tuple(map(str, readings)), ends, read
    )
