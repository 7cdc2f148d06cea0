"""Issue reports: the first when a period closes, others when its figures change."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from alerting.definitions.faults import UserError
from alerting.ports import ReportHead, ReportPorts
from alerting.ports.logs import id_logger
from alerting.reporting.life.differences import (
    Difference,
    find_reasons,
    list_differences,
    without_view,
)
from alerting.reporting.life.page import ReportLife
from alerting.reporting.life.periods import Period, period_before, read_period
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.reports.attempts import Attempts
from alerting.usecases.reports.due import DueReport, ReportCalendar, due_reports
from alerting.usecases.reports.make import ComposedReport, compose_report, revision_of_period
from alerting.usecases.reports.plant import compose_plant

_log = id_logger(__name__)


def make_due_reports(
    platform: ReportPorts, shard: int, as_of: datetime, say: Callable[[str], None]
) -> int:
    """Issue one shard's due reports; return how many. A failure does not stop the others.

    Idempotent: what is issued is not due any more. One that failed before is tried less and less
    often (`Attempts`). Raises UserError naming those that failed, after all others.
    """
    return _issue_all(platform, due_reports(platform, as_of, shard), as_of, say)


def make_due_plant_reports(
    platform: ReportPorts, as_of: datetime, say: Callable[[str], None]
) -> int:
    """Issue the due reports on the plant; return how many. Raises UserError for failures."""
    Attempts(platform, as_of).drop_old()
    return _issue_all(platform, list(ReportCalendar(platform, as_of).due_of_plant()), as_of, say)


def _issue_all(
    platform: ReportPorts, due: Sequence[DueReport], as_of: datetime, say: Callable[[str], None]
) -> int:
    made = 0
    failed = []
    attempts = Attempts(platform, as_of)
    for one in due:
        name = one.definition or "the plant"
        if attempts.waits(one):
            continue
        try:
            head = issue(platform, one, as_of)
        except Exception as error:  # one report must not stop the others; the task fails at its end
            _log.exception("report on %s failed", name)
            attempts.failed(one, error)
            failed.append(f"{name}, {one.period.name}: {type(error).__name__}: {error}")
            continue
        attempts.succeeded(one)
        if head is not None and head.revision:
            made += 1
            say(
                f"report on {name}, {one.period.name}, revision {head.revision}: /reports/{head.id}"
            )
    if failed:
        raise UserError(f"{len(failed)} reports failed, {made} were made:\n" + "\n".join(failed))
    return made


def issue(platform: ReportPorts, due: DueReport, as_of: datetime) -> ReportHead | None:
    """Store a report's next revision if its content differs; revision 0 if nothing to say."""
    newest = due.newest
    number = newest.revision + 1 if newest is not None else 1
    made = compose(
        platform,
        due.definition,
        due.period,
        as_of,
        ReportLife(due.period.name, number, language=platform.language),
    )
    digest = digest_of(made)
    if newest is not None and (
        newest.digest == digest or not (made.has_content or newest.revision)
    ):
        platform.reports.record(newest.id, inputs=due.inputs, checked_at=as_of)
        return None
    differences: tuple[Difference, ...] = ()
    if newest is not None and newest.revision:
        content = platform.reports.content(newest.id)
        reasons = find_reasons(content.metrics, made.content.metrics) if content is not None else ()
        differences = list_differences(newest.key_metrics, made.key_metrics, reasons)
        life = ReportLife(
            due.period.name, number, differences=differences, language=platform.language
        )
        made = compose(platform, due.definition, due.period, as_of, life)
    head = ReportHead(
        id=report_id(due.definition, due.period, number),
        definition=due.definition,
        start=due.period.start,
        end=due.period.end,
        as_of=as_of,
        period=due.period.name,
        revision=number,
        trust=made.trust,
        sentences=made.sentences,
        differences=differences,
        key_metrics=made.key_metrics,
        digest=digest,
        inputs=due.inputs,
        checked_at=as_of,
        announced=False,
        language=platform.language,
    )
    if newest is None and not made.has_content:
        head = replace(
            head, id=report_id(due.definition, due.period, 0), revision=0, announced=True
        )
    return head if platform.reports.add(head, made.content) else None


def issue_by_hand(
    platform: ReportPorts, name: str | None, period: Period, as_of: datetime
) -> ReportHead:
    """Issue a closed period's report by hand, and return its newest revision."""
    calendar = ReportCalendar(platform, as_of)
    if name is None:
        closes_at = calendar.plant_closes_at(period)
        inputs = calendar.plant_inputs(period)
    else:
        revision = require_revision(platform.definitions, name)
        closes_at = calendar.closes_at(
            revision.definition, calendar.assets_of(revision.definition), period
        )
        inputs = calendar.inputs(name, period)
    if closes_at > as_of:
        raise UserError(
            f"{period.name} is closed at {closes_at.isoformat()}: after its last prediction "
            "window, the laboratory's delay and "
            "the latency; for an earlier look give an interval by --from and --to"
        )
    stored = platform.reports.revisions(name, period.name)
    due = DueReport(name, period, stored[-1] if stored else None, inputs)
    head = issue(platform, due, as_of)
    Attempts(platform, as_of).succeeded(due)
    return head or platform.reports.revisions(name, period.name)[-1]


def compose(
    platform: ReportPorts, name: str | None, period: Period, as_of: datetime, life: ReportLife
) -> ComposedReport:
    """Return the report on a definition or the plant over a period, as known at `as_of`."""
    if name is None:
        return compose_plant(platform, period, as_of, life)
    revision = revision_of_period(
        platform.definitions, require_revision(platform.definitions, name), period.end
    )
    previous = period_before(period, platform.zone)
    return compose_report(platform, revision, period.start, period.end, as_of, life, previous.start)


def create_again(platform: ReportPorts, id: str) -> tuple[ReportHead, ComposedReport]:
    """Return a stored report, and the same computed again. Raises UserError for no id."""
    head = platform.reports.get(id)
    if head is None or not head.revision:
        raise UserError(f"there is no report {id!r}; see: alerting report --list")
    life = ReportLife(head.period, head.revision, head.unseen, head.differences, head.language)
    if head.definition is None:
        return head, compose_plant(
            platform, read_period(head.period or "", platform.zone), head.as_of, life
        )
    if head.period is not None:
        return head, compose(
            platform, head.definition, read_period(head.period, platform.zone), head.as_of, life
        )
    revision = require_revision(platform.definitions, head.definition)
    return head, compose_report(platform, revision, head.start, head.end, head.as_of, life)


def report_id(name: str | None, period: Period, revision: int) -> str:
    """Return the id of a report: `too-hot:2026-W46:1`, of the plant's `2026-W46:1`."""
    return ":".join([*([name] if name is not None else []), period.name, str(revision)])


def digest_of(made: ComposedReport) -> str:
    """Return a hash of the metrics of a report, without the instant of their point-in-time view."""
    canonical = json.dumps(without_view(made.content.metrics), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
