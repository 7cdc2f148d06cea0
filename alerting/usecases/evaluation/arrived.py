"""Evaluate targets when readings or events for them arrive, besides the rounds of their cadence.

The same functions, states and units of work as a round: a stream service and the scheduler may
evaluate the same targets in turn, and either goes on where the other has stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.definitions.shards import task_of
from alerting.episodes.state_table import TargetKey
from alerting.episodes.targets import EvaluationPlan, EvaluationTarget, smallest_latency
from alerting.ports import EvaluationPorts, EventRow, ReadingRow, SourcePorts, UpkeepPorts
from alerting.ports.late import LatePart
from alerting.ports.logs import log_run
from alerting.readings.instants import from_millis, to_millis
from alerting.usecases.definitions.targets import current_plan, find_current_plan
from alerting.usecases.evaluation.evaluate import RoundPlan, evaluate_targets, plan_of_round
from alerting.usecases.evaluation.gc_tuning import collect_garbage_rarely
from alerting.usecases.evaluation.reprocess import begin_round
from alerting.usecases.evaluation.run import EvaluationCounts
from alerting.usecases.ingestion.late_routing import targets_by_asset, uses


class StampRange(NamedTuple):
    """The earliest and the latest instant of some rows."""

    first: datetime
    last: datetime

    def with_others(self, others: "StampRange | None") -> "StampRange":
        """Return those of both."""
        return (
            self
            if others is None
            else StampRange(min(self.first, others.first), max(self.last, others.last))
        )


@dataclass
class ArrivedRows:
    """Rows that were stored and not evaluated yet: instants, variables and types of events by
    asset, whatever their number."""

    stamps: dict[str, StampRange] = field(default_factory=dict)
    variables: dict[str, set[str]] = field(default_factory=dict)
    events: dict[str, set[str]] = field(default_factory=dict)

    def add(self, rows: Sequence[ReadingRow | EventRow]) -> None:
        """Add stored rows. An event changes conditions at its start and at its end."""
        by_asset: dict[str, list[ReadingRow | EventRow]] = {}
        for row in rows:
            by_asset.setdefault(row.asset, []).append(row)
        for asset, found in by_asset.items():
            readings = [row for row in found if isinstance(row, ReadingRow)]
            events = [row for row in found if isinstance(row, EventRow)]
            instants = [row.ts for row in readings]
            instants += [
                instant for row in events for instant in (row.start, row.end) if instant is not None
            ]
            self.stamps[asset] = StampRange(min(instants), max(instants)).with_others(
                self.stamps.get(asset)
            )
            names = self.variables.setdefault(asset, set())
            names.update(
                *(row.values for row in readings), *(row.quality for row in readings if row.quality)
            )
            self.events.setdefault(asset, set()).update(row.type for row in events)

    def join(self, others: "ArrivedRows") -> None:
        """Add those of others."""
        for asset, stamps in others.stamps.items():
            self.stamps[asset] = stamps.with_others(self.stamps.get(asset))
            self.variables.setdefault(asset, set()).update(others.variables[asset])
            self.events.setdefault(asset, set()).update(others.events[asset])

    def parts(self) -> list[LatePart]:
        """Return them by asset."""
        return [
            LatePart(asset, *stamps, 0, tuple(self.variables[asset]), tuple(self.events[asset]))
            for asset, stamps in self.stamps.items()
        ]


class PromptEvaluation:
    """Evaluates targets as soon as the latency of the rows that arrived for them is over.

    Targets of models are left to the rounds of their cadence, as are those whose condition changes
    by time alone.
    """

    def __init__(self, platform: EvaluationPorts) -> None:
        self._platform = platform
        self._waiting: dict[TargetKey, StampRange] = {}
        self.smallest_latency = timedelta(0)
        """Of the targets that it evaluates."""

    @property
    def waits(self) -> bool:
        """Return whether a target has rows that it was not evaluated with."""
        return bool(self._waiting)

    @log_run()
    @collect_garbage_rarely()
    def evaluate(self, arrived: ArrivedRows, as_of: datetime) -> EvaluationCounts:
        """Evaluate every target with rows older than its latency up to `as_of` less this latency.
        Idempotent.

        Where another process was faster, perhaps up to an earlier instant, and after an error, the
        same targets are evaluated again.
        """
        plan = current_plan(self._platform)
        self._wait(plan, arrived.parts())
        due = [target for target in plan.targets if _is_due(target, self._waiting, as_of)]
        if not due:
            return EvaluationCounts()
        late = begin_round(self._platform, plan.targets, as_of)
        names = tuple(sorted({target.definition for target in due}))
        counts = evaluate_targets(
            self._platform, EvaluationPlan(names, tuple(due)), as_of, late.has_requests
        )
        counts.late = late.late
        counts.too_late = late.too_late
        for target in due if not counts.elsewhere else ():
            self._forget(target, as_of)
        return counts

    def _wait(self, plan: EvaluationPlan, arrived: Sequence[LatePart]) -> None:
        """Add the targets that read what arrived, and leave out those that are no longer in the
        plan."""
        parts = {part.asset: part for part in arrived}
        prompt = [target for target in plan.targets if is_prompt(target)]
        self.smallest_latency = timedelta(milliseconds=smallest_latency(prompt))
        for asset, targets in targets_by_asset(prompt, parts.keys()).items():
            stamps = StampRange(parts[asset].first, parts[asset].last)
            for target in targets:
                if uses(target, parts[asset]):
                    self._waiting[target.key] = stamps.with_others(self._waiting.get(target.key))
        keys = {target.key for target in prompt}
        self._waiting = {key: stamps for key, stamps in self._waiting.items() if key in keys}

    def _forget(self, target: EvaluationTarget, as_of: datetime) -> None:
        """Keep only what lies after the instant up to which a target was evaluated."""
        until = _until(target, as_of)
        stamps = self._waiting[target.key]
        if stamps.last <= until:
            del self._waiting[target.key]
        else:
            self._waiting[target.key] = StampRange(
                max(stamps.first, from_millis(to_millis(until) + 1)), stamps.last
            )


def is_prompt(target: EvaluationTarget) -> bool:
    """Return whether a target is evaluated without a model, so that doing it often is cheap."""
    return not target.needs_model


def _is_due(
    target: EvaluationTarget, waiting: Mapping[TargetKey, StampRange], as_of: datetime
) -> bool:
    stamps = waiting.get(target.key)
    return stamps is not None and stamps.first <= _until(target, as_of)


def _until(target: EvaluationTarget, as_of: datetime) -> datetime:
    return from_millis(to_millis(as_of) - target.latency)


def plan_arrived(
    platform: UpkeepPorts, sources: Sequence[str], count: int, as_of: datetime
) -> RoundPlan:
    """Begin a round of the targets that read these sources, of whatever kind: their shards, the
    plan's hash, and late readings.

    At most `count` shards, as in `plan_round`.
    """
    plan, source_hash = find_current_plan(platform)
    found = _reading(platform, plan, sources)
    shards = sorted({task_of(name, count) for name in found.names})
    return RoundPlan(shards, source_hash, begin_round(platform, plan.targets, as_of), count)


@log_run()
@collect_garbage_rarely()
def evaluate_arrived(
    platform: UpkeepPorts,
    sources: Sequence[str],
    shard: int,
    count: int,
    as_of: datetime,
    source_hash: str,
    has_requests: bool,
) -> EvaluationCounts:
    """Evaluate the targets of one of `count` shards that read these sources; `plan_arrived` has
    begun the round. Idempotent."""
    found = _reading(platform, plan_of_round(platform, source_hash, as_of), sources)
    names = [name for name in found.names if task_of(name, count) == shard]
    return evaluate_targets(platform, found.select_definitions(names), as_of, has_requests)


def _reading(platform: SourcePorts, plan: EvaluationPlan, sources: Sequence[str]) -> EvaluationPlan:
    """Return the targets that read a variable of one of these sources; for a source of events, all
    that read any event."""
    wanted = set(sources)
    has_events = any(
        source is not None and source.delivers == "events"
        for source in map(platform.sources.get, sources)
    )
    delivered = {
        asset.name: {n for n, v in asset.variables.items() if v.source in wanted}
        for asset in platform.assets.all()
    }

    def reads(target: EvaluationTarget) -> bool:
        names = {target.variable, *target.also_reads}
        return bool(has_events and target.events) or any(
            not names.isdisjoint(delivered.get(asset, ()))
            for asset in (target.asset, *target.above)
        )

    found = tuple(filter(reads, plan.targets))
    names = {target.definition for target in found}
    return EvaluationPlan(tuple(name for name in plan.names if name in names), found)
