"""Preview of a draft: a bounded backtest of which nothing is stored."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast

import pandas as pd

from alerting.definitions.assets import Asset
from alerting.definitions.durations import format_duration
from alerting.definitions.faults import UserError
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import ModelDefinition, TrainedDefinition
from alerting.detection.problems import first_lookback, problem_intervals
from alerting.episodes.episode import Episode
from alerting.ports import (
    BacktestPorts,
    Document,
    NewestReading,
    Progress,
    ReadingColumns,
    Readings,
    Wanted,
)
from alerting.readings.history import History, from_millis, to_millis
from alerting.usecases.backtest.backtest import backtest
from alerting.usecases.backtest.preview_chart import PreviewChart, draw_preview, draw_problems
from alerting.usecases.backtest.run import Backtest, Subject
from alerting.usecases.labels.overlay import without_bad_values

LONGEST_PREVIEW = timedelta(days=92)
MOST_PREVIEW_READINGS = 10_000_000
"""Readings that a preview may load, counted each time: four weeks at one a second are about 5
million."""


EPISODES_SHOWN = 200
_END = datetime.max.replace(tzinfo=UTC)  # of an episode that is open


@dataclass(frozen=True)
class PreviewComparison:
    """Numbers of episodes of a draft beside those of the revision in service: of the draft alone,
    of that revision alone, and of both, which overlap on an asset."""

    revision: int
    only_draft: int
    only_served: int
    both: int


class PastProblem(NamedTuple):
    """A time at which the problem of a draft happened on an asset."""

    asset: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class PastProblems:
    """The times of a draft's problem, from which a model would learn: how many, the newest."""

    number: int
    newest: tuple[PastProblem, ...]


@dataclass(frozen=True)
class PreviewedAlarms:
    """The alarms that a draft would have raised: how many, the newest of them, and their load.

    `problems`: instead of alarms, of a draft whose model is yet to be trained.

    `compared`: with the revision in service, None without another one; `not_compared`: why it could
    not be compared, if so. `drawn`: the values of one asset.
    """

    episodes: int
    newest: tuple[Episode, ...]
    load: Document
    compared: PreviewComparison | None = None
    not_compared: str = ""
    drawn: PreviewChart | None = None
    problems: PastProblems | None = None


def require_preview(subject: Subject, start: datetime, end: datetime, now: datetime) -> None:
    """Raise UserError for a draft that must be trained first, and for a period that is empty, too
    long or not over."""
    if isinstance(subject.definition, ModelDefinition) and not _learns_from_problems(subject):
        raise UserError(
            f"definition {subject.definition.name!r} needs a model, which a preview does not "
            "train: apply it as a draft and run `alerting backtest`"
        )
    if start >= end:
        raise UserError(f"from {start.isoformat()} must lie before to {end.isoformat()}")
    if end > now:
        raise UserError(f"to {end.isoformat()} lies after now, {now.isoformat()}")
    if end - start > LONGEST_PREVIEW:
        raise UserError(
            f"a preview covers at most {format_duration(LONGEST_PREVIEW)}; choose a shorter "
            "period, or run `alerting backtest`"
        )


def preview(
    platform: BacktestPorts,
    subject: Subject,
    start: datetime,
    end: datetime,
    progress: Progress,
    require_time: Callable[[], None],
    most_readings: int = MOST_PREVIEW_READINGS,
) -> PreviewedAlarms:
    """Return the alarms of a draft over (start, end], by a backtest of which nothing is stored.

    `require_time`: called often; raises to end the preview. Raises UserError without readings, and
    beyond `most_readings`.
    """

    platform = without_bad_values(platform)
    if _learns_from_problems(subject):
        counted = CountedReadings(platform.readings, most_readings, require_time)
        return _past_problems(
            platform, counted, cast(TrainedDefinition, subject.definition), start, end, require_time
        )
    served = _served(platform, subject)
    parts = 1 if served is None else 2

    def run(tried: Subject, part: int) -> Backtest:
        def report_progress(step: str, done: int, total: int | None) -> None:
            require_time()
            progress(step, part * (total or 0) + done, total and parts * total)

        bounded = replace(
            platform,
            readings=CountedReadings(platform.readings, most_readings, require_time),
            backtests=platform.in_memory().backtests,
        )
        return backtest(bounded, tried, start, end, progress=report_progress)

    made = run(subject, 0)
    before: tuple[Episode, ...] = ()
    compared = None
    not_compared = ""
    if served is not None:
        try:
            before = run(served, 1).episodes
            compared = compare_episodes(served.revision.number, made.episodes, before)
        except UserError as refusal:
            not_compared = refusal.message
    newest = sorted(made.episodes, key=lambda e: (e.raised_at, e.id), reverse=True)
    return PreviewedAlarms(
        len(newest),
        tuple(newest[:EPISODES_SHOWN]),
        made.load or {},
        compared,
        not_compared,
        draw_preview(platform, subject.definition, made.episodes, before, start, end, require_time),
    )


