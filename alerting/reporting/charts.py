"""Charts that several pages share: a variable with its limits, the bars of a risk, the quality of
scores; the chart of an episode for mails; and the charts of a training for the registry."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from html import escape
from importlib.util import find_spec
from itertools import pairwise
from textwrap import shorten
from typing import Any, Literal, NamedTuple

import numpy as np

from alerting.definitions.wording.language import ENGLISH, Language, Styled, format_threshold
from alerting.readings.history import Floats, to_millis
from alerting.reporting.model_charts import Bar, BarChart
from alerting.reporting.variable_charts import (
    EpisodeChart,
    Panel,
    describe_moving,
    lines,
    value_range,
)

WIDTH = 760.0  # CSS pixels of a whole page; half of it in a pair
COLOURS = {
    "ink": "#1c2733",
    "muted": "#5b6875",
    "rule": "#dde3e8",
    "score": "#1f6fb2",
    "hit": "#12805c",
    "avoided": "#3f8fc9",
    "false-alarm": "#c0262d",
    "undetermined": "#8c949b",
    "problem": "#8b2f8f",
}
"""Colours on white by name; pages have variables of these names, which follow light and dark."""
BAR_COLOURS = {
    "usual": "undetermined",
    "up": "false-alarm",
    "down": "hit",
    "risk": "score",
    "after": "hit",
}
_SIZE = 11  # of words
_LETTER = 6.8  # width of one on average
_TOP = 20.0
_RIGHT = 12.0
_GAP = 10.0
_SHARP = 2  # pixels of a PNG to one of CSS
_SMOOTH = 2  # drawn so much larger, and reduced
_TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400, 43200, 129600)
Anchor = Literal["start", "middle", "end"]
Tick = tuple[float, str]


class Shape(NamedTuple):
    """A line (of a width), an area (filled), a dot (of a radius: the width) or words at a point."""

    kind: Literal["line", "area", "dot", "text"]
    points: tuple[tuple[float, float], ...]
    colour: str
    width: float = 1.2
    dashed: bool = False
    opacity: float = 1.0
    text: str = ""
    anchor: Anchor = "start"
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass
class Plot:
    """One plot with its axes; shapes are added in units of the data, the first ones below."""

    x: tuple[float, float]
    y: tuple[float, float]
    height: float = 150.0
    title: str = ""
    x_ticks: Sequence[Tick] = ()
    y_ticks: Sequence[Tick] = ()
    x_title: str = ""
    grid: bool = True
    shapes: list[Shape] = field(default_factory=list)

    def line(
        self,
        at: Iterable[float],
        values: Iterable[float],
        colour: str = "score",
        width: float = 1.3,
        dashed: bool = False,
        steps: bool = False,
    ) -> None:
        """Add a line; in `steps` each value is carried forward until the next one."""
        points = [*zip(map(float, at), map(float, values), strict=True)]
        if steps:
            corners = zip(points[1:], points, strict=False)
            points = [*points[:1], *(p for (x, y), (_, v) in corners for p in ((x, v), (x, y)))]
        if len(points) > 1:
            self.shapes.append(Shape("line", tuple(points), colour, width, dashed))

    def area(
        self,
        at: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
        colour: str = "score",
        opacity: float = 0.2,
    ) -> None:
        """Add an area between two lines."""
        points = (*zip(at, low, strict=True), *zip(reversed(at), reversed(high), strict=True))
        if len(points) > 2:
            self.shapes.append(Shape("area", points, colour, opacity=opacity))

    def bar(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        colour: str = "score",
        opacity: float = 1.0,
    ) -> None:
        """Add a rectangle."""
        self.area(x, (y[0],) * 2, (y[1],) * 2, colour, opacity)

    def dots(
        self,
        at: Iterable[float],
        values: Iterable[float],
        colour: str = "score",
        radius: float = 3,
    ) -> None:
        """Add a dot at each value."""
        self.shapes += [
            Shape("dot", ((float(x), float(y)),), colour, radius)
            for x, y in zip(at, values, strict=True)
        ]

    def level(self, value: float, colour: str = "problem", dashed: bool = True) -> None:
        """Add a line across the plot."""
        self.line(self.x, (value, value), colour, 1, dashed)

    def moment(self, at: float, colour: str = "ink", dashed: bool = False) -> None:
        """Add an upright line."""
        self.line((at, at), self.y, colour, 1, dashed)

    def write(
        self,
        x: float,
        y: float,
        text: str,
        anchor: Anchor = "start",
        colour: str = "muted",
        shift: tuple[float, float] = (0.0, -3.0),
    ) -> None:
        """Add words beside a point, so many pixels away from it."""
        self.shapes.append(Shape("text", ((x, y),), colour, text=text, anchor=anchor, shift=shift))


def number_ticks(low: float, high: float, language: Language = ENGLISH) -> list[Tick]:
    """Return round numbers between two, at most six."""
    return [(v, language.show(Styled(v, "g"))) for v in round_numbers(low, high)]


def share_ticks(low: float, high: float, language: Language = ENGLISH) -> list[Tick]:
    """Return round shares between two, as percent."""
    return [(v, f"{language.digits(f'{100 * v:g}')} %") for v in round_numbers(low, high)]


def round_numbers(low: float, high: float) -> list[float]:
    """Return round numbers between two, at most six."""
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(s * size for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * size >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{k * step:.10g}") for k in range(first, first + 6) if k * step <= high * 1.0001]


def time_ticks(
    start: datetime, end: datetime, zone: tzinfo, language: Language = ENGLISH, most: int = 8
) -> list[Tick]:
    """Return round times of a zone between two (ms): hours, days, or both."""
    minutes = max((end - start).total_seconds() / 60, 1)
    step = next((s for s in _TICK_STEPS if minutes / s <= most), _TICK_STEPS[-1])
    midnight = start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    ticks: list[Tick] = []
    for k in range(most + 1 + 1440 // step):
        at = midnight + timedelta(minutes=step) * k
        if start <= at <= end and len(ticks) <= most:
            day = language.month_day(at) if minutes > 1440 else ""
            clock = f"{at:%H:%M}" if step < 1440 else ""
            ticks.append((float(to_millis(at)), " ".join(filter(None, (day, clock)))))
    return ticks


def svg(plots: Sequence[Plot], label: str, width: float = WIDTH, columns: int = 1) -> str:
    """Return plots below each other as inline SVG in the colours of the page. `label`: the text
    alternative."""
    shapes, height = _lay_out(plots, width, columns)
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}" '
        f'font-size="{_SIZE}">{"".join(map(_svg_shape, shapes))}</svg>'
    )


def _svg_shape(shape: Shape) -> str:
    colour = f"var(--{shape.colour})"
    (x, y), *_ = shape.points
    if shape.kind == "text":
        anchor = f' text-anchor="{shape.anchor}"' if shape.anchor != "start" else ""
        return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}"{anchor}>{escape(shape.text)}</text>'
    if shape.kind == "dot":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{shape.width:g}" fill="{colour}"/>'
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in shape.points)
    if shape.kind == "area":
        opacity = f' fill-opacity="{shape.opacity:g}"' if shape.opacity < 1 else ""
        return f'<path d="{path}Z" fill="{colour}"{opacity}/>'
    dashes = ' stroke-dasharray="4 3"' if shape.dashed else ""
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{shape.width:g}"{dashes}/>'
    )


def png(plots: Sequence[Plot], width: float = 420, columns: int = 1) -> bytes:
    """Return plots as a PNG on white. The same plots give the same bytes."""
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - only mails and trainings need it

    factor = _SHARP * _SMOOTH
    shapes, height = _lay_out(plots, width, columns)
    image = Image.new("RGB", (round(width * factor), round(height * factor)), "white")
    draw = ImageDraw.Draw(image, "RGBA")
    library = find_spec("matplotlib")  # its font, without loading the library itself
    assert library is not None and library.submodule_search_locations is not None  # noqa: S101 - a requirement
    font_file = f"{library.submodule_search_locations[0]}/mpl-data/fonts/ttf/DejaVuSans.ttf"
    font = ImageFont.truetype(font_file, _SIZE * factor * 0.92)
    for shape in shapes:
        points = [(x * factor, y * factor) for x, y in shape.points]
        colour = COLOURS[shape.colour]
        if shape.kind == "text":
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
            draw.text(points[0], shape.text, colour, font, anchor)
        elif shape.kind == "dot":
            draw.circle(points[0], shape.width * factor, colour)
        elif shape.kind == "area":
            draw.polygon(points, f"{colour}{round(255 * shape.opacity):02x}")
        else:
            for part in _dashes(points, factor) if shape.dashed else (points,):
                draw.line(part, colour, round(shape.width * factor), joint="curve")
    out = io.BytesIO()
    small = image.resize((image.width // _SMOOTH, image.height // _SMOOTH), Image.Resampling.BOX)
    small.quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


def _dashes(
    points: Sequence[tuple[float, float]], factor: float
) -> Iterable[list[tuple[float, float]]]:
    """Yield the dashes of a line, piece after piece."""
    for (x, y), (to_x, to_y) in pairwise(points):
        length = math.hypot(to_x - x, to_y - y)
        for k in range(math.ceil(length / (7 * factor))):
            ends = (min(part / length, 1.0) for part in (7 * factor * k, factor * (7 * k + 4)))
            yield [(x + share * (to_x - x), y + share * (to_y - y)) for share in ends]


def _lay_out(plots: Sequence[Plot], width: float, columns: int) -> tuple[list[Shape], float]:
    """Return all shapes of plots in pixels, and the height of the whole."""
    margin = 8 + _LETTER * max((len(text) for p in plots for _, text in p.y_ticks), default=0)
    cell = width / columns
    shapes: list[Shape] = []
    top = 0.0
    for first in range(0, len(plots), columns):
        row = plots[first : first + columns]
        for column, plot in enumerate(row):
            right = (column + 1) * cell - _RIGHT
            shapes += _lay_out_plot(plot, column * cell + margin, right, top + _TOP)
        axis = max((16 if p.x_ticks else 0) + (16 if p.x_title else 0) for p in row)
        top += _TOP + max(p.height for p in row) + axis + _GAP
    return shapes, round(top, 1)


def _lay_out_plot(plot: Plot, x_start: float, x_end: float, top: float) -> Iterable[Shape]:
    x0, x1 = plot.x
    y0, y1 = plot.y
    bottom = top + plot.height

    def locate(point: tuple[float, float]) -> tuple[float, float]:
        x = x_start + (x_end - x_start) * (point[0] - x0) / ((x1 - x0) or 1.0)
        y = bottom - plot.height * (point[1] - y0) / ((y1 - y0) or 1.0)
        return min(max(x, x_start), x_end), min(max(y, top), bottom)

    if plot.title:
        yield Shape("text", ((x_start, top - 7),), "muted", text=plot.title)
    for value, text in plot.y_ticks:
        _, y = locate((x0, value))
        if plot.grid:
            yield Shape("line", ((x_start, y), (x_end, y)), "rule", 0.8)
        yield Shape("text", ((x_start - 5, y + 4),), "muted", text=text, anchor="end")
    for shape in plot.shapes:
        dx, dy = shape.shift
        points = tuple((x + dx, y + dy) for x, y in map(locate, shape.points))
        yield shape._replace(points=points)
    if plot.x_ticks or plot.grid:
        yield Shape("line", ((x_start, bottom), (x_end, bottom)), "rule", 1)
    for value, text in plot.x_ticks:
        x, _ = locate((value, y0))
        at = min(max(x, x_start + 2.5 * len(text)), x_end - 2.5 * len(text))
        yield Shape("text", ((at, bottom + 14),), "muted", text=text, anchor="middle")
    if plot.x_title:
        y = bottom + (30 if plot.x_ticks else 14)
        yield Shape("text", ((x_end, y),), "muted", text=plot.x_title, anchor="end")


Points = Sequence[Mapping[str, Any]]
MOST_VARIABLES = 15
_LABEL = 30  # letters
_ROW = 22.0  # pixels of a bar


def panel_plot(
    panel: Panel, start: float, end: float, ticks: Sequence[Tick], language: Language = ENGLISH
) -> Plot:
    """Return the plot of a variable between two instants (ms) with its limits, named on it."""
    low, high = value_range(panel)
    y_ticks = (share_ticks if panel.share else number_ticks)(low, high, language)
    title = "; ".join(filter(None, (panel.heading(language), language.translate(panel.note))))
    plot = Plot((start, end), (low, high), 120, title, ticks, y_ticks)
    if panel.fan is not None:
        plot.area(panel.fan.at, panel.fan.low, panel.fan.high, opacity=0.15)
        plot.line(panel.fan.at, panel.fan.middle, dashed=True)
    for at, values in lines(panel):
        plot.line(at, values, steps=True)
    for level in panel.levels:
        if low <= level.value <= high:
            plot.level(level.value)
            name = f"{language.translate(level.label)} {panel.show(level.value, language)}"
            plot.write(end, level.value, name, "end")
    for moving in panel.moving:
        for at, values in moving.parts(low, high):
            plot.line(at, values, "problem", 1, dashed=True, steps=True)
        if len(moving.values_in_force):
            plot.write(start, low, describe_moving(panel, moving, language))
    return plot


def bars_plot(chart: BarChart, language: Language = ENGLISH, ticks: bool = False) -> Plot:
    """Return the plot of bars below each other with their texts, and the threshold dashed."""
    names = [shorten(bar.label, _LABEL, placeholder=" …") for bar in chart.bars]
    rows = range(len(names) - 1, -1, -1)
    title = f"{chart.title}; {chart.alarm}" if chart.alarm else chart.title
    plot = Plot(
        (chart.low, chart.high + 0.2 * (chart.high - chart.low)),
        (-0.5, len(names) - 0.5),
        _ROW * len(names),
        title,
        share_ticks(chart.low, chart.high, language) if ticks else (),
        [(float(row), name) for row, name in zip(rows, names, strict=True)],
        grid=False,
    )
    for row, bar in zip(rows, chart.bars, strict=True):
        plot.bar((bar.start, bar.end), (row - 0.3, row + 0.3), BAR_COLOURS[bar.kind])
        plot.write(bar.end, row, bar.text, shift=(5, 4))
    if chart.threshold is not None:
        plot.moment(chart.threshold, dashed=True)
    return plot


def calibration_plot(
    bins: Points, x_title: str, y_title: str, language: Language = ENGLISH
) -> Plot:
    """Return the observed share against the score, with 95 % intervals; the diagonal is exact."""
    highest = max(max(point["score"], point["high"]) for point in bins)
    limit = min(1.0, 1.1 * highest)
    ticks = share_ticks(0, limit, language)
    plot = Plot((0, limit), (0, limit), 190, y_title, ticks, ticks, x_title)
    plot.line((0, limit), (0, limit), "muted", 1, dashed=True)
    for point in bins:
        plot.line((point["score"],) * 2, (point["low"], point["high"]), width=1)
    plot.line([point["score"] for point in bins], [point["observed"] for point in bins])
    plot.dots([point["score"] for point in bins], [point["observed"] for point in bins])
    return plot


def episode_image(
    chart: EpisodeChart, zone: tzinfo, bars: Sequence[BarChart] = (), language: Language = ENGLISH
) -> bytes:
    """Draw panels below each other, limits dashed, the episode shaded; below them the bars."""
    start = to_millis(chart.start)
    end = max(to_millis(chart.end), start + 1)
    raised = to_millis(chart.raised_at)
    closed = to_millis(max(chart.raised_at, chart.closed_at or chart.now or chart.end))
    ticks = time_ticks(chart.start, chart.end, zone, language, most=5)
    plots = [panel_plot(panel, start, end, ticks, language) for panel in chart.panels]
    for plot in plots:
        plot.moment(raised, "false-alarm")
        plot.bar((raised, closed), plot.y, "false-alarm", 0.12)
    plots[-1].x_title = f"{chart.raised_at.astimezone(zone):%Z}"
    return png([*plots, *(bars_plot(chart_of_bars, language) for chart_of_bars in bars)])


def evidence_charts(evidence: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, bytes]:
    """Draw PNG files by name for a challenger's evidence.

    `evidence`: `threshold_curve`, `reliability` and `importance` as the training stores them; of a
    value without an alarm only the last one. `names`: titles of variables. Charts without data are
    omitted.
    """
    curve = evidence.get("threshold_curve", ())
    bins = evidence.get("reliability", ())
    files: dict[str, bytes] = {}
    if len(curve) > 1:
        files["threshold.png"] = threshold_curve(curve)
    if bins:
        plot = calibration_plot(bins, "score (probability)", "share that a problem followed")
        files["calibration.png"] = png([plot])
    if evidence["importance"]:
        files["importance.png"] = importance(evidence["importance"], names)
    return files


def threshold_curve(curve: Points) -> bytes:
    """Draw metrics by threshold with 95 % confidence intervals, the chosen one in red; thresholds
    outside of the limits are grey."""
    titles = {
        "event_recall": "share of problems found",
        "episode_precision": "share of episodes that are right",
        "false_alarms_per_week": "false alarms a week and asset",
        "time_in_alarm": "share of time in alarm",
    }
    chosen = next(p for p in curve if p["chosen"])
    edges = [p["threshold"] for p in curve]
    middles = [edges[0], *((a + b) / 2 for a, b in pairwise(edges)), edges[-1]]
    plots = []
    for name, title in titles.items():
        shown = [p for p in curve if p[name] is not None]
        bounds = [p["intervals"].get(name, [p[name], p[name]]) for p in shown]
        top = (
            1.03 if name != "false_alarms_per_week" else max((b[1] for b in bounds), default=1) or 1
        )
        ticks = (share_ticks if top == 1.03 else number_ticks)(0, top)
        plot = Plot(
            (edges[0], edges[-1]), (0, top), 150, title, number_ticks(edges[0], edges[-1]), ticks
        )
        for point, span in zip(curve, pairwise(middles), strict=True):
            if not point["within_budget"]:
                plot.bar(span, plot.y, "muted", 0.12)
        at = [p["threshold"] for p in shown]
        plot.area(at, [b[0] for b in bounds], [b[1] for b in bounds])
        plot.line(at, [p[name] for p in shown], steps=True)
        plot.moment(chosen["threshold"], "false-alarm")
        plots.append(plot)
    plots[-1].x_title = f"threshold; in service: {format_threshold(chosen['threshold'])}"
    return png(plots, 800, 2)


def share_bars(title: str, shares: Sequence[tuple[str, float, str]]) -> BarChart:
    """Return bars from zero: name, share and text, the first one on top."""
    bars = tuple(Bar(name, 0.0, share, "risk", text) for name, share, text in shares)
    described = f"{title}: " + ", ".join(f"{bar.label} {bar.text}" for bar in bars)
    return BarChart(title, bars, 0.0, max((b.end for b in bars), default=0) or 1.0, None, described)


def importance(shares: Mapping[str, float], names: Mapping[str, str]) -> bytes:
    """Draw the share of each variable in the model's importance, the largest on top."""
    whole = sum(shares.values()) or 1.0
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    shown = [(names.get(name, name), share / whole) for name, share in ranked[:MOST_VARIABLES]]
    others = ranked[MOST_VARIABLES:]
    if others:
        shown.append((f"{len(others)} others", sum(share for _, share in others) / whole))
    bars = [(name, share, f"{share:.0%}") for name, share in shown]
    return png([bars_plot(share_bars("Importance of each variable for the model", bars))], 560)


