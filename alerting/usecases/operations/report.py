"""The performance report: gather the data of a period, compute metrics, draw charts, store the report."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from croniter import croniter

from alerting.definitions.faults import UserError
from alerting.definitions.model import Definition, Revision
from alerting.definitions.shards import shard_of
from alerting.ports import Document, ReportPorts
from alerting.reporting.conclusion import conclude
from alerting.reporting.metrics import compute_metrics, to_document
from alerting.reporting.page import draw, render_page
from alerting.usecases.definitions.sync import active, require_revision
from alerting.usecases.definitions.versions import first_instant
from alerting.usecases.episodes.material import gather_material


class DueReport(NamedTuple):
    """A scheduled report: its definition and its period [start, end)."""

    name: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Report:
    """A stored report: its id, one sentence, all its metrics, and the page."""

    id: str
    headline: str
    metrics: Document
    page: str


def make_report(platform: ReportPorts, name: str, start: datetime, end: datetime, at: datetime) -> Report:
    """Make a report on [start, end) in the point-in-time view of `at`, and store it. Raises UserError for an empty period."""
    if start >= end:
        raise UserError(f"--from {start.isoformat()} must lie before --to {end.isoformat()}")
    revision = require_revision(platform.definitions, name)
    material = gather_material(platform, revision, start, end, max(at, end), start - (end - start))
    metrics = compute_metrics(material)
    judgement = conclude(metrics)
    page = render_page(metrics, judgement, draw(metrics, material))
    document = {**to_document(metrics), "judgement": to_document(judgement)}
    id = platform.reports.put(name, start, end, document, page, at)
    return Report(id, judgement.sentence, document, page)


def due_reports(platform: ReportPorts, as_of: datetime) -> list[DueReport]:
    """Return the scheduled reports that are due and not made yet, each on the time between the last two ticks of its schedule."""
    due: list[DueReport] = []
    made: dict[tuple[datetime, datetime], set[str]] = {}
    for revision in active(platform.definitions):
        period = last_period(revision.definition, as_of)
        if period is None:
            continue
        if period not in made:
            made[period] = platform.reports.names(*period)
        if revision.name not in made[period] and _in_service_before(platform, revision, period[1]):
            due.append(DueReport(revision.name, *period))
    return due


def make_due_reports(platform: ReportPorts, shard: int, as_of: datetime, say: Callable[[str], None]) -> int:
    """Make the due reports of one shard of definitions, and return their number. One that fails does not stop the others.

    Idempotent: reports that exist are not due any more. Raises UserError naming those that failed, after all others.
    """
    made, failed = 0, []
    for due in due_reports(platform, as_of):
        if shard_of(due.name) != shard:
            continue
        try:
            make_report(platform, due.name, due.start, due.end, as_of)
        except Exception as error:  # one report must not stop the others; the task fails at its end
            failed.append(f"{due.name}: {type(error).__name__}: {error}")
            continue
        made += 1
        say(f"report on {due.name}")
    if failed:
        raise UserError(f"{len(failed)} reports failed, {made} were made:\n" + "\n".join(failed))
    return made


def _in_service_before(platform: ReportPorts, latest: Revision, instant: datetime) -> bool:
    revisions = [latest] if latest.number == 1 else platform.definitions.revisions(latest.name)
    started = first_instant(revisions)
    return started is not None and started < instant


def last_period(definition: Definition, as_of: datetime) -> tuple[datetime, datetime] | None:
    """Return the interval between the last two ticks of the report's schedule, in UTC; None without a schedule."""
    if definition.schedule.report is None:
        return None
    ticks = croniter(definition.schedule.report, as_of.astimezone(ZoneInfo(definition.schedule.timezone)))
    end: datetime = ticks.get_prev(datetime)
    start: datetime = ticks.get_prev(datetime)
    return start.astimezone(as_of.tzinfo), end.astimezone(as_of.tzinfo)
