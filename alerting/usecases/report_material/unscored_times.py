"""The times without a score: a model did not know the state there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np
import numpy.typing as npt

from alerting.alarm_kpis.intervals import Interval
from alerting.deferred import pd
from alerting.definitions.model import Definition
from alerting.episodes.episode import Episode
from alerting.kinds.registry import has_score_each_stride
from alerting.ports import Document
from alerting.readings.history import Millis, from_millis, millis, to_millis


def unscored_times(
    definition: Definition, scores: pd.DataFrame, asset: str, start: datetime, end: datetime
) -> tuple[Interval, ...] | None:
    """Return the times of (start, end] in which an asset has no score of a model that gives one
    each stride; None of other definitions, and of one without an alarm.

    A score is the state until the next one is due, as a training counts its rows. The time before
    the first one, up to a stride, is that of the stride under way at `start`.
    """
    if not has_score_each_stride(definition) or not definition.has_alarm:
        return None
    own = scores[scores["asset"] == asset].sort_values("ts", kind="stable")
    if own.empty:
        return ((start, end),)
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


def raised_unscored(
    definition: Definition, episodes: Iterable[Episode], stored: Iterable[Document]
) -> frozenset[str]:
    """Return the ids of the episodes that were raised before their asset's first stored score of
    the period, of a model that gives one each stride: those of their time are deleted."""
    if not has_score_each_stride(definition):
        return frozenset()
    first: dict[str, datetime] = {}
    for row in stored:
        first[row["asset"]] = min(row["ts"], first.get(row["asset"], row["ts"]))
    return frozenset(e.id for e in episodes if e.asset not in first or e.raised_at < first[e.asset])


def without_end(
    interval: Interval, gaps: tuple[Interval, ...]
) -> tuple[Interval, tuple[Interval, ...]]:
    """Return the interval without a gap at its end, and the others."""
    if gaps and gaps[-1][1] == interval[1]:
        return (interval[0], gaps[-1][0]), gaps[:-1]
    return interval, gaps


def leave_out_deleted(
    evaluated: dict[str, Interval], gaps: dict[str, tuple[Interval, ...]], assets: Iterable[str]
) -> None:
    """Let the evaluated interval of assets begin after a gap at its begin: their scores are deleted
    there, and no data were missing."""
    for asset in assets:
        first = gaps.get(asset, ())[:1]
        if asset in evaluated and first and first[0][0] == evaluated[asset][0]:
            evaluated[asset] = (first[0][1], evaluated[asset][1])
            gaps[asset] = gaps[asset][1:]


def _strides(at: Millis, version: npt.NDArray[np.int64]) -> Millis:
    """Return the stride (ms) of each score: the shortest time between two of its version."""
    stride = np.zeros(len(at), np.int64)
    for one in np.unique(version):
        own = version == one
        stride[own] = np.diff(at[own]).min() if own.sum() > 1 else 0
    return np.where(stride == 0, stride.max(), stride)
