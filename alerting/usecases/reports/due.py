"""Which reports are due: of closed periods without one, or with changed inputs."""

import hashlib
from collections import defaultdict
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
from alerting.ports.late import LatePart
from alerting.reporting.life.periods import Period, periods_within

# Time after a period is closed within which its report is made, or made again: outcomes are looked
# for during 30 days.
LOOK_BACK = timedelta(days=35)
# Least time from one look at the inputs of a report to the next: the answers of a day make one
# revision.
REISSUED_AFTER = timedelta(days=1)
# Longest time after its period that the plant's report waits for the definitions' periods to be
# closed.
LONGEST_WAIT = timedelta(days=7)


@dataclass(frozen=True)
class DueReport:
    """A report to make: of a definition, None: on the plant; `newest`: its last revision."""

    definition: str | None
    period: Period
    newest: ReportHead | None
    inputs: str


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
        self._versions: dict[str, dict[str, str]] = {}
        self._misses: dict[str, list[tuple[str, str]]] = {}

    def due(self, shard: int | None = None) -> Iterator[DueReport]:
        """Yield the due reports on definitions, of one shard or all, oldest period first."""
        for served in self._served:
            if shard is None or shard_of(served.revision.name) == shard:
                for period in reversed(self._periods(served.length)):
                    yield from self._due_of(served, period)

    def due_of_plant(self) -> Iterator[DueReport]:
        """Yield the reports on the plant that are due, oldest period first."""
        for period in reversed(self._periods(self._platform.plant_report.period)):
            if self.plant_closes_at(period) > self._as_of or not any(
                self._served_in(served.revision, period) for served in self._served
            ):
                continue
            newest = self._heads_of(period).get(None)
            inputs = self.plant_inputs(period)
            if newest is None or (
                self._may_look(newest, period.end + self._longest_closing)
                and newest.inputs != inputs
            ):
                yield DueReport(None, period, newest, inputs)

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

    def plant_closes_at(self, period: Period) -> datetime:
        """Return when the period is closed for all definitions, at most a week after its end."""
        return period.end + min(self._longest_closing, LONGEST_WAIT)

    def assets_of(self, definition: Definition) -> Sequence[Asset]:
        """Return the assets of a definition."""
        return matching_assets(definition, self._platform.assets.all())

    def inputs(self, name: str, period: Period) -> str:
        """Return a hash of the inputs that change after a period: episodes, answers, misses."""
        misses = [id for definition, id in self._misses_of(period) if definition == name]
        return _hash(self._versions_of(period).get(name, ""), *misses)

    def plant_inputs(self, period: Period) -> str:
        """Return the same of the plant's report: also the reports on the definitions."""
        digests = sorted(
            f"{name}:{h.digest}" for name, h in self._heads_of(period).items() if name is not None
        )
        versions = sorted(f"{name}:{text}" for name, text in self._versions_of(period).items())
        return _hash(*digests, *versions, *(id for _, id in self._misses_of(period)))

    def _due_of(self, served: _Served, period: Period) -> Iterator[DueReport]:
        closes_at = self.closes_at(served.revision.definition, served.assets, period)
        if closes_at > self._as_of:
            return
        name = served.revision.name
        newest = self._heads_of(period).get(name)
        if newest is None:
            if self._served_in(served.revision, period):
                yield DueReport(name, period, None, self.inputs(name, period))
        elif self._may_look(newest, closes_at):
            inputs = self.inputs(name, period)
            if newest.inputs != inputs or self._came_late(
                served, period, newest.checked_at or newest.as_of
            ):
                yield DueReport(name, period, newest, inputs)

    def _may_look(self, newest: ReportHead, closes_at: datetime) -> bool:
        looked = max(newest.as_of, newest.checked_at or newest.as_of)
        return looked + REISSUED_AFTER <= self._as_of <= closes_at + LOOK_BACK

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

    def _came_late(self, served: _Served, period: Period, since: datetime) -> bool:
        window = self._window(served)
        start = period.start - window
        end = period.end + window
        late = (one for asset in served.assets for one in self._late_parts.get(asset.name, ()))
        return any(at > since and part.first < end and part.last >= start for at, part in late)

    @staticmethod
    def _window(served: _Served) -> timedelta:
        definition = served.revision.definition.for_assets(served.assets)
        return definition.longest_window if definition.problem is not None else timedelta(0)

    def _heads_of(self, period: Period) -> dict[str | None, ReportHead]:
        if period.name not in self._heads:
            self._heads[period.name] = self._platform.reports.of_period(period.name)
        return self._heads[period.name]

    def _versions_of(self, period: Period) -> dict[str, str]:
        if period.name not in self._versions:
            start = period.start - self._longest_window
            self._versions[period.name] = self._platform.episodes.versions(start, period.end)
        return self._versions[period.name]

    def _misses_of(self, period: Period) -> list[tuple[str, str]]:
        if period.name not in self._misses:
            found = self._platform.misses.for_interval(period.start, period.end)
            self._misses[period.name] = sorted((miss.definition, miss.id) for miss in found)
        return self._misses[period.name]

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
    def _longest_window(self) -> timedelta:
        return max((self._window(served) for served in self._served), default=timedelta(0))

    @cached_property
    def _longest_closing(self) -> timedelta:
        return max(
            (self._closing(s.revision.definition, s.assets) for s in self._served),
            default=timedelta(0),
        )

    @cached_property
    def _event_types(self) -> Sequence[EventType]:
        return self._platform.assets.event_types()

    @cached_property
    def _late_parts(self) -> dict[str, list[tuple[datetime, LatePart]]]:
        """Return what came late by asset, with the instant of its arrival."""
        found = defaultdict(list)
        for arrival in self._platform.arrivals.arrived_since(
            self._as_of - LOOK_BACK - self._longest_closing
        ):
            for part in arrival.parts:
                found[part.asset].append((arrival.arrived_at, part))
        return dict(found)


def due_reports(
    platform: ReportPorts, as_of: datetime, shard: int | None = None
) -> list[DueReport]:
    """Return the reports on definitions that are due, of one shard or all."""
    return list(ReportCalendar(platform, as_of).due(shard))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