def _learns_from_problems(subject: Subject) -> bool:
    definition = subject.definition
    return isinstance(definition, TrainedDefinition) and definition.problem.has_condition


def _past_problems(
    platform: BacktestPorts,
    readings: "CountedReadings",
    definition: TrainedDefinition,
    start: datetime,
    end: datetime,
    require_time: Callable[[], None],
) -> PreviewedAlarms:
    """Return when the problem of a definition happened, with the asset of most of them drawn."""
    problem = definition.problem
    targets = matching_assets(definition, platform.assets.find_matching(definition.assets))
    found: list[PastProblem] = []
    for asset in targets:
        since = start - first_lookback(problem)
        history = readings.load(asset, since, end, problem.variables, events_since=start)
        times = [
            (from_millis(a), min(from_millis(b), end))
            for a, b in problem_intervals(problem, history)
            if to_millis(start) <= a < to_millis(end)
        ]
        found += [PastProblem(asset.name, *one) for one in times]
    counts = Counter(one.asset for one in found)
    most = max(targets, key=lambda one: counts[one.name])
    own = [(one.start, one.end) for one in found if one.asset == most.name]
    found.sort(key=lambda one: one.start, reverse=True)
    return PreviewedAlarms(
        0,
        (),
        {},
        drawn=draw_problems(platform, problem, most, own, start, end, require_time),
        problems=PastProblems(len(found), tuple(found[:EPISODES_SHOWN])),
    )


def compare_episodes(
    revision: int, draft: Sequence[Episode], served: Sequence[Episode]
) -> PreviewComparison:
    """Return how many episodes of two lists overlap one of the other list on the same asset. Those
    of one list do not overlap on an asset."""
    both = _count_overlapping(draft, served)
    return PreviewComparison(
        revision, len(draft) - both, len(served) - _count_overlapping(served, draft), both
    )


def _count_overlapping(episodes: Sequence[Episode], others: Sequence[Episode]) -> int:
    by_asset: dict[str, list[Episode]] = {}
    for other in sorted(others, key=lambda e: e.raised_at):
        by_asset.setdefault(other.asset, []).append(other)
    count = 0
    for one in episodes:
        there = by_asset.get(one.asset, [])
        last = bisect_right(there, one.closed_at or _END, key=lambda e: e.raised_at)
        count += bool(last) and (there[last - 1].closed_at or _END) >= one.raised_at
    return count


def _served(platform: BacktestPorts, subject: Subject) -> Subject | None:
    """Return the revision in service if it is another one than the draft and needs no model."""
    newest = platform.definitions.newest_revision(subject.definition.name)
    if newest is None or newest.definition.state != "active" or subject.applied:
        return None
    is_trained = isinstance(newest.definition, ModelDefinition)
    return None if is_trained else Subject(newest, applied=True)


class CountedReadings:
    """Port `Readings` that loads a number of readings in all. Raises UserError beyond it."""

    def __init__(self, live: Readings, most: int, require_time: Callable[[], None]) -> None:
        self._live = live
        self._left = most
        self._most = most
        self._require_time = require_time

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
    ) -> History:
        self._require_time()
        found = self._live.load(asset, start, end, variables, events_since)
        self._count(len(found.readings))
        return found

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        self._require_time()
        found = self._live.load_many(wanted, end)
        self._count(sum(len(columns.ts) for columns in found.values()))
        return found

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        return self._live.newest_values(asset, since, until)

    def index_newest(self, variables: Iterable[str]) -> None:
        """Create nothing, as every backtest."""

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        return self._live.newest_readings(until, assets)

    def span(self, asset: str) -> tuple[datetime, datetime] | None:
        return self._live.span(asset)

    def _count(self, loaded: int) -> None:
        self._left -= loaded
        if self._left < 0:
            raise UserError(
                f"this preview needs more than {self._most} readings; choose a shorter period or "
                "fewer assets, or run `alerting backtest`"
            )
