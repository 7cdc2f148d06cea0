"""Charts of a report as inline SVG whose colours are CSS variables, so that they follow light and
dark."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from html import escape

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, num2date
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, ScalarFormatter

from alerting.definitions.wording.language import ENGLISH, Language
from alerting.readings.history import duration_millis
from alerting.reporting.base import messages
from alerting.reporting.base.scores import RowMetrics
from alerting.reporting.definition.metrics import ReportedEpisode, ReportMetrics
from alerting.reporting.figures.chart_style import chart_style
from alerting.reporting.figures.episode_chart import Panel, describe_moving, value_range

# matplotlib knows no CSS variables: it draws in placeholder colours, and each is replaced by its
# variable.
COLOURS = {
    "ink": "#010101",
    "muted": "#010102",
    "rule": "#010103",
    "score": "#010104",
    "hit": "#010105",
    "avoided": "#010106",
    "false_alarm": "#010107",
    "undetermined": "#010108",
    "problem": "#010109",
}
WIDTH = 10.5  # inches of 72 CSS pixels
_STYLE = chart_style(COLOURS["ink"], COLOURS["muted"], COLOURS["rule"]) | {
    "svg.fonttype": "none",
    "axes.titlesize": 10,
    "grid.linewidth": 0.6,
}
LANES = 20
MOST_VARIABLES = 15
_TIME_UNITS = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0))
_BINS = 700
_OUTCOME_MARKS = {"hit": "o", "avoided": "D", "false_alarm": "X", "undetermined": "."}


def timeline(
    metrics: ReportMetrics,
    scores: pd.DataFrame,
    variable: Panel | None = None,
    zone: tzinfo = UTC,
    language: Language = ENGLISH,
) -> str:
    """Draw variable and score (where there are any) over the lanes of all assets: problems shaded,
    episodes by outcome.

    `variable`: readings of the problem's or condition's variable.
    """
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
    """Draw the readings of a variable as a line that breaks at gaps, and its limits dashed, in
    steps where they change."""
    at = panel.at / 86_400_000
    values = panel.values
    gaps = np.flatnonzero(np.diff(panel.at) > duration_millis(panel.hold)) + 1
    at = np.insert(at, gaps, np.nan)
    values = np.insert(values, gaps, np.nan)
    axes.plot(at, values, color=COLOURS["muted"], linewidth=0.9)
    for level in panel.levels:
        axes.axhline(level.value, color=COLOURS["problem"], linewidth=1, linestyle="--")
    for moving in panel.moving:
        for instants, limits in moving.parts(*value_range(panel)):
            axes.plot(
                instants / 86_400_000,
                limits,
                color=COLOURS["problem"],
                linewidth=1,
                linestyle="--",
                drawstyle="steps-post",
            )
    axes.set_title(
        "; ".join(filter(None, (panel.heading(language), language.translate(panel.note)))),
        color=COLOURS["muted"],
    )


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
            color=COLOURS["hit"],
            rwidth=0.92,
        )
        if metrics.lead_time.value is not None:
            axes.axvline(metrics.lead_time.value / divisor, color=COLOURS["ink"], linewidth=1.2)
            middle = language.say(
                "median {duration}", duration=messages.seconds(metrics.lead_time.value, language)
            )
            axes.set_title(middle, color=COLOURS["muted"])
        if metrics.gap_s:
            axes.axvline(
                metrics.gap_s / divisor, color=COLOURS["problem"], linewidth=1.2, linestyle="--"
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
    """Draw the observed share against score, with 95 % intervals; empty without labelled scores of
    both classes."""
    if rows.ap is None:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        score, observed, low, high = (
            np.array([point[name] for point in rows.calibration])
            for name in ("score", "observed", "low", "high")
        )
        limit = min(1.0, 1.08 * max(*score, *high))
        axes.plot([0, limit], [0, limit], color=COLOURS["muted"], linewidth=1, linestyle="--")
        axes.errorbar(
            score,
            observed,
            np.maximum([observed - low, high - observed], 0),
            color=COLOURS["score"],
            marker="o",
            markersize=4,
            linewidth=1.4,
            elinewidth=1,
        )
        axes.set(
            xlabel=language.say("score (probability)"),
            ylabel=language.say("share of rows the problem followed"),
        )
        axes.set(xlim=(0, limit), ylim=(0, limit))

    return inline_svg(
        "calibration", language.say("Calibration of the score"), (WIDTH / 2, 3.4), draw, language
    )


def precision_recall(rows: RowMetrics, language: Language = ENGLISH) -> str:
    """Draw precision against recall over rows, with the point in service; empty without labelled
    scores of both classes."""
    if not rows.curve:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        recall, precision = (
            [point[name] for point in rows.curve] for name in ("recall", "precision")
        )
        axes.plot(recall, precision, color=COLOURS["score"], linewidth=1.6)
        if rows.prevalence is not None:
            axes.axhline(rows.prevalence, color=COLOURS["muted"], linewidth=1, linestyle="--")
        if rows.operating is not None:
            point = (rows.operating["recall"], rows.operating["precision"])
            axes.plot(*point, "o", color=COLOURS["false_alarm"], markersize=7)
            left = point[0] > 0.5
            text = language.say("in service")
            side = "right" if left else "left"
            axes.annotate(
                text, point, (-9 if left else 9, -12), textcoords="offset points", ha=side
            )
        axes.set(
            xlabel=language.say("recall (share of risky rows found)"),
            ylabel=language.say("precision"),
        )
        axes.set(xlim=(0, 1), ylim=(0, 1.03))

    return inline_svg(
        "curve", language.say("Precision and recall of the score"), (WIDTH / 2, 3.4), draw, language
    )


def importance(
    shares: Mapping[str, float], titles: Mapping[str, str], language: Language = ENGLISH
) -> str:
    """Draw the mean size of each variable's share in a score, the largest on top; empty without
    any. `titles`: by name."""
    ranked = sorted(
        ((name, share) for name, share in shares.items() if share > 0), key=lambda item: item[1]
    )[-MOST_VARIABLES:]
    if not ranked:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        bars = axes.barh(
            [titles.get(name, name.replace("_", " ")) for name, _ in ranked],
            [share for _, share in ranked],
            color=COLOURS["score"],
        )
        axes.bar_label(
            bars, [language.points(share) for _, share in ranked], padding=4, color=COLOURS["muted"]
        )
        axes.set_xlim(0, 1.15 * max(*(share for _, share in ranked), 1e-9))
        show_percent(axes.xaxis, language)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])

    label = language.say("Importance of each variable for the model")
    return inline_svg("importance", label, (WIDTH, 0.6 + 0.32 * len(ranked)), draw, language)


def _draw_score(
    axes: Axes, metrics: ReportMetrics, scores: pd.DataFrame, language: Language
) -> None:
    """Draw the highest score of any asset in each of at most 700 time slices, so that no peak is
    averaged away."""
    width = (metrics.end - metrics.start) / _BINS
    slices = ((scores["ts"] - metrics.start) // width).astype(int)
    highest = scores.groupby(slices, sort=True)[["score", "threshold"]].max()
    at = [date_number(metrics.start + width * (i + 0.5)) for i in highest.index]
    axes.plot(at, highest["score"], color=COLOURS["score"], linewidth=1)
    axes.step(
        at, highest["threshold"], where="mid", color=COLOURS["ink"], linewidth=1, linestyle="--"
    )
    title = language.say("score (solid) and threshold (dashed)")
    if scores["asset"].nunique() > 1:
        title = language.say("score (solid) and threshold (dashed), highest of all assets")
    axes.set_title(title, color=COLOURS["muted"])
    axes.set(ylim=(0, None), ylabel=language.say("probability"))


def lanes_of(metrics: ReportMetrics) -> list[str]:
    """Return the assets with the most episodes and problems first, at most twenty."""
    busy = dict.fromkeys(metrics.evaluated, 0)
    for asset in [p.asset for p in metrics.problems] + [e.asset for e in metrics.episodes]:
        busy[asset] = busy.get(asset, 0) + 1
    return sorted(sorted(busy), key=lambda asset: -busy[asset])[:LANES]


def _draw_lanes(axes: Axes, metrics: ReportMetrics, lanes: Sequence[str]) -> None:
    position = {asset: len(lanes) - 1 - i for i, asset in enumerate(lanes)}
    least = (
        (metrics.end - metrics.start).total_seconds() / 86_400 / 400
    )  # thinner would not be seen
    for problem in metrics.problems:
        if problem.asset in position:
            start = date_number(problem.start)
            end = date_number(problem.end or problem.start)
            colour = COLOURS["problem"]
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
    axes.set_yticks(range(len(lanes)), reversed(lanes))
    axes.set_ylim(-0.6, len(lanes) - 0.4)
    axes.grid(axis="y", visible=False)


def _draw_episodes(
    axes: Axes, episodes: Sequence[ReportedEpisode], lane: int, least: float, until: datetime
) -> None:
    """Draw the episodes of one lane, those of one outcome together: one shape for many keeps the
    chart quick and small."""
    for outcome, mark in _OUTCOME_MARKS.items():
        own = [e for e in episodes if e.outcome == outcome]
        colour = COLOURS[outcome]
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
        axes.broken_barh(
            whole, (lane - 0.02, 0.04), color=colour, alpha=0.5, linewidth=0
        )  # open, outcome unknown
        axes.broken_barh(measured, (lane - 0.16, 0.32), color=colour, linewidth=0)
        at = [lane] * len(own)
        axes.plot(
            starts, at, marker=mark, color=colour, markersize=5, markeredgewidth=0, linestyle="none"
        )


def time_axis(axes: Axes, zone: tzinfo, language: Language = ENGLISH, most: int = 10) -> None:
    """Label the axis with at most this many times of a zone: days, or hours with their day, or
    hours within a day."""
    axes.xaxis.set_major_locator(
        AutoDateLocator(minticks=4 if most > 6 else 2, maxticks=most, tz=zone)
    )
    days = float(np.ptp(axes.get_xlim()))
    form = "%H:%M" if days <= 5 else ""

    def show(at: float, _: int | None) -> str:
        moment = num2date(at, zone)
        return " ".join(
            [
                *([language.month_day(moment)] if days > 1 else []),
                *([moment.strftime(form)] if form else []),
            ]
        )

    axes.xaxis.set_major_formatter(FuncFormatter(show))
    axes.set_xlabel(language.say("time ({zone})", zone=messages.zone_name(zone)))


def date_number(instant: datetime) -> float:
    """Return matplotlib's date of an instant: days since 1970."""
    return instant.timestamp() / 86_400


