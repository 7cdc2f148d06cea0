"""Parts that several pages show: mutes with their texts; and drawings as SVG shapes: the chart of
an episode or a preview, raises by day, and times of an asset. Lines are stretched, text keeps its
size."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from math import floor, log10
from typing import Any

from fastapi import Request

from alerting.console.rendering import language_of
from alerting.definitions.asset_documents import event_titles
from alerting.definitions.wording.language import ENGLISH, Language, Styled, template, translatable
from alerting.operators.actions_and_mutes import Mute
from alerting.ports import Document, Platform
from alerting.readings.history import Floats, Millis, from_millis, to_millis
from alerting.reporting.phrases import number
from alerting.reporting.variable_charts import (
    ChartLevel,
    EpisodeChart,
    Fan,
    Panel,
    describe,
    describe_moving,
    lines,
    value_range,
)
from alerting.usecases.backtest.preview_chart import PreviewChart
from alerting.usecases.definitions.versions import newest_title
from alerting.usecases.episodes.mutes_and_suppression import mutes_at
from alerting.usecases.notification.muting_and_summaries import describe_matcher

MUTE_REASONS = (
    translatable("maintenance"),
    translatable("cleaning"),
    translatable("sensor fault"),
    translatable("nuisance alarm"),
    translatable("product change"),
    translatable("start-up or shut-down"),
    translatable("known, being repaired"),
    translatable("test"),
)


@dataclass(frozen=True)
class MuteTexts:
    """A mute for people: the alarms that it covers, and the titles of its asset and of the event
    that ends it."""

    scope: str
    event: str
    event_asset: str


def texts_of(
    request: Request, platform: Platform, mutes: Sequence[Mute]
) -> Mapping[str, MuteTexts]:
    """Return the texts of each mute by its id."""
    names = {name for mute in mutes for name in (mute.part, mute.asset, mute.event_asset) if name}
    by_name = platform.assets.get_many(names) if names else {}
    assets = {name: asset.title for name, asset in by_name.items() if asset.title}
    has_events = any(mute.event for mute in mutes)
    events = event_titles(platform.assets.event_types()) if has_events else {}
    definitions = {mute.definition for mute in mutes if mute.definition}
    titles = {name: newest_title(platform.definitions, name) for name in definitions}
    language = language_of(request)
    return {
        mute.id: MuteTexts(
            describe_matcher(
                mute,
                assets.get(mute.asset or mute.part or ""),
                titles.get(mute.definition or ""),
                language,
            ),
            events.get(mute.event or "", mute.event or ""),
            assets.get(mute.event_asset or "", mute.event_asset or ""),
        )
        for mute in mutes
    }


def present_mutes(
    request: Request,
    platform: Platform,
    now: datetime,
    asset: str | None = None,
    definition: str | None = None,
) -> dict[str, Any]:
    """Return the mutes in force now with their texts, for other pages: all, or mutes of one asset
    and the assets above it, or mutes that name one definition."""
    mutes = mutes_at(platform, now).select_for(definition, asset)
    return with_texts(request, platform, [mute for mute in mutes if mute.phase(now) == "present"])


def with_texts(request: Request, platform: Platform, present: Sequence[Mute]) -> dict[str, Any]:
    """Return mutes with their texts, for the list on other pages."""
    return {"present": present, "texts": texts_of(request, platform, present)}


SIDE = 1000.0  # the plot in its own units, stretched to any width and height
_TICKS = 5
_TEXT = 24  # width of a text on a phone, in percent
_TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400)  # minutes


@dataclass(frozen=True)
class Spot:
    """A text on an axis, at a percentage of the width or height. `anchor`: its alignment."""

    at: float
    label: str
    anchor: str = "middle"


Shape = dict[str, Any]


def chart_shape(chart: EpisodeChart, zone: tzinfo, language: Language = ENGLISH) -> Shape:
    """Return all shapes that the template draws, with their positions."""
    end = chart.closed_at or chart.now or chart.end
    return {
        "panels": [_panel(panel, chart, language) for panel in chart.panels],
        "ticks": _ticks(chart, zone, language),
        "moments": _moments(chart, zone, language),
        "episode": _band(chart, chart.raised_at, end),
        "window": None if chart.window is None else _band(chart, *chart.window),
        "description": describe(chart, zone, language),
        "cut": chart.cut,
    }


def _panel(panel: Panel, chart: EpisodeChart, language: Language) -> Shape:
    """Return a panel's heading, line (path data), dots of few values, grid and limits."""
    low, high = value_range(panel)

    def y(value: float) -> float:
        return round(SIDE * (high - value) / (high - low), 1)

    def path(at: Millis, values: Floats) -> str:
        xs = [round(SIDE / 100 * _x(chart, t), 1) for t in at.tolist()]
        ys = [y(v) for v in values.tolist()]
        return f"M{xs[0]:g} {ys[0]:g}" + "".join(
            f"H{x:g}V{v:g}" for x, v in zip(xs[1:], ys[1:], strict=True)
        )

    points = (
        zip(panel.at.tolist(), panel.values.tolist(), strict=True) if len(panel.at) <= 60 else ()
    )
    return {
        "fan": None if panel.fan is None else _fan(panel.fan, chart, y),
        "heading": panel.heading(language),
        "path": "".join(path(*part) for part in lines(panel)),
        "dots": [(round(_x(chart, t), 2), y(v) / SIDE * 100) for t, v in points],
        "grid": [
            Spot(
                y(v) / SIDE * 100,
                language.share(v) if panel.share else language.show(Styled(v, "g")),
            )
            for v in grid(low, high)
        ],
        "moving": [
            (
                "".join(path(*part) for part in parts),
                Spot(
                    y(float(parts[-1][1][-1])) / SIDE * 100,
                    describe_moving(panel, moving, language),
                ),
            )
            for moving in panel.moving
            if (parts := moving.parts(low, high))
        ],
        "levels": [
            Spot(y(v.value) / SIDE * 100, _level(panel, v, language))
            for v in panel.levels
            if low <= v.value <= high
        ],
    }


