"""Make a report on an interval: gather the data, compute metrics, draw, render."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from alerting.deferred import pd
from alerting.definitions.alert_definition import Definition, Revision, TrainedDefinition
from alerting.definitions.faults import UserError
from alerting.definitions.revisions import in_force
from alerting.definitions.wording.language import Language, in_english, language, translatable
from alerting.episodes.lifecycle import ReportedMiss
from alerting.ports import (
    Decisions,
    Definitions,
    Document,
    MaterialPorts,
    ModelUnavailable,
    ReportContent,
    ReportHead,
    ReportPorts,
)
from alerting.reporting.definition.conclusion import conclude, mail_sentences
from alerting.reporting.definition.money_spans import PeriodMoney, SpanMoney, money_by_span
from alerting.reporting.definition.operators_and_money import (
    DefinitionNumbers,
    add_amounts,
    read_summary,
)
from alerting.reporting.definition.period_data import Material
from alerting.reporting.definition.report_metrics import ReportMetrics, compute_metrics
from alerting.reporting.episode_details import key_metrics, tables
from alerting.reporting.estimates import to_document
from alerting.reporting.phrases import money
from alerting.stores.reports import Reports
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.episodes.outcomes import outcome_at
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.report_material import gather_material
from alerting.usecases.scoring.models_in_service import verify_model
from alerting.usecases.scoring.remaining_lives import describe_lives

_OF_A_YEAR = 400  # reports of definitions with costs whose sums are read


def with_misses(platform: MaterialPorts, material: Material) -> Material:
    """Return the material with the misses of its period that were reported by its instant.

    If the data show a problem of the asset within the prediction window's length of the miss, the
    miss is the same problem.
    """
    reported = platform.misses.for_interval(material.start, material.end, material.definition.name)
    misses = [miss for miss in reversed(reported) if miss.at <= material.as_of]
    unseen = [
        miss
        for miss in misses
        if not is_in_data(material.definition, material.problems, miss.asset, miss.missed_at)
    ]
    if not unseen:
        return replace(material, misses=tuple(misses))
    added = pd.DataFrame([_problem_row(miss) for miss in unseen])
    problems = material.problems
    if problems.empty:
        columns = [*problems.columns, *(c for c in added.columns if c not in problems.columns)]
        return replace(material, misses=tuple(misses), problems=added.reindex(columns=columns))
    whole = pd.concat(
        [
            problems,
            added.astype({c: problems[c].dtype for c in added.columns if c in problems.columns}),
        ]
    )
    return replace(material, misses=tuple(misses), problems=whole.reset_index(drop=True))


def is_in_data(definition: Definition, problems: pd.DataFrame, asset: str, at: datetime) -> bool:
    """Return whether the data show a problem at an instant, or within a window's length of it."""
    near = max(definition.window.length, timedelta(minutes=5))
    of_asset = problems[problems["asset"] == asset]
    ends = of_asset["end"].fillna(pd.Timestamp(at)) if len(of_asset) else of_asset["start"]
    return bool(((of_asset["start"] <= at + near) & (ends >= at - near)).any())


def _problem_row(miss: ReportedMiss) -> dict[str, Any]:
    at = pd.Timestamp(miss.missed_at).as_unit("ms")
    return {
        "asset": miss.asset,
        "start": at,
        "last": at,
        "end": at,
        "known_at": pd.Timestamp(miss.at).as_unit("ms"),
        "uncounted": False,
    }


# Shortest time without any known value that is worth a report by itself.
LEAST_GAP = timedelta(hours=1)


@dataclass(frozen=True)
class Report:
    """A stored report: its id, one sentence, all its metrics, and the page."""

    id: str
    headline: str
    metrics: Document
    page: str


@dataclass(frozen=True)
class ComposedReport:
    """A report that is not stored yet. `has_content`: whether anything happened that is worth a
    page."""

    trust: str
    sentences: tuple[str, ...]
    key_metrics: Mapping[str, str]
    content: ReportContent
    has_content: bool = True


