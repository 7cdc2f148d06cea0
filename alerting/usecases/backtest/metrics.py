"""Metrics of a backtest: load, event metrics, costs, episodes beside live action."""

from collections.abc import Mapping

import numpy as np

from alerting.alarm_kpis.intervals import length
from alerting.definitions.model import Definition, TrainedDefinition
from alerting.episodes.counting import CountedEpisode
from alerting.episodes.episode import Episode
from alerting.learning.data.bursts import find_bursts
from alerting.learning.metrics.metrics import (
    EventMetrics,
    ProblemIntervals,
    event_metrics,
    problem_intervals,
)
from alerting.learning.selection.operating_point import warnable_problems
from alerting.ports import Episodes
from alerting.readings.history import millis, to_millis
from alerting.reporting.base.load import Load, operator_load
from alerting.reporting.definition.material import Material, as_counted
from alerting.reporting.definition.reported_problems import gap_and_horizon
from alerting.reporting.page.backtest import Cost


def load_of(material: Material, flood_above: int) -> Load | None:
    """Return the load of the episodes on operators, over the evaluated time."""
    if not material.evaluated:
        return None
    intervals = material.evaluated.values()
    raised = [e for e in material.episodes if material.start <= e.raised_at < material.end]
    episodes_of = [(e.raised_at, e.raised_at + length(material.in_alarm(e))) for e in raised]
    return operator_load(
        episodes_of, min(a for a, _ in intervals), max(b for _, b in intervals), flood_above
    )


def events_of(material: Material) -> EventMetrics | None:
    """Return event metrics by the candidates' code; None without problem or evaluated time."""
    definition = material.definition
    if definition.problem is None or not material.evaluated:
        return None
    gap, horizon = gap_and_horizon(definition)
    episodes_of = {asset: _counted(material, asset) for asset in material.evaluated}
    if isinstance(definition, TrainedDefinition):
        intervals, observed = _scored_problems(material, definition)
        seed = definition.learning.seed
    else:
        intervals = _evaluated_intervals(material)
        seed = 0
        observed = {asset: time.total_seconds() for asset, time in material.evaluated_times.items()}
    start = to_millis(material.start)
    end = to_millis(material.end)
    begun = {  # problems that began outside of [start, end) confirm episodes, but do not count
        asset: ProblemIntervals(
            found.start, found.end, found.counted & (found.start >= start) & (found.start < end)
        )
        for asset, found in intervals.items()
    }
    return event_metrics(episodes_of, begun, gap, horizon, observed, seed)


def bursts_of(material: Material) -> str:
    """Return a sentence on problems that come in bursts; empty where they do not."""
    problem = material.definition.problem
    if problem is None or material.definition.is_of_unit:
        return ""
    bursts = find_bursts(problem, list(material.histories.values()))
    return "" if bursts is None else bursts.message


def _counted(material: Material, asset: str) -> list[CountedEpisode]:
    """Return the episodes of the period on one asset whose outcome is known, with the time that was
    evaluated."""
    own = as_counted(material.definition, [e for e in material.episodes if e.asset == asset])
    return [
        counted._replace(ended=to_millis(e.raised_at + length(material.in_alarm(e))))
        for e, counted in own
        if e.outcome_record is not None
        and e.outcome_record.occurred is not None
        and material.start <= e.raised_at < material.end
    ]


def cost_of(definition: Definition, events: EventMetrics | None, weeks: float) -> Cost | None:
    """Return the cost of misses and false alarms; None if the definition names none."""
    if events is None or not isinstance(definition, TrainedDefinition):
        return None
    miss = definition.operating_point.cost_of_miss
    false_alarm = definition.operating_point.cost_of_false_alarm
    if miss is None or false_alarm is None:
        return None
    misses = (events.n_events - events.n_found) * miss
    false = events.n_false_alarms * false_alarm
    return Cost(misses, false, misses + false, (misses + false) / weeks)


def _scored_problems(
    material: Material, definition: TrainedDefinition
) -> tuple[Mapping[str, ProblemIntervals], dict[str, float]]:
    """Return the problems with a scored instant in time, and the time scored by asset."""
    scores = material.scores
    asset = scores["asset"].to_numpy(object)
    stride = definition.stride.total_seconds()
    seconds = {
        str(name): float(count) * stride for name, count in scores["asset"].value_counts().items()
    }
    at = millis(scores["ts"]) if len(scores) else np.empty(0, np.int64)
    is_onset = material.predicts == "onset"
    return warnable_problems(
        at, asset, material.problems, is_onset, *gap_and_horizon(definition)
    ), seconds


def _evaluated_intervals(material: Material) -> dict[str, ProblemIntervals]:
    """Return the problems with an evaluated instant in their warning time, by asset."""
    gap, horizon = gap_and_horizon(material.definition)
    intervals = {}
    for asset, (first, last) in material.evaluated.items():
        own = material.problems[material.problems["asset"] == asset].sort_values("start")
        found = problem_intervals(own, onset=material.predicts == "onset")
        latest = found.start - gap
        counted = (to_millis(first) < latest) & (latest - horizon < to_millis(last))
        intervals[asset] = ProblemIntervals(found.start, found.end, counted)
    return intervals


def beside_acted(episodes: Episodes, material: Material) -> int:
    """Return how many episodes lie in the outcome window of a live one that was acted upon."""
    definition = material.definition
    window = definition.gap + definition.horizon
    since = material.start - definition.longest_window
    live = episodes.find(definition.name, start=since, end=material.end)
    acted = [
        (e.asset, e.raised_at, e.valid_until or e.raised_at + window)
        for e in live
        if e.outcome_record is not None and e.outcome_record.acted
    ]

    def beside(episode: Episode) -> bool:
        return any(
            asset == episode.asset and at <= episode.raised_at <= until
            for asset, at, until in acted
        )

    return sum(beside(e) for e in material.episodes if e.raised_at >= material.start)
