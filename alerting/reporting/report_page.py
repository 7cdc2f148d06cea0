"""The report as one self-contained page without scripts and external resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from markupsafe import Markup

from alerting.deferred import pd
from alerting.definitions.wording.language import ENGLISH, Language, join_first, template
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ReportedMiss
from alerting.learning.predicted_and_measured import ServedValues
from alerting.readings.history import from_millis, to_millis
from alerting.reporting import phrases
from alerting.reporting.charts import Plot, number_ticks, share_ticks, still, time_ticks
from alerting.reporting.definition.conclusion import TRUST_MESSAGES, Judgement, head_sentences
from alerting.reporting.definition.period_data import Material, ReportedProblem, outcome_of
from alerting.reporting.definition.report_metrics import ReportMetrics
from alerting.reporting.episode_details import (
    BacktestMetrics,
    most_severe,
    panel_around,
    panel_of,
)
from alerting.reporting.estimates import RowMetrics
from alerting.reporting.model_charts import (
    BarChart,
    bars_plot,
    calibration_plot,
    importance_bars,
    titles_of,
    waterfall,
)
from alerting.reporting.pictures import png
from alerting.reporting.sentences import last_taken
from alerting.reporting.templates import render
from alerting.reporting.variable_charts import Fan, Panel, describe_moving, panel_plot

LANES = 20
_TIME_UNITS = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0))
_MOST_SAMPLES = 150  # in a chart of predicted values
_THINNEST = 400  # parts of the width


def timeline(
    metrics: ReportMetrics,
    scores: pd.DataFrame,
    variable: Panel | None = None,
    language: Language = ENGLISH,
) -> Markup:
    """Draw `variable` and score over the lanes of all assets, with problems and outcomes. `scores`:
    one row for each asset and instant."""
    start = to_millis(metrics.start)
    end = to_millis(metrics.end)
    plots = [] if variable is None else [panel_plot(variable, start, end, (), language)]
    if len(scores):
        plots.append(_score_plot(metrics, scores, language))
    plots.append(lanes_plot(metrics, language))
    _scale_time(plots[-1], metrics.start, metrics.end, 8, language)
    text = (
        template("Time line: {episodes} alarms, {problems} problems, {missed} of them not found")
        if metrics.is_detector
        else template(
            "Time line: {episodes} alarms, {problems} problems, {missed} of them unannounced"
        )
    )
    label = language.say(
        text,
        episodes=len(metrics.episodes),
        problems=len(metrics.problems),
        missed=len(metrics.missed),
    )
    moving = (
        [describe_moving(variable, level, language) for level in variable.moving]
        if variable is not None
        else []
    )
    return still(plots, "; ".join([label, *moving]))


def lanes_of(metrics: ReportMetrics) -> list[str]:
    """Return the assets with the most episodes and problems first, at most twenty."""
    busy = dict.fromkeys(metrics.evaluated, 0)
    for asset in [p.asset for p in metrics.problems] + [e.asset for e in metrics.episodes]:
        busy[asset] = busy.get(asset, 0) + 1
    return sorted(sorted(busy), key=lambda asset: -busy[asset])[:LANES]


def lanes_plot(metrics: ReportMetrics, language: Language = ENGLISH) -> Plot:
    """Return a lane for each asset with its problems (shaded) and alarms by outcome; thin where
    data were missing."""
    start = to_millis(metrics.start)
    end = to_millis(metrics.end)
    least = (end - start) / _THINNEST
    lanes = lanes_of(metrics)
    names = [(float(len(lanes) - 1 - i), lane) for i, lane in enumerate(lanes)]
    y = (-0.6, len(lanes) - 0.4)
    plot = Plot(
        (start, end),
        y,
        24 * max(len(lanes), 1) + 8,
        y_ticks=[(row, metrics.asset_title(asset)) for row, asset in names],
        grid=False,
        named_rows=True,
    )

    def bar(begin: datetime, until: datetime | None, y: float, half: float, *look: Any) -> None:
        first = to_millis(begin)
        last = max(to_millis(min(until or metrics.end, metrics.end)), first + least)
        plot.bar((first, last), (y - half, y + half), *look)

    row_of = {asset: row for row, asset in names}
    for problem in (p for p in metrics.problems if p.asset in row_of):
        row = row_of[problem.asset]
        name = language.say("problem")
        bar(problem.start, problem.end or problem.start, row, 0.45, "problem", 0.35, name)
        if problem.episode is None:
            plot.write(to_millis(problem.start), row, "▼", "middle", (0, -3), "missed")
    for episode in (e for e in metrics.episodes if e.asset in row_of):
        row = row_of[episode.asset]
        colour = episode.outcome.replace("_", "-")
        name = language.translate(phrases.OUTCOME_NAMES[episode.outcome])
        bar(episode.raised_at, episode.ended_at, row, 0.03, colour, 0.6)
        for first, last in episode.in_alarm or [(episode.raised_at, episode.raised_at)]:
            bar(first, last, row, 0.2, colour, 1.0, name)
    return plot


def _score_plot(metrics: ReportMetrics, scores: pd.DataFrame, language: Language) -> Plot:
    """Return the highest score of each of 700 time slices, so that no peak is averaged away."""
    width = (metrics.end - metrics.start) / 700
    slices = ((scores["ts"] - metrics.start) // width).astype(int)
    highest = scores.groupby(slices, sort=True)[["score", "threshold"]].max()
    at = [to_millis(metrics.start + width * (i + 0.5)) for i in highest.index]
    top = 1.05 * float(highest.to_numpy(np.float64).max()) or 1.0
    title = language.say(
        template("score (solid) and threshold (dashed), highest of all assets")
        if scores["asset"].nunique() > 1
        else template("score (solid) and threshold (dashed)")
    )
    x = (to_millis(metrics.start), to_millis(metrics.end))
    plot = Plot(x, (0, top), 110, title, y_ticks=share_ticks(0, top, language))
    plot.line(at, highest["score"], width=1, name=language.say("score"))
    threshold = language.say("threshold")
    plot.line(at, highest["threshold"], "limit", 1, dashed=True, steps=True, name=threshold)
    return plot


def lead_times(metrics: ReportMetrics, language: Language = ENGLISH) -> Markup:
    """Draw the number of problems by their lead time; empty without any."""
    if not metrics.lead_times:
        return Markup()
    longest_s = max(abs(lead) for lead in metrics.lead_times)
    unit, divisor = next((u for u in _TIME_UNITS if longest_s >= 2 * u[1]), ("s", 1.0))
    values = np.asarray(metrics.lead_times) / divisor
    gap = (metrics.gap_s or 0) / divisor
    last = max(gap + (metrics.horizon_s or 0) / divisor, float(values.max()))
    counts, edges = np.histogram(values, 12, (min(0.0, float(values.min())), last))
    top = 1.1 * int(counts.max())
    x = (float(edges[0]), float(edges[-1]))
    y_ticks = [tick for tick in number_ticks(0, top, language) if tick[0] == round(tick[0])]
    middle = metrics.lead_time.value or 0.0
    median_text = language.say("median {duration}", duration=phrases.seconds(middle, language))
    title = f"{language.say('problems')}; {median_text}"
    plot = Plot(x, (0, top), 170, title, number_ticks(*x, language), y_ticks)
    plot.x_title = language.say("lead time ({unit})", unit=language.say(unit))
    for count, first, until in zip(counts.tolist(), edges, edges[1:], strict=False):
        plot.bar((first, until - 0.06 * (until - first)), (0, count), "hit")
    plot.moment(middle / divisor)
    if gap:
        plot.moment(gap, "", "problem", dashed=True)
    return still([plot], language.say("Distribution of lead times"))


def calibration(rows: RowMetrics, language: Language = ENGLISH) -> Markup:
    """Draw the observed share against score, with 95 % intervals; empty without both classes."""
    if rows.ap is None:
        return Markup()
    x_title = language.say("score (probability)")
    y_title = language.say("share of rows the problem followed")
    plot = calibration_plot(rows.calibration, x_title, y_title, language)
    return still([plot], language.say("Calibration of the score"))


def bars(chart: BarChart | None, language: Language) -> Markup:
    """Draw bars; empty without any."""
    return Markup() if chart is None else still([bars_plot(chart, language)], chart.description)


def driver_bars(
    metrics: ReportMetrics, titles: Mapping[str, str], language: Language = ENGLISH
) -> Markup:
    """Draw the mean contribution of each variable or of those that move together, and thin that of
    the period before."""
    label = language.say("Mean contribution to the risk of the alarms")
    shares = {d.variable: d.share for d in metrics.drivers}
    names = {
        d.variable: language.translate(
            join_first([titles.get(name, name.replace("_", " ")) for name in d.names], 2)
        )
        for d in metrics.drivers
    }
    chart = importance_bars(shares, names, language, label)
    if chart is None:
        return Markup()
    plot = bars_plot(chart, language)
    period = language.say("period before")
    for row, driver in zip(range(len(chart.bars) - 1, -1, -1), metrics.drivers, strict=False):
        if driver.before is not None:
            plot.bar((0, driver.before), (row - 0.42, row - 0.28), "undetermined", name=period)
    return still([plot], chart.description)


def predicted_values(values: Mapping[str, ServedValues], language: Language = ENGLISH) -> Markup:
    """Draw the predicted values of the first asset beside its samples: the last ones that a chart
    can show; empty without samples."""
    asset, served = next(iter(values.items()), ("", None))
    if served is None or not len(served.graded.at):
        return Markup()
    variable = served.variable.replace("_", " ")
    samples = served.graded.at[-_MOST_SAMPLES:]
    came = served.graded.value[-_MOST_SAMPLES:]
    is_drawn = served.drawn_at >= samples[0]
    at = served.drawn_at[is_drawn]
    low = served.predicted.low[is_drawn]
    middle = served.predicted.median[is_drawn]
    high = served.predicted.high[is_drawn]
    last = int(at.max(initial=samples[-1]))
    fan = Fan(tuple(at.tolist()), tuple(low.tolist()), tuple(middle.tolist()), tuple(high.tolist()))
    panel = Panel(f"{asset}, {variable}", served.unit, samples, came, hold=timedelta(0), fan=fan)
    plot = _over_time(panel, last, 6, language)
    label = language.say(
        "{asset}: predicted {variable} with its 90 % interval, beside the samples",
        asset=asset,
        variable=variable,
    )
    return still([plot], label)


def missed_problem(
    panel: Panel | None, problem: ReportedProblem, language: Language = ENGLISH
) -> Markup:
    """Draw the variable around a problem that came unannounced; the problem is shaded."""
    if panel is None:
        return Markup()
    last = int(panel.at[-1])
    plot = _over_time(panel, last, 5, language)
    ended = to_millis(problem.end) if problem.end else last
    lasting = (float(to_millis(problem.start)), float(ended))
    plot.band(lasting, "problem", language.say("problem"), "problem")
    label = language.say(
        "{asset}, {variable}: around the problem of {when}",
        asset=problem.asset,
        variable=panel.name,
        when=problem.start,
    )
    moving = [describe_moving(panel, level, language) for level in panel.moving]
    return still([plot], "; ".join([label, *moving]))


def _over_time(panel: Panel, last: int, most: int, language: Language) -> Plot:
    """Return the plot of a variable from its first reading to an instant (ms)."""
    first = int(panel.at[0])
    plot = panel_plot(panel, first, last, (), language)
    _scale_time(plot, from_millis(first), from_millis(last), most, language)
    return plot


def _scale_time(plot: Plot, start: datetime, end: datetime, most: int, language: Language) -> None:
    """Write times below a plot, at most so many, and the zone of the reader's clock."""
    zone = language.clock.zone
    plot.x_ticks = time_ticks(start, end, zone, language, most)
    plot.x_title = language.say("time ({zone})", zone=str(zone))