def _fan(fan: Fan, chart: EpisodeChart, y: Callable[[float], float]) -> Shape:
    xs = [round(SIDE / 100 * _x(chart, t), 1) for t in fan.at]

    def points(values: Sequence[float]) -> list[str]:
        return [f"{x:g} {y(value):g}" for x, value in zip(xs, values, strict=True)]

    area = [*points(fan.high), *reversed(points(fan.low))]
    return {"area": f"M{'L'.join(area)}Z", "median": f"M{'L'.join(points(fan.middle))}"}


def _level(panel: Panel, level: ChartLevel, language: Language) -> str:
    label = language.translate(level.label)
    if panel.share:
        return f"{label} {language.share(level.value)}"
    return f"{label} {number(level.value, 4, language)}{f' {panel.unit}' if panel.unit else ''}"


def grid(low: float, high: float) -> list[float]:
    """Return round values between two others, about four."""
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(s * size for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * size >= rough)
    first = math.ceil(low / step)
    return [round(k * step, 10) for k in range(first, first + 6) if low <= k * step <= high]


def _ticks(chart: EpisodeChart, zone: tzinfo, language: Language) -> list[Spot]:
    """Return round times in the plant's zone, with the date beside the first one of a day."""
    minutes = max((chart.end - chart.start).total_seconds() / 60, 1)
    step = next((s for s in _TICK_STEPS if minutes / s <= _TICKS), _TICK_STEPS[-1])
    local = chart.start.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight + timedelta(minutes=step) * -(-(local - midnight) // timedelta(minutes=step))
    ticks = []
    for k in range(_TICKS + 2):
        at = first + timedelta(minutes=step) * k
        position = _x(chart, to_millis(at))
        if 4 <= position <= 96:
            ticks.append(
                Spot(round(position, 2), f"{at:%H:%M}" if step < 1440 else language.month_day(at))
            )
    return ticks


def _moments(chart: EpisodeChart, zone: tzinfo, language: Language) -> list[Shape]:
    """Return the marked instants of the chart; a text that would overlap moves a row down."""
    moments: list[Shape] = []
    rows: list[list[tuple[float, float]]] = []
    ahead = next((p.fan.crossing for p in chart.panels if p.fan is not None), None)
    for kind, label, at in (
        ("raised", template("raised {time}"), chart.raised_at),
        ("happening", template("happening {time}"), chart.happening_at),
        ("closed", template("over {time}"), chart.closed_at),
        ("now", template("now {time}"), chart.now),
        ("ahead", template("limit expected {time}"), None if ahead is None else from_millis(ahead)),
    ):
        if at is None or not chart.start <= at <= chart.end:
            continue
        x = round(_x(chart, to_millis(at)), 2)
        to_the_left = x > (_TEXT if kind == "raised" else 100 - _TEXT)
        from_x, to_x = (x - _TEXT, x) if to_the_left else (x, x + _TEXT)
        spot = Spot(
            x,
            language.say(label, time=f"{at.astimezone(zone):%H:%M}"),
            "end" if to_the_left else "start",
        )
        row = next(
            (
                n
                for n, taken in enumerate(rows)
                if all(from_x >= end or to_x <= begin for begin, end in taken)
            ),
            len(rows),
        )
        if row == len(rows):
            rows.append([])
        rows[row].append((from_x, to_x))
        moments.append({"kind": kind, "spot": spot, "row": row})
    return moments


def _band(chart: EpisodeChart, start: datetime, end: datetime) -> Shape:
    """Return a shaded interval of time, in percent of the width."""
    from_x = _x_within(chart, start)
    to_x = _x_within(chart, max(start, end))
    return {"x": round(from_x, 2), "width": round(to_x - from_x, 2)}


def _x_within(chart: EpisodeChart, at: datetime) -> float:
    return min(max(_x(chart, to_millis(at)), 0.0), 100.0)


def _x(chart: EpisodeChart, millis: int) -> float:
    start = to_millis(chart.start)
    return 100.0 * (millis - start) / max(1, to_millis(chart.end) - start)


MOST_BANDS = 400
_DAY_WIDTH = 4  # width of a day, with the space beside it
_RAISES_HEIGHT = 28
_LEAST_BAND = 0.25  # share of the width, in percent, that a band has at least


def preview_shape(
    drawn: PreviewChart, zone: tzinfo, language: Language, document: Document
) -> dict[str, Any]:
    """Return what the template draws: panels with limits, and bands of times in percent.

    `document`: the draft, whose limits can be moved.
    """
    before = drawn.start - timedelta(seconds=1)  # no episode of the chart lies within it
    panels = tuple(panel for panel in drawn.panels if len(panel.at))
    chart = EpisodeChart(panels, drawn.start, drawn.end, before, None, None, None)
    shape = chart_shape(chart, zone, language)
    limits = _movable(document)
    bands = {
        name: bands_of_times(getattr(drawn, name), drawn.start, drawn.end)
        for name in ("suppressed", "draft", "served", "both")
    }
    return {
        "panels": [
            {**panel_shape, **_limits(panel, panel_shape["levels"], limits, language)}
            for panel_shape, panel in zip(shape["panels"], panels, strict=True)
        ],
        "ticks": shape["ticks"],
        "description": describe(chart, zone, language) if panels else "",
        "asset": drawn.asset,
        **bands,
    }


def _movable(document: Document) -> dict[str, float]:
    """Return, by path, the limits of a draft that are numbers in fields of their own."""
    problem = document.get("problem")
    groups: tuple[tuple[str, Any], ...] = (("", document), ("problem.", problem))
    return {
        prefix + name: float(group[name])
        for prefix, group in groups
        if isinstance(group, Mapping)
        for name in ("above", "below")
        if isinstance(group.get(name), int | float) and not isinstance(group[name], bool)
    }


def _limits(
    panel: Panel, spots: Sequence[Any], limits: Mapping[str, float], language: Language
) -> dict[str, Any]:
    """Return the range of a panel, the step by which a limit moves, and its limits with the path of
    their field, empty without a field; `words`: the label with a placeholder for another value."""
    low, high = value_range(panel)
    step = 10.0 ** floor(log10((high - low) / 100))
    shown = [level.value for level in panel.levels if low <= level.value <= high]
    paths = {value: path for path, value in limits.items()}
    return {
        "low": low,
        "high": high,
        "step": f"{step:.12g}",
        "limits": [
            {
                "at": spot.at,
                "label": spot.label,
                "words": spot.label.replace(number(value, 4, language), "{value}"),
                "value": f"{value:.12g}",
                "path": paths.get(value, ""),
            }
            for spot, value in zip(spots, shown, strict=True)
        ],
    }


def bands_of_times(
    spans: Sequence[tuple[datetime, datetime]], start: datetime, end: datetime
) -> list[dict[str, float]]:
    """Return spans in percent of the width; spans that would touch are merged."""
    whole = (end - start) / timedelta(seconds=1)

    def x(at: datetime) -> float:
        return 100 * min(max((at - start) / timedelta(seconds=1) / whole, 0.0), 1.0)

    bands: list[list[float]] = []
    for begin, stop in sorted(spans):
        from_x = x(begin)
        to_x = max(x(stop), from_x + _LEAST_BAND)
        if bands and from_x <= bands[-1][1]:
            bands[-1][1] = max(bands[-1][1], to_x)
        else:
            bands.append([from_x, to_x])
    return [
        {"x": round(from_x, 2), "width": round(to_x - from_x, 2)}
        for from_x, to_x in bands[-MOST_BANDS:]
    ]


def raises_shape(raises: Sequence[int]) -> dict[str, Any]:
    """Return the bars of the raises of each day as one path, in a box of width and height."""
    most = max(raises, default=0) or 1
    tall = {day: max(_RAISES_HEIGHT * count / most, 3) for day, count in enumerate(raises) if count}
    return {
        "width": _DAY_WIDTH * len(raises),
        "height": _RAISES_HEIGHT,
        "bars": "".join(
            f"M{_DAY_WIDTH * day} {_RAISES_HEIGHT}v-{height:.1f}h{_DAY_WIDTH - 1}V{_RAISES_HEIGHT}z"
            for day, height in tall.items()
        ),
    }