def swarm(
    variables: Sequence[str], shares: Floats, values: Floats, names: Mapping[str, str]
) -> bytes:
    """Draw the share (SHAP) of each variable in the score of each row, of rows by variable; the
    redder a dot, the higher the value. `names`: titles."""
    ranked = np.argsort(-np.abs(shares).mean(axis=0), kind="stable")[:MOST_VARIABLES]
    low = min(float(shares.min()), 0.0)
    high = max(float(shares.max()), 1e-6)
    rows = [float(len(ranked) - 1 - place) for place in range(len(ranked))]
    titles = [
        shorten(names.get(variables[i], variables[i]), _LABEL, placeholder=" …") for i in ranked
    ]
    y_ticks = [*zip(rows, titles, strict=True)]
    x_title = "share of the variable in the score; red: a high value, blue: a low one"
    y = (-0.5, len(ranked) - 0.5)
    plot = Plot((low, high), y, 26 * len(ranked), "", number_ticks(low, high), y_ticks, x_title)
    spread = np.random.default_rng(0)
    for row, i in zip(rows, ranked, strict=True):
        is_known = ~np.isnan(values[:, i])
        middle = np.median(values[is_known, i]) if is_known.any() else 0.0
        at = row + spread.uniform(-0.3, 0.3, len(shares))
        for side, colour in enumerate(("undetermined", "score", "false-alarm")):
            on_side = np.where(is_known, 1 + (values[:, i] > middle), 0) == side
            plot.dots(shares[on_side, i], at[on_side], colour, 1.6)
    return png([plot], 640)
