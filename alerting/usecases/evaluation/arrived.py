"""Evaluate targets when readings or events for them arrive, besides the rounds of their cadence.

The functions, states and units of work are the same as in a round: a stream service and the
scheduler may evaluate the same targets in turn, and each goes on where the other has stopped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.definitions.alert_definition import task_of
from alerting.episodes.evaluation_plan import (
    EvaluationPlan,
    EvaluationTarget,
    TargetKey,
    smallest_latency,
)
from alerting.kinds.protocol import ScoringKind
from alerting.kinds.registry import kind_of
from alerting.ports import EvaluationPorts, EventRow, LatePart, ReadingRow, SourcePorts, UpkeepPorts
from alerting.ports.use_cases import log_run
from alerting.readings.history import from_millis, to_millis
from alerting.usecases.definitions.revisions_and_evaluation_plan import (
    current_plan,
    find_current_plan,
)
from alerting.usecases.evaluation.inputs import EvaluationCounts, ProcessInputs, RoundPlan
from alerting.usecases.evaluation.reprocess import begin_round, plan_of_round
from alerting.usecases.evaluation.rounds import evaluate_targets
from alerting.usecases.ingestion.arrived_rows import targets_by_asset, uses
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.sources.status import SOURCES

MODELS_AT_ONCE = 10
"""Targets of models after which a portion takes no further shard: they are read and written
together."""
_WITHOUT_MODEL = 60_000  # ms


class StampRange(NamedTuple):
    """The earliest and the latest instant of some rows."""

    first: datetime
    last: datetime


@dataclass
class ArrivedRows:
    """Rows that were stored and not evaluated yet, however many, as one part for each asset."""

    by_asset: dict[str, LatePart] = field(default_factory=dict)

    def add(self, rows: Sequence[ReadingRow | EventRow]) -> None:
        """Add stored rows. An event changes conditions at its start and at its end."""
        by_asset: dict[str, list[ReadingRow | EventRow]] = {}
        for row in rows:
            by_asset.setdefault(row.asset, []).append(row)
        for asset, asset_rows in by_asset.items():
            readings = [row for row in asset_rows if isinstance(row, ReadingRow)]
            events = [row for row in asset_rows if isinstance(row, EventRow)]
            instants = [row.ts for row in readings]
            instants += [
                instant for row in events for instant in (row.start, row.end) if instant is not None
            ]
            names = set[str]().union(
                *(row.values for row in readings), *(row.quality for row in readings if row.quality)
            )
            types = {row.type for row in events}
            self.add_parts(
                [LatePart(asset, min(instants), max(instants), 0, tuple(names), tuple(types))]
            )

    def add_parts(self, parts: Iterable[LatePart]) -> None:
        """Add rows by the parts of their arrival record."""
        for part in parts:
            before = self.by_asset.get(part.asset, part)
            self.by_asset[part.asset] = LatePart(
                part.asset,
                min(before.first, part.first),
                max(before.last, part.last),
                0,
                tuple({*before.variables, *part.variables}),
                tuple({*before.events, *part.events}),
            )

    def join(self, others: "ArrivedRows") -> None:
        """Add the rows of another object."""
        self.add_parts(others.by_asset.values())


class PromptEvaluation:
    """Evaluates targets as soon as the latency of the rows that arrived for them is over.

    A target of a model is due when the rows reach a further instant of its stride. Targets of
    models follow all other targets, in portions of some shards, as many in a turn as the caller has
    time for, so that models hold up no threshold. Models stay in memory, with what they have read
    of each asset; the model in force is looked up in every turn. Changes by time alone are left to
    the rounds.
    """

    def __init__(self, platform: EvaluationPorts) -> None:
        self._platform = platform
        self._inputs = ProcessInputs(ModelCache(platform))
        self._waiting: dict[TargetKey, StampRange] = {}
        self._strides: dict[TargetKey, int] = {}
        self._due_at: int | None = None
        self.smallest_latency = timedelta(0)
        """Of the targets that it evaluates."""
        self.is_behind = False
        """Whether the last turn has left models that were due to the next one."""

    @property
    def waits(self) -> bool:
        """Return whether a target has rows with which it was not evaluated yet."""
        return bool(self._waiting)

    def is_due(self, as_of: datetime) -> bool:
        """Return whether a target with rows that wait is due; rows that `evaluate` was not given
        yet do not count."""
        return self._due_at is not None and self._due_at <= to_millis(as_of)

    @log_run()
    def evaluate(
        self,
        arrived: ArrivedRows,
        as_of: datetime,
        evaluated: Callable[[], None] = lambda: None,
        goes_on: Callable[[], bool] = lambda: False,
    ) -> EvaluationCounts:
        """Evaluate the targets with rows older than their latency, up to `as_of` less this latency.
        First all targets without a model, then a portion of the others, then further portions while
        `goes_on`. Idempotent. `evaluated` is called after each part.

        If another process was faster, perhaps only up to an earlier instant, and after an error,
        the same targets are evaluated again.
        """
        plan = current_plan(self._platform)
        self._wait(plan, arrived.by_asset)
        due = [target for target in plan.targets if self._is_due(target, as_of)]
        without = [target for target in due if not target.needs_model]
        portions = _portions([target for target in due if target.needs_model], self._waiting)
        self._due_at = self._next_due(plan)
        if not due:
            self.is_behind = False
            return EvaluationCounts()
        late = begin_round(self._platform, plan.targets, as_of)
        counts = EvaluationCounts(late=late.late, too_late=late.too_late)
        if without:
            counts.add(self._evaluate(without, as_of, late.has_requests))
            evaluated()
        done = 0
        for targets in portions:
            if done and not goes_on():
                break
            counts.add(self._evaluate(targets, as_of, late.has_requests))
            evaluated()
            done += 1
        self.is_behind = done < len(portions)
        self._due_at = self._next_due(plan)
        return counts

    def _evaluate(
        self, targets: Sequence[EvaluationTarget], as_of: datetime, has_requests: bool
    ) -> EvaluationCounts:
        names = tuple(sorted({target.definition for target in targets}))
        counts = evaluate_targets(
            self._platform,
            EvaluationPlan(names, tuple(targets)),
            as_of,
            has_requests,
            process=self._inputs,
        )
        for target in targets:
            if target.needs_model:
                self._strides[target.key] = stride_in_force(self._inputs.models, target)
            if not counts.elsewhere:
                self._forget(target, as_of)
        return counts

    def _wait(self, plan: EvaluationPlan, parts: Mapping[str, LatePart]) -> None:
        """Add the targets that read the arrived rows, and remove targets that are no longer in the
        plan."""
        self.smallest_latency = timedelta(milliseconds=smallest_latency(plan.targets))
        for asset, targets in targets_by_asset(plan.targets, parts.keys()).items():
            part = parts[asset]
            for target in targets:
                if uses(target, part):
                    first, last = self._waiting.get(target.key, (part.first, part.last))
                    self._waiting[target.key] = StampRange(
                        min(first, part.first), max(last, part.last)
                    )
        keys = {target.key for target in plan.targets}
        self._waiting = {key: stamps for key, stamps in self._waiting.items() if key in keys}
        self._strides = {key: stride for key, stride in self._strides.items() if key in keys}
        self._inputs.models.forget_others(plan.names)
        assets = {asset for _, asset in keys}
        for asset in self._inputs.spans.keys() - assets:
            del self._inputs.spans[asset]

    def _is_due(self, target: EvaluationTarget, as_of: datetime) -> bool:
        stamps = self._waiting.get(target.key)
        return stamps is not None and stamps.first <= self._until(target, as_of)

    def _next_due(self, plan: EvaluationPlan) -> int | None:
        """Return when the first of the waiting targets is due (ms), None if no target waits."""
        instants = []
        for target in plan.targets:
            if (stamps := self._waiting.get(target.key)) is not None:
                stride = self._strides.get(target.key, 1)
                instants.append(-(-to_millis(stamps.first) // stride) * stride + target.latency)
        return min(instants, default=None)

    def _until(self, target: EvaluationTarget, as_of: datetime) -> datetime:
        """Return the instant up to which a target can be evaluated: `as_of` less its latency; for a
        model with a stride, the last instant of the stride before that."""
        until = to_millis(as_of) - target.latency
        return from_millis(until - until % self._strides.get(target.key, 1))

    def _forget(self, target: EvaluationTarget, as_of: datetime) -> None:
        """Forget the rows of a target up to the instant until which it was evaluated."""
        until = self._until(target, as_of)
        stamps = self._waiting[target.key]
        if stamps.last <= until:
            del self._waiting[target.key]
        else:
            self._waiting[target.key] = StampRange(
                max(stamps.first, from_millis(to_millis(until) + 1)), stamps.last
            )


def _portions(
    targets: Sequence[EvaluationTarget], waiting: Mapping[TargetKey, StampRange]
) -> list[list[EvaluationTarget]]:
    """Return targets in portions of whole shards. Shards whose rows wait longest come first; each
    portion is sorted by asset."""
    by_shard: dict[tuple[int, int], list[EvaluationTarget]] = {}
    for target in targets:
        by_shard.setdefault(target.shard, []).append(target)
    portions: list[list[EvaluationTarget]] = []
    for of_shard in sorted(
        by_shard.values(), key=lambda some: min(waiting[target.key].first for target in some)
    ):
        if not portions or len(portions[-1]) >= MODELS_AT_ONCE:
            portions.append([])
        portions[-1] += of_shard
    return [sorted(some, key=lambda target: target.asset) for some in portions]


def stride_in_force(models: ModelCache, target: EvaluationTarget) -> int:
    """Return the time between two scores of a target (ms), by the model that evaluated it last: 1
    if the model scores each reading, a minute if there is no model."""
    last = models.last_used(target.definition)
    if last is None:
        return _WITHOUT_MODEL
    definition, model = last
    kind = kind_of(definition)
    if not isinstance(kind, ScoringKind):
        return 1
    plan = kind.plan_of(model, target.asset)
    return _WITHOUT_MODEL if plan is None else plan.stride_ms


def plan_arrived(
    platform: UpkeepPorts, sources: Sequence[str], count: int, as_of: datetime
) -> RoundPlan:
    """Begin a round of the targets of any kind that read these sources. Return their shards, the
    plan's hash, and late readings.

    There are at most `count` shards, as in `plan_round`.
    """
    plan, source_hash, _ = find_current_plan(platform)
    affected = _find_reading_targets(platform, plan, sources)
    shards = sorted({task_of(name, count) for name in affected.names})
    late = begin_round(platform, plan.targets, as_of)
    return RoundPlan(shards, source_hash, late, affected.is_small)


@log_run()
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
    affected = _find_reading_targets(platform, plan_of_round(platform, source_hash, as_of), sources)
    names = [name for name in affected.names if task_of(name, count) == shard]
    return evaluate_targets(platform, affected.select_definitions(names), as_of, has_requests)


def _find_reading_targets(
    platform: SourcePorts, plan: EvaluationPlan, sources: Sequence[str]
) -> EvaluationPlan:
    """Return the targets that read a variable of one of these sources. If one is a source of
    events, also all targets that read any event."""
    source_names = set(sources)
    has_events = any(
        source is not None and source.delivers == "events"
        for source in (SOURCES.get(platform, name) for name in sources)
    )
    delivered = {
        asset.name: {n for n, v in asset.variables.items() if v.source in source_names}
        for asset in platform.assets.all()
    }

    def reads(target: EvaluationTarget) -> bool:
        names = {target.variable, *target.also_reads}
        return bool(has_events and target.events) or any(
            not names.isdisjoint(delivered.get(asset, ()))
            for asset in (target.asset, *target.above)
        )

    targets = tuple(filter(reads, plan.targets))
    names = {target.definition for target in targets}
    return EvaluationPlan(tuple(name for name in plan.names if name in names), targets)
