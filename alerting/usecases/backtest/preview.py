"""Preview of a draft on past readings, by the functions that evaluate live. Nothing is stored: the
readings are held in memory for a while, so that a change of the draft is tried on them at once.

A held series is read in parts, with progress; another preview of the same times reads nothing. It
is identified by asset, variables, times and the newest reading. This reading comes from the port of
the person who previews: without access to an asset, no series of it is found. A held series lacks
readings that arrive late before its newest reading, so a preview states when its readings were
read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import NamedTuple, cast

import numpy as np

from alerting.deferred import pd
from alerting.definitions.alert_definition import (
    Definition,
    ModelDefinition,
    TrainedDefinition,
    matching_assets,
)
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError, format_duration, require_order, shown
from alerting.definitions.wording.language import in_english, translatable
from alerting.detection.problem_occurrences import first_lookback
from alerting.episodes.episode import Episode
from alerting.kinds.registry import kind_of
from alerting.learning.data.quality import Bursts, find_bursts
from alerting.ports import (
    BacktestPorts,
    Document,
    NewestReading,
    Progress,
    ReadingColumns,
    Readings,
    Wanted,
    WantedHistory,
)
from alerting.readings.history import (
    Doubts,
    History,
    events_between,
    join_instants,
    to_millis,
)
from alerting.reporting.estimates import to_document
from alerting.usecases.backtest.backtest import in_service, require_past
from alerting.usecases.backtest.preview_chart import (
    FoundAlarms,
    PreviewChart,
    PreviewComparison,
    compare_alarms,
    counted_times,
    draw_preview,
    draw_problems,
    find_past_alarms,
    learns_from_problems,
)
from alerting.usecases.backtest.sandbox import Subject
from alerting.usecases.definitions.faults_and_platform_alerts import warnings_of
from alerting.usecases.definitions.next_steps import clock_times
from alerting.usecases.episodes.mutes_and_suppression import suppressed_intervals_by_asset
from alerting.usecases.time_labels import without_bad_values

LONGEST_PREVIEW = timedelta(days=92)
MOST_PREVIEW_READINGS = 10_000_000
"""Instants that a preview may read: four weeks at one a second are 2.4 million."""

EPISODES_SHOWN = 200
FEW_PROBLEMS = 10
"""Problems of which a model should have at least as many to learn from."""
NEAR = timedelta(minutes=10)
"""Where most problems begin within this time of another one, they may be one problem."""


class PastProblem(NamedTuple):
    """A time at which the problem of a draft happened on an asset."""

    asset: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class PastProblems:
    """The times of a draft's problem, from which a model would learn, counted as a training does:
    how many, on how many assets, the median and the longest time, and the newest of them.

    `uncounted`: further problems that begin within an earlier one or its recovery; `bursts`: how
    far a rule would merge problems that mostly begin soon after another one.
    """

    number: int
    assets: int
    median: timedelta | None
    longest: timedelta | None
    newest: tuple[PastProblem, ...]
    uncounted: int = 0
    bursts: Bursts | None = None

    @property
    def are_few(self) -> bool:
        """Return whether the problems are too few to learn from."""
        return self.number < FEW_PROBLEMS


@dataclass(frozen=True)
class PreviewedAlarms:
    """The alarms that a draft would have raised: how many, the newest of them, and their load.

    `since`: the begin of the period, or of the readings if they begin later. `problems`: replaces
    alarms for a draft whose model is yet to be trained. `compared`: with the revision in service,
    None if it is the draft; `not_compared`: why it could not be compared, if so. `drawn`: the
    values of one asset. `read_at`: when the oldest of the readings were read. `warnings`:
    conditions that can never be met with these readings; `clock_times`: its hours and schedule,
    with their time zones. `trained`: what the training of the draft prints, if it was trained.
    """

    episodes: int
    newest: tuple[Episode, ...]
    load: Document
    read_at: datetime
    since: datetime
    warnings: tuple[str, ...] = ()
    clock_times: tuple[str, ...] = ()
    compared: PreviewComparison | None = None
    not_compared: str = ""
    drawn: PreviewChart | None = None
    problems: PastProblems | None = None
    trained: tuple[str, ...] = ()


def require_preview(subject: Subject, start: datetime, end: datetime, now: datetime) -> None:
    """Raise UserError for a draft that must be trained first, and for a period that is empty, too
    long or not over."""
    if not can_preview(subject.definition):
        raise UserError(
            translatable(
                "definition {name} needs a model, which a preview does not train: “Train this "
                "draft” in the editor does, and shows the past",
                name=shown(subject.definition.name),
            )
        )
    require_order(start, end, "from", "to")
    if end > now:
        raise UserError(in_english("to {end} lies after now, {now}", end=end, now=now))
    if end - start > LONGEST_PREVIEW:
        raise UserError(
            translatable(
                "a preview covers at most {duration}; choose a shorter period",
                duration=format_duration(LONGEST_PREVIEW),
            )
        )


def can_preview(definition: Definition) -> bool:
    """Return whether a draft can be tried without a model."""
    return not isinstance(definition, ModelDefinition) or learns_from_problems(definition)


def preview(
    platform: BacktestPorts,
    subject: Subject,
    start: datetime,
    end: datetime,
    progress: Progress,
    require_time: Callable[[], None],
    store: SeriesCache,
    most_readings: int = MOST_PREVIEW_READINGS,
) -> PreviewedAlarms:
    """Return the alarms of a draft over (start, end], as a backtest would find them.

    `store`: of series that earlier previews have read. `require_time`: called often; raises to end
    the preview. Raises UserError without readings, and beyond `most_readings`.
    """
    require_past(platform, subject, start, end)
    start = max(start, min(_first_readings(platform, subject.definition), default=start))
    now = platform.clock.now()
    readings = CachedReadings(
        platform.readings, store, (start, end), now, most_readings, require_time, progress
    )
    # over the cache, so that a mark made since is seen
    caching = without_bad_values(replace(platform, readings=readings))
    at_hours = tuple(clock_times(subject.definition))
    if learns_from_problems(subject.definition):
        trained = cast(TrainedDefinition, subject.definition)
        problems = _past_problems(caching, readings, trained, start, end)
        warnings = _warnings_by(platform, readings, trained, end)
        return replace(problems, warnings=warnings, clock_times=at_hours)
    served = _find_served(platform, subject)
    series = {
        (asset.name, names)
        for tested in [subject, *([served] if served else [])]
        for asset, _, names in _series_needed(caching, tested.definition, start)
    }
    readings.expect(len(series))
    made = _find(caching, readings, subject, start, end, require_time)
    before = None
    not_compared = ""
    if served is not None:
        try:
            before = _find(caching, readings, served, start, end, require_time)
        except UserError as refusal:
            not_compared = refusal.message
    progress("counting", 1, 1)
    definition = subject.definition
    suppressed = suppressed_intervals_by_asset(caching, definition, made.targets, start, end)
    load = made.load(suppressed, end, platform.budget.flood_above)
    beside = compare_alarms(made.alarms, before.alarms if before else ())
    drawn = draw_preview(caching.readings, definition, made.targets, beside, suppressed, start, end)
    return PreviewedAlarms(
        len(made.alarms),
        made.newest_episodes(EPISODES_SHOWN),
        to_document(load) or {},
        readings.read_at,
        start,
        _warnings_by(platform, readings, definition, end),
        at_hours,
        beside.count(before.revision.number) if before else None,
        not_compared,
        drawn,
    )


def _warnings_by(
    platform: BacktestPorts, readings: CachedReadings, definition: Definition, end: datetime
) -> tuple[str, ...]:
    """Return the warnings of a definition by the readings that its preview has read; older readings
    are read only for rare values."""
    readings.hold_no_more()
    return tuple(warnings_of(replace(platform, readings=readings), definition, end))


def _first_readings(platform: BacktestPorts, definition: Definition) -> Iterator[datetime]:
    """Yield an instant just before the first reading of each asset that has any."""
    for asset in matching_assets(definition, platform.assets.find_matching(definition.assets)):
        if times := platform.readings.span(asset.name):
            yield times[0] - timedelta(milliseconds=1)


def _series_needed(
    platform: BacktestPorts, definition: Definition, start: datetime
) -> Iterator[tuple[Asset, datetime, tuple[str, ...]]]:
    """Yield the series that a definition needs: asset, instant before the first, variables."""
    for asset in matching_assets(definition, platform.assets.find_matching(definition.assets)):
        names = tuple(sorted(definition.variables_evaluated(asset)))
        yield asset, start - kind_of(definition).inputs(definition, asset).lookback, names


def _find(
    platform: BacktestPorts,
    readings: CachedReadings,
    tried: Subject,
    start: datetime,
    end: datetime,
    require_time: Callable[[], None],
) -> FoundAlarms:
    for asset, since, names in _series_needed(platform, tried.definition, start):
        readings.hold(asset, since, end, names)
    return find_past_alarms(platform, in_service(tried.revision, start), start, end, require_time)


def _past_problems(
    platform: BacktestPorts,
    readings: CachedReadings,
    definition: TrainedDefinition,
    start: datetime,
    end: datetime,
) -> PreviewedAlarms:
    """Return when the problem of a definition happened, with the asset of most of them drawn."""
    problem = definition.problem
    targets = matching_assets(definition, platform.assets.find_matching(definition.assets))
    readings.expect(len(targets))
    problems: list[PastProblem] = []
    histories: list[History] = []
    uncounted = 0
    for asset in targets:
        # of a problem that events show, no reading is needed
        since = start - first_lookback(problem) if problem.variables else end
        history = platform.readings.load(
            WantedHistory(asset, since, end, problem.variables, events_since=start)
        )
        times = counted_times(definition, history, start, end)
        problems += [PastProblem(asset.name, *time) for time, counts in times if counts]
        uncounted += sum(not counts for _, counts in times)
        histories.append(history)
    counts = Counter(p.asset for p in problems)
    most = max(targets, key=lambda asset: counts[asset.name])
    drawn = [(p.start, p.end) for p in problems if p.asset == most.name]
    problems.sort(key=lambda p: p.start, reverse=True)
    lengths = sorted(p.end - p.start for p in problems)
    return PreviewedAlarms(
        0,
        (),
        {},
        readings.read_at,
        start,
        drawn=draw_problems(platform.readings, definition, most, drawn, start, end),
        problems=PastProblems(
            len(problems),
            len(counts),
            lengths[len(lengths) // 2] if lengths else None,
            lengths[-1] if lengths else None,
            tuple(problems[:EPISODES_SHOWN]),
            uncounted,
            None if definition.is_of_unit else find_bursts(problem, histories, NEAR),
        ),
    )


def _find_served(platform: BacktestPorts, subject: Subject) -> Subject | None:
    """Return the revision in service if it differs from the draft and needs no model."""
    newest = platform.definitions.newest_revision(subject.definition.name)
    if newest is None or newest.definition.state != "active" or subject.applied:
        return None
    return None if isinstance(newest.definition, ModelDefinition) else Subject(newest, applied=True)


MOST_CACHED_BYTES = 256 << 20
CACHED_S = 600.0
PART = timedelta(days=1)
"""Time of readings that are read at once."""


@dataclass(frozen=True)
class CachedSeries:
    """Readings of an asset in (start, end] and its events up to `end`, as read at `read_at`.

    `newest`: the asset's newest reading up to `end` at that time.
    """

    start: datetime
    end: datetime
    names: frozenset[str]
    history: History
    newest: NewestReading
    read_at: datetime

    @property
    def size(self) -> int:
        """Return the bytes of instants and values."""
        return int(self.history.readings.memory_usage().sum())

    def covers(self, asset: Asset, start: datetime, end: datetime, names: Collection[str]) -> bool:
        """Return whether it has these readings of an asset, as the asset is declared."""
        return (
            asset == self.history.asset
            and self.start <= start
            and self.end >= end
            and self.names.issuperset(names)
        )

    def part(self, start: datetime, end: datetime, names: Sequence[str]) -> History:
        """Return readings of (start, end], with all events up to `end`, as `Readings.load`."""
        frame = self.history.readings
        ts = pd.DatetimeIndex(frame.index).asi8
        first, last = np.searchsorted(ts, [to_millis(start), to_millis(end)], side="right")
        return replace(
            self.history,
            readings=frame.iloc[first:last][list(names)],
            events=events_between(self.history, None, to_millis(end)),
        )


class SeriesCache:
    """Held series of all previews of a process: at most `most_bytes`, each for `cached_s` seconds.
    The oldest series are dropped first; a larger series is not held."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        most_bytes: int = MOST_CACHED_BYTES,
        cached_s: float = CACHED_S,
    ) -> None:
        """`monotonic`: a clock in seconds."""
        self._most_bytes = most_bytes
        self._cached_s = cached_s
        self._monotonic = monotonic
        self._lock = Lock()
        self._cached: list[tuple[float, CachedSeries]] = []

    @property
    def bytes_used(self) -> int:
        """Return the bytes of all series that are held now."""
        with self._lock:
            self._drop_old()
            return sum(series.size for _, series in self._cached)

    def find(
        self,
        asset: Asset,
        start: datetime,
        end: datetime,
        names: Collection[str],
        newest: NewestReading,
    ) -> CachedSeries | None:
        """Return a series with these readings, None unless the newest reading is still the same."""
        with self._lock:
            self._drop_old()
            covering = (
                series for _, series in self._cached if series.covers(asset, start, end, names)
            )
            return next((series for series in covering if series.newest == newest), None)

    def hold(self, series: CachedSeries) -> None:
        """Hold a series instead of series that it contains; drop the oldest ones if needed."""
        with self._lock:
            self._drop_old()
            self._cached = [
                (until, cached)
                for until, cached in self._cached
                if not series.covers(cached.history.asset, cached.start, cached.end, cached.names)
            ]
            if series.size > self._most_bytes:
                return
            while sum(cached.size for _, cached in self._cached) + series.size > self._most_bytes:
                del self._cached[0]
            self._cached.append((self._monotonic() + self._cached_s, series))

    def drop_old(self) -> bool:
        """Drop series that were held long enough; return whether any is left."""
        with self._lock:
            self._drop_old()
            return bool(self._cached)

    def _drop_old(self) -> None:
        now = self._monotonic()
        self._cached = [(until, series) for until, series in self._cached if until > now]


