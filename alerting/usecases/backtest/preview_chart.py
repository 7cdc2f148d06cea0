"""The values that a preview draws: of the asset with the most alarms, with limits and the times of
alarms."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

import numpy as np

from alerting.deferred import pd
from alerting.definitions.alert_definition import (
    SEVERITIES,
    Condition,
    Definition,
    Revision,
    Severity,
    TrainedDefinition,
    matching_assets,
)
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.condition_fields import Conditions
from alerting.definitions.fields.problem import variable_title
from alerting.detection.problem_occurrences import (
    counted_problems,
    find_occurrences,
    find_problems,
    predicts,
)
from alerting.detection.suppressed_intervals import IntervalsByAsset, SuppressedInterval
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol import TargetEvaluation, VersionInterval
from alerting.kinds.registry import kind_of
from alerting.ports import Readings, SandboxPorts, SeriesPorts, WantedHistory
from alerting.readings.buckets import HOUR
from alerting.readings.history import Floats, History, Millis, from_millis, millis, to_millis
from alerting.reporting.episode_details import Load, operator_load
from alerting.reporting.variable_charts import (
    ChartLevel,
    Panel,
    condition_levels,
    new_panel,
    problem_levels,
)
from alerting.usecases.episodes.mutes_and_suppression import never_notified
from alerting.usecases.evaluation.compose import new_episodes
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.trend_samples import read_buckets

STEP = timedelta(days=1)
"""Time that is evaluated at once."""


@dataclass
class PastAlarm:
    """An alarm that would have been raised; `closed_at` is None while it is open at the end."""

    asset: str
    raised_at: datetime
    severity: Severity
    severity_peak: Severity
    closed_at: datetime | None = None


@dataclass(frozen=True)
class FoundAlarms:
    """Alarms of one revision, by asset in the order of time.

    `evaluated`: by asset with any known value, the instant until which values are known.
    """

    revision: Revision
    start: datetime
    alarms: tuple[PastAlarm, ...]
    evaluated: dict[str, datetime]
    targets: tuple[Asset, ...]
    evaluations: dict[str, Sequence[TargetEvaluation]]

    def newest_episodes(self, count: int) -> tuple[Episode, ...]:
        """Return the newest episodes with their reasons, newest first."""
        newest = sorted(self.alarms, key=lambda alarm: (alarm.raised_at, alarm.asset))[-count:]
        episodes: list[Episode] = []
        for asset in self.targets:
            chosen = {alarm.raised_at for alarm in newest if alarm.asset == asset.name}
            if chosen:
                whole = _join_evaluations(self.evaluations[asset.name], chosen)
                episodes += new_episodes(
                    whole, self.revision, asset, detected_at=None, backfilled=False
                ).values()
        return tuple(sorted(episodes, key=lambda e: (e.raised_at, e.id), reverse=True))

    def load(
        self, suppressed: dict[str, list[SuppressedInterval]], end: datetime, flood_above: int
    ) -> Load | None:
        """Return the load on operators of the alarms that would have been notified; None without
        any known value."""
        if not self.evaluated:
            return None
        suppression = self.revision.definition.suppression
        notified = [
            alarm
            for alarm in self.alarms
            if alarm.raised_at < end
            and not (
                suppression
                and never_notified(
                    suppression,
                    suppressed.get(alarm.asset, ()),
                    alarm.raised_at,
                    alarm.closed_at,
                    alarm.severity_peak,
                    end,
                )
            )
        ]
        last = max(self.evaluated.values())
        spans = [(alarm.raised_at, min(alarm.closed_at or last, last)) for alarm in notified]
        return operator_load(spans, self.start, last, flood_above)


def learns_from_problems(definition: Definition) -> bool:
    """Return whether a draft states a problem whose past times can be shown without a model."""
    return isinstance(definition, TrainedDefinition) and definition.problem.has_condition


def find_past_alarms(
    platform: SandboxPorts,
    revision: Revision,
    start: datetime,
    end: datetime,
    require_time: Callable[[], None],
    version: int | None = None,
) -> FoundAlarms:
    """Return the alarms of a revision that is in service since `start`, evaluated up to `end` less
    the latency. `version`: of its model, if it has one, of which the twin evaluates, since a refit
    has learned from that time. `require_time` is called often; it raises to end the work."""
    definition = revision.definition
    targets = matching_assets(definition, platform.assets.find_matching(definition.assets))
    alarms: list[PastAlarm] = []
    evaluated: dict[str, datetime] = {}
    evaluations: dict[str, Sequence[TargetEvaluation]] = {}
    for asset in targets:
        last = end - definition.latency(asset, platform.latency)
        evaluation = _evaluate(platform, revision, asset, start, last, require_time, version)
        evaluations[asset.name] = evaluation
        alarms += [alarm for alarm in _alarms(asset, evaluation) if alarm.raised_at < end]
        known_until = _find_known_until(platform, revision, asset, start, last, evaluation)
        if known_until is not None:
            evaluated[asset.name] = known_until
    return FoundAlarms(revision, start, tuple(alarms), evaluated, tuple(targets), evaluations)


def _evaluate(
    platform: SandboxPorts,
    revision: Revision,
    asset: Asset,
    start: datetime,
    end: datetime,
    require_time: Callable[[], None],
    version: int | None,
) -> list[TargetEvaluation]:
    models = ModelCache(platform)
    state = ConditionState(watermark=start)
    evaluations: list[TargetEvaluation] = []
    while state.watermark < end:
        require_time()
        until = min(state.watermark + STEP, end)
        part = VersionInterval(state.watermark, until, revision, version, by_twin=True)
        evaluations.append(evaluate_parts(platform, models, asset, state, [part]))
        state = evaluations[-1].state
    return evaluations


def _alarms(asset: Asset, evaluations: Sequence[TargetEvaluation]) -> list[PastAlarm]:
    by_raise: dict[datetime, PastAlarm] = {}
    for evaluation in evaluations:
        for step, part in evaluation.steps:
            if step.kind == "raised" and part.revision is not None:
                severity = step.severity or part.revision.definition.severity
                by_raise[step.raised_at] = PastAlarm(asset.name, step.raised_at, severity, severity)
                continue
            alarm = by_raise[step.raised_at]
            if step.kind == "severity" and step.severity is not None:
                alarm.severity = step.severity
                alarm.severity_peak = max(alarm.severity_peak, step.severity, key=SEVERITIES.index)
            elif step.kind == "closed":
                alarm.closed_at = step.at
    return list(by_raise.values())


def _find_known_until(
    platform: SandboxPorts,
    revision: Revision,
    asset: Asset,
    start: datetime,
    end: datetime,
    evaluations: Sequence[TargetEvaluation],
) -> datetime | None:
    """Return the last instant with a known value; None if no value is known."""
    if not evaluations:
        return None
    if evaluations[-1].unknown is None:
        return end
    definition = revision.definition
    kind = kind_of(definition)
    since = start - kind.inputs(definition, asset).lookback
    names = sorted(definition.variables_evaluated(asset))
    history = platform.readings.load(WantedHistory(asset, since, end, names, events_since=start))
    gaps = kind.unevaluated_intervals(definition, history, start, end)
    last = gaps[-1][0] if gaps and gaps[-1][1] == end else end
    return last if last > start else None


def _join_evaluations(
    evaluations: Sequence[TargetEvaluation], raised: set[datetime]
) -> TargetEvaluation:
    """Return one evaluation with the steps of some episodes."""
    joined = TargetEvaluation(evaluations[-1].state)
    for evaluation in evaluations:
        joined.steps.extend(pair for pair in evaluation.steps if pair[0].raised_at in raised)
        joined.raises.update(
            {at: raised_now for at, raised_now in evaluation.raises.items() if at in raised}
        )
    return joined


_END = datetime.max.replace(tzinfo=UTC)  # of an alarm that is open
MOST_PANELS = 3
_PROBLEM_HOLD = timedelta(hours=1)  # a problem says not how long a value holds
Interval = tuple[datetime, datetime]


@dataclass(frozen=True)
class PreviewComparison:
    """Numbers of alarms of a draft beside the revision in service: of the draft alone, of that
    revision alone, and of both, which overlap on an asset."""

    revision: int
    only_draft: int
    only_served: int
    both: int


@dataclass(frozen=True)
class ComparedAlarms:
    """Alarms of the draft alone, alarms of the revision in service alone, and alarms of the draft
    that overlap an alarm of that revision on the same asset."""

    only_draft: tuple[PastAlarm, ...]
    only_served: tuple[PastAlarm, ...]
    overlapping: tuple[PastAlarm, ...]

    def count(self, revision: int) -> PreviewComparison:
        """Return the numbers of alarms. `revision`: number of the revision in service."""
        return PreviewComparison(
            revision, len(self.only_draft), len(self.only_served), len(self.overlapping)
        )


def compare_alarms(draft: Sequence[PastAlarm], served: Sequence[PastAlarm]) -> ComparedAlarms:
    """Compare two lists. Alarms of one list do not overlap on an asset."""
    in_both = _overlap(draft, served)
    in_draft = _overlap(served, draft)
    return ComparedAlarms(
        tuple(alarm for alarm, is_both in zip(draft, in_both, strict=True) if not is_both),
        tuple(alarm for alarm, is_both in zip(served, in_draft, strict=True) if not is_both),
        tuple(alarm for alarm, is_both in zip(draft, in_both, strict=True) if is_both),
    )


def _overlap(alarms: Sequence[PastAlarm], others: Sequence[PastAlarm]) -> list[bool]:
    """Return, for each alarm, whether it overlaps an alarm of the other list on its asset."""
    by_asset: dict[str, list[PastAlarm]] = {}
    for alarm in sorted(others, key=lambda alarm: alarm.raised_at):
        by_asset.setdefault(alarm.asset, []).append(alarm)
    overlaps: list[bool] = []
    for alarm in alarms:
        on_asset = by_asset.get(alarm.asset, [])
        number = bisect_right(on_asset, alarm.closed_at or _END, key=lambda a: a.raised_at)
        last = on_asset[number - 1] if number else None
        overlaps.append(last is not None and (last.closed_at or _END) >= alarm.raised_at)
    return overlaps


@dataclass(frozen=True)
class PreviewChart:
    """The variables of a draft on one asset over a period.

    `suppressed`: times in which an alarm would not be notified; `draft`, `served` and `both`: times
    of alarms of the draft alone, of the revision in service alone, and of both together. `problem`:
    times of the problem, beside the alarms of a trained draft.
    """

    asset: str
    panels: tuple[Panel, ...]
    start: datetime
    end: datetime
    suppressed: tuple[Interval, ...] = ()
    draft: tuple[Interval, ...] = ()
    served: tuple[Interval, ...] = ()
    both: tuple[Interval, ...] = ()
    problem: tuple[Interval, ...] = ()


def limits_by_variable(
    definition: Conditions, asset: Asset
) -> dict[str, tuple[list[ChartLevel], timedelta]]:
    """Return the limits of each variable that is drawn, and how long one of its values holds."""
    combination = definition.combination
    limits: dict[str, tuple[list[ChartLevel], timedelta]] = {}
    conditions: Iterable[Condition] = (definition,) if combination is None else combination.leaves()
    for condition in filter(attrgetter("variable"), conditions):
        levels, _ = limits.setdefault(condition.variable, ([], condition.stale_after))
        levels += condition_levels(condition, asset)
    return dict(list(limits.items())[:MOST_PANELS])


def draw_preview(
    readings: Readings,
    definition: Definition,
    targets: Sequence[Asset],
    compared: ComparedAlarms,
    suppressed: IntervalsByAsset,
    start: datetime,
    end: datetime,
) -> PreviewChart | None:
    """Return the drawing of a draft; None if the draft has no limits on numbers."""
    if not isinstance(definition, Conditions) or not targets:
        return None
    counts = Counter(
        alarm.asset
        for alarm in (*compared.only_draft, *compared.overlapping, *compared.only_served)
    )
    asset = max(targets, key=lambda target: counts[target.name])
    panels = [
        draw_variable(readings, asset, variable, levels, hold, (start, end))
        for variable, (levels, hold) in limits_by_variable(definition, asset).items()
    ]
    return PreviewChart(
        asset.name,
        tuple(panel for panel in panels if panel is not None),
        start,
        end,
        tuple((s.start, s.end) for s in suppressed.get(asset.name, ())),
        spans_on(asset, compared.only_draft, end),
        spans_on(asset, compared.only_served, end),
        spans_on(asset, compared.overlapping, end),
    )


def _limits_drawn(definition: Definition, asset: Asset) -> dict[str, Sequence[ChartLevel]]:
    if isinstance(definition, Conditions):
        limits = limits_by_variable(definition, asset)
        return {variable: levels for variable, (levels, _) in limits.items()}
    if isinstance(definition, TrainedDefinition):
        levels = problem_levels(definition.problem)
        return dict.fromkeys(definition.problem.variables[:MOST_PANELS], levels)
    return {}


def sketch_preview(
    platform: SeriesPorts, definition: Definition, start: datetime, end: datetime
) -> PreviewChart | None:
    """Return the lowest and highest values of each hour from rollups alone, with limits. A preview
    draws them while readings are read. None where nothing is rolled up."""
    targets = matching_assets(definition, platform.assets.find_matching(definition.assets))
    if not targets:
        return None
    asset = targets[0]
    limits = {
        name: levels
        for name, levels in _limits_drawn(definition, asset).items()
        if name in asset.variables and asset.variables[name].type != "category"
    }
    span = to_millis(start), to_millis(end)
    buckets = read_buckets(platform, asset, list(limits), *span, "hours", most=0).by_variable
    panels = [
        _new_panel(
            asset,
            variable,
            np.column_stack((buckets[variable].start, buckets[variable].start + HOUR // 2)).ravel(),
            np.column_stack((buckets[variable].low, buckets[variable].high)).ravel(),
            levels,
            timedelta(milliseconds=HOUR),
        )
        for variable, levels in limits.items()
        if len(buckets[variable].start)
    ]
    return PreviewChart(asset.name, tuple(panels), start, end) if panels else None


def draw_problems(
    readings: Readings,
    definition: TrainedDefinition,
    asset: Asset,
    times: Sequence[Interval],
    start: datetime,
    end: datetime,
) -> PreviewChart:
    """Return the values of a problem's variables on an asset with the times of the problem. For a
    problem shown by events, return the first number from which a model would learn."""
    problem = definition.problem
    levels = problem_levels(problem)
    seen = definition.variables_evaluated(asset)
    numbers = [name for name, variable in asset.variables.items() if variable.type == "number"]
    names = problem.variables or [name for name in numbers if name in seen][:1]
    panels = [
        draw_variable(readings, asset, name, levels, _PROBLEM_HOLD, (start, end))
        for name in names[:MOST_PANELS]
    ]
    shown = tuple(panel for panel in panels if panel is not None)
    return PreviewChart(asset.name, shown, start, end, draft=tuple(times))


def counted_times(
    definition: TrainedDefinition, history: History, start: datetime, end: datetime
) -> list[tuple[tuple[datetime, datetime], bool]]:
    """Return begin and end of each problem of a period, and whether a training counts it."""
    problems = find_problems(definition.problem, history, definition.is_of_unit)
    is_onset = predicts(definition, history.asset) == "onset"
    counted = counted_problems(problems, find_occurrences(definition, history), is_onset)
    columns = [millis(counted[name]).tolist() for name in ("start", "end", "last")]
    return [
        ((from_millis(a), min(from_millis(max(a, over, last)), end)), not skipped)
        for a, over, last, skipped in zip(*columns, counted["uncounted"].tolist(), strict=True)
        if to_millis(start) <= a < to_millis(end)
    ]


def spans_on(asset: Asset, alarms: Sequence[PastAlarm], end: datetime) -> tuple[Interval, ...]:
    """Return begin and end of the alarms on an asset; of an open one up to `end`."""
    return tuple(
        (alarm.raised_at, alarm.closed_at or end) for alarm in alarms if alarm.asset == asset.name
    )


def draw_variable(
    readings: Readings,
    asset: Asset,
    variable: str,
    levels: Sequence[ChartLevel],
    hold: timedelta,
    period: Interval,
) -> Panel | None:
    """Return the values of a variable with limits, None without a number."""
    begin, end = period
    frame = readings.load(WantedHistory(asset, begin, end, [variable], events_since=end)).readings
    values = frame[variable].to_numpy()
    if not len(values) or not np.issubdtype(values.dtype, np.number) or np.isnan(values).all():
        return None
    return _new_panel(asset, variable, millis(pd.DatetimeIndex(frame.index)), values, levels, hold)


def _new_panel(
    asset: Asset,
    variable: str,
    at: Millis,
    values: Floats,
    levels: Sequence[ChartLevel],
    hold: timedelta,
) -> Panel:
    declared = asset.variables.get(variable)
    unit = declared.unit if declared else None
    title = variable_title(variable, asset.variables)
    return new_panel(Panel(title, unit, at, values, tuple(dict.fromkeys(levels)), hold=hold))
