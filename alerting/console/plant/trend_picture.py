"""The chart of a trend, its time and its marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Request
from markupsafe import Markup

from alerting.console.api.parameters import EARLIEST, LATEST
from alerting.console.rendering import zone_of
from alerting.deferred import np
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import Language, template, translatable
from alerting.episodes.episode import Episode
from alerting.ports import Platform
from alerting.readings.history import BoolArray, to_millis
from alerting.readings.interval_labels import IntervalLabel
from alerting.reporting.charts import (
    LimitLine,
    Plot,
    PlotSeries,
    figure,
    number_ticks,
    time_ticks,
)
from alerting.usecases.explain import LONGEST_SELECTED
from alerting.usecases.trend_series import VariableSeries, find_bands

MOST_VARIABLES = 12


class TrendQuery(NamedTuple):
    """The parameters of the page, as they are in its address. `view`: `overlay`, or empty for
    lanes; `text`: searched among variables; `ranges`: the typed ends of axes by the names of their
    fields, such as `low.temperature`."""

    asset: str
    variables: tuple[str, ...]
    start: str
    end: str
    span: str
    find: str
    above: str
    below: str
    lasting: str
    view: str = ""
    text: str = ""
    ranges: tuple[tuple[str, str], ...] = ()

    def address(self, **changes: Any) -> str:
        """Return the address of the page with other parameters."""
        query = self._replace(**changes)
        pairs = [
            ("asset", query.asset),
            *(("variable", name) for name in query.variables),
            *((name, getattr(query, name)) for name in ("start", "end", "span", "find", "above")),
            ("below", query.below),
            ("for", query.lasting),
            ("view", query.view),
            ("text", query.text),
            *query.ranges,
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
    until = min((episode.closed_at or now) + timedelta(minutes=30), max(now, episode.raised_at))
    advised = episode.recommendation.changes if episode.recommendation else ()
    names = (
        *episode.inputs,
        *(contribution.variable for contribution in episode.contributions),
        *(change.variable for change in advised),
    )
    return trend_of_variables(asset, names, episode.raised_at - timedelta(hours=2), until)


def numeric_names(asset: Asset) -> list[str]:
    """Return the variables of an asset that are numbers."""
    return [name for name, declared in asset.variables.items() if declared.type == "number"]


def stamp(at: datetime) -> str:
    """Return an instant as it stands in addresses."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


_HEIGHT = 480.0  # of all lanes, in pixels, while none becomes too low or high
_LOWEST_LANE = 84.0
_HIGHEST_LANE = 320.0
OVERLAY = "overlay"
OVERLAID = 2
"""Variables of an overlay, each with an axis of its own."""
BAND_NAMES = {
    "alarm": (template("alarm"), "false-alarm"),
    "found": (template("found time"), "avoided"),
    "event": (template("event"), "event"),
    "marked-bad": (template("marked as bad"), "problem"),
    "marked-out": (template("not to be learned from"), "score"),
}


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


class AxisRange(NamedTuple):
    """The ends of an axis; None for an end that the values choose."""

    low: float | None = None
    high: float | None = None


def trend_figure(
    lanes: Sequence[VariableSeries],
    shown: ShownTime,
    limits: Mapping[str, Sequence[LimitLine]],
    marks: Sequence[MarkedTime],
    zone: tzinfo,
    language: Language,
    ranges: Mapping[str, AxisRange],
    *,
    is_overlay: bool = False,
) -> Markup:
    """Return a lane for each variable, or both in one plot: the area from lowest to highest value,
    the line of means or readings, gaps, marked times and limits."""
    if not lanes:
        return Markup()
    height = min(max(_HEIGHT / len(lanes), _LOWEST_LANE), _HIGHEST_LANE)
    plots = []
    for rank, lane in enumerate(lanes):
        is_second = is_overlay and rank > 0
        lines = limits.get(lane.variable, ())
        plot = _empty_lane(lane, shown, lines, ranges.get(lane.variable, AxisRange()), language)
        plot.height = _HIGHEST_LANE if is_overlay else height
        if not is_overlay:
            _add_marks(plot, lane, marks, language)
        _add_values(plot, lane, language, "hit" if is_second else "score")
        plots.append(plot)
    if is_overlay:
        _overlay(plots, lanes, marks, language)
    bottom = plots[0] if is_overlay else plots[-1]
    bottom.x_ticks = time_ticks(*shown, zone, language)
    bottom.x_title = f"{shown.end.astimezone(zone):%Z}"
    label = "; ".join(
        language.say_count(
            "{title}: {number} value", "{title}: {number} values", s.count, title=s.title
        )
        for s in lanes
    )
    return figure(plots, label, language, zone)