class CachedReadings(Readings):
    """Port `Readings` of one preview over about (start, end].

    A request for at least half of that time is read whole and held; other requests are answered
    from held series, or from the live port. `read_at`: when the oldest used readings were read.
    """

    def __init__(
        self,
        live: Readings,
        store: SeriesCache,
        period: tuple[datetime, datetime],
        now: datetime,
        most: int,
        require_time: Callable[[], None],
        progress: Progress,
    ) -> None:
        self._live = live
        self._unread = most
        self._most = most
        self._require_time = require_time
        self._store = store
        self._least = (period[1] - period[0]) / 2
        self._now = now
        self._progress = progress
        self._used: list[CachedSeries] = []
        self._steps = 1
        self._done = 0

    @property
    def read_at(self) -> datetime:
        """Return when the oldest readings that this preview has used were read."""
        return min((series.read_at for series in self._used), default=self._now)

    def hold_no_more(self) -> None:
        """From now on hold no further series: read from the live port instead."""
        self._least = timedelta.max

    def expect(self, series: int) -> None:
        """State how many series this preview needs; its progress is a share of them."""
        self._steps = max(series, 1)

    def load(self, request: WantedHistory) -> History:
        start = request.start
        end = request.end
        names = request.names
        if start is None or end is None:
            return self._load_counted(request)
        series = self._find_used(request.asset, start, end, names)
        if series is None and names and end - start >= self._least:
            series = self.hold(request.asset, start, end, names)
        if series is None:
            return self._load_counted(request)
        history = series.part(start, end, names)
        if request.events_since is None:
            return history
        events = events_between(history, to_millis(request.events_since), to_millis(end))
        return replace(history, events=events)

    def hold(
        self, asset: Asset, start: datetime, end: datetime, names: Sequence[str]
    ) -> CachedSeries | None:
        """Return a series from the cache, else read it; None for an asset without readings."""
        used = self._find_used(asset, start, end, names)
        if used is not None:
            return used
        newest = self._live.newest_readings(until=end, assets=[asset.name]).get(asset.name)
        if newest is None:
            return None
        series = self._store.find(asset, start, end, names, newest)
        if series is None:
            history = self._read(asset, start, end, names)
            series = CachedSeries(start, end, frozenset(names), history, newest, self._now)
            self._store.hold(series)
        self._used.append(series)
        self._done += 1
        return series

    def _find_used(
        self, asset: Asset, start: datetime, end: datetime, names: Collection[str]
    ) -> CachedSeries | None:
        covering = (series for series in self._used if series.covers(asset, start, end, names))
        return next(covering, None)

    def _read(self, asset: Asset, start: datetime, end: datetime, names: Sequence[str]) -> History:
        parts: list[History] = []
        count = max(-(-(end - start) // PART), 1)
        for number in range(count):
            begin = start + number * PART
            stop = min(begin + PART, end)
            share = (min(self._done, self._steps - 1) * count + number, self._steps * count)
            self._progress("reading", *share)
            since = None if number == count - 1 else stop
            parts.append(self._load_counted(WantedHistory(asset, begin, stop, names, since)))
        frames = [part.readings for part in parts if len(part.readings)]
        readings = pd.concat(frames) if frames else parts[-1].readings
        bad = join_instants([part.doubts.bad for part in parts])
        uncertain = join_instants([part.doubts.uncertain for part in parts])
        return replace(parts[-1], readings=readings, doubts=Doubts(bad, uncertain))

    def _load_counted(self, request: WantedHistory) -> History:
        """Load from the live port. Raises UserError beyond the number of readings of a preview."""
        self._require_time()
        history = self._live.load(request)
        self._unread -= len(history.readings)
        if self._unread < 0:
            raise UserError(
                f"this preview needs more than {self._most} readings; choose a shorter period or "
                "fewer assets"
            )
        return history

    def load_many(self, requests: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        return self._live.load_many(requests, end)

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        return self._live.newest_values(asset, since, until)

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        return self._live.newest_readings(until, assets)

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        return self._live.span(asset, until)
