"""Lives of a part on each asset: they end with a failure, or with a planned replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from alerting.deferred import np, npt
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
    """Return the lives in a history, sorted by their ends. A replacement within one horizon after a
    failure is its repair, which ends no life."""
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


LIFE_SHARES = (1 / 30, 1 / 5)  # of the usual life, which the windows of a part fit
_LONGEST_MS = 72 * 3_600_000
_MOST_READINGS = 20_000  # in a window longer than that, since every evaluation reads them
# Every evaluation reads the newest window and the first one of the life, 16 MB together.
_MOST_VALUES = 1_000_000


def life_windows(
    ends: LifeEnds | None,
    histories: Sequence[History],
    stride_ms: int,
    sampling_ms: int,
    numbers: int,
) -> tuple[int, ...]:
    """Return windows (ms, increasing, whole strides) that fit the usual time from one failure or
    replacement to the next failure; empty if none is known. `sampling_ms`: of the variable with
    most readings; `numbers`: how many variables are read together."""
    if ends is None:
        return ()
    lengths: list[int] = []
    for history in histories:
        lives = find_lives(ends, history)
        begins = np.unique(lives.begin)
        number = np.searchsorted(begins, lives.end[lives.failed])
        lengths += (begins[number[number > 0]] - begins[number[number > 0] - 1]).tolist()
    if not lengths:
        return ()
    longest = max(_LONGEST_MS, _MOST_READINGS * sampling_ms)
    if sampling_ms:
        longest = min(longest, _MOST_VALUES * sampling_ms // numbers)
    windows = (min(share * float(np.median(lengths)), longest) for share in LIFE_SHARES)
    return tuple(sorted({max(1, round(window / stride_ms)) * stride_ms for window in windows}))


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
