"""Reprocessing: the next evaluation of a target begins at the state before its late data, instead
of at its watermark.

The same functions evaluate from a stored past state, so the state afterwards is that of a run
without late data. The request is removed, and checkpoints are written, in the unit of work that
advances the target.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from alerting.definitions.assets import Asset
from alerting.definitions.model import Revision
from alerting.detection.evaluation import Carried
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable, TargetKey
from alerting.episodes.targets import EvaluationPlan, EvaluationTarget, smallest_latency
from alerting.ports import (
    Arrivals,
    Checkpoint,
    EvaluationPorts,
    IngestionPorts,
    ReprocessingRequest,
    Unit,
)
from alerting.readings.history import NO_TIME, Millis, from_millis, to_millis
from alerting.readings.ragged import Flags
from alerting.usecases.definitions.targets import current_plan
from alerting.usecases.episodes.changes import EpisodeChanges
from alerting.usecases.evaluation.run import Batch, EvaluationRun
from alerting.usecases.ingestion.lateness import LateCounts, route_arrivals

_CHECKPOINTS = 48  # within the allowed lateness: every half hour for a day
_SHORTEST = 60_000  # ms
_TURNS = 2**32
_MOMENT = timedelta(milliseconds=1)


def begin_round(
    platform: IngestionPorts, targets: Sequence[EvaluationTarget], as_of: datetime
) -> LateCounts:
    """Route arrivals, and record how far this round evaluates: once, before any of its shards reads
    readings.

    In this order, because what has arrived by now is not late for this round. `targets`: the
    targets of all definitions.
    """
    counts = route_arrivals(platform, targets, as_of)
    announce_evaluation(platform.arrivals, targets, as_of)
    return counts


def announce_evaluation(
    arrivals: Arrivals, targets: Sequence[EvaluationTarget], as_of: datetime
) -> None:
    """Record up to when these targets are going to be evaluated: as_of less the smallest
    latency."""
    arrivals.extend_evaluated_until(as_of - timedelta(milliseconds=smallest_latency(targets)))


def base_states(
    run: EvaluationRun, targets: Sequence[EvaluationTarget], states: ConditionTable
) -> ConditionTable:
    """Return the states to evaluate from: the present ones, or earlier ones for targets to
    reprocess.

    A target whose condition has not changed carries its state of one step earlier; for the others a
    checkpoint is looked up. Without a checkpoint that is old enough, the target starts at its
    beginning, if that is recent, or at its earliest checkpoint.
    """
    base = states.take(range(len(states)))
    by_checkpoint = dict[int, datetime]()
    by_earlier = []
    for row, target in enumerate(targets if run.requests else ()):
        request = run.requests.get(target.key)
        if (
            request is None
            or to_millis(request.start) > states.watermark[row]
            or states.watermark[row] == NO_TIME
        ):
            continue
        if NO_TIME != states.earlier.watermark[row] < to_millis(request.start):
            by_earlier.append(row)
        else:
            by_checkpoint[row] = request.start
    base.restore_earlier(by_earlier)
    for row, state in _past_states(run, targets, states, by_checkpoint).items():
        if to_millis(state.watermark) < states.watermark[row]:
            base.write_state(row, state)
    base.unknown_count = states.unknown_count.copy()
    return base


def _past_states(
    run: EvaluationRun,
    targets: Sequence[EvaluationTarget],
    states: ConditionTable,
    starts: Mapping[int, datetime],
) -> dict[int, ConditionState]:
    """Return, by row, the latest checkpoint before an instant, or else the nearest state to it."""
    checkpoints = run.platform.checkpoints.states_before(
        {targets[row].key: start for row, start in starts.items()}
    )
    found = {row: checkpoints.get(targets[row].key) for row in starts}
    missing = [row for row, state in found.items() if state is None]
    for row, first in run.first_instants(targets, missing).items():
        if first is not None and states.watermark[row] - first <= 2 * targets[row].allowed_lateness:
            found[row] = _state_at_first(targets[row], from_millis(first))
        else:
            found[row] = run.platform.checkpoints.state_after(*targets[row].key, starts[row])
    return {row: state for row, state in found.items() if state is not None}


def _state_at_first(target: EvaluationTarget, first: datetime) -> ConditionState:
    """Return the state of a target that waits for its first reading."""
    return ConditionState(
        first, carried=None if target.variable is None else Carried(target.variable, first, None)
    )


@dataclass(frozen=True)
class LateUpdates:
    """Writes of a unit of work for later reprocessing of late data, beside states and episodes.

    `refuted`: by target, from when on its checkpoints are wrong. `done`: requests that the unit
    completes.
    """

    checkpoints: list[Checkpoint] = field(default_factory=list)
    refuted: dict[TargetKey, datetime] = field(default_factory=dict)
    done: list[ReprocessingRequest] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.checkpoints or self.refuted or self.done)

    def write(self, platform: EvaluationPorts, unit: Unit) -> None:
        """Write them in a unit of work."""
        platform.checkpoints.write(self.refuted, self.checkpoints, unit)
        platform.arrivals.remove_requests(self.done, unit)


def late_updates(
    run: EvaluationRun,
    batch: Batch,
    after: ConditionTable,
    rows: Sequence[int],
    reprocessed: Mapping[int, ConditionState | None],
) -> LateUpdates:
    """Return what is written with the new states of these rows.

    Checkpoints inside a reprocessed interval are wrong and dropped. No checkpoint is stored between
    a target's state of one step earlier and its watermark. `reprocessed`: of targets that were
    evaluated one by one, as in `BatchResult`.
    """
    updates = LateUpdates()
    at = np.asarray(rows, np.int64)
    targets = [batch.targets[row] for row in rows]
    evaluated_from = batch.evaluated_from[at]
    start = batch.starts[at]
    watermark = after.watermark[at]
    again = evaluated_from < start
    if reprocessed:
        again = np.array(
            [
                reprocessed[row] is not None if row in reprocessed else bool(again[i])
                for i, row in enumerate(rows)
            ]
        )
    is_due = checkpoints_due(
        targets, np.where(again, evaluated_from, start), np.where(again, start, watermark)
    )
    requested = np.array(
        [target.key in run.requests for target in targets] if run.requests else False
    )
    for i in np.flatnonzero((watermark > start) & (is_due | again | requested)).tolist():
        row = rows[i]
        target = targets[i]
        if is_due[i]:
            state = _state_at_start(batch, after, reprocessed, row, bool(again[i]))
            needed_from = from_millis(int(watermark[i]) - target.allowed_lateness)
            updates.checkpoints.append(Checkpoint(*target.key, state, needed_from))
        if again[i] and evaluated_from[i] != batch.before.earlier.watermark[row]:
            updates.refuted[target.key] = from_millis(int(evaluated_from[i])) + _MOMENT
        if target.key in run.requests:
            updates.done.append(run.requests[target.key])
    return updates


def checkpoints_due(targets: Sequence[EvaluationTarget], before: Millis, after: Millis) -> Flags:
    """Return, per target, whether to store a checkpoint when its evaluation advances from one
    instant to another (ms).

    One checkpoint for each forty-eighth of the allowed lateness; targets take turns.
    """
    lateness = np.array([target.allowed_lateness for target in targets], np.int64)
    step = np.maximum(lateness // _CHECKPOINTS, _SHORTEST)
    offset = np.array([target.turn for target in targets], np.int64) * step // _TURNS
    is_due: Flags = (lateness > 0) & ((before + offset) // step != (after + offset) // step)
    return is_due


def _state_at_start(
    batch: Batch,
    after: ConditionTable,
    reprocessed: Mapping[int, ConditionState | None],
    row: int,
    is_reprocessed: bool,
) -> ConditionState:
    """Return the corrected state of a target at its old watermark."""
    corrected = reprocessed.get(row)
    if corrected is not None:
        return corrected
    if is_reprocessed:  # its condition has not changed in the whole interval
        earlier = after.take([row])
        earlier.restore_earlier([0])
        return earlier.state(0) or ConditionState(from_millis(batch.starts[row]))
    return batch.before.state(row) or ConditionState(from_millis(batch.starts[row]))


def make_outcomes_due(
    changes: EpisodeChanges, revision: Revision, asset: Asset, start: datetime, now: datetime
) -> None:
    """Make due again the outcomes that data since `start` may have changed."""
    since = start - revision.definition.for_assets([asset]).longest_window
    for episode in changes.find(revision.name, asset.name, start=since):
        if (
            episode.outcome_record is not None
            and episode.outcome_due_at is None
            and not episode.withdrawn
        ):
            changes.update(episode.id, lambda e: replace(e, outcome_due_at=now))


def plan_of_round(
    platform: EvaluationPorts,
    source_hash: str,
    as_of: datetime,
    is_wanted: Callable[[str], bool] | None = None,
) -> EvaluationPlan:
    """Return the plan with which a round has begun, of the definitions whose name is wanted, or
    all; if it was replaced since, the present one, which is announced."""
    plan = platform.evaluation_plans.get(source_hash, is_wanted)
    if plan is None:  # perhaps the latencies of the present one are smaller
        plan = current_plan(platform)
        announce_evaluation(platform.arrivals, plan.targets, as_of)
        return plan if is_wanted is None else plan.select(is_wanted)
    return plan
