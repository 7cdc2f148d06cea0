"""Lives of a part on each asset: they end with a failure, or with a planned replacement."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.definitions.alert_definition import LifeEnds
from alerting.detection.problem_occurrences import match_names
from alerting.readings.history import Floats, History, Millis, duration_millis, millis


class Lives(NamedTuple):
    """Ends of lives on one asset (ms, increasing), which of them are failures, and from when on
    (ms) each is known."""

    end: Millis
    failed: Floats
    known_at: Millis


class RowLives(NamedTuple):
    """Lives of rows, as columns. `age`: ms since the last end that was known, NaN without one.
    `time_left`: ms to the end of the life, or to the last reading. `failed`: 1 if the life ends
    there with a failure, else 0. `life`: number of the life on its asset."""

    age: Floats
    time_left: Floats
    failed: Floats
    life: Floats


def find_lives(ends: LifeEnds, history: History) -> Lives:
    """Return the ends of lives in a history. A replacement within one horizon after a failure is
    its repair."""
    types = history.events["type"].to_numpy()
    start = millis(history.events["start"])
    failures = match_names(types, [ends.failure])
    planned = [] if ends.replaced_by is None else match_names(types, [ends.replaced_by])
    delays = {t.name: duration_millis(t.delay) for t in history.event_types}
    failed = np.isin(types, failures)
    chosen = np.flatnonzero(failed | np.isin(types, planned))
    chosen = chosen[np.lexsort((~failed[chosen], start[chosen]))]
    end = start[chosen]
    is_failure = failed[chosen]
    last = np.maximum.accumulate(np.where(is_failure, end, -(2**62))) if len(end) else end
    repairs = ~is_failure & (end - last < duration_millis(ends.horizon))
    same = np.append(False, is_failure[1:] & (end[1:] == end[:-1]))[: len(end)]
    counted = ~repairs & ~same
    late = np.array([delays.get(name, 0) for name in types[chosen]], np.int64)
    return Lives(end[counted], is_failure[counted].astype(np.float64), (end + late)[counted])


def ages(lives: Lives, at: Millis) -> Floats:
    """Return the time (ms) since the last end of a life that is known at each instant, NaN without
    one."""
    order = np.argsort(lives.known_at, kind="stable")
    latest = np.maximum.accumulate(lives.end[order]) if len(order) else lives.end
    which = np.searchsorted(lives.known_at[order], at, side="right")
    return np.where(which > 0, at - np.append(0, latest)[which], np.nan)


def lives_of_rows(
    ends: LifeEnds | None, histories: Sequence[History], at: Millis, asset: npt.NDArray[np.object_]
) -> Floats:
    """Return the columns of `RowLives` of rows, which are sorted by asset as the histories; without
    columns if no remaining life is asked for."""
    if ends is None:
        return np.empty((len(at), 0))
    return np.concatenate([row_lives(ends, h, at[asset == h.asset.name]) for h in histories])


def row_lives(ends: LifeEnds, history: History, at: Millis) -> Floats:
    """Return the columns of `RowLives` at these instants (ms), as a matrix."""
    lives = find_lives(ends, history)
    following = np.searchsorted(lives.end, at, side="right")
    readings = millis(history.readings.index)
    until = np.append(lives.end, readings[-1] if len(readings) else 0)[following]
    failed = np.append(lives.failed, 0.0)[following]
    time_left = np.maximum(until - at, 0).astype(np.float64)
    number = following.astype(np.float64)
    return np.column_stack(RowLives(ages(lives, at), time_left, failed, number))
