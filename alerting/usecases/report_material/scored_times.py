"""The times without a score: a model did not know the state there."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt

from alerting.alarm_kpis.intervals import Interval
from alerting.deferred import pd
from alerting.definitions.model import Definition
from alerting.kinds.registry import has_score_each_stride
from alerting.readings.history import Millis, from_millis, millis, to_millis


def unscored_times(
    definition: Definition, scores: pd.DataFrame, asset: str, start: datetime, end: datetime
) -> tuple[Interval, ...] | None:
    """Return the times of (start, end] in which an asset has no score of a model that gives one
    each stride; None of other definitions, and without any score.

    A score is the state until the next one is due, as a training counts its rows. The time before
    the first one, up to a stride, is that of the stride under way at `start`.
    """
    if not has_score_each_stride(definition):
        return None
    own = scores[scores["asset"] == asset].sort_values("ts", kind="stable")
    if own.empty:
        return None
    at = millis(pd.DatetimeIndex(own["ts"]))
    known_until = np.maximum.accumulate(at + _strides(at, own["model_version"].to_numpy()))
    first = to_millis(start)
    if at[0] - first <= known_until[0] - at[0]:
        first = int(at[0])
    begins = [first, *known_until.tolist()]
    return tuple(
        (from_millis(a), from_millis(b))
        for a, b in zip(begins, [*at.tolist(), to_millis(end)], strict=True)
        if a < b
    )


def without_end(
    interval: Interval, gaps: tuple[Interval, ...]
) -> tuple[Interval, tuple[Interval, ...]]:
    """Return the interval without a gap at its end, and the others."""
    if gaps and gaps[-1][1] == interval[1]:
        return (interval[0], gaps[-1][0]), gaps[:-1]
    return interval, gaps


def _strides(at: Millis, version: npt.NDArray[np.int64]) -> Millis:
    """Return the stride (ms) of each score: the shortest time between two of its version."""
    stride = np.zeros(len(at), np.int64)
    for one in np.unique(version):
        own = version == one
        stride[own] = np.diff(at[own]).min() if own.sum() > 1 else 0
    return np.where(stride == 0, stride.max(), stride)