@dataclass(frozen=True)
class Charts:
    """The charts of a report as inline SVG, empty without data. `reported`: operators' misses."""

    by_name: Mapping[str, Markup]
    missed: tuple[tuple[ReportedProblem, Markup], ...] = ()
    episodes: tuple[tuple[Episode, Markup], ...] = ()
    reported: tuple[ReportedMiss, ...] = ()


def draw(metrics: ReportMetrics, material: Material, language: Language = ENGLISH) -> Charts:
    """Draw all charts of a report, with the reader's clock."""
    rows = metrics.rows
    assets = {name: history.asset for name, history in material.histories.items()}
    titles = dict(pair for asset in assets.values() for pair in titles_of(asset).items())
    weights = next((m.importance for m in reversed(metrics.models) if m.importance), {})
    lanes = lanes_of(metrics)
    variable = panel_of(material, lanes[0], metrics.start, metrics.end) if lanes else None
    uses = language.say("Importance of each variable for the model")
    drawn = {
        "timeline": timeline(metrics, material.scores, variable, language),
        "lead_times": lead_times(metrics, language),
        "calibration": calibration(rows, language) if rows else Markup(),
        "importance": bars(importance_bars(weights, titles, language, uses), language),
        "drivers": driver_bars(metrics, titles, language),
        "predicted": predicted_values(material.values, language),
    }
    panels = ((p, panel_around(material, p.asset, p.start, p.end)) for p in metrics.missed[:6])
    return Charts(
        by_name=drawn,
        missed=tuple((p, missed_problem(panel, p, language)) for p, panel in panels),
        episodes=tuple(
            (
                e,
                bars(
                    waterfall(
                        e.contributions,
                        e.evaluation.value,
                        e.evaluation.threshold,
                        titles_of(assets.get(e.asset)),
                        language,
                    ),
                    language,
                ),
            )
            for e in most_severe(material.raised)
        ),
        reported=tuple(material.misses),
    )


