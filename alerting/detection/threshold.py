"""Threshold kind: every reading is judged against its limits, and holds until the next one or until it is stale."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.definitions.model import ThresholdDefinition
from alerting.detection.evaluation import Side, Status, Stretch
from alerting.readings.history import History, Millis, from_millis, millis, span_millis, to_millis

_SIDES: tuple[tuple[int, Side | None], ...] = ((1, "above"), (2, "below"), (0, None))


@dataclass(frozen=True)
class Carried:
    """The last reading judged: it holds until the next one. `side` is the limit it is beyond, None within limits."""

    at: datetime
    value: float
    side: Side | None


@dataclass(frozen=True)
class Judged:
    """Stretches from the watermark to `until` without a hole, and the reading that holds from there on."""

    stretches: list[Stretch]
    carried: Carried | None


def judge(definition: ThresholdDefinition, history: History, carried: Carried | None, after: datetime, until: datetime) -> Judged:
    """Judge every reading in (after, until], continuing from the reading carried over from before.

    A missing value (NaN) is no reading. A reading holds until the next one, at most `stale_after`; after that the status is
    unknown until the next reading. The bounds are whole milliseconds; the stretches cover (after, until] without a hole.
    """
    ts, values = _readings(definition.variable, history, after, until)
    if carried is not None:
        ts = np.concatenate(([to_millis(carried.at)], ts))
        values = np.concatenate(([carried.value], values))
    begin, end = to_millis(after) + 1, to_millis(until) + 1
    if not len(ts):
        return Judged([_stretch(begin, end, "unknown")], None)
    sides = _sides(definition, values, carried.side if carried else None)
    last = Carried(from_millis(int(ts[-1])), float(values[-1]), dict(_SIDES)[int(sides[-1])])
    return Judged(_stretches(ts, sides != 0, span_millis(definition.stale_after), begin, end), last)


def _readings(variable: str, history: History, after: datetime, until: datetime) -> tuple[Millis, npt.NDArray[np.float64]]:
    if variable not in history.readings:
        return np.empty(0, np.int64), np.empty(0, np.float64)
    series = history.readings[variable].dropna()
    ts = millis(pd.DatetimeIndex(series.index))
    inside = (ts > to_millis(after)) & (ts <= to_millis(until))
    return ts[inside], series.to_numpy(np.float64)[inside]


def _sides(definition: ThresholdDefinition, values: npt.NDArray[np.float64], before: Side | None) -> npt.NDArray[np.int8]:
    """1 above, 2 below, 0 within, per value; between limit and clear limit the side before is kept (hysteresis)."""
    above = _beyond(values, definition.above, definition.clear_above_at, before == "above")
    below = _beyond(-values, _negative(definition.below), _negative(definition.clear_below_at), before == "below")
    return np.where(above, 1, np.where(below, 2, 0)).astype(np.int8)


def _negative(limit: float | None) -> float | None:
    return None if limit is None else -limit


def _beyond(values: npt.NDArray[np.float64], limit: float | None, clear_at: float | None, before: bool) -> npt.NDArray[np.bool_]:
    if limit is None:
        return np.zeros(len(values), np.bool_)
    beyond = values > limit
    decided = beyond | (values <= (limit if clear_at is None else clear_at))
    last_decided = np.maximum.accumulate(np.where(decided, np.arange(len(values)), -1))
    return np.where(last_decided < 0, before, beyond[np.maximum(last_decided, 0)])


def _stretches(ts: Millis, triggered: npt.NDArray[np.bool_], stale: int, begin: int, end: int) -> list[Stretch]:
    """Merge readings of equal status; a hole longer than `stale` becomes an unknown stretch."""
    following = np.append(ts[1:], end)
    held_until = np.minimum(following, ts + stale)
    stretches: list[Stretch] = []
    if ts[0] > begin:
        stretches.append(_stretch(begin, int(ts[0]), "unknown"))
    breaks = np.flatnonzero((triggered[1:] != triggered[:-1]) | (held_until[:-1] < following[:-1])) + 1
    for first, stop in zip([0, *breaks.tolist()], [*breaks.tolist(), len(ts)], strict=True):
        start, held = max(int(ts[first]), begin), int(held_until[stop - 1])
        if held > start:
            stretches.append(_stretch(start, held, "triggered" if triggered[first] else "clear"))
        gap_start, gap_end = max(held, begin), int(following[stop - 1])
        if gap_end > gap_start:
            stretches.append(_stretch(gap_start, gap_end, "unknown"))
    return stretches


def _stretch(start: int, end: int, status: Status) -> Stretch:
    return Stretch(from_millis(start), from_millis(end), status)
