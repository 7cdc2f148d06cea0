"""Charts of a report on a period: time line, lead times, and how good the score is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alerting.deferred import pd
from alerting.definitions.wording.language import ENGLISH, Language
from alerting.readings.history import duration_millis
from alerting.reporting.base import messages
from alerting.reporting.base.scores import RowMetrics
from alerting.reporting.definition.metrics import ReportedEpisode, ReportMetrics
from alerting.reporting.figures.canvas import (
    DAY_MS,
    MOST_VARIABLES,
    PAGE,
    WIDTH,
    date_number,
    draw_calibration,
    draw_limits,
    draw_precision_recall,
    draw_shares,
    inline_svg,
    time_axis,
)
from alerting.reporting.figures.episode_chart import Panel, describe_moving

LANES = 20
_TIME_UNITS = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0))
_OUTCOME_MARKS = {"hit": "o", "avoided": "D", "false_alarm": "X", "undetermined": "."}


def timeline(
    metrics: ReportMetrics,
    scores: pd.DataFrame,
    variable: Panel | None = None,
    zone: tzinfo = UTC,
    language: Language = ENGLISH,
) -> str:
    """Draw `variable` and score over the lanes of all assets, with problems and outcomes."""
    lanes = lanes_of(metrics)
    scored = len(scores) > 0
    lane_height = 0.3 * max(len(lanes), 1) + 0.55
    upper = [2.0] * (scored + (variable is not None))

    def draw(figure: Figure) -> None:
        axes = figure.subplots(
            len(upper) + 1, 1, sharex=True, height_ratios=[*upper, lane_height], squeeze=False
        )[:, 0]
        if variable is not None:
            draw_panel(axes[0], variable, language)
        if scored:
            _draw_score(axes[len(upper) - 1], metrics, scores, language)
        _draw_lanes(axes[-1], metrics, lanes)
        axes[-1].set_xlim(date_number(metrics.start), date_number(metrics.end))
        time_axis(axes[-1], zone, language)

    label = language.say(
        "Time line: {episodes} alarms, {problems} problems, {missed} of them unannounced",
        episodes=len(metrics.episodes),
        problems=len(metrics.problems),
        missed=len(metrics.missed),
    )
    if variable is not None:
        label = "; ".join(
            [label, *(describe_moving(variable, one, language) for one in variable.moving)]
        )
    return inline_svg(
        "timeline", label, (WIDTH, lane_height + 0.5 + 2.1 * len(upper)), draw, language
    )


def draw_panel(axes: Axes, panel: Panel, language: Language = ENGLISH) -> None:
    """Draw the readings of a variable as a line that breaks at gaps, and its limits."""
    gaps = np.flatnonzero(np.diff(panel.at) > duration_millis(panel.hold)) + 1
    at = np.insert(panel.at / DAY_MS, gaps, np.nan)
    axes.plot(at, np.insert(panel.values, gaps, np.nan), color=PAGE["muted"], linewidth=0.9)
    draw_limits(axes, panel, PAGE)
    title = "; ".join(filter(None, (panel.heading(language), language.translate(panel.note))))
    axes.set_title(title, color=PAGE["muted"])


def lead_times(metrics: ReportMetrics, language: Language = ENGLISH) -> str:
    """Draw the number of problems by their lead time; empty without any."""
    if not metrics.lead_times:
        return ""
    longest_s = max(abs(lead) for lead in metrics.lead_times)
    unit, divisor = next((u for u in _TIME_UNITS if longest_s >= 2 * u[1]), ("s", 1.0))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        values = np.asarray(metrics.lead_times) / divisor
        longest = max(
            ((metrics.gap_s or 0) + (metrics.horizon_s or 0)) / divisor, float(values.max())
        )
        axes.hist(
            values,
            bins=12,
            range=(min(0.0, float(values.min())), longest),
            color=PAGE["hit"],
            rwidth=0.92,
        )
        if metrics.lead_time.value is not None:
            axes.axvline(metrics.lead_time.value / divisor, color=PAGE["ink"], linewidth=1.2)
            middle = language.say(
                "median {duration}", duration=messages.seconds(metrics.lead_time.value, language)
            )
            axes.set_title(middle, color=PAGE["muted"])
        if metrics.gap_s:
            axes.axvline(
                metrics.gap_s / divisor, color=PAGE["problem"], linewidth=1.2, linestyle="--"
            )
        axes.set(
            xlabel=language.say("lead time ({unit})", unit=language.say(unit)),
            ylabel=language.say("problems"),
        )
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="x", visible=False)

    return inline_svg(
        "lead", language.say("Distribution of lead times"), (WIDTH / 2, 3.1), draw, language
    )


def calibration(rows: RowMetrics, language: Language = ENGLISH) -> str:
    """Draw the observed share against score, with 95 % intervals; empty without both classes."""
    if rows.ap is None:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        draw_calibration(axes, rows.calibration, PAGE)
        axes.set_xlabel(language.say("score (probability)"))
        axes.set_ylabel(language.say("share of rows the problem followed"))

    return inline_svg(
        "calibration", language.say("Calibration of the score"), (WIDTH / 2, 3.4), draw, language
    )


def precision_recall(rows: RowMetrics, language: Language = ENGLISH) -> str:
    """Draw precision against recall over rows; empty without both classes."""
    if not rows.curve:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        point = (rows.operating["recall"], rows.operating["precision"]) if rows.operating else None
        in_service = language.say("in service")
        draw_precision_recall(axes, rows.curve, rows.prevalence, point, in_service, PAGE)
        axes.set_xlabel(language.say("recall (share of risky rows found)"))
        axes.set_ylabel(language.say("precision"))

    return inline_svg(
        "curve", language.say("Precision and recall of the score"), (WIDTH / 2, 3.4), draw, language
    )


def importance(
    shares: Mapping[str, float], titles: Mapping[str, str], language: Language = ENGLISH
) -> str:
    """Draw the mean size of each variable's share in a score. `titles`: by name."""
    ranked = sorted(
        ((name, share) for name, share in shares.items() if share > 0), key=lambda item: item[1]
    )[-MOST_VARIABLES:]
    if not ranked:
        return ""
    bars = [
        (titles.get(name, name.replace("_", " ")), share, language.points(share))
        for name, share in ranked
    ]
    return inline_svg(
        "importance",
        language.say("Importance of each variable for the model"),
        (WIDTH, 0.6 + 0.32 * len(ranked)),
        lambda figure: draw_shares(figure.subplots(), bars, PAGE, language),
        language,
    )


