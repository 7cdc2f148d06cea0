"""The report on the whole plant: all definitions of a period side by side, alarm metrics, faults and changes."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from alerting.ports import ReportContent, ReportPorts
from alerting.reporting.life.key_metrics import plant_key_metrics
from alerting.reporting.life.page import ReportLife, with_life
from alerting.reporting.life.periods import Period, period_before
from alerting.reporting.metrics import to_document
from alerting.reporting.plant.material import FaultSeen
from alerting.reporting.plant.metrics import compute_plant
from alerting.reporting.plant.page import render_plant_page
from alerting.reporting.plant.sentences import plant_sentences
from alerting.reporting.plant.summary import DefinitionSummary, summary_from_document
from alerting.reporting.plant.tables import tables
from alerting.usecases.operations.plant_material import gather_plant
from alerting.usecases.reports.make import ComposedReport, compose_report, revision_of_period, table_document


def compose_plant(platform: ReportPorts, period: Period, as_of: datetime, life: ReportLife) -> ComposedReport:
    """Return the report on the plant, as known at `as_of`."""
    before = period_before(period, platform.zone)
    material = gather_plant(
        platform,
        platform.audit,
        platform.platform_alerts,
        period.start,
        period.end,
        as_of,
        list(_summaries(platform, period, as_of)),
        list(_stored_summaries(platform, before, as_of)),
    )
    faults = [_as_known(fault, as_of) for fault in material.faults if fault.opened_at <= as_of]
    metrics = compute_plant(replace(material, faults=faults))
    page = with_life(render_plant_page(metrics, platform.zone), life)
    content = ReportContent(to_document(metrics), page, {name: table_document(t) for name, t in tables(metrics).items()})
    return ComposedReport(None, "cannot_tell", plant_sentences(metrics)[:3], plant_key_metrics(metrics), content)


def _as_known(fault: FaultSeen, as_of: datetime) -> FaultSeen:
    is_over = fault.resolved_at is not None and fault.resolved_at <= as_of
    return fault if is_over else replace(fault, resolved_at=None)


def _summaries(platform: ReportPorts, period: Period, as_of: datetime) -> Iterator[DefinitionSummary]:
    """Yield the summaries of the definitions' reports on a period, and of those whose reports are on other periods."""
    yield from _stored_summaries(platform, period, as_of)
    for latest in platform.definitions.latest():
        is_other = latest.definition.report_period != period.length
        if is_other and latest.definition.state == "active" and latest.at < period.end:
            revision = revision_of_period(platform.definitions, latest, period.end)
            made = compose_report(platform, revision, period.start, period.end, as_of, ReportLife())
            if made.has_content:
                yield summary_from_document(made.content.metrics["summary"])


def _stored_summaries(platform: ReportPorts, period: Period, as_of: datetime) -> Iterator[DefinitionSummary]:
    heads = platform.reports.of_period(period.name, as_of)
    for name in sorted(name for name in heads if name is not None):
        content = platform.reports.content(heads[name].id) if heads[name].revision else None
        if content is not None and "summary" in content.metrics:
            yield summary_from_document(content.metrics["summary"])
