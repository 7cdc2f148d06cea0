"""The chart of an episode as one small PNG for e-mail, readable on a phone, on white, without other text."""

import io
from datetime import datetime, tzinfo

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure

from alerting.definitions.wording.spoken import spoken_share
from alerting.readings.history import from_millis
from alerting.reporting.figures.chart_style import chart_style
from alerting.reporting.figures.episode_chart import EpisodeChart, Panel, lines, value_range
from alerting.reporting.figures.training_charts import CHOSEN, INK, MAIN, MUTED, RULE

WIDTH_PX, HEIGHT_PX, DPI = 640, 320, 160
_STYLE = chart_style(INK, MUTED, RULE) | {"font.size": 7, "axes.titlesize": 8, "axes.titlecolor": INK, "grid.linewidth": 0.6}


def episode_image(chart: EpisodeChart, zone: tzinfo) -> bytes:
    """Draw a PNG: one panel below the other, limits dashed, the time of the episode shaded."""
    height = HEIGHT_PX * (1 if len(chart.panels) == 1 else 1.6)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH_PX / DPI, height / DPI), dpi=DPI, layout="constrained", facecolor="white")
        axes = figure.subplots(len(chart.panels), sharex=True, squeeze=False)[:, 0]
        for axis, panel in zip(axes, chart.panels, strict=True):
            _draw(axis, panel, chart)
        axes[-1].xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=8, tz=zone))
        axes[-1].xaxis.set_major_formatter(DateFormatter("%H:%M", tz=zone))
        axes[-1].set_xlabel(f"{chart.raised_at.astimezone(zone):%Z}", loc="right", color=MUTED, fontsize=6)
        buffer = io.BytesIO()
        FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _draw(axis: Axes, panel: Panel, chart: EpisodeChart) -> None:
    scale = 100.0 if panel.share else 1.0
    start, end = chart.raised_at, max(chart.raised_at, chart.closed_at or chart.now or chart.end)
    axis.axvspan(*_days([start, end]), color=CHOSEN, alpha=0.12, linewidth=0)
    axis.axvline(_days([start])[0], color=CHOSEN, linewidth=1)
    marker = "." if len(panel.at) < 60 else ""
    for at, values in lines(panel):
        days = _days([from_millis(t) for t in at.tolist()])
        axis.plot(days, values * scale, color=MAIN, linewidth=1.1, drawstyle="steps-post", marker=marker, markersize=3)
    low, high = value_range(panel)
    for level in panel.levels:
        if low <= level.value <= high:
            axis.axhline(level.value * scale, color=INK, linewidth=1, linestyle="--")
            label = f"{level.label} {spoken_share(level.value) if panel.share else format(level.value, '.4g')}"
            axis.annotate(label, (0.01, level.value * scale), (0, 2), ("axes fraction", "data"), "offset points", fontsize=6)
    axis.set_title("Risk, %" if panel.share else panel.heading)
    axis.set_ylim(low * scale, high * scale)
    axis.set_xlim(*_days([chart.start, chart.end]))


def _days(instants: list[datetime]) -> list[float]:
    days: list[float] = np.asarray(date2num(instants), np.float64).tolist()
    return days
