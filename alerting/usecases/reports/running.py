"""Figures of the plant on periods that are not reported yet: this shift, this week, this month, and
past weeks without a report. Computed as the reports are, and stored beside them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import islice
from typing import Literal

from alerting.definitions.hours import spans
from alerting.definitions.routes import Route
from alerting.ports import PlantSummaries, ReportContent, ReportHead, ReportPorts
from alerting.reporting.base.periods import Period, period_at, period_before, periods_back
from alerting.reporting.plant.summary import summary_to_document
from alerting.usecases.notification.routes import read_routes
from alerting.usecases.reports.due import ReportCalendar
from alerting.usecases.reports.plant import computed_summaries

PeriodLength = Literal["shift", "week", "month"]
WEEKS = 12
SHIFT = "shift"
LENGTHS: tuple[PeriodLength, ...] = ("shift", "week", "month")
_AT_ONCE = 2  # past weeks in one run, which must not keep the reports waiting
_DAY = timedelta(days=1)
_EVERY = {"week": timedelta(hours=2), "month": timedelta(hours=12)}
"""Least time from one look at a period to the next: a long one costs more, and changes less."""


@dataclass(frozen=True)
class ShownPeriod:
    """A period [start, end) on the page of the plant. `name`: that of its report. The period before
    it begins at `previous_start`; None: it is of the same length."""

    name: str
    start: datetime
    end: datetime
    previous_start: datetime | None
    every: timedelta

    @property
    def running_name(self) -> str:
        """Return the name under which its figures are stored before it has a report."""
        return f"{self.name} so far"


def shown_period(
    length: PeriodLength, routes: Sequence[Route], zone: tzinfo, now: datetime
) -> ShownPeriod:
    """Return the present shift, week or month. The shift is that of the first route with shifts;
    outside of all, and without any, the present day."""
    if length != SHIFT:
        period = period_at("week" if length == "week" else "month", now, zone)
        return _of_calendar(period, zone)
    for route in routes:
        found = [s for s in spans(route.shifts, route.zone, now, now + _DAY) if s[0] <= now < s[1]]
        if found:
            return ShownPeriod(SHIFT, *found[-1], None, timedelta(0))
    start = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    end = (start + _DAY).astimezone(now.tzinfo)
    return ShownPeriod(SHIFT, start.astimezone(now.tzinfo), end, None, timedelta(0))


def shown_weeks(zone: tzinfo, now: datetime) -> list[ShownPeriod]:
    """Return the last twelve weeks, this one last."""
    past = islice(periods_back("week", now, zone), WEEKS - 1)
    weeks = [period_at("week", now, zone), *past]
    return [_of_calendar(period, zone) for period in reversed(weeks)]


def known_summaries(
    platform: ReportPorts, periods: Sequence[ShownPeriod]
) -> dict[str, PlantSummaries]:
    """Return the numbers of each definition by the name of the period: those of the report where
    there is one, otherwise those of the last look at it."""
    names = {name for p in periods for name in (p.name, p.running_name)}
    found = platform.reports.plant_summaries(names)
    known = {p.name: found.get(p.name) or found.get(p.running_name) for p in periods}
    return {
        p.name: one for p in periods if (one := known[p.name]) is not None and one.start == p.start
    }


def refresh_plant(
    platform: ReportPorts, as_of: datetime, say: Callable[[str], None], *, at_once: bool = False
) -> int:
    """Compute the figures whose last look is too old; return of how many periods. Idempotent.

    A new plant is looked at sooner: again once it is twice as old as at the last look. Its age
    counts from the oldest of the revisions in force. `at_once`: compute those of the present
    periods however old they are, because past days have been evaluated.
    """
    latest = platform.definitions.latest_revisions()
    first = min((r.at for r in latest), default=as_of)
    routes = [route for route in read_routes(platform.routes)[0] if route.shifts]
    present = [shown_period(one, routes, platform.zone, as_of) for one in LENGTHS]
    made = 0
    for period in [*present, *islice(_unknown_weeks(platform, first, as_of), _AT_ONCE)]:
        newest = platform.reports.get(_id(period))
        if (
            newest is None
            or (at_once and period in present)
            or newest.start != period.start
            or newest.as_of + min(period.every, max(newest.as_of - first, timedelta(0))) < as_of
            or as_of < newest.as_of
        ):
            _store(platform, period, min(period.end, as_of), as_of)
            say(f"figures of the plant, {period.running_name}")
            made += 1
    return made


def _unknown_weeks(
    platform: ReportPorts, first: datetime, as_of: datetime
) -> Iterator[ShownPeriod]:
    """Yield past weeks without a report and without figures since they were closed, newest first;
    none where the reports on the plant are on weeks, for then each gets one. `first`: when the
    first definition was stored."""
    if platform.plant_report.period == "week":
        return
    calendar = ReportCalendar(platform, as_of)
    for period in islice(periods_back("week", as_of, platform.zone), WEEKS - 1):
        shown = _of_calendar(period, platform.zone)
        newest = platform.reports.get(_id(shown))
        closes_at = calendar.plant_closes_at(period)
        if period.end > first and (newest is None or (newest.as_of < closes_at <= as_of)):
            yield shown


def _of_calendar(period: Period, zone: tzinfo) -> ShownPeriod:
    before = period_before(period, zone).start
    return ShownPeriod(
        period.name, period.start, period.end, before, _EVERY.get(period.length, _DAY)
    )


def _id(period: ShownPeriod) -> str:
    return f"{period.running_name}"


def _store(platform: ReportPorts, period: ShownPeriod, end: datetime, as_of: datetime) -> None:
    failed = list[str]()
    latest = platform.definitions.latest_revisions() if period.start < end else []
    found = list(
        computed_summaries(
            platform, latest, period.start, end, as_of, failed, period.previous_start
        )
    )
    head = ReportHead(
        _id(period),
        None,
        period.start,
        end,
        as_of,
        period.running_name,
        empty=True,
    )
    metrics = {"ranked": [{"summary": summary_to_document(one)} for one in found], "failed": failed}
    platform.reports.store_report(head, ReportContent(metrics, ""))
