"""Charts of a report's sections: drivers, drift, scores, missed problems, single episodes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from html import escape

import numpy as np
from matplotlib.figure import Figure

from alerting.definitions.wording.language import ENGLISH, Language
from alerting.learning.metrics.graded_values import ServedValues
from alerting.reporting.base import messages
from alerting.reporting.definition.drift import Drift
from alerting.reporting.definition.drivers import Driver
from alerting.reporting.figures.bars import BarChart
from alerting.reporting.figures.canvas import (
    BAR_COLOURS,
    DAY_MS,
    PAGE,
    WIDTH,
    date_number,
    draw_shares,
    inline_svg,
    show_percent,
    time_axis,
)
from alerting.reporting.figures.episode_chart import describe_moving
from alerting.reporting.page.charts import draw_panel
from alerting.reporting.page.details import MissedProblem

_MOST_SAMPLES = 150  # in a chart of predicted values
_ROW = 36  # pixels of a bar drawn as plain SVG, with its label above it
_DRAWN = 0.78  # of the width for the bars; the rest for their values


def bars(chart: BarChart) -> str:
    """Draw bars below each other, each under its label, as an SVG of any width."""
    height = _ROW * len(chart.bars)
    rows = []
    for i, bar in enumerate(chart.bars):
        y = i * _ROW
        start = _DRAWN * chart.percent_at(bar.start)
        end = _DRAWN * chart.percent_at(bar.end)
        width = max(end - start, 0.3)
        fill = f"var(--{BAR_COLOURS[bar.kind].replace('_', '-')})"
        rows.append(
            f'<text x="0" y="{y + 11}">{escape(bar.label)}</text>'
            f'<rect x="{start:.2f}%" y="{y + 16}" width="{width:.2f}%" height="12" fill="{fill}"/>'
            f'<text x="{start + width:.2f}%" dx="5" y="{y + 26}">{escape(bar.text)}</text>'
        )
    if chart.threshold is not None:
        x = f"{_DRAWN * chart.percent_at(chart.threshold):.2f}%"
        rows.insert(
            0,
            f'<line x1="{x}" x2="{x}" y1="14" y2="{height}" stroke="var(--ink)" '
            f'stroke-dasharray="4 3" opacity=".6"/>',
        )
    label = escape(chart.description)
    return (
        f'<svg class="bars" role="img" aria-label="{label}" width="100%" '
        f'height="{height}">{"".join(rows)}</svg>'
    )


def driver_bars(
    drivers: Sequence[Driver], titles: Mapping[str, str], language: Language = ENGLISH
) -> str:
    """Draw each variable's mean contribution, now and before. `titles`: by name."""
    if not drivers:
        return ""
    compared = any(d.before is not None for d in drivers)
    shown = list(reversed(drivers))
    now = [
        (titles.get(d.variable, d.variable.replace("_", " ")), d.share, language.points(d.share))
        for d in shown
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        draw_shares(
            axes, now, PAGE, language, 0.4 if compared else 0.7, offset=0.2 if compared else 0
        )
        if compared:
            before = [d.before or 0.0 for d in shown]
            at = np.arange(len(shown)) - 0.2
            axes.barh(at, before, 0.34, color=PAGE["undetermined"], alpha=0.6)
            axes.set_xlim(0, 1.15 * max(*(d.share for d in shown), *before, 1e-9))

    parts = [f"{d.variable} {language.points(d.share)}{_before(d, language)}" for d in drivers]
    label = language.say(
        "Mean contribution to the risk of the alarms: {variables}", variables=", ".join(parts)
    )
    return inline_svg(
        "drivers", label, (WIDTH, 0.7 + (0.45 if compared else 0.32) * len(drivers)), draw, language
    )


def _before(driver: Driver, language: Language) -> str:
    return (
        ""
        if driver.before is None
        else " " + language.say("(before: {points})", points=language.points(driver.before))
    )


def drift_bars(drift: Drift, name: str, language: Language = ENGLISH) -> str:
    """Draw the share of values in each bin, in the training and now. `name`: for ids."""

    labels = [language.translate(label) for label in drift.labels]
    variable = drift.variable.replace("_", " ")

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        at = np.arange(len(labels))
        axes.bar(at - 0.2, drift.reference, 0.38, color=PAGE["undetermined"], alpha=0.7)
        axes.bar(at + 0.2, drift.current, 0.38, color=PAGE["score"])
        axes.set_xticks(at, labels, rotation=35, ha="right", fontsize=8)
        show_percent(axes.yaxis, language)
        axes.set_title(
            f"{variable}: PSI {language.digits(f'{drift.psi:.2f}')}", color=PAGE["muted"]
        )
        axes.grid(axis="x", visible=False)

    shares = [
        f"{label}: {language.share(a)} → {language.share(b)}"
        for label, a, b in zip(labels, drift.reference, drift.current, strict=True)
    ]
    label = language.say(
        "{variable}, share of values in the training → in this period: {shares}",
        variable=variable,
        shares=", ".join(shares),
    )
    return inline_svg(name, label, (WIDTH / 2, 3.2), draw, language)


def score_bars(
    shares: Sequence[float], before: Sequence[float], language: Language = ENGLISH
) -> str:
    """Draw the share of scores by size; a scale of roots shows rare high ones."""
    if not shares:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        width = 1 / len(shares)
        at = (np.arange(len(shares)) + 0.5) * width
        axes.bar(at, shares, 0.86 * width, color=PAGE["score"])
        if before:
            axes.step(at, before, where="mid", color=PAGE["ink"], linewidth=1, linestyle="--")
        axes.set_yscale("function", functions=(np.sqrt, np.square))
        show_percent(axes.yaxis, language)
        axes.set(
            xlabel=language.say("score (probability)"),
            ylabel=language.say("share of scores"),
            xlim=(0, 1),
            ylim=(0, None),
        )

    label = language.say(
        "Distribution of the scores: {share} of them are above one half",
        share=language.share(sum(shares[len(shares) // 2 :])),
    )
    return inline_svg("scores", label, (WIDTH / 2, 3.4), draw, language)


def draw_values(
    values: Mapping[str, ServedValues], zone: tzinfo = UTC, language: Language = ENGLISH
) -> str:
    """Draw the predicted values of the first asset beside its samples: the last ones that a chart
    can show; empty without samples."""
    asset, found = next(iter(values.items()), ("", None))
    if found is None or not len(found.graded.at):
        return ""
    variable = found.variable.replace("_", " ")
    samples = found.graded.at[-_MOST_SAMPLES:]
    values_came = found.graded.value[-_MOST_SAMPLES:]
    is_drawn = found.drawn_at >= samples[0]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        at = found.drawn_at[is_drawn] / DAY_MS
        low, middle, high = (
            side[is_drawn]
            for side in (found.predicted.low, found.predicted.median, found.predicted.high)
        )
        axes.fill_between(at, low, high, color=PAGE["score"], alpha=0.25, linewidth=0)
        axes.plot(at, middle, color=PAGE["score"], linewidth=1)
        axes.plot(samples / DAY_MS, values_came, "o", color=PAGE["ink"], markersize=3)
        axes.set_title(", ".join(filter(None, (asset, variable, found.unit))), color=PAGE["muted"])
        time_axis(axes, zone, language, most=6)

    label = language.say(
        "{asset}: predicted {variable} with its 90 % interval, beside the samples",
        asset=asset,
        variable=variable,
    )
    return inline_svg("values", label, (WIDTH, 3.0), draw, language)


def missed_problem(
    missed: MissedProblem, name: str, zone: tzinfo = UTC, language: Language = ENGLISH
) -> str:
    """Draw the variable around a problem that came unannounced; the problem is shaded."""
    panel = missed.panel
    if panel is None or not len(panel.at):
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        draw_panel(axes, panel, language)
        left, right = panel.at[[0, -1]] / DAY_MS
        axes.axvspan(
            date_number(missed.start),
            min(date_number(missed.end) if missed.end else right, right),
            color=PAGE["problem"],
            alpha=0.3,
            linewidth=0,
        )
        axes.set_xlim(left, right)
        time_axis(axes, zone, language, most=6)

    label = language.say(
        "{asset}, {variable}: around the problem of {when}",
        asset=missed.asset,
        variable=panel.name,
        when=messages.instant(missed.start, zone),
    )
    label = "; ".join([label, *(describe_moving(panel, one, language) for one in panel.moving)])
    return inline_svg(name, label, (WIDTH / 2, 2.5), draw, language)
