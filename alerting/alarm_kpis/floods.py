"""Floods of alarms, after ISA-18.2 and EEMUA 191: ten-minute periods, begin and end of a flood.

Alarm metrics, reports, backtests and the alarm budget count floods here, and under one setting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.deferred import np
from alerting.definitions.upkeep import NO_GATE
from alerting.readings.history import Millis, duration_millis, to_millis

PERIOD = timedelta(minutes=10)
ABOVE = NO_GATE.flood_above  # default without a setting


@dataclass(frozen=True)
class FloodInterval:
    """Interval from a period above a flood's start to before one below its end."""

    start: datetime
    end: datetime
    alarms: int
    peak: int


def ends_below(above: int) -> int:
    """Return below how many alarms a flood ends: half of what begins it, at least one."""
    return max(above // 2, 1)


def count_by_period(
    at: Iterable[datetime], start: datetime, end: datetime, period: timedelta = PERIOD
) -> Millis:
    """Return the alarms in each period of [start, end); the last one may be shorter."""
    begin = to_millis(start)
    width = duration_millis(period)
    number = max(-(-(to_millis(end) - begin) // width), 0)
    indices = [index for t in at if 0 <= (index := (to_millis(t) - begin) // width) < number]
    return np.bincount(np.array(indices, np.int64), minlength=number).astype(np.int64)


def find_floods(
    counts: Millis, start: datetime, above: int = ABOVE, below: int | None = None
) -> tuple[FloodInterval, ...]:
    """Return the floods: from above one to below another of the periods' `counts`."""
    least = ends_below(above) if below is None else below
    floods: list[FloodInterval] = []
    began: int | None = None
    for i, count in enumerate([*counts.tolist(), -1]):
        if began is None and count > above:
            began = i
        elif began is not None and count < least:
            inside = counts[began:i]
            floods.append(
                FloodInterval(
                    start + began * PERIOD, start + i * PERIOD, int(inside.sum()), int(inside.max())
                )
            )
            began = None
    return tuple(floods)


def time_in_flood(floods: Sequence[FloodInterval], periods: int) -> float:
    """Return the share of ten-minute periods in a flood. `periods`: of all."""
    return sum((f.end - f.start for f in floods), timedelta(0)) / (max(periods, 1) * PERIOD)
