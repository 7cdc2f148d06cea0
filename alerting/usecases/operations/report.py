"""The performance report: gather the data of a period, compute metrics, draw charts, store the report."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from croniter import croniter

from alerting.definitions.faults import UserError
from alerting.definitions.model import Definition
from alerting.ports import Document, Platform
from alerting.reporting.conclusion import conclude
from alerting.reporting.metrics import compute_metrics, to_document
from alerting.reporting.page import draw, render_page
from alerting.usecases.definitions.sync import active, require_revision
from alerting.usecases.definitions.versions import first_instant
from alerting.usecases.episodes.material import gather_material


@dataclass(frozen=True)
class Report:
    """A stored report: its id, one sentence, all its metrics, and the page."""

    id: str
    headline: str
    metrics: Document
    page: str


def make_report(platform: Platform, name: str, start: datetime, end: datetime, at: datetime) -> Report:
    """Make a report on [start, end) in the point-in-time view of `at`, and store it. Raises UserError for an empty period."""
    if start >= end:
        raise UserError(f"--from {start.isoformat()} must lie before --to {end.isoformat()}")
    revision = require_revision(platform, name)
    material = gather_material(platform, revision, start, end, max(at, end))
    metrics = compute_metrics(material)
    judgement = conclude(metrics)
    page = render_page(metrics, judgement, draw(metrics, material.scores))
    document = {**to_document(metrics), "judgement": to_document(judgement)}
    id = platform.reports.put(name, start, end, document, page, at)
    return Report(id, judgement.sentence, document, page)


def due_reports(platform: Platform, as_of: datetime) -> list[tuple[str, datetime, datetime]]:
    """Return the definitions whose scheduled report is due, with its period: between the last two ticks of its schedule."""
    due = []
    for revision in active(platform.definitions):
        period = last_period(revision.definition, as_of)
        started = first_instant(platform.definitions.revisions(revision.name))
        if period is None or started is None or started >= period[1]:
            continue
        if not any(r["start"] == period[0] and r["end"] == period[1] for r in platform.reports.of(revision.name)):
            due.append((revision.name, *period))
    return due


def last_period(definition: Definition, as_of: datetime) -> tuple[datetime, datetime] | None:
    """Return the interval between the last two ticks of the report's schedule, in UTC; None without a schedule."""
    if definition.schedule.report is None:
        return None
    ticks = croniter(definition.schedule.report, as_of.astimezone(ZoneInfo(definition.schedule.timezone)))
    end: datetime = ticks.get_prev(datetime)
    start: datetime = ticks.get_prev(datetime)
    return start.astimezone(as_of.tzinfo), end.astimezone(as_of.tzinfo)
