"""Issue reports: one when a period closes; a correction is a new one, by hand."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from alerting.definitions.alert_definition import (
    Definition,
    Revision,
    TrainedDefinition,
    matching_assets,
    shard_of,
)
from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.faults import UserError
from alerting.definitions.fields.shared_fields import ReportPeriod
from alerting.definitions.wording.language import in_english, joined, language
from alerting.detection.problem_occurrences import problem_delay
from alerting.notifications.notification import new_message
from alerting.ports import ReportHead, ReportPorts
from alerting.ports.use_cases import id_logger
from alerting.reporting.periods import Period, period_before, periods_within
from alerting.usecases.definitions.faults_and_platform_alerts import UNREPORTED
from alerting.usecases.definitions.versions import active, require_revision
from alerting.usecases.make_reports import (
    ComposedReport,
    compose_report,
    make_report,
    revision_of_period,
)

# Time after a period is closed within which its report is made.
LOOK_BACK = timedelta(days=35)


@dataclass(frozen=True)
class DueReport:
    """A report to make, on a definition."""

    definition: str
    period: Period

    @property
    def subject(self) -> str:
        """Return the subject of the report, for people."""
        return f"{self.definition}, {self.period.name}"


@dataclass(frozen=True)
class _Served:
    """A definition of which reports are made: its newest revision and its assets."""

    revision: Revision
    assets: Sequence[Asset]
    length: ReportPeriod


class ReportCalendar:
    """The periods of all reports at one instant, and what decides whether one is due."""

    def __init__(self, platform: ReportPorts, as_of: datetime) -> None:
        self._platform = platform
        self._as_of = as_of
        self._heads: dict[str, dict[str | None, ReportHead]] = {}

    def due(self, shard: int | None = None) -> Iterator[DueReport]:
        """Yield the due reports on definitions, of one shard or all, oldest period first."""
        for served in self._served_definitions:
            name = served.revision.name
            if shard is not None and shard_of(name) != shard:
                continue
            for period in reversed(
                periods_within(
                    served.length,
                    self._as_of,
                    self._platform.zone,
                    LOOK_BACK + self._longest_closing_time,
                )
            ):
                if (
                    self.closes_at(served.revision.definition, served.assets, period) <= self._as_of
                    and name not in self._heads_of(period)
                    and self._served_in(served.revision, period)
                ):
                    yield DueReport(name, period)

    def closes_at(
        self, definition: Definition, assets: Sequence[Asset], period: Period
    ) -> datetime:
        """Return the instant from which all of a period is known: windows, delays and latency are
        over."""
        return period.end + self._closing_time(definition, assets)

    def _closing_time(self, definition: Definition, assets: Sequence[Asset]) -> timedelta:
        latency = max(
            (a.latency(v, self._platform.latency) for a in assets for v in a.variables),
            default=self._platform.latency,
        )
        if definition.problem is None:
            return latency
        delays = [problem_delay(definition.problem, asset, self._event_types) for asset in assets]
        window = max(definition.window.until, timedelta(0))
        return window + definition.problem.hold + max(delays, default=timedelta(0)) + latency

    def _served_in(self, latest: Revision, period: Period) -> bool:
        revisions = (
            [latest] if latest.number == 1 else self._platform.definitions.revisions(latest.name)
        )
        ends = [*(r.at for r in revisions[1:]), self._as_of]
        return any(
            r.definition.state == "active" and r.at < period.end and end > period.start
            for r, end in zip(revisions, ends, strict=True)
        )

    def _heads_of(self, period: Period) -> dict[str | None, ReportHead]:
        if period.name not in self._heads:
            self._heads[period.name] = self._platform.reports.of_period(period.name)
        return self._heads[period.name]

    @cached_property
    def _served_definitions(self) -> list[_Served]:
        assets = self._platform.assets.all()
        served = []
        for revision in self._platform.definitions.latest_revisions():
            definition = revision.definition
            if definition.state != "draft" and (length := definition.report_period) is not None:
                served.append(_Served(revision, matching_assets(definition, assets), length))
        return served

    @cached_property
    def _longest_closing_time(self) -> timedelta:
        return max(
            (self._closing_time(s.revision.definition, s.assets) for s in self._served_definitions),
            default=timedelta(0),
        )

    @cached_property
    def _event_types(self) -> Sequence[EventType]:
        return self._platform.assets.event_types()


def due_reports(
    platform: ReportPorts, as_of: datetime, shard: int | None = None
) -> list[DueReport]:
    """Return the reports on definitions that are due, of one shard or all."""
    return list(ReportCalendar(platform, as_of).due(shard))


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

    Idempotent: an issued report is no longer due. A report that failed is a fault of the platform,
    and is tried again. Raises UserError that names the failed reports, after all others are made.
    """
    made = 0
    failed = []
    failures = _failures(platform)
    for report in due_reports(platform, as_of, shard):
        if waits_for_retry(failures.get(report.subject), as_of):
            continue
        try:
            head = _issue(platform, report, as_of)
        except Exception as error:  # one report must not stop the others; the task fails at its end
            _log.exception("report on %s failed", report.subject)
            kind = type(error).__name__
            message = error.message if isinstance(error, UserError) else str(error)
            reason = in_english(
                "{kind}: {why}; it is tried again, at least once a day", kind=kind, why=message
            )
            platform.platform_alerts.report(UNREPORTED, report.subject, reason, as_of)
            failed.append(joined(": ", report.subject, kind, message))
            continue
        if report.subject in failures:
            platform.platform_alerts.resolve(UNREPORTED, report.subject, as_of)
        if head is not None and not head.empty:
            made += 1
            say(f"report on {report.subject}: /reports/{head.id}")
    if failed:
        first = f"{len(failed)} reports failed, {made} were made:"
        raise UserError(joined("\n", first, *failed))
    return made


