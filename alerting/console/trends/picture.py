"""Lanes of a trend as SVG shapes, drawn by the server: for the first paint, and where no script
runs.

Positions are in percent, paths in a square of 1000, which is stretched to any width and height.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from alerting.deferred import np
from alerting.definitions.wording.language import Language, Styled
from alerting.readings.rollups import Interval
from alerting.usecases.trends.series import VariableSeries

SIDE = 1000.0
_TICKS = 6
_FEW = 60
"""Readings of which each has a dot, and holds until the next one."""
_STEPS_S = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(86400, 172800, 345600, 604800, 1209600, 2419200, 4838400, 9676800),
)
Shape = dict[str, Any]


class MarkedTime(NamedTuple):
    """A time that is marked: an alarm, an event, or a label, in the lanes of these variables (none:
    in all)."""

    kind: str
    title: str
    start: datetime
    end: datetime
    link: str = ""
    variables: tuple[str, ...] = ()


class ShownTime(NamedTuple):
    """The shown time."""

    start: datetime
    end: datetime

    def x(self, at: float) -> float:
        """Return the place of an instant (s since 1970) from 0 to 1, within the picture."""
        first = self.start.timestamp()
        return min(max((at - first) / (self.end.timestamp() - first), 0.0), 1.0)


def lane(
    series: VariableSeries, span: ShownTime, levels: Sequence[float], language: Language
) -> Shape:
    """Return the shapes of one variable: the area from lowest to highest value, the line of means
    or readings, gaps, grid and levels."""
    low, high = _value_range([series], levels)

    def y(value: float) -> float:
        return round(SIDE * (high - value) / (high - low), 1)

    is_raw = bool(np.array_equal(series.low, series.high, equal_nan=True))
    parts = list(_parts(series))
    is_few = is_raw and sum(map(len, parts)) <= _FEW
    return {
        "area": "" if is_raw else "".join(_area(part, span, y) for part in parts),
        "line": "".join(_line(part, span, y, is_stepped=is_few) for part in parts),
        "dots": [
            (round(100 * span.x(row.at), 2), round(y(row.mean) / SIDE * 100, 1))
            for part in parts
            for row in part
            if is_few
        ],
        "gaps": _positions(series.gaps, span),
        "bad": _positions(series.bad, span),
        "grid": [
            (round(y(v) / SIDE * 100, 1), language.show(Styled(v, "g"))) for v in grid(low, high)
        ],
        "levels": [
            (round(y(v) / SIDE * 100, 1), language.show(Styled(v, "g")))
            for v in levels
            if low <= v <= high
        ],
    }


def marks_shape(bands: Iterable[MarkedTime], span: ShownTime) -> list[Shape]:
    """Return the places of marked times."""
    return [
        {
            **_position(span, b.start.timestamp(), b.end.timestamp()),
            "kind": b.kind,
            "title": b.title,
            "variables": b.variables,
        }
        for b in bands
    ]


def ticks(span: ShownTime, zone: tzinfo, language: Language) -> list[tuple[float, str]]:
    """Return round local times with their places in percent, the date where a day begins."""
    seconds = (span.end - span.start).total_seconds()
    step = next((s for s in _STEPS_S if seconds / s <= _TICKS), _STEPS_S[-1])
    local = span.start.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + timedelta(seconds=step) * -(-(local - midnight) // timedelta(seconds=step))
    found: list[tuple[float, str]] = []
    while at <= span.end and len(found) < 2 * _TICKS:
        place = round(100 * span.x(at.timestamp()), 2)
        whole_day = at.hour == at.minute == at.second == 0
        label = (
            language.month_day(at)
            if whole_day
            else f"{at:%H:%M:%S}"
            if step < 60
            else f"{at:%H:%M}"
        )
        if 3 <= place <= 97:
            found.append((place, label))
        at += timedelta(seconds=step)
    return found


def grid(low: float, high: float) -> list[float]:
    """Return round values between two others, about four."""
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(s * size for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * size >= rough)
    first = math.ceil(low / step)
    return [round(k * step, 10) for k in range(first, first + 6) if low <= k * step <= high]


class _Row(NamedTuple):
    at: float
    low: float
    high: float
    mean: float


def _value_range(series: Sequence[VariableSeries], levels: Sequence[float]) -> tuple[float, float]:
    columns = [column for one in series for column in (one.low, one.high)]
    values = np.concatenate([*columns, levels])
    values = values[~np.isnan(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    pad = 0.06 * (high - low or abs(high) or 1.0)
    return low - pad, high + pad


def _parts(series: VariableSeries) -> Iterable[list[_Row]]:
    """Yield the points between those without a value, with instants in s."""
    columns = (series.t / 1000, series.low, series.high, series.mean)
    part: list[_Row] = []
    for row in map(_Row._make, zip(*(column.tolist() for column in columns), strict=True)):
        if math.isnan(row.mean):
            if part:
                yield part
            part = []
        else:
            part.append(row)
    if part:
        yield part


def _line(
    part: Sequence[_Row], span: ShownTime, y: Callable[[float], float], is_stepped: bool
) -> str:
    first, *others = [(round(SIDE * span.x(row.at), 1), y(row.mean)) for row in part]
    mark = "H{0:g}V{1:g}" if is_stepped else "L{0:g} {1:g}"
    return f"M{first[0]:g} {first[1]:g}" + "".join(mark.format(*point) for point in others)


def _area(part: Sequence[_Row], span: ShownTime, y: Callable[[float], float]) -> str:
    xs = [round(SIDE * span.x(row.at), 1) for row in part]
    there = [f"{x:g} {y(row.high):g}" for x, row in zip(xs, part, strict=True)]
    back = [f"{x:g} {y(row.low):g}" for x, row in zip(xs, part, strict=True)]
    return f"M{'L'.join([*there, *reversed(back)])}Z"


def _positions(times: Iterable[Interval], span: ShownTime) -> list[Shape]:
    return [_position(span, first / 1000, last / 1000) for first, last in times]


def _position(span: ShownTime, first: float, last: float) -> Shape:
    left = span.x(first)
    width = max(100 * (span.x(last) - left), 0.15)
    return {"x": round(100 * left, 2), "width": round(width, 2)}