def draw_picture(metrics: ReportMetrics, language: Language) -> bytes:
    """Return the time line of a report as a PNG for mails; empty where nothing happened."""
    if not metrics.episodes and not metrics.problems:
        return b""
    plot = lanes_plot(metrics, language)
    plot.title = metrics.title
    plot.x_ticks = time_ticks(metrics.start, metrics.end, language.clock.zone, language, 5)
    return png([plot])


def render_page(
    metrics: ReportMetrics,
    judgement: Judgement,
    drawn: Charts,
    backtest: BacktestMetrics | None = None,
    language: Language = ENGLISH,
    unseen: bool = False,
) -> str:
    """Render the page as HTML, users' text escaped. `unseen`: it is on the test period of a
    training."""
    zone = language.clock.zone
    language = language.with_clock(zone, dated=True)
    return render(
        "page/page.html",
        language,
        f=metrics,
        b=backtest,
        unseen=unseen,
        judgement=judgement,
        trust=TRUST_MESSAGES[judgement.trust],
        sentences=head_sentences(metrics, language),
        provenance=provenance(metrics, language),
        svg=drawn.by_name,
        drawn=drawn,
        lanes=LANES,
        zone=zone,
        zone_name=str(zone),
        shared_advice=_shared_advice([episode for episode, _ in drawn.episodes]),
        outcome_of=outcome_of,
        taken=last_taken,
        most_missed=50,
        most_alarms=500,
    )


def _shared_advice(episodes: Sequence[Episode]) -> str:
    """Return the advice of several episodes, if it is the same and nobody answered it."""
    advice = {e.recommendation.message if e.recommendation else "" for e in episodes}
    is_answered = any(last_taken(e) for e in episodes)
    return advice.pop() if len(episodes) > 1 and len(advice) == 1 and not is_answered else ""


def provenance(metrics: ReportMetrics, language: Language = ENGLISH) -> str:
    """Describe the source of the numbers, with all that is needed to compute them again."""
    models = [
        language.say("model version {version} (run {run})", version=m.version, run=m.run_id)
        if m.run_id
        else language.say("model version {version}", version=m.version)
        for m in metrics.models
    ]
    start = phrases.instant(metrics.start)
    parts = [
        language.say(
            "{definition} revision {number}", definition=metrics.definition, number=metrics.revision
        ),
        language.say("{start} to {end} UTC", start=start, end=phrases.instant(metrics.end)),
        *(models or ([language.say("no model in service")] if metrics.trained else [])),
        language.say("outcome rules {rules}", rules=", ".join(str(r) for r in metrics.rules)),
    ]
    return " · ".join(parts)