def end_old_failures(platform: ReportPorts, as_of: datetime) -> None:
    """End the faults of failed reports that are no longer made."""
    for subject, opened_at in _failures(platform).items():
        if opened_at + LOOK_BACK < as_of:
            platform.platform_alerts.resolve(UNREPORTED, subject, as_of)


def _failures(platform: ReportPorts) -> dict[str, datetime]:
    """Return when each report failed that has not been made since."""
    return {a.subject: a.opened_at for a in platform.platform_alerts.open() if a.kind == UNREPORTED}


def waits_for_retry(failed_at: datetime | None, as_of: datetime) -> bool:
    """Return whether a report that failed then is left out of this run."""
    if failed_at is None or as_of - failed_at < _AT_ONCE:
        return False
    return (as_of - failed_at) % _DAY >= RUN_EVERY


def _issue(
    platform: ReportPorts, due: DueReport, as_of: datetime, corrects: bool = False
) -> ReportHead | None:
    """Store a report; an empty one if nothing is worth reporting. Return None if a report of its id
    is stored."""
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
    """Issue a closed period's report by hand, from the present knowledge, beside an earlier report.
    Raises UserError while the period is not closed."""
    definition = require_revision(platform.definitions, name).definition
    assets = matching_assets(definition, platform.assets.all())
    closes_at = ReportCalendar(platform, as_of).closes_at(definition, assets, period)
    if closes_at > as_of:
        raise UserError(
            in_english(
                "{period} is closed at {at}: after its last prediction window, the laboratory's "
                "delay and the latency; for an earlier look give an interval by --from and --to",
                period=period.name,
                at=closes_at,
            )
        )
    due = DueReport(name, period)
    head = _issue(platform, due, as_of, name in platform.reports.of_period(period.name))
    platform.platform_alerts.resolve(UNREPORTED, due.subject, as_of)
    return head or platform.reports.of_period(period.name)[name]


def compose(platform: ReportPorts, name: str, period: Period, as_of: datetime) -> ComposedReport:
    """Return the report on a definition over a period, as known at `as_of`."""
    revision = revision_of_period(
        platform.definitions, require_revision(platform.definitions, name), period.end
    )
    previous = period_before(period, platform.zone).start
    return compose_report(platform, revision, period.start, period.end, as_of, previous)


def report_id(name: str, period: Period, corrected_at: datetime | None = None) -> str:
    """Return the id of a report, such as `too-hot:2026-W46`; the id of a correction also has its
    instant."""
    at = "" if corrected_at is None else f":{corrected_at:%Y%m%dT%H%M%SZ}"
    return f"{name}:{period.name}{at}"


def announce_reports(platform: ReportPorts, now: datetime) -> int:
    """Add the notifications of reports that are not announced yet; return how many. Idempotent.

    A notification has the key `report:<id>:<recipient>`: a crash between its insertion and the
    record that the report is announced adds nothing twice.
    """
    waiting = platform.reports.unannounced(1_000)
    latest = platform.definitions.latest_revisions() if waiting else []
    by_name = {revision.name: revision.definition for revision in latest}
    added = 0
    for head in waiting:
        definition = by_name.get(head.definition or "")
        if definition is None and now - head.as_of < LOOK_BACK:
            continue  # what it is on cannot be read now, and perhaps again later
        if definition is not None and (recipients := definition.schedule.report_recipients):
            title = definition.title or definition.name
            reads = language(head.language)
            subject = reads.say("Report {period}: {name}", period=head.period or "", name=title)
            payload = {
                "report": head.id,
                "definition": head.definition,
                "period": head.period,
                "sentences": list(head.sentences),
            }
            text = "\n".join(head.sentences)
            added += platform.notifications.add(
                [
                    new_message(
                        f"report:{head.id}:{recipient}",
                        recipient,
                        subject,
                        text,
                        now,
                        None,
                        **payload,
                    )
                    for recipient in dict.fromkeys(recipients)
                ]
            )
        platform.reports.mark_announced(head.id)
    return added


def make_unseen_reports(platform: ReportPorts, as_of: datetime, say: Callable[[str], None]) -> int:
    """Report on the past that new models evaluated; return how many. Idempotent.

    A model evaluates no time that its training has seen. Raises UserError naming the reports that
    failed, after all others.
    """
    made = 0
    failed = []
    for revision in active(platform.definitions):
        if not isinstance(revision.definition, TrainedDefinition):
            continue
        past = [
            e
            for e in platform.past_evaluations.for_definition(revision.name)
            if e.model_version is not None and e.end <= as_of
        ]
        by_newest = [e for e in past if e.model_version == past[-1].model_version]
        if not by_newest:
            continue
        start = min(e.start for e in by_newest)
        end = max(e.end for e in by_newest)
        if any(
            head.unseen and head.start <= start and end <= head.end
            for head in platform.reports.for_definition(revision.name)
        ):
            continue
        try:
            report = make_report(platform, revision.name, start, end, as_of, unseen=True)
        except Exception as error:  # one report must not stop the others; the task fails at its end
            failed.append(f"{revision.name}: {type(error).__name__}: {error}")
            continue
        made += 1
        say(f"report on {revision.name}, test period of its training: /reports/{report.id}")
    if failed:
        raise UserError(
            f"{len(failed)} reports on test periods failed, {made} were made:\n" + "\n".join(failed)
        )
    return made
