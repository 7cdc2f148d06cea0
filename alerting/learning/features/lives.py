"""Lives of a part on each asset: they end with a failure, or with a planned replacement."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.definitions.alert_definition import LifeEnds
from alerting.detection.problem_occurrences import match_names
from alerting.readings.history import (
    BoolArray,
    Floats,
    History,
    Millis,
    event_delays,
    millis,
)


class Lives(NamedTuple):
    """Ends of lives on one asset (ms, increasing), and which of them are failures. `begin`: all
    failures and replacements, repairs too; `known_at`: from when on (ms) each of these is known."""

    end: Millis
    failed: BoolArray
    begin: Millis
    known_at: Millis


def find_lives(ends: LifeEnds, history: History) -> Lives:
    """Return the lives in a history. A replacement within one horizon after a failure is its
    repair, which ends no life."""
    types = history.events["type"].to_numpy()
    is_failure = np.isin(types, match_names(types, [ends.failure]))
    planned = match_names(types, [ends.replaced_by] if ends.replaced_by else [])
    chosen = np.flatnonzero(is_failure | np.isin(types, planned))
    begin = millis(history.events["start"])[chosen]
    known_at = begin + event_delays(history)[chosen]
    end = np.unique(begin)
    failed = np.isin(end, begin[is_failure[chosen]])
    last = np.append(end[failed], 0)[np.cumsum(failed) - 1]
    is_repair = ~failed & (np.cumsum(failed) > 0) & (end - last < ends.horizon_ms)
    return Lives(end[~is_repair], failed[~is_repair], begin, known_at)


def ages(lives: Lives, at: Millis) -> Floats:
    """Return the time (ms) since the last failure or replacement that is known at each instant, NaN
    without one."""
    order = np.argsort(lives.known_at, kind="stable")
    latest = np.append(0, np.maximum.accumulate(lives.begin[order]))
    which = np.searchsorted(lives.known_at[order], at, side="right")
    return np.where(which > 0, at - latest[which], np.nan)


def lives_of_rows(
    ends: LifeEnds | None, histories: Sequence[History], at: Millis, asset: npt.NDArray[np.object_]
) -> Floats:
    """Return of each row the columns of `row_lives`; the rows are sorted by asset as the histories.
    Without columns if no remaining life is asked for."""
    if ends is None:
        return np.empty((len(at), 0))
    return np.concatenate([row_lives(ends, h, at[asset == h.asset.name]) for h in histories])


def row_lives(ends: LifeEnds, history: History, at: Millis) -> Floats:
    """Return, at these instants (ms), as columns: the age of the part; the time left to the end of
    its life, or to the last reading; 1 if the life ends there with a failure, else 0; the number of
    the life."""
    lives = find_lives(ends, history)
    number = np.searchsorted(lives.end, at, side="right")
    until = np.append(lives.end, millis(history.readings.index)[-1:].max(initial=0))[number]
    failed = np.append(lives.failed, False)[number]
    return np.column_stack([ages(lives, at), np.maximum(until - at, 0), failed, number])


def mean_by_life(life: npt.NDArray[np.int64], values: npt.NDArray[np.generic]) -> Floats:
    """Return the mean of the values of each life, by the number of the life of each value."""
    _, number, count = np.unique(life, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(number, values) / count, np.float64)