def _overlay(
    plots: Sequence[Plot],
    lanes: Sequence[VariableSeries],
    marks: Sequence[MarkedTime],
    language: Language,
) -> None:
    """Make the second plot lie over the first one, with its axis at the right, and name the lines
    in the legend. Marks of both are below the lines of the first one."""
    first, second = plots
    values = first.shapes[:]
    first.shapes.clear()
    drawn = {lane.variable for lane in lanes}
    common = [
        mark._replace(variables=())
        for mark in marks
        if not mark.variables or not drawn.isdisjoint(mark.variables)
    ]
    for lane in lanes:
        _add_marks(first, lane, common if lane is lanes[0] else (), language)
    first.shapes += values
    for plot in plots:
        title = plot.title
        plot.shapes[:] = [
            shape._replace(name=title) if shape.look == "line" else shape for shape in plot.shapes
        ]
    second.is_right = True
    second.title = language.say("{title} (axis at the right)", title=second.title)


def _empty_lane(
    series: VariableSeries,
    shown: ShownTime,
    limits: Sequence[LimitLine],
    ends: AxisRange,
    language: Language,
) -> Plot:
    y = _value_range(series, limits, ends)
    span = (float(to_millis(shown.start)), float(to_millis(shown.end)))
    heading = f"{series.title}, {series.unit}" if series.unit else series.title
    plot = Plot(span, y, title=heading, y_ticks=number_ticks(*y, language), unit=series.unit or "")
    plot.levels += limits
    return plot


def _add_marks(
    plot: Plot, series: VariableSeries, marks: Sequence[MarkedTime], language: Language
) -> None:
    """Add marked times, gaps and times of bad quality."""
    low, high = plot.y
    for mark in marks:
        if not mark.variables or series.variable in mark.variables:
            name, colour = BAND_NAMES[mark.kind]
            times = (float(to_millis(mark.start)), float(to_millis(mark.end)))
            plot.band(times, mark.kind, language.say(name), colour, mark.title)
    for gap in series.gaps:
        plot.band(gap, "gap", language.say("no data"), "muted")
    bottom = (low, low + 0.03 * (high - low))
    for bad in series.bad:
        plot.bar(bad, bottom, "limit", 1, language.say("bad quality"))


def _add_values(plot: Plot, series: VariableSeries, language: Language, colour: str) -> None:
    """Add the line of means or readings, the area from lowest to highest, and what is read out. A
    line leaves the plot where its values lie outside."""
    is_raw = bool(np.array_equal(series.low, series.high, equal_nan=True))
    # few: each reading has a dot, and holds until the next one
    is_few = is_raw and int((~np.isnan(series.mean)).sum()) <= 60
    low, high = plot.y
    if not is_raw:
        for first, last in _runs((series.high >= low) & (series.low <= high)):
            at = series.t[first:last].tolist()
            highest = series.high[first:last].tolist()
            lowest = series.low[first:last].tolist()
            plot.area(at, lowest, highest, colour, name=language.say("range"))
    is_inside = (series.mean >= low) & (series.mean <= high)
    is_near = is_inside.copy()  # so that a line reaches the edge behind which it goes on
    is_near[1:] |= is_inside[:-1]
    is_near[:-1] |= is_inside[1:]
    for first, last in _runs(is_near & ~np.isnan(series.mean)):
        mean = series.mean[first:last].tolist()
        plot.line(series.t[first:last].tolist(), mean, colour, 1.4, colour != "score", steps=is_few)
    if is_few:
        plot.dots(series.t[is_inside], series.mean[is_inside], colour, radius=2.5)
    plot.series.append(PlotSeries(series.title, series.t, series.mean))
    if not is_raw:
        plot.series.append(PlotSeries(language.say("Lowest"), series.t, series.low))
        plot.series.append(PlotSeries(language.say("Highest"), series.t, series.high))
    if not series.count or not is_inside.any():
        text = language.say("no value in this time")
        if series.count:
            text = language.say("all values lie beyond the axis")
        plot.write(sum(plot.x) / 2, sum(plot.y) / 2, text, "middle", look="nothing")