def _draw_score(
    axes: Axes, metrics: ReportMetrics, scores: pd.DataFrame, language: Language
) -> None:
    """Draw the highest score of each of 700 time slices, so that no peak is averaged away."""
    width = (metrics.end - metrics.start) / 700
    slices = ((scores["ts"] - metrics.start) // width).astype(int)
    highest = scores.groupby(slices, sort=True)[["score", "threshold"]].max()
    at = [date_number(metrics.start + width * (i + 0.5)) for i in highest.index]
    axes.plot(at, highest["score"], color=PAGE["score"], linewidth=1)
    axes.step(at, highest["threshold"], where="mid", color=PAGE["ink"], linewidth=1, linestyle="--")
    title = language.say("score (solid) and threshold (dashed)")
    if scores["asset"].nunique() > 1:
        title = language.say("score (solid) and threshold (dashed), highest of all assets")
    axes.set_title(title, color=PAGE["muted"])
    axes.set(ylim=(0, None), ylabel=language.say("probability"))


def lanes_of(metrics: ReportMetrics) -> list[str]:
    """Return the assets with the most episodes and problems first, at most twenty."""
    busy = dict.fromkeys(metrics.evaluated, 0)
    for asset in [p.asset for p in metrics.problems] + [e.asset for e in metrics.episodes]:
        busy[asset] = busy.get(asset, 0) + 1
    return sorted(sorted(busy), key=lambda asset: -busy[asset])[:LANES]


def _cut(title: str) -> str:
    """Return the beginning of a title in two short lines, so that the lanes keep their width."""
    return fill(title, 22, max_lines=2, placeholder=" …")


def _draw_lanes(axes: Axes, metrics: ReportMetrics, lanes: Sequence[str]) -> None:
    position = {asset: len(lanes) - 1 - i for i, asset in enumerate(lanes)}
    # thinner would not be seen
    least = (metrics.end - metrics.start).total_seconds() / 86_400 / 400
    for problem in metrics.problems:
        if problem.asset in position:
            start = date_number(problem.start)
            end = date_number(problem.end or problem.start)
            colour = PAGE["problem"]
            axes.barh(
                position[problem.asset],
                max(end - start, least),
                0.9,
                left=start,
                color=colour,
                alpha=0.35,
                linewidth=0,
            )
            if problem.episode is None:
                axes.plot(
                    start, position[problem.asset] + 0.3, marker="v", color=colour, markersize=6
                )
    for asset, lane in position.items():
        _draw_episodes(
            axes, [e for e in metrics.episodes if e.asset == asset], lane, least, metrics.end
        )
    titles = [metrics.asset_title(one) for one in reversed(lanes)]
    axes.set_yticks(range(len(lanes)), [_cut(title) for title in titles])
    axes.set_ylim(-0.6, len(lanes) - 0.4)
    axes.grid(axis="y", visible=False)


def _draw_episodes(
    axes: Axes, episodes: Sequence[ReportedEpisode], lane: int, least: float, until: datetime
) -> None:
    """Draw all episodes of one outcome as one shape: quick and small."""
    for outcome, mark in _OUTCOME_MARKS.items():
        own = [e for e in episodes if e.outcome == outcome]
        colour = PAGE[outcome]
        if not own:
            continue
        starts = [date_number(e.raised_at) for e in own]
        ends = [date_number(min(e.ended_at or until, until)) for e in own]
        whole = [(start, max(end - start, least)) for start, end in zip(starts, ends, strict=True)]
        parts = [
            [(date_number(a), date_number(b)) for a, b in e.in_alarm] or [(s, s)]
            for e, s in zip(own, starts, strict=True)
        ]
        measured = [(first, max(last - first, least)) for part in parts for first, last in part]
        # open, outcome unknown
        axes.broken_barh(whole, (lane - 0.02, 0.04), color=colour, alpha=0.5, linewidth=0)
        axes.broken_barh(measured, (lane - 0.16, 0.32), color=colour, linewidth=0)
        at = [lane] * len(own)
        axes.plot(
            starts, at, marker=mark, color=colour, markersize=5, markeredgewidth=0, linestyle="none"
        )
