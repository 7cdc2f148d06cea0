"""Numbers of events, or of changes of a value, in the time up to an instant: (t - within, t].

A change is a value unlike the one before it, if that still counted. A number is known at t if the
readings that show it reach back without a gap to t - within; otherwise it is at least so large.
"""

from __future__ import annotations

from typing import Any

from alerting.deferred import np, npt
from alerting.readings.history import Millis


def changes_of(ts: Millis, values: npt.NDArray[Any], longest: int) -> Millis:
    """Return the instants (ms) at which values differ from the one before, which is at most
    `longest` old."""
    changed = (values[1:] != values[:-1]) & (np.diff(ts) <= longest)
    return ts[1:][np.asarray(changed, np.bool_)]


def unbroken_since(ts: Millis, longest: int) -> Millis:
    """Return, for each reading, since when none has come more than `longest` after the one
    before."""
    begins = np.append(True, np.diff(ts) > longest)[: len(ts)]
    return ts[np.maximum.accumulate(np.where(begins, np.arange(len(ts)), 0))]


def number_within(counted: Millis, at: Millis, within: int) -> npt.NDArray[np.float64]:
    """Return how many of these instants lie in (t - within, t], for each instant t."""
    ends = np.searchsorted(counted, at, side="right")
    return (ends - np.searchsorted(counted, at - within, side="right")).astype(np.float64)


def is_covered(heard: Millis, since: Millis, at: Millis, within: int) -> npt.NDArray[np.bool_]:
    """Return whether the readings at `heard`, unbroken `since`, reach back to t - within, for each
    instant t."""
    last = np.searchsorted(heard, at, side="right") - 1
    covered: npt.NDArray[np.bool_] = np.append(since, at.max(initial=0) + 1)[last] <= at - within
    return covered
