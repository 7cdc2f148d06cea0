"""The chart of an episode as one small PNG for e-mail, readable on a phone, on white, without other
text."""

import io
from collections.abc import Sequence
from datetime import datetime, tzinfo

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from alerting.definitions.wording.language import ENGLISH, Language
from alerting.readings.history import from_millis
from alerting.reporting.figures.bars import BarChart
from alerting.reporting.figures.chart_style import chart_style
from alerting.reporting.figures.episode_chart import (
    EpisodeChart,
    Panel,
    describe_moving,
    lines,
    value_range,
)
from alerting.reporting.figures.training_charts import CHOSEN, INK, MAIN, MUTED, RULE

WIDTH_PX = 640
HEIGHT_PX = 320
DPI = 160
BAR_PX = 30
TITLE_PX = 60
GOOD = "#12805c"
_COLOURS = {"usual": MUTED, "up": CHOSEN, "down": GOOD, "risk": MAIN, "after": GOOD}
_STYLE = chart_style(INK, MUTED, RULE) | {
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.titlecolor": INK,
    "grid.linewidth": 0.6,
}


def episode_image(
    chart: EpisodeChart, zone: tzinfo, bars: Sequence[BarChart] = (), language: Language = ENGLISH
) -> bytes:
    """Draw a PNG: one panel below the other, limits dashed, the time of the episode shaded; below
    them the bars."""
    heights = [
        HEIGHT_PX * (0.4 + 0.6 * len(chart.panels)),
        *(TITLE_PX + BAR_PX * len(one.bars) for one in bars),
    ]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(
            figsize=(WIDTH_PX / DPI, sum(heights) / DPI),
            dpi=DPI,
            layout="constrained",
            facecolor="white",
        )
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        axes = parts[0].subplots(len(chart.panels), sharex=True, squeeze=False)[:, 0]
        for axis, panel in zip(axes, chart.panels, strict=True):
            _draw(axis, panel, chart, language)
        for part, one in zip(parts[1:], bars, strict=True):
            _draw_bars(part, one)
        axes[-1].xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=8, tz=zone))
        axes[-1].xaxis.set_major_formatter(DateFormatter("%H:%M", tz=zone))
        axes[-1].set_xlabel(
            f"{chart.raised_at.astimezone(zone):%Z}", loc="right", color=MUTED, fontsize=6
        )
        buffer = io.BytesIO()
        FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _draw(axis: Axes, panel: Panel, chart: EpisodeChart, language: Language) -> None:
    scale = 100.0 if panel.share else 1.0
    start = chart.raised_at
    end = max(chart.raised_at, chart.closed_at or chart.now or chart.end)
    axis.axvspan(*_days([start, end]), color=CHOSEN, alpha=0.12, linewidth=0)
    axis.axvline(_days([start])[0], color=CHOSEN, linewidth=1)
    marker = "." if len(panel.at) < 60 else ""
    for at, values in lines(panel):
        days = _days([from_millis(t) for t in at.tolist()])
        axis.plot(
            days,
            values * scale,
            color=MAIN,
            linewidth=1.1,
            drawstyle="steps-post",
            marker=marker,
            markersize=3,
        )
    if panel.fan is not None:
        ahead = _days([from_millis(t) for t in panel.fan.at])
        axis.fill_between(ahead, panel.fan.low, panel.fan.high, color=MAIN, alpha=0.15, linewidth=0)
        axis.plot(ahead, panel.fan.middle, color=MAIN, linewidth=1, linestyle="--")
    low, high = value_range(panel)
    for level in panel.levels:
        if low <= level.value <= high:
            axis.axhline(level.value * scale, color=INK, linewidth=1, linestyle="--")
            below = -7 if level.value > low + 0.85 * (high - low) else 2
            label = f"{language.translate(level.label)} {panel.show(level.value, language)}"
            axis.annotate(
                label,
                (0.01, level.value * scale),
                (0, below),
                ("axes fraction", "data"),
                "offset points",
                fontsize=6,
            )
    for moving in panel.moving:
        for at, values in moving.parts(low, high):
            days = _days([from_millis(t) for t in at.tolist()])
            axis.plot(
                days, values * scale, color=INK, linewidth=1, linestyle="--", drawstyle="steps-post"
            )
        if len(moving.values_in_force):
            axis.annotate(
                describe_moving(panel, moving, language),
                (0.01, 0.02),
                xycoords="axes fraction",
                fontsize=6,
            )
    axis.set_title(language.say("Risk, %") if panel.share else panel.heading(language))
    if language.code != "en":
        axis.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: language.digits(f"{value:g}"))
        )
    axis.set_ylim(low * scale, high * scale)
    axis.set_xlim(*_days([chart.start, chart.end]))


def _draw_bars(part: SubFigure, chart: BarChart) -> None:
    axis = part.subplots()
    places = range(len(chart.bars))
    widths = [bar.end - bar.start for bar in chart.bars]
    axis.barh(
        places,
        widths,
        left=[bar.start for bar in chart.bars],
        color=[_COLOURS[bar.kind] for bar in chart.bars],
        height=0.6,
    )
    if chart.threshold is not None:
        axis.axvline(chart.threshold, color=INK, linewidth=1, linestyle="--")
    for place, bar in zip(places, chart.bars, strict=True):
        axis.annotate(
            bar.text, (bar.end, place), (2, 0), textcoords="offset points", va="center", fontsize=6
        )
    axis.set_yticks(places, [f"{bar.label[:1].upper()}{bar.label[1:]}" for bar in chart.bars])
    axis.set_xlim(chart.low, chart.high + 0.16 * (chart.high - chart.low))
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    title = f"{chart.title}; {chart.alarm}" if chart.alarm else chart.title
    part.suptitle(title, x=0.02, ha="left", fontsize=8, color=INK)


def _days(instants: list[datetime]) -> list[float]:
    days: list[float] = np.asarray(date2num(instants), np.float64).tolist()
    return days
