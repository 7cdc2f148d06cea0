"""Preview of a draft on past readings, of which nothing is stored. The readings are read once and
held, so that a change of the draft is tried on them at once."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, cast

from alerting.definitions.alert_definition import (
    Definition,
    ModelDefinition,
    TrainedDefinition,
    matching_assets,
)
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError, format_duration, shown
from alerting.definitions.wording.language import translatable
from alerting.detection.problems import (
    counted_problems,
    find_occurrences,
    find_problems,
    first_lookback,
    predicts,
)
from alerting.episodes.episode import Episode
from alerting.kinds.registry import kind_of
from alerting.learning.data.quality import Bursts, find_bursts
from alerting.ports import BacktestPorts, Document, Progress
from alerting.readings.history import History, from_millis, millis, to_millis
from alerting.reporting.estimates import to_document
from alerting.usecases.backtest.backtest import in_service, require_past
from alerting.usecases.backtest.past_alarms import CachedReadings, SeriesCache
from alerting.usecases.backtest.preview_chart import (
    FoundAlarms,
    PreviewChart,
    PreviewComparison,
    compare_alarms,
    draw_preview,
    draw_problems,
    find_past_alarms,
)
from alerting.usecases.backtest.sandbox import Subject
from alerting.usecases.definitions.checking import warnings_of
from alerting.usecases.definitions.next_steps import clock_times
from alerting.usecases.episodes.suppression import suppressed_intervals_by_asset
from alerting.usecases.labels import without_bad_values

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

    `uncounted`: more that begin within an earlier one or its recovery; `bursts`: how fewer problems
    would be made of them, where most begin soon after another one.
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
        """Return whether they are too few to learn from."""
        return self.number < FEW_PROBLEMS


@dataclass(frozen=True)
class PreviewedAlarms:
    """The alarms that a draft would have raised: how many, the newest of them, and their load.

    `since`: the begin of the period, or of the readings if they begin later. `problems`: instead of
    alarms, of a draft whose model is yet to be trained.

    `compared`: with the revision in service, None without another one; `not_compared`: why it could
    not be compared, if so. `drawn`: the values of one asset. `read_at`: when the oldest of the
    readings were read. `warnings`: what can never be fulfilled with the readings as they come;
    `clock_times`: its hours and schedule, with their time zones.
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


def require_preview(subject: Subject, start: datetime, end: datetime, now: datetime) -> None:
    """Raise UserError for a draft that must be trained first, and for a period that is empty, too
    long or not over."""
    if isinstance(subject.definition, ModelDefinition) and not _learns_from_problems(subject):
        raise UserError(
            translatable(
                "definition {name} needs a model, which a preview does not train: apply it as a "
                "draft and run `alerting backtest`",
                name=shown(subject.definition.name),
            )
        )
    if start >= end:
        raise UserError(f"from {start.isoformat()} must lie before to {end.isoformat()}")
    if end > now:
        raise UserError(f"to {end.isoformat()} lies after now, {now.isoformat()}")
    if end - start > LONGEST_PREVIEW:
        raise UserError(
            translatable(
                "a preview covers at most {duration}; choose a shorter period, or run `alerting "
                "backtest`",
                duration=format_duration(LONGEST_PREVIEW),
            )
        )


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
    readings = CachedReadings(
        platform.readings,
        store,
        (start, end),
        platform.clock.now(),
        most_readings,
        require_time,
        progress,
    )
    # over the cache, so that a mark made since is seen
    caching = without_bad_values(replace(platform, readings=readings))
    at_hours = tuple(clock_times(subject.definition))
    if _learns_from_problems(subject):
        learning = cast(TrainedDefinition, subject.definition)
        found = _past_problems(caching, readings, learning, start, end)
        warnings = _warnings_by(platform, readings, learning, end)
        return replace(found, warnings=warnings, clock_times=at_hours)
    served = _served(platform, subject)
    tried = [subject, *([served] if served else [])]
    wanted = {
        (asset.name, names)
        for one in tried
        for asset, _, names in _wanted(caching, one.definition, start)
    }
    readings.expect(len(wanted))
    made = _find(caching, readings, subject, start, end, require_time)
    before: FoundAlarms | None = None
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
    """Return the warnings of a definition by the readings that its preview has read; only for rare
    values older ones are read."""
    readings.hold_no_more()
    return tuple(warnings_of(replace(platform, readings=readings), definition, end))


def _first_readings(platform: BacktestPorts, definition: Definition) -> Iterator[datetime]:
    """Yield an instant just before the first reading of each asset that has any."""
    for asset in matching_assets(definition, platform.assets.find_matching(definition.assets)):
        if times := platform.readings.span(asset.name):
            yield times[0] - timedelta(milliseconds=1)


def _wanted(
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
    for asset, since, names in _wanted(platform, tried.definition, start):
        readings.hold(asset, since, end, names)
    revision = in_service(tried.revision, start)
    return find_past_alarms(platform, revision, start, end, require_time)


def _learns_from_problems(subject: Subject) -> bool:
    definition = subject.definition
    return isinstance(definition, TrainedDefinition) and definition.problem.has_condition


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
    found: list[PastProblem] = []
    histories: list[History] = []
    uncounted = 0
    for asset in targets:
        # of a problem that events show, no reading is needed
        since = start - first_lookback(problem) if problem.variables else end
        history = platform.readings.load(asset, since, end, problem.variables, events_since=start)
        times = _counted_times(definition, history, start, end)
        found += [PastProblem(asset.name, *one) for one, counts in times if counts]
        uncounted += sum(not counts for _, counts in times)
        histories.append(history)
    counts = Counter(one.asset for one in found)
    most = max(targets, key=lambda one: counts[one.name])
    own = [(one.start, one.end) for one in found if one.asset == most.name]
    found.sort(key=lambda one: one.start, reverse=True)
    lengths = sorted(one.end - one.start for one in found)
    return PreviewedAlarms(
        0,
        (),
        {},
        readings.read_at,
        start,
        drawn=draw_problems(platform.readings, definition, most, own, start, end),
        problems=PastProblems(
            len(found),
            len(counts),
            lengths[len(lengths) // 2] if lengths else None,
            lengths[-1] if lengths else None,
            tuple(found[:EPISODES_SHOWN]),
            uncounted,
            None if definition.is_of_unit else find_bursts(problem, histories, NEAR),
        ),
    )


def _counted_times(
    definition: TrainedDefinition, history: History, start: datetime, end: datetime
) -> list[tuple[tuple[datetime, datetime], bool]]:
    """Return begin and end of each problem of a period, and whether a training counts it."""
    found = find_problems(definition.problem, history, definition.is_of_unit)
    is_onset = predicts(definition, history.asset) == "onset"
    counted = counted_problems(found, find_occurrences(definition, history), is_onset)
    columns = (millis(counted[name]).tolist() for name in ("start", "end", "last"))
    return [
        ((from_millis(a), min(from_millis(max(a, over, last)), end)), not skipped)
        for a, over, last, skipped in zip(*columns, counted["uncounted"].tolist(), strict=True)
        if to_millis(start) <= a < to_millis(end)
    ]


def _served(platform: BacktestPorts, subject: Subject) -> Subject | None:
    """Return the revision in service if it is another one than the draft and needs no model."""
    newest = platform.definitions.newest_revision(subject.definition.name)
    if newest is None or newest.definition.state != "active" or subject.applied:
        return None
    is_trained = isinstance(newest.definition, ModelDefinition)
    return None if is_trained else Subject(newest, applied=True)