def _runs(is_drawn: BoolArray) -> list[tuple[int, int]]:
    """Return the beginning and end of each run of true values."""
    edges = np.flatnonzero(np.diff(np.r_[False, is_drawn, False]))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _value_range(
    series: VariableSeries, limits: Sequence[LimitLine], ends: AxisRange
) -> tuple[float, float]:
    """Return the stated ends of an axis, else the values with the limits that are no further from
    them than they reach."""
    values = np.concatenate([series.low, series.high])
    values = values[~np.isnan(values)]
    levels = np.array([level.value for level in limits])
    if len(values):
        reach = float(np.ptp(values)) or abs(float(values[0])) or 1.0
        is_near = (levels >= values.min() - reach) & (levels <= values.max() + reach)
        levels = levels[is_near]
    values = np.concatenate([values, levels])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    pad = 0.06 * (high - low or abs(high) or 1.0)
    width = high - low + 2 * pad
    low -= pad
    high += pad
    if ends.low is not None:
        low = ends.low
        high = high if high > low else low + width
    if ends.high is not None:
        high = ends.high
        low = low if low < high else high - width
    return low, high


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
    except ValueError:
        raise UserError(translatable("“{text}” is not a time", text=text)) from None
    at = written if written.tzinfo else written.replace(tzinfo=zone_of(request))
    if not EARLIEST <= at <= LATEST:
        raise UserError(translatable("“{text}” lies not between 1900 and 2200", text=text))
    return at.astimezone(UTC)


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


NOTHING_TYPED: Mapping[str, Any] = {
    **dict.fromkeys(("start", "end", "kind", "reason", "refusal"), ""),
    "whole": False,
}
"""The content of the form of a label that was refused, and the reason."""


def find_marks(
    platform: Platform, asset: Asset, shown: ShownTime, language: Language
) -> dict[str, Any]:
    """Return the alarms, events and labels within a time, the newest hundred of each, as marked
    times; whether there are more; and the labels in force there, newest first."""
    read = find_bands(platform, asset.name, *shown)
    alarms = [
        MarkedTime(
            "alarm",
            language.translate(e.title),
            max(e.raised_at, shown.start),
            min(e.closed_at or shown.end, shown.end),
            f"/episodes/{e.id}",
        )
        for e in reversed(read.alarms)
        if not (e.withdrawn or e.is_refuted)
    ]
    events = [
        MarkedTime("event", e.title, max(e.start, shown.start), min(e.end or shown.end, shown.end))
        for e in reversed(read.events)
    ]
    labels = sorted(
        (
            label
            for label in platform.labels.in_force([asset.name], None)
            if label.start < shown.end and label.end > shown.start
        ),
        key=lambda label: (label.made_at, label.id),
        reverse=True,
    )
    marked = [_band(label, shown, language) for label in labels[:MOST_BANDS]]
    return {
        "bands": [*alarms[:MOST_BANDS], *events[:MOST_BANDS], *marked],
        "are_cut": read.cut or max(len(alarms), len(events)) > MOST_BANDS,
        "labels": labels[:MOST_BANDS],
        "labels_cut": len(labels) > MOST_BANDS,
    }


def _band(label: IntervalLabel, shown: ShownTime, language: Language) -> MarkedTime:
    kind = "marked-bad" if label.kind == "bad" else "marked-out"
    title = f"{language.translate(KIND_NAMES[label.kind])}: {label.reason} ({label.author})"
    start = max(label.start, shown.start)
    return MarkedTime(kind, title, start, min(label.end, shown.end), variables=label.variables)
