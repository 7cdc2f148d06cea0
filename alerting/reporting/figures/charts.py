"""Charts that several pages share: a variable with its limits, bars of a risk, how good scores
are; the chart of an episode for mails, and those of a training for the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from itertools import pairwise
from textwrap import shorten
from typing import Any

import numpy as np

from alerting.definitions.wording.language import ENGLISH, Language
from alerting.definitions.wording.spoken import format_threshold
from alerting.learning.features.moments import Floats
from alerting.readings.instants import to_millis
from alerting.reporting.figures.bars import Bar, BarChart
from alerting.reporting.figures.episode_chart import (
    EpisodeChart,
    Panel,
    describe_moving,
    lines,
    value_range,
)
from alerting.reporting.figures.kit import (
    BAR_COLOURS,
    Plot,
    Tick,
    number_ticks,
    png,
    share_ticks,
    time_ticks,
)

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
    highest = max(max(one["score"], one["high"]) for one in bins)
    limit = min(1.0, 1.1 * highest)
    ticks = share_ticks(0, limit, language)
    plot = Plot((0, limit), (0, limit), 190, y_title, ticks, ticks, x_title)
    plot.line((0, limit), (0, limit), "muted", 1, dashed=True)
    for one in bins:
        plot.line((one["score"],) * 2, (one["low"], one["high"]), width=1)
    plot.line([one["score"] for one in bins], [one["observed"] for one in bins])
    plot.dots([one["score"] for one in bins], [one["observed"] for one in bins])
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
    return png([*plots, *(bars_plot(one, language) for one in bars)])


def evidence_charts(evidence: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, bytes]:
    """Draw PNG files by name for a challenger's evidence.

    `evidence`: `threshold_curve`, `reliability` and `importance` as the training stores them; of a
    value without an alarm only the last one. `names`: titles of variables. Charts without data are
    omitted.
    """
    curve = evidence.get("threshold_curve", ())
    bins = evidence.get("reliability", ())
    found: dict[str, bytes] = {}
    if len(curve) > 1:
        found["threshold.png"] = threshold_curve(curve)
    if bins:
        plot = calibration_plot(bins, "score (probability)", "share that a problem followed")
        found["calibration.png"] = png([plot])
    if evidence["importance"]:
        found["importance.png"] = importance(evidence["importance"], names)
    return found


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
    if rest := ranked[MOST_VARIABLES:]:
        shown.append((f"{len(rest)} others", sum(share for _, share in rest) / whole))
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
        known = ~np.isnan(values[:, i])
        middle = np.median(values[known, i]) if known.any() else 0.0
        at = row + spread.uniform(-0.3, 0.3, len(shares))
        for side, colour in enumerate(("undetermined", "score", "false-alarm")):
            here = np.where(known, 1 + (values[:, i] > middle), 0) == side
            plot.dots(shares[here, i], at[here], colour, 1.6)
    return png([plot], 640)
