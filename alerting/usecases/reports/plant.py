"""The plant's report: all definitions side by side, alarm metrics, faults, changes."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from alerting.definitions.model import Revision
from alerting.definitions.wording.language import language, translatable
from alerting.ports import ReportContent, ReportPorts, Reports
from alerting.ports.logs import id_logger
from alerting.reporting.base.documents import to_document
from alerting.reporting.base.periods import Period, period_before
from alerting.reporting.plant.page import render_plant_page
from alerting.reporting.plant.sentences import plant_sentences
from alerting.reporting.plant.summary import DefinitionNumbers, summary_from_document
from alerting.reporting.plant.tables import plant_key_metrics, tables
from alerting.usecases.alarm_load.plant_material import measure_plant
from alerting.usecases.reports.make import (
    ComposedReport,
    find_summary,
    revision_of_period,
    table_document,
)

_log = id_logger(__name__)


def compose_plant(platform: ReportPorts, period: Period, as_of: datetime) -> ComposedReport:
    """Return the plant's report as known at `as_of`; a note names what fails."""
    before = period_before(period, platform.zone)
    failed = list[str]()
    metrics = measure_plant(
        platform,
        period.start,
        period.end,
        as_of,
        list(_summaries(platform, period, as_of, failed)),
        _previous_summaries(platform, before, as_of),
        before.start,
    )
    of_plant = language(platform.language)
    page = render_plant_page(metrics, platform.zone, _notes(failed), of_plant)
    content = ReportContent(
        to_document(metrics), page, {name: table_document(t) for name, t in tables(metrics).items()}
    )
    sentences = plant_sentences(metrics, of_plant)
    figures = plant_key_metrics(metrics)
    return ComposedReport(None, "cannot_tell", sentences[:3], figures, content)


def _notes(failed: Sequence[str]) -> tuple[str, ...]:
    if not failed:
        return ()
    return (
        translatable(
            "Not counted, because their figures could not be computed: {names}.",
            names=", ".join(failed),
        ),
    )


def _summaries(
    platform: ReportPorts, period: Period, as_of: datetime, failed: list[str]
) -> Iterator[DefinitionNumbers]:
    """Yield all definitions' summaries on a period; those that fail are added to `failed`."""
    yield from _stored_summaries(platform.reports, period, as_of)
    stored = platform.reports.of_period(period.name, as_of)
    others = [
        latest
        for latest in platform.definitions.latest_revisions()
        if latest.definition.report_period != period.length and latest.name not in stored
    ]
    yield from computed_summaries(platform, others, period.start, period.end, as_of, failed)


def computed_summaries(
    platform: ReportPorts,
    revisions: Iterable[Revision],
    start: datetime,
    end: datetime,
    as_of: datetime,
    failed: list[str],
    previous_start: datetime | None = None,
) -> Iterator[DefinitionNumbers]:
    """Yield the summaries of the definitions in service on [start, end) that have anything to say,
    computed as their reports are; the names of those that fail are added to `failed`.

    Up to the present, one that was stored at this very instant counts: its past may be evaluated.
    """
    for latest in revisions:
        is_in_service = latest.at < end or latest.at == end == as_of
        if latest.definition.state == "active" and is_in_service:
            revision = revision_of_period(platform.definitions, latest, end)
            try:
                found = find_summary(platform, revision, start, end, as_of, previous_start)
            except Exception:  # one definition must not stop the report on all others
                _log.exception("figures of %s failed", latest.name)
                failed.append(latest.name)
                continue
            if found is not None:
                yield found


def _previous_summaries(
    platform: ReportPorts, before: Period, as_of: datetime
) -> list[DefinitionNumbers]:
    """Return the summaries of the plant's report on the period before, if it has any.

    They are of all definitions, as those of the period are: also of definitions whose own reports
    are on other periods.
    """
    reports = platform.reports
    head = reports.of_period(before.name, as_of).get(None)
    content = reports.content(head.id) if head is not None and not head.empty else None
    ranked = content.metrics.get("ranked", ()) if content is not None else ()
    return [summary_from_document(one["summary"]) for one in ranked]


def _stored_summaries(
    reports: Reports, period: Period, as_of: datetime
) -> Iterator[DefinitionNumbers]:
    heads = reports.of_period(period.name, as_of)
    for name in sorted(n for n in heads if n is not None):
        content = reports.content(heads[name].id) if not heads[name].empty else None
        if content is not None and "summary" in content.metrics:
            yield summary_from_document(content.metrics["summary"])
