"""Lanes of a trend as SVG shapes, drawn by the server: for the first paint, and where no script
runs.

Positions are in percent, paths in a square of 1000, which is stretched to any width and height.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Request

from alerting.console.alarms.alarm_charts import SIDE, Shape, grid
from alerting.console.api.parameters import EARLIEST, LATEST
from alerting.console.rendering import zone_of
from alerting.deferred import np
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import Language, Styled, translatable
from alerting.episodes.episode import Episode
from alerting.ports import Platform
from alerting.readings.buckets import Interval
from alerting.readings.interval_labels import IntervalLabel
from alerting.usecases.explain import LONGEST_SELECTED
from alerting.usecases.trend_series import VariableSeries, find_bands

MOST_VARIABLES = 12
_BEFORE = timedelta(hours=2)
_AFTER = timedelta(minutes=30)


class TrendQuery(NamedTuple):
    """The parameters of the page, as they are in its address."""

    asset: str
    variables: tuple[str, ...]
    start: str
    end: str
    span: str
    find: str
    above: str
    below: str
    lasting: str

    def address(self, **changes: Any) -> str:
        """Return the address of the page with other parameters."""
        query = self._replace(**changes)
        pairs = [
            ("asset", query.asset),
            *(("variable", name) for name in query.variables),
            *((name, getattr(query, name)) for name in ("start", "end", "span", "find", "above")),
            ("below", query.below),
            ("for", query.lasting),
        ]
        return f"/trends?{urlencode([pair for pair in pairs if pair[1]])}"

    def over(self, start: datetime, end: datetime) -> str:
        """Return the address of the page over another time."""
        return self.address(start=stamp(start), end=stamp(end), span="")


def trend_of_variables(
    asset: Asset | None, names: Iterable[str], start: datetime, end: datetime
) -> str | None:
    """Return the address of the trend of the given names that are numbers of an asset; None without
    any."""
    numbers = set(numeric_names(asset)) if asset is not None else set()
    numeric = tuple(name for name in dict.fromkeys(names) if name in numbers)
    if asset is None or not numeric:
        return None
    query = TrendQuery(asset.name, numeric[:MOST_VARIABLES], "", "", "", "", "", "", "")
    return query.over(start, end)


def trend_of_episode(asset: Asset | None, episode: Episode, now: datetime) -> str | None:
    """Return the address of the trend of an episode's variables around it."""
    until = min((episode.closed_at or now) + _AFTER, max(now, episode.raised_at))
    names = variables_of(episode)
    return trend_of_variables(asset, names, episode.raised_at - _BEFORE, until)


def variables_of(episode: Episode) -> list[str]:
    """Return the names of an episode's limits, reasons and advice."""
    advised = episode.recommendation.changes if episode.recommendation else ()
    return [
        *episode.inputs,
        *(contribution.variable for contribution in episode.contributions),
        *(change.variable for change in advised),
    ]


def numeric_names(asset: Asset) -> list[str]:
    """Return the variables of an asset that are numbers."""
    return [name for name, declared in asset.variables.items() if declared.type == "number"]


