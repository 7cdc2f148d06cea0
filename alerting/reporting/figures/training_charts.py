"""Charts of a training as PNG files for the registry, each readable alone."""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from alerting.definitions.wording.spoken import format_threshold
from alerting.reporting.figures.canvas import (
    MOST_VARIABLES,
    WHITE,
    Points,
    draw_calibration,
    draw_precision_recall,
    draw_shares,
    png,
)

Floats = npt.NDArray[np.float64]
_OTHER = "#b0651a"


def evidence_charts(evidence: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, bytes]:
    """Draw PNG files by name for a challenger's evidence.

    `evidence`: `threshold_curve`, `precision_recall`, `reliability`, `importance` and `summary` as
    the training stores them; of a value without an alarm only the last two. `names`: titles of
    variables. Charts without data are omitted.
    """
    summary = evidence["summary"]
    curve = evidence.get("threshold_curve", ())
    points = evidence.get("precision_recall", ())
    bins = evidence.get("reliability", ())
    shares = evidence["importance"]
    charts = {
        "threshold.png": threshold_curve(curve, summary["threshold_reason"])
        if len(curve) > 1
        else None,
        "precision_recall.png": points and precision_recall(points, summary),
        "calibration.png": bins and calibration(bins),
        "importance.png": shares and importance(shares, names),
    }
    return {name: data for name, data in charts.items() if data}


def threshold_curve(curve: Points, reason: str) -> bytes:
    """Draw metrics by threshold with 95 % confidence intervals, the chosen one in red."""
    titles = {
        "event_recall": "share of problems found",
        "episode_precision": "share of episodes that are right",
        "false_alarms_per_week": "false alarms a week and asset",
        "time_in_alarm": "share of time in alarm",
    }
    chosen = next(p for p in curve if p["chosen"])

    def draw(figure: Figure) -> None:
        panels = figure.subplots(2, 2, sharex=True)
        for axes, (name, title) in zip(panels.flat, titles.items(), strict=True):
            _curve_panel(axes, curve, name, chosen)
            axes.set_title(title)
        for axes in panels[1]:
            axes.set_xlabel("threshold (risk from which an episode is raised)")
        figure.suptitle(
            f"Threshold {format_threshold(chosen['threshold'])} and what others would have found",
            x=0.01,
            ha="left",
            color=WHITE["ink"],
            fontsize=13,
        )
        figure.supxlabel(
            fill(
                f"Red: chosen, {reason}. Grey background: outside of the limits. Bands: 95 %.", 130
            ),
            fontsize=9,
            color=WHITE["muted"],
        )

    return _png((10, 7), draw)