def inline_svg(
    name: str,
    label: str,
    size: tuple[float, float],
    draw: Callable[[Figure], None],
    language: Language = ENGLISH,
) -> str:
    """Draw and convert to inline SVG: scalable, no fixed colours, unique ids so that several fit on
    one page.

    `name`: for the ids; `label`: the text alternative.
    """
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure)
        for axes in figure.axes:
            axes.patch.set_alpha(0)
            _say_numbers(axes, language)
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(
            buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _inline(buffer.getvalue(), name, label)


def show_percent(axis: Axis, language: Language) -> None:
    """Write the shares of an axis as percent."""
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{language.digits(f'{100 * value:g}')} %")
    )


def _say_numbers(axes: Axes, language: Language) -> None:
    """Write the plain numbers of both axes as the language does."""
    for axis in (axes.xaxis, axes.yaxis):
        if language.code != "en" and type(axis.get_major_formatter()) is ScalarFormatter:
            axis.set_major_formatter(FuncFormatter(lambda value, _: language.digits(f"{value:g}")))


def _inline(svg: str, name: str, label: str) -> str:
    svg = svg[svg.index("<svg") :]
    role = f' role="img" aria-label="{escape(label)}"'
    svg = re.sub(
        r' width="[\d.]+pt" height="[\d.]+pt"', lambda _: role, svg, count=1
    )  # a name may have a backslash
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for variable, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{variable.replace('_', '-')})")
    return svg