def stamp(at: datetime) -> str:
    """Return an instant as it stands in addresses."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


_TICKS = 6
_FEW = 60
"""Readings of which each has a dot, and holds until the next one."""
_STEPS_S = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(86400, 172800, 345600, 604800, 1209600, 2419200, 4838400, 9676800),
)


class MarkedTime(NamedTuple):
    """A marked time: an alarm, an event, or a label, in the lanes of these variables (empty: in all
    lanes)."""

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
    marks: list[tuple[float, str]] = []
    while at <= span.end and len(marks) < 2 * _TICKS:
        place = round(100 * span.x(at.timestamp()), 2)
        whole_day = at.hour == at.minute == at.second == 0
        clock = f"{at:%H:%M:%S}" if step < 60 else f"{at:%H:%M}"
        label = language.month_day(at) if whole_day else clock
        if 3 <= place <= 97:
            marks.append((place, label))
        at += timedelta(seconds=step)
    return marks


class _Row(NamedTuple):
    at: float
    low: float
    high: float
    mean: float


def _value_range(series: Sequence[VariableSeries], levels: Sequence[float]) -> tuple[float, float]:
    columns = [column for line in series for column in (line.low, line.high)]
    values = np.concatenate([*columns, levels])
    values = values[~np.isnan(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    pad = 0.06 * (high - low or abs(high) or 1.0)
    return low - pad, high + pad


def _parts(series: VariableSeries) -> Iterable[list[_Row]]:
    """Yield each run of points without a missing value, with instants in s."""
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
    upper = [f"{x:g} {y(row.high):g}" for x, row in zip(xs, part, strict=True)]
    back = [f"{x:g} {y(row.low):g}" for x, row in zip(xs, part, strict=True)]
    return f"M{'L'.join([*upper, *reversed(back)])}Z"


def _positions(times: Iterable[Interval], span: ShownTime) -> list[Shape]:
    return [_position(span, first / 1000, last / 1000) for first, last in times]


def _position(span: ShownTime, first: float, last: float) -> Shape:
    begin = span.x(first)
    width = max(100 * (span.x(last) - begin), 0.15)
    return {"x": round(100 * begin, 2), "width": round(width, 2)}


SPANS = {
    "1h": (timedelta(hours=1), translatable("1 h")),
    "8h": (timedelta(hours=8), translatable("8 h")),
    "1d": (timedelta(days=1), translatable("1 day")),
    "7d": (timedelta(days=7), translatable("1 week")),
    "28d": (timedelta(days=28), translatable("4 weeks")),
}
USUAL_SPAN = "8h"


def read_time(
    request: Request, platform: Platform, query: TrendQuery, now: datetime
) -> tuple[ShownTime, str, str]:
    """Return the time that is asked for; a sentence if another time is shown instead; and why the
    wanted time cannot be shown, in which case the usual time is returned."""
    try:
        return *_find_time(request, platform, query, now), ""
    except UserError as fault:
        return ShownTime(now - SPANS[USUAL_SPAN][0], now), "", fault.message


def read_instant(request: Request, text: str) -> datetime:
    """Return an instant that a person wrote; without a zone it is in the zone of their pages.
    Raises UserError, also for an instant so extreme that no time beside it can be computed."""
    try:
        written = datetime.fromisoformat(text.replace(" ", "+"))
        at = written if written.tzinfo else written.replace(tzinfo=zone_of(request))
        at = at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(translatable("“{text}” is not a time", text=text)) from None
    if not EARLIEST <= at <= LATEST:
        raise UserError(translatable("“{text}” lies not between 1900 and 2200", text=text))
    return at


def moved(query: TrendQuery, shown: ShownTime) -> dict[str, str]:
    """Return the addresses of the time before and after, and of half and twice the time."""
    width = shown.end - shown.start
    middle = shown.start + width / 2
    wide = min(width, LONGEST_SELECTED / 2)
    return {
        "earlier": query.over(shown.start - width, shown.start),
        "later": query.over(shown.end, shown.end + width),
        "closer": query.over(middle - width / 4, middle + width / 4),
        "wider": query.over(middle - wide, middle + wide),
    }


def _find_time(
    request: Request, platform: Platform, query: TrendQuery, now: datetime
) -> tuple[ShownTime, str]:
    length = SPANS.get(query.span or USUAL_SPAN, SPANS[USUAL_SPAN])[0]
    if not query.span and (query.start or query.end):
        end = read_instant(request, query.end) if query.end else now
        start = read_instant(request, query.start) if query.start else end - length
        if start >= end:
            raise UserError(translatable("the time must begin before it ends"))
        if end - start > LONGEST_SELECTED:
            raise UserError(translatable("show at most a year at once"))
        return ShownTime(start, end), ""
    last = platform.readings.span(query.asset, now)
    if last is not None and last[1] < now - length:
        note = translatable("There are no newer readings; this is the time up to the last one.")
        return ShownTime(last[1] - length, last[1]), note
    return ShownTime(now - length, now), ""


MOST_BANDS = 100
KIND_NAMES = {
    "bad": translatable("bad values"),
    "not_to_learn_from": translatable("not to be learned from"),
}


class Typed(NamedTuple):
    """The content of the form of a label that was refused, and the reason."""

    start: str = ""
    end: str = ""
    kind: str = ""
    whole: bool = False
    reason: str = ""
    refusal: str = ""


NOTHING_TYPED = Typed()


def find_marks(
    platform: Platform, asset: Asset, shown: ShownTime, language: Language
) -> dict[str, Any]:
    """Return alarms and events within a time, the newest hundred of each; whether there are more;
    and the labels in force there, newest first."""
    read = find_bands(platform, asset.name, *shown)
    alarms = [
        MarkedTime(
            "alarm",
            language.translate(e.title),
            max(e.raised_at, shown.start),
            min(e.closed_at or shown.end, shown.end),
            f"/episodes/{e.id}",
        )
        for e in reversed(read.episodes)
        if not e.withdrawn
    ]
    events = [
        MarkedTime("event", e.title, max(e.start, shown.start), min(e.end or shown.end, shown.end))
        for e in reversed(read.events)
    ]
    labels = _labels(platform, asset, *shown)
    bands = [*alarms[:MOST_BANDS], *events[:MOST_BANDS]]
    return {
        "bands": bands,
        "are_cut": read.cut or max(len(alarms), len(events)) > MOST_BANDS,
        "labels": labels[:MOST_BANDS],
        "labels_cut": len(labels) > MOST_BANDS,
        "drawn": [*bands, *(_band(label, shown, language) for label in labels[:MOST_BANDS])],
    }


def _labels(
    platform: Platform, asset: Asset, start: datetime, end: datetime
) -> list[IntervalLabel]:
    labels = platform.labels.in_force([asset.name], None)
    overlapping = [label for label in labels if label.start < end and label.end > start]
    return sorted(overlapping, key=lambda label: (label.made_at, label.id), reverse=True)


def _band(label: IntervalLabel, shown: ShownTime, language: Language) -> MarkedTime:
    kind = "marked-bad" if label.kind == "bad" else "marked-out"
    title = f"{language.translate(KIND_NAMES[label.kind])}: {label.reason} ({label.author})"
    start = max(label.start, shown.start)
    end = min(label.end, shown.end)
    return MarkedTime(kind, title, start, end, variables=label.variables)