def make_report(
    platform: ReportPorts,
    name: str,
    start: datetime,
    end: datetime,
    at: datetime,
    unseen: bool = False,
) -> Report:
    """Make a report on [start, end) as known at `at`, and store it.

    It replaces an earlier one on the same interval. `unseen`: the interval is the test period of a
    training. Raises UserError unless `start` lies before `end`.
    """
    if start >= end:
        raise UserError(
            in_english("--from {start} must lie before --to {end}", start=start, end=end)
        )
    made = compose_report(
        platform,
        require_revision(platform.definitions, name),
        start,
        end,
        max(at, end),
        unseen=unseen,
    )
    id = f"{name}:{start:%Y%m%dT%H%M%SZ}-{end:%Y%m%dT%H%M%SZ}"
    head = ReportHead(
        id,
        name,
        start,
        end,
        max(at, end),
        unseen=unseen,
        trust=made.trust,
        sentences=made.sentences,
        key_metrics=made.key_metrics,
        language=platform.language,
    )
    platform.reports.store_report(head, made.content)
    return Report(
        id, made.content.metrics["judgement"]["sentence"], made.content.metrics, made.content.page
    )


def compose_report(
    platform: ReportPorts,
    revision: Revision,
    start: datetime,
    end: datetime,
    as_of: datetime,
    previous_start: datetime | None = None,
    *,
    unseen: bool = False,
) -> ComposedReport:
    """Return the report of one revision, as known at `as_of`. Same inputs, same bytes.

    It is compared with the period from `previous_start` to `start`, by default a period of the same
    length. `unseen`: see `ReportHead`.
    """
    material = material_at(platform, revision, start, end, as_of, previous_start)
    metrics = compute_metrics(material)
    judgement = conclude(metrics)
    context = {
        "judgement": to_document(judgement),
        "reported_misses": to_document(material.misses),
        "summary": to_document(
            DefinitionNumbers(
                name=metrics.definition,
                title=metrics.title,
                weeks=metrics.evaluated_s / (7 * 86_400),
                episodes=len(metrics.episodes),
                hits=metrics.outcomes["hit"],
                avoided=metrics.outcomes["avoided"],
                false_alarms=metrics.outcomes["false_alarm"],
                problems=len(metrics.problems),
                announced=len(metrics.problems) - len(metrics.missed),
                money=metrics.money,
            )
        ),
    }
    document = {**to_document(metrics), **context}
    of_plant = language(platform.language).with_clock(platform.zone, dated=True)
    from alerting.reporting.report_page import draw, draw_picture, render_page  # noqa: PLC0415 - only reports draw

    drawn = draw(metrics, material, of_plant)
    sentences = mail_sentences(metrics, judgement, of_plant)
    content = ReportContent(
        document,
        render_page(metrics, judgement, drawn, language=of_plant, unseen=unseen),
        {
            name: {"columns": list(t.columns), "rows": [list(row) for row in t.rows]}
            for name, t in tables(metrics).items()
        },
        draw_picture(metrics, of_plant),
    )
    has_content = has_something_to_say(platform.decisions, material, metrics)
    return ComposedReport(judgement.trust, sentences, key_metrics(metrics), content, has_content)


def material_at(
    platform: ReportPorts,
    revision: Revision,
    start: datetime,
    end: datetime,
    as_of: datetime,
    previous_start: datetime | None = None,
) -> Material:
    """Return a report's data as known at `as_of`, without anything that became known later."""
    material = gather_material(
        platform, revision, start, end, as_of, previous_start or start - (end - start)
    )
    previous = _keep_known(platform, material.previous) if material.previous is not None else None
    verification = _verification(platform, revision, start, end)
    return replace(_keep_known(platform, material), previous=previous, verification=verification)


def _verification(platform: ReportPorts, revision: Revision, start: datetime, end: datetime) -> str:
    """Return how well the model in service did, by the values that came; empty if unknown."""
    try:
        verification = verify_model(platform, ModelCache(platform), revision, start, end)
    except ModelUnavailable as unavailable:
        return translatable(
            "not measured, because the model cannot be read: {reason}", reason=str(unavailable)
        )
    if isinstance(revision.definition, TrainedDefinition) and verification is None:
        return describe_lives(platform, revision.definition, start, end)
    return "" if verification is None else verification.fault or verification.sentence


