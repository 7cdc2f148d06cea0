"""Chart of an episode as SVG shapes: lines are stretched, text keeps its size."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from alerting.definitions.wording.language import ENGLISH, Language, Styled, template
from alerting.readings.history import from_millis, to_millis
from alerting.reporting.base.messages import number
from alerting.reporting.figures.episode_chart import (
    ChartLevel,
    EpisodeChart,
    Fan,
    Floats,
    Millis,
    Panel,
    describe,
    describe_moving,
    lines,
    value_range,
)

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
            for v in _grid(low, high)
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
    low, middle, high = (
        [f"{x:g} {y(v):g}" for x, v in zip(xs, side, strict=True)]
        for side in (fan.low, fan.middle, fan.high)
    )
    return {"area": f"M{'L'.join([*high, *reversed(low)])}Z", "median": f"M{'L'.join(middle)}"}


def _level(panel: Panel, level: ChartLevel, language: Language) -> str:
    label = language.translate(level.label)
    if panel.share:
        return f"{label} {language.share(level.value)}"
    return f"{label} {number(level.value, 4, language)}{f' {panel.unit}' if panel.unit else ''}"


def _grid(low: float, high: float) -> list[float]:
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(s * size for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * size >= rough)
    first = int(-(-low // step))
    return [round(k * step, 10) for k in range(first, first + 6) if low <= k * step <= high]


def _ticks(chart: EpisodeChart, zone: tzinfo, language: Language) -> list[Spot]:
    """Return round times in the plant's zone, with the date beside the first one of a day."""
    minutes = max((chart.end - chart.start).total_seconds() / 60, 1)
    step = next((s for s in _TICK_STEPS if minutes / s <= _TICKS), _TICK_STEPS[-1])
    local = chart.start.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight + timedelta(minutes=step) * -(-(local - midnight) // timedelta(minutes=step))
    found = []
    for k in range(_TICKS + 2):
        at = first + timedelta(minutes=step) * k
        position = _x(chart, to_millis(at))
        if 4 <= position <= 96:
            found.append(
                Spot(round(position, 2), f"{at:%H:%M}" if step < 1440 else language.month_day(at))
            )
    return found


def _moments(chart: EpisodeChart, zone: tzinfo, language: Language) -> list[Shape]:
    """Return the marked instants of the chart; a text that would overlap moves a row down."""
    found: list[Shape] = []
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
        left, right = (x - _TEXT, x) if to_the_left else (x, x + _TEXT)
        spot = Spot(
            x,
            language.say(label, time=f"{at.astimezone(zone):%H:%M}"),
            "end" if to_the_left else "start",
        )
        row = next(
            (
                n
                for n, taken in enumerate(rows)
                if all(left >= end or right <= begin for begin, end in taken)
            ),
            len(rows),
        )
        if row == len(rows):
            rows.append([])
        rows[row].append((left, right))
        found.append({"kind": kind, "spot": spot, "row": row})
    return found


def _band(chart: EpisodeChart, start: datetime, end: datetime) -> Shape:
    """Return a shaded interval of time, in percent of the width."""
    left, right = (min(max(_x(chart, to_millis(t)), 0.0), 100.0) for t in (start, max(start, end)))
    return {"x": round(left, 2), "width": round(right - left, 2)}


def _x(chart: EpisodeChart, millis: int) -> float:
    start = to_millis(chart.start)
    return 100.0 * (millis - start) / max(1, to_millis(chart.end) - start)
