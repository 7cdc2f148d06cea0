"""Issue reports: one when a period closes; a correction is a new one, by hand."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import template
from alerting.ports import ReportHead, ReportPorts
from alerting.ports.logs import id_logger
from alerting.reporting.base.periods import Period, period_before
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.reports.due import LOOK_BACK, DueReport, ReportCalendar, due_reports
from alerting.usecases.reports.make import ComposedReport, compose_report, revision_of_period

FAILED = template("report failed")
# Time from one run of the DAG to the next. A report that failed is tried again for an hour, then
# once a day.
RUN_EVERY = timedelta(minutes=10)
_AT_ONCE = timedelta(hours=1)
_DAY = timedelta(days=1)
_log = id_logger(__name__)


def make_due_reports(
    platform: ReportPorts, shard: int, as_of: datetime, say: Callable[[str], None]
) -> int:
    """Issue one shard's due reports; return how many. A failure does not stop the others.

    Idempotent: what is issued is not due any more. One that failed is a fault of the platform, and
    is tried again. Raises UserError naming those that failed, after all others.
    """
    return _issue_all(platform, due_reports(platform, as_of, shard), as_of, say)


def end_old_failures(platform: ReportPorts, as_of: datetime) -> None:
    """End the faults of reports that failed, and are not made any more."""
    for subject, opened_at in _failures(platform).items():
        if opened_at + LOOK_BACK < as_of:
            platform.platform_alerts.resolve(FAILED, subject, as_of)


def _failures(platform: ReportPorts) -> dict[str, datetime]:
    """Return when each report failed that is not made yet."""
    return {a.subject: a.opened_at for a in platform.platform_alerts.open() if a.kind == FAILED}


def waits_for_retry(failed_at: datetime | None, as_of: datetime) -> bool:
    """Return whether a report that failed then is left out of this run."""
    if failed_at is None or as_of - failed_at < _AT_ONCE:
        return False
    return (as_of - failed_at) % _DAY >= RUN_EVERY


def _issue_all(
    platform: ReportPorts, due: Sequence[DueReport], as_of: datetime, say: Callable[[str], None]
) -> int:
    made = 0
    failed = []
    failures = _failures(platform)
    for one in due:
        if waits_for_retry(failures.get(one.subject), as_of):
            continue
        try:
            head = _issue(platform, one, as_of)
        except Exception as error:  # one report must not stop the others; the task fails at its end
            _log.exception("report on %s failed", one.subject)
            why = f"{type(error).__name__}: {error}"
            reason = f"{why}; it is tried again, at least once a day"
            platform.platform_alerts.report(FAILED, one.subject, reason, as_of)
            failed.append(f"{one.subject}: {why}")
            continue
        if one.subject in failures:
            platform.platform_alerts.resolve(FAILED, one.subject, as_of)
        if head is not None and not head.empty:
            made += 1
            say(f"report on {one.subject}: /reports/{head.id}")
    if failed:
        raise UserError(f"{len(failed)} reports failed, {made} were made:\n" + "\n".join(failed))
    return made


def _issue(
    platform: ReportPorts, due: DueReport, as_of: datetime, corrects: bool = False
) -> ReportHead | None:
    """Store a report; an empty one where there is nothing to say. Return None if one of its id is
    stored."""
    made = compose(platform, due.definition, due.period, as_of)
    empty = not made.has_content
    head = ReportHead(
        id=report_id(due.definition, due.period, as_of if corrects else None),
        definition=due.definition,
        start=due.period.start,
        end=due.period.end,
        as_of=as_of,
        period=due.period.name,
        empty=empty,
        trust=made.trust,
        sentences=made.sentences,
        key_metrics=made.key_metrics,
        announced=empty,
        language=platform.language,
    )
    return head if platform.reports.add(head, made.content) else None


def issue_by_hand(platform: ReportPorts, name: str, period: Period, as_of: datetime) -> ReportHead:
    """Issue a closed period's report by hand, with what is known now, beside an earlier one.

    Raises UserError while the period is not closed.
    """
    calendar = ReportCalendar(platform, as_of)
    definition = require_revision(platform.definitions, name).definition
    closes_at = calendar.closes_at(definition, calendar.assets_of(definition), period)
    if closes_at > as_of:
        raise UserError(
            f"{period.name} is closed at {closes_at.isoformat()}: after its last prediction "
            "window, the laboratory's delay and "
            "the latency; for an earlier look give an interval by --from and --to"
        )
    due = DueReport(name, period)
    corrects = name in platform.reports.of_period(period.name)
    head = _issue(platform, due, as_of, corrects)
    platform.platform_alerts.resolve(FAILED, due.subject, as_of)
    return head or platform.reports.of_period(period.name)[name]


def compose(platform: ReportPorts, name: str, period: Period, as_of: datetime) -> ComposedReport:
    """Return the report on a definition over a period, as known at `as_of`."""
    revision = revision_of_period(
        platform.definitions, require_revision(platform.definitions, name), period.end
    )
    previous = period_before(period, platform.zone).start
    return compose_report(platform, revision, period.start, period.end, as_of, previous)


def report_id(name: str, period: Period, corrected_at: datetime | None = None) -> str:
    """Return the id of a report: `too-hot:2026-W46`, of a correction with its instant."""
    at = "" if corrected_at is None else f":{corrected_at:%Y%m%dT%H%M%SZ}"
    return f"{name}:{period.name}{at}"
