"""The report as one self-contained page without scripts and external resources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from markupsafe import Markup

from alerting.definitions.wording.language import ENGLISH, Language
from alerting.episodes.misses import ReportedMiss
from alerting.reporting.base import messages
from alerting.reporting.base.templates import render
from alerting.reporting.definition.conclusion import TRUST_MESSAGES, Judgement
from alerting.reporting.definition.material import Material
from alerting.reporting.definition.metrics import ReportMetrics
from alerting.reporting.figures.bars import titles_of
from alerting.reporting.figures.charts import bars_plot
from alerting.reporting.figures.kit import png, svg, time_ticks
from alerting.reporting.page import charts
from alerting.reporting.page.backtest import BacktestMetrics
from alerting.reporting.page.details import (
    ExplainedEpisode,
    MissedProblem,
    episode_details,
    missed_details,
    panel_of,
)
from alerting.reporting.page.sentences import head_sentences


@dataclass(frozen=True)
class Charts:
    """The charts of a report as inline SVG, empty without data. `reported`: operators' misses."""

    by_name: Mapping[str, Markup]
    missed: tuple[tuple[MissedProblem, Markup], ...] = ()
    episodes: tuple[tuple[ExplainedEpisode, Markup], ...] = ()
    reported: tuple[ReportedMiss, ...] = ()


def draw(
    metrics: ReportMetrics, material: Material, zone: tzinfo = UTC, language: Language = ENGLISH
) -> Charts:
    """Draw all charts of a report. `zone`: of the time axes."""
    rows = metrics.rows
    scores = material.scores
    titles: dict[str, str] = {}
    for history in material.histories.values():
        titles |= titles_of(history.asset)
    importance = next((m.importance for m in reversed(metrics.models) if m.importance), {})
    lanes = charts.lanes_of(metrics)
    variable = panel_of(material, lanes[0], metrics.start, metrics.end) if lanes else None
    drawn = {
        "timeline": charts.timeline(metrics, scores, variable, zone, language),
        "lead_times": charts.lead_times(metrics, language),
        "calibration": charts.calibration(rows, language) if rows else "",
        "importance": charts.importance(importance, titles, language),
        "drivers": charts.driver_bars(metrics.drivers, titles, language),
        "predicted": charts.predicted_values(material.values, zone, language),
    }
    missed = missed_details(material, [(p.asset, p.start, p.end) for p in metrics.missed])
    episodes = episode_details(material.raised, material.histories, language)
    return Charts(
        by_name={name: _svg(text) for name, text in drawn.items()},
        missed=tuple((m, _svg(charts.missed_problem(m, zone, language))) for m in missed),
        episodes=tuple(
            (
                e,
                _svg(
                    svg([bars_plot(e.waterfall, language)], e.waterfall.description)
                    if e.waterfall
                    else ""
                ),
            )
            for e in episodes
        ),
        reported=tuple(material.misses),
    )


def draw_picture(metrics: ReportMetrics, zone: tzinfo, language: Language) -> bytes:
    """Return the time line of a report as a PNG for mails; empty where nothing happened."""
    if not metrics.episodes and not metrics.problems:
        return b""
    plot = charts.lanes_plot(metrics)
    plot.title = metrics.title
    plot.x_ticks = time_ticks(metrics.start, metrics.end, zone, language, 5)
    return png([plot])


def _svg(text: str) -> Markup:
    return Markup(text)  # noqa: S704 - our own charts, which escape names


def render_page(
    metrics: ReportMetrics,
    judgement: Judgement,
    drawn: Charts,
    backtest: BacktestMetrics | None = None,
    zone: tzinfo = UTC,
    language: Language = ENGLISH,
    unseen: bool = False,
) -> str:
    """Render the page as HTML, users' text escaped. `unseen`: it is on the test period of a
    training."""
    return render(
        "page/page.html",
        language,
        f=metrics,
        b=backtest,
        unseen=unseen,
        judgement=judgement,
        trust=TRUST_MESSAGES[judgement.trust],
        sentences=head_sentences(metrics, zone, language),
        provenance=provenance(metrics, language),
        svg=drawn.by_name,
        drawn=drawn,
        lanes=charts.LANES,
        zone=zone,
        zone_name=messages.zone_name(zone),
        shared_advice=_shared_advice([episode for episode, _ in drawn.episodes]),
        most_missed=50,
        most_alarms=500,
    )


def _shared_advice(episodes: Sequence[ExplainedEpisode]) -> str:
    """Return the advice of several episodes, if it is the same and nobody answered it."""
    advice = {episode.advice for episode in episodes}
    is_shared = (
        len(episodes) > 1 and len(advice) == 1 and not any(episode.taken for episode in episodes)
    )
    return (advice.pop() or "") if is_shared else ""


def provenance(metrics: ReportMetrics, language: Language = ENGLISH) -> str:
    """Describe the source of the numbers, with all that is needed to compute them again."""
    models = [
        language.say("model version {version} (run {run})", version=m.version, run=m.run_id)
        if m.run_id
        else language.say("model version {version}", version=m.version)
        for m in metrics.models
    ]
    start = messages.instant(metrics.start)
    end = messages.instant(metrics.end)
    parts = [
        language.say(
            "{definition} revision {number}", definition=metrics.definition, number=metrics.revision
        ),
        language.say("{start} to {end} UTC", start=start, end=end),
        *(models or ([language.say("no model in service")] if metrics.trained else [])),
        language.say("outcome rules {rules}", rules=", ".join(str(r) for r in metrics.rules)),
    ]
    return " · ".join(parts)