def _keep_known(platform: ReportPorts, material: Material) -> Material:
    end = material.end
    as_of = material.as_of
    episodes = [outcome_at(platform, episode, as_of) for episode in material.episodes]
    models = [
        replace(m, until=m.until if m.until is not None and m.until < end else None)
        for m in material.models
    ]
    return with_misses(platform, replace(material, episodes=episodes, models=models))


def has_something_to_say(decisions: Decisions, material: Material, metrics: ReportMetrics) -> bool:
    """Return whether a period had anything to tell: also gaps, or no evaluation at all."""
    start = material.start
    end = material.end
    decided = any(start <= d.at < end for d in decisions.for_definition(material.definition.name))
    answered = any(start <= f.at < end for e in material.episodes for f in e.feedback)
    happened = (
        metrics.episodes
        or metrics.problems
        or metrics.problems_in_recovery
        or metrics.problems_unevaluated
        or metrics.values
    )
    gaps = (
        any(
            closes - opens >= LEAST_GAP
            for intervals in material.gaps.values()
            for opens, closes in intervals
        )
        or not metrics.evaluated
    )
    return bool(happened or decided or answered or material.misses or gaps)


def revision_of_period(definitions: Definitions, latest: Revision, end: datetime) -> Revision:
    """Return the revision in force at a period's end; the latest before the first."""
    if latest.at < end:
        return latest
    return in_force(definitions.revisions(latest.name), end) or latest


class ReportedNumbers(NamedTuple):
    """The numbers of a definition, and the report that contains them."""

    numbers: DefinitionNumbers
    report: ReportHead


def read_numbers(reports: Reports) -> list[ReportedNumbers]:
    """Return the numbers of the newest report on each definition, first the definitions with most
    false alarms and misses. Reports that are damaged, or of a version without numbers, are left
    out."""
    newest: dict[str, ReportHead] = {}
    for head in reports.newest_reports(500):
        if head.definition is not None:
            newest.setdefault(head.definition, head)
    return sorted(
        _read_summaries(reports, [*newest.values()]),
        key=lambda r: (
            r.numbers.announced - r.numbers.problems - r.numbers.false_alarms,
            r.numbers.title,
        ),
    )


def _read_summaries(reports: Reports, heads: Sequence[ReportHead]) -> list[ReportedNumbers]:
    metrics = reports.metrics_of([head.id for head in heads])
    numbers = []
    for head in heads:
        try:
            summary = read_summary(metrics.get(head.id, {}).get("summary"))
        except ValidationError:
            continue
        numbers.append(ReportedNumbers(summary, head))
    return numbers


def read_money(
    reports: Reports, reported: Sequence[ReportedNumbers]
) -> dict[str, dict[str, SpanMoney | None]]:
    """Return the sums of a week, a month and a year by definition, of the definitions whose newest
    report states money."""
    names = {r.numbers.name for r in reported if r.numbers.money is not None}
    heads = reports.newest_reports(_OF_A_YEAR, names) if names else []
    periods: dict[str, list[PeriodMoney]] = {name: [] for name in names}
    regular = [head for head in heads if head.period is not None and not head.unseen]
    newest_first = sorted(regular, key=lambda head: head.as_of, reverse=True)
    for numbers, head in _read_summaries(reports, newest_first):
        if numbers.money is not None:
            periods[numbers.name].append(PeriodMoney(head.start, head.end, numbers.money))
    return {name: money_by_span(of_name) for name, of_name in periods.items()}


def worth_sentences(reported: list[ReportedNumbers], language: Language) -> list[str]:
    """Return a sentence for each currency on the worth of alerts and the cost of problems; none if
    no definition states its costs."""
    sums = [r.numbers.money for r in reported if r.numbers.money is not None]
    sentences = []
    for currency in sorted({m.currency for m in sums}):
        worth = add_amounts(m.net for m in sums if m.currency == currency)
        lost = add_amounts(
            a for m in sums if m.currency == currency for a in (m.missed, m.announced)
        )
        sentences.append(
            language.say(
                "The alerts that state their costs were worth {worth}; problems that came cost "
                "{lost}.",
                worth=money(worth.low, worth.high, currency, language),
                lost=money(lost.low, lost.high, currency, language),
            )
        )
    return sentences