def _curve_panel(axes: Axes, curve: Points, name: str, chosen: Mapping[str, Any]) -> None:
    shown = [p for p in curve if p[name] is not None]
    at = [p["threshold"] for p in shown]
    bounds = [p["intervals"].get(name, [p[name], p[name]]) for p in shown]
    axes.fill_between(
        at,
        [b[0] for b in bounds],
        [b[1] for b in bounds],
        color=WHITE["score"],
        alpha=0.18,
        linewidth=0,
        step="mid",
    )
    axes.step(at, [p[name] for p in shown], where="mid", color=WHITE["score"], linewidth=1.6)
    for low, high in _outside(curve):
        axes.axvspan(low, high, color=WHITE["muted"], alpha=0.12, linewidth=0)
    axes.axvline(chosen["threshold"], color=WHITE["false_alarm"], linewidth=1.1)
    if chosen[name] is not None:
        axes.plot(chosen["threshold"], chosen[name], "o", color=WHITE["false_alarm"], markersize=6)
    axes.set_xlim(min(p["threshold"] for p in curve), max(p["threshold"] for p in curve))
    if name == "false_alarms_per_week":
        axes.set_yscale("symlog", linthresh=1)  # a few false alarms and thousands, on one scale
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.set_ylim(0, None)
    else:
        axes.set_ylim(0, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _outside(curve: Points) -> list[tuple[float, float]]:
    edges = [p["threshold"] for p in curve]
    middles = [edges[0], *((a + b) / 2 for a, b in pairwise(edges)), edges[-1]]
    spans: list[tuple[float, float]] = []
    for i, point in enumerate(curve):
        if point["within_budget"]:
            continue
        low = middles[i]
        high = middles[i + 1]
        spans = (
            [*spans[:-1], (spans[-1][0], high)]
            if spans and spans[-1][1] == low
            else [*spans, (low, high)]
        )
    return spans


def precision_recall(
    points: Points,
    summary: Mapping[str, Any],
    title: str = "Precision and recall over rows of the test period",
) -> bytes:
    """Draw precision against recall by rows; the point in service in red, chance dashed."""
    threshold = summary.get("threshold")
    above = [p for p in points if threshold is not None and p["threshold"] >= threshold]
    point = (above[0]["recall"], above[0]["precision"]) if above else None
    prevalence = summary.get("prevalence")

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        in_service = (
            f"in service: {format_threshold(threshold)}" if threshold is not None and above else ""
        )
        draw_precision_recall(axes, points, prevalence, point, in_service, WHITE)
        if prevalence is not None:
            axes.annotate(
                f"chance {prevalence:.1%}",
                (1, prevalence),
                (0, 4),
                textcoords="offset points",
                ha="right",
                color=WHITE["muted"],
            )
        axes.set_xlabel("recall: share of the instants before a problem")
        axes.set_ylabel("precision")
        ap = f": AP {summary['ap']:.3f}" if summary.get("ap") is not None else ""
        axes.set_title(f"{title}{ap}")

    return _png((7, 5), draw)


def calibration(bins: Points) -> bytes:
    """Draw the observed share against the mean score of each bin, with 95 % intervals."""

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        limit = draw_calibration(upper, bins, WHITE)
        upper.set_ylabel("share that a problem followed")
        upper.set_title(
            "Calibration on the test period: a dot on the dashed line is well calibrated"
        )
        score, rows = ([one[name] for one in bins] for name in ("score", "rows"))
        lower.bar(score, rows, width=limit / 60, color=WHITE["score"], alpha=0.6)
        lower.set(xlabel="score (probability)", ylabel="rows")

    return _png((7, 5.6), draw)


def importance(shares: Mapping[str, float], names: Mapping[str, str]) -> bytes:
    """Draw the share of each variable in the model's importance, the largest on top."""
    whole = sum(shares.values()) or 1.0
    ranked = sorted(
        ((names.get(name, name), share / whole) for name, share in shares.items()),
        key=lambda item: -item[1],
    )
    if len(ranked) > MOST_VARIABLES:
        rest = ranked[MOST_VARIABLES - 1 :]
        others = (f"{len(rest)} others", sum(share for _, share in rest))
        ranked = [*ranked[: MOST_VARIABLES - 1], others]
    bars = [
        (name, share, f"{share:.0%}" if share >= 0.005 else "<1%")
        for name, share in reversed(ranked)
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        draw_shares(axes, bars, WHITE, height=0.7)
        axes.set_title("Importance of each variable for the model")

    return _png((8, 1.2 + 0.32 * len(ranked)), draw)


def trials(scores: Sequence[float], family: str) -> bytes:
    """Draw the average precision of every trial of a search in order, and the best so far."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        number = np.arange(1, len(scores) + 1)
        axes.step(
            number, np.maximum.accumulate(scores), where="post", color=WHITE["score"], linewidth=1.6
        )
        axes.plot(number, scores, "o", color=_OTHER, markersize=5)
        axes.plot(
            int(np.argmax(scores)) + 1, max(scores), "o", color=WHITE["false_alarm"], markersize=7
        )
        axes.set(xlabel="trial", ylabel="average precision out of fold")
        axes.set_xlim(0.5, len(scores) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(
            f"{family.replace('_', ' ')}: best of {len(scores)} trials {max(scores):.3f} (red)"
        )

    return _png((7, 4), draw)


def comparison(evidence: Mapping[str, Any]) -> bytes | None:
    """Draw champion and challenger on one unseen window; None without a comparison."""
    if "at_threshold" not in evidence:
        return None
    titles = {
        "event_recall": "problems found",
        "episode_precision": "episodes right",
        "time_in_alarm": "time in alarm",
        "false_alarms_per_week": "false alarms a week",
    }

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(titles) + 1)
        _draw_comparison(
            panels[0],
            {
                m: (rows["ap"], rows.get("intervals", {}).get("ap"))
                for m, rows in sorted(evidence["rows"].items())
            },
            "average precision",
            share=False,
        )
        for axes, (name, title) in zip(panels[1:], titles.items(), strict=True):
            measured = evidence["at_threshold"]
            values = {
                m: (measured[m][name], measured[m]["intervals"].get(name))
                for m in ("champion", "challenger")
            }
            _draw_comparison(axes, values, title, share=name != "false_alarms_per_week")
        window = evidence["window"]
        start, end = (window[edge][:16].replace("T", " ") for edge in ("start", "end"))
        title = f"On the same {evidence['events']} problems, {start} to {end} UTC; bars: 95 %"
        figure.suptitle(title, x=0.01, ha="left", color=WHITE["ink"], fontsize=12)

    return _png((11, 3.4), draw)


def _draw_comparison(
    axes: Axes,
    values: Mapping[str, tuple[float | None, Sequence[float] | None]],
    title: str,
    share: bool,
) -> None:
    for position, (model, (value, bounds)) in enumerate(values.items()):
        colour = WHITE["muted"] if model == "champion" else WHITE["score"]
        if value is None:
            axes.annotate("none", (position, 0), ha="center", color=WHITE["muted"])
            continue
        if bounds is not None:
            axes.vlines(position, *bounds, color=colour, linewidth=2, alpha=0.6)
        axes.plot(position, value, "o", color=colour, markersize=8)
        label = f"{value:.0%}" if share else f"{value:.3g}"
        axes.annotate(
            label, (position, value), (8, 0), textcoords="offset points", va="center", color=colour
        )
    tops = [max([value, *(bounds or ())]) for value, bounds in values.values() if value is not None]
    axes.set_xticks([0, 1], ["champion", "challenger"])
    axes.set(xlim=(-0.5, 1.75), ylim=(0, 1.1 * max(tops, default=0) or 1.0))
    axes.set_title(title)
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(axis="x", visible=False)


def _png(size: tuple[float, float], draw: Callable[[Figure], None]) -> bytes:
    return png(size, draw, {"axes.titlesize": 11, "axes.titlepad": 10, "grid.linewidth": 0.7})


def shap_plots(
    variables: Sequence[str], shares: Floats, values: Floats, names: Mapping[str, str]
) -> dict[str, bytes]:
    """Return beeswarm and bar plot by file name, of rows by variable; `names`: titles."""
    import shap  # noqa: PLC0415 - takes seconds and 130 MB to import; only a finished training needs it

    titles = [names.get(name, name) for name in variables]
    explained = shap.Explanation(
        values=shares, base_values=np.zeros(len(shares)), data=values, feature_names=titles
    )
    return {
        "shap_beeswarm.png": _shap_png(
            lambda: shap.plots.beeswarm(explained, max_display=MOST_VARIABLES, show=False),
            "share of the variable in the score (probability)",
        ),
        "shap_bar.png": _shap_png(
            lambda: shap.plots.bar(explained.abs.mean(0), max_display=MOST_VARIABLES, show=False),
            "mean size of its share in the score (probability)",
        ),
    }


def _shap_png(plot: Callable[[], object], label: str) -> bytes:
    """Return what a plot of SHAP draws; its pyplot figure is closed again."""
    from matplotlib import pyplot  # noqa: PLC0415 - chooses a backend at import

    with matplotlib.rc_context({"text.parse_math": False}):
        pyplot.switch_backend("agg")
        figure = pyplot.figure(facecolor="white")
        try:
            with warnings.catch_warnings():
                # a category has no number to colour by
                warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
                plot()
            figure.axes[0].set_xlabel(label)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", facecolor="white")
        finally:
            pyplot.close(figure)
    return buffer.getvalue()
