"""Which reports are due: of closed periods without one. A correction is a new report, by hand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.fields.common import ReportPeriod
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import Definition, Revision
from alerting.definitions.shards import shard_of
from alerting.detection.problems import problem_delay
from alerting.ports import ReportHead, ReportPorts
from alerting.reporting.base.periods import Period, periods_within

# Time after a period is closed within which its report is made.
LOOK_BACK = timedelta(days=35)


@dataclass(frozen=True)
class DueReport:
    """A report to make, on a definition."""

    definition: str
    period: Period

    @property
    def subject(self) -> str:
        """Return what it is on, for people."""
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
        for served in self._served:
            name = served.revision.name
            if shard is not None and shard_of(name) != shard:
                continue
            for period in reversed(self._periods(served.length)):
                if (
                    self.closes_at(served.revision.definition, served.assets, period) <= self._as_of
                    and name not in self._heads_of(period)
                    and self._served_in(served.revision, period)
                ):
                    yield DueReport(name, period)

    def closes_at(
        self, definition: Definition, assets: Sequence[Asset], period: Period
    ) -> datetime:
        """Return when everything is known of a period: windows, delays and latency are over."""
        return period.end + self._closing(definition, assets)

    def _closing(self, definition: Definition, assets: Sequence[Asset]) -> timedelta:
        latency = max(
            (a.latency(v, self._platform.latency) for a in assets for v in a.variables),
            default=self._platform.latency,
        )
        if definition.problem is None:
            return latency
        delays = [problem_delay(definition.problem, asset, self._event_types) for asset in assets]
        window = max(definition.window.until, timedelta(0))
        return window + definition.problem.hold + max(delays, default=timedelta(0)) + latency

    def assets_of(self, definition: Definition) -> Sequence[Asset]:
        """Return the assets of a definition."""
        return matching_assets(definition, self._platform.assets.all())

    def _periods(self, length: ReportPeriod) -> list[Period]:
        return periods_within(
            length, self._as_of, self._platform.zone, LOOK_BACK + self._longest_closing
        )

    def _served_in(self, latest: Revision, period: Period) -> bool:
        revisions = (
            [latest] if latest.number == 1 else self._platform.definitions.revisions(latest.name)
        )
        ends = [*(r.at for r in revisions[1:]), self._as_of]
        in_force = zip(revisions, ends, strict=True)
        return any(
            r.definition.state == "active" and r.at < period.end and end > period.start
            for r, end in in_force
        )

    def _heads_of(self, period: Period) -> dict[str | None, ReportHead]:
        if period.name not in self._heads:
            self._heads[period.name] = self._platform.reports.of_period(period.name)
        return self._heads[period.name]

    @cached_property
    def _served(self) -> list[_Served]:
        assets = self._platform.assets.all()
        found = []
        for revision in self._platform.definitions.latest_revisions():
            definition = revision.definition
            if definition.state != "draft" and (length := definition.report_period) is not None:
                found.append(_Served(revision, matching_assets(definition, assets), length))
        return found

    @cached_property
    def _longest_closing(self) -> timedelta:
        return max(
            (self._closing(s.revision.definition, s.assets) for s in self._served),
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
