"""Attempts at reports that fail: a platform alert each, and a longer wait each time."""

from datetime import datetime, timedelta

from alerting.definitions.wording.language import template
from alerting.ports import ReportPorts
from alerting.usecases.reports.due import LOOK_BACK, DueReport

FAILED = template("report failed")
# Time from one run of the DAG to the next; the first wait after a failure.
RUN_EVERY = timedelta(minutes=10)
_LONGEST_WAIT = timedelta(days=1)


class Attempts:
    """The open failures of reports at an instant, by subject of their platform alert."""

    def __init__(self, platform: ReportPorts, as_of: datetime) -> None:
        self._alerts = platform.platform_alerts
        self._as_of = as_of
        self._open = {
            alert.subject: alert.opened_at for alert in self._alerts.open() if alert.kind == FAILED
        }

    def waits(self, due: DueReport) -> bool:
        """Return whether the next attempt at a report that has failed comes later.

        Attempts are 10, 20, 40, 80, ... minutes after the first failure, later once a day: in the
        runs that first reach these.
        """
        failed_at = self._open.get(_subject(due))
        if failed_at is None:
            return False
        now = self._as_of - failed_at
        return _attempts_until(now) == _attempts_until(now - RUN_EVERY)

    def failed(self, due: DueReport, error: Exception) -> None:
        """Record that an attempt failed."""
        next_try = "it is tried again, later each time, at least once a day"
        self._alerts.report(
            FAILED, _subject(due), f"{type(error).__name__}: {error}; {next_try}", self._as_of
        )

    def succeeded(self, due: DueReport) -> None:
        """Record that a report was made."""
        if _subject(due) in self._open:
            self._alerts.resolve(FAILED, _subject(due), self._as_of)

    def drop_old(self) -> None:
        """Resolve the failures of reports whose time has passed."""
        for subject, opened_at in self._open.items():
            if opened_at + LOOK_BACK < self._as_of:
                self._alerts.resolve(FAILED, subject, self._as_of)


def _subject(due: DueReport) -> str:
    return f"{due.definition or 'the plant'}, {due.period.name}"


def _attempts_until(elapsed: timedelta) -> int:
    """Return how many attempts are due within this time after the first failure."""
    steps = elapsed // RUN_EVERY
    return (
        max(steps, 0).bit_length()
        if elapsed < _LONGEST_WAIT
        else int(_LONGEST_WAIT / RUN_EVERY).bit_length() + elapsed // _LONGEST_WAIT - 1
    )
