"""Write the results of a batch: all changes of a shard take effect together, or not at all.

These are the episodes of changed targets, checkpoints, the removal of completed reprocessing
requests, and all states.

Everything is composed before the unit of work begins. If another process was faster, nothing is
written: targets that it has advanced are left to it, and the others are composed again from the
stored data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

from alerting.deferred import np
from alerting.episodes.episode import episode_id
from alerting.episodes.evaluation_plan import ConditionTable, EvaluationTarget, TargetKey
from alerting.episodes.lifecycle import ConditionState, without_episode
from alerting.ports import (
    Checkpoint,
    Conflict,
    ReprocessingRequest,
    Scores,
    TargetScores,
)
from alerting.ports.use_cases import id_logger
from alerting.readings.history import Millis, from_millis
from alerting.readings.variable_series import Flags
from alerting.usecases.episodes.stored_episodes import EpisodeChanges
from alerting.usecases.evaluation.compose import Composition, compose_live
from alerting.usecases.evaluation.inputs import Batch, EvaluationCounts, EvaluationRun
from alerting.usecases.evaluation.reprocess import (
    compose_reprocessed,
    find_again,
    make_outcomes_due,
)
from alerting.usecases.evaluation.target import EvaluatedTarget, scores_of

RAISES_OF_TARGET = 500
# A unit of work is full from here on; the last target may double it.
_EPISODES = 500
_BYTES = 4_000_000
# Targets without a changed episode whose states, and at most as many checkpoints, are written
# together.
_TARGETS = 5_000
# Their pauses take 9 s altogether: nearly as long as a transaction of a dead process lasts.
_ATTEMPTS = 10
_SCORES = 20_000  # that are stored together
_CHECKPOINTS = 48  # within the allowed lateness: every half hour for a day
_SHORTEST = 60_000  # ms
_TURNS = 2**32
_MOMENT = timedelta(milliseconds=1)
_log = id_logger(__name__)


def compose_target(target: Composition) -> ConditionState:
    """Add the changed episodes of a target to its changes: corrected episodes, then episodes of new
    times. Return the state to write."""
    evaluated = target.evaluated
    live = evaluated.since
    if evaluated.is_reprocessed:
        live = replace(live, refreshes=evaluated.refreshes)
    if evaluated.may_correct:
        compose_reprocessed(target)
    compose_live(target, live)
    find_again(target)
    state = evaluated.since.state
    if not evaluated.is_reprocessed:
        return state
    if evaluated.may_change_outcomes:
        make_outcomes_due(target)
    if (
        state.raised_at is not None
        and state.happening_since is None
        and target.changes.live_open(*evaluated.key) is None
    ):
        state = without_episode(state, state.watermark)  # a person has ended it
    before = evaluated.state
    if state.carried and before.carried and before.carried.is_ended:
        ended_at = before.last_closed_at or before.watermark
        carried = state.carried.after_end(ended_at)
        if carried.is_ended:
            state = replace(state, carried=carried, last_closed_at=ended_at)
    return state


@dataclass(frozen=True)
class BatchResult:
    """Result of a batch so far: the states after it, and which of them are written.

    `reprocessed`: the corrected states at the old watermarks, of targets that were evaluated one by
    one; None for a target that was not reprocessed.
    """

    after: ConditionTable
    advanced: Flags
    reprocessed: dict[int, ConditionState | None] = field(default_factory=dict)


def store_scores(scores: Scores, targets: Iterable[EvaluatedTarget]) -> None:
    """Store the scores of models that these evaluations have computed, before their states: nothing
    computes them again afterwards. Idempotent."""
    waiting: list[TargetScores] = []
    for target in targets:
        for evaluation in (target.reprocessed, target.since):
            waiting += scores_of(target.revision.name, target.asset, evaluation)
        if sum(len(some.rows) for some in waiting) > _SCORES:
            scores.add_many(waiting)
            waiting = []
    if waiting:
        scores.add_many(waiting)


def commit_shard(
    run: EvaluationRun,
    batch: Batch,
    result: BatchResult,
    changed: Mapping[int, EvaluatedTarget],
    others: Sequence[int],
) -> None:
    """Write targets of one shard: `changed` targets with episodes, and `others`, whose states in
    `result` are final.

    Many changed episodes take several units of work, each with the states of its own targets.
    Targets that another process advances, or blocks for long, are left out.
    """
    waiting = dict(changed)
    unchanged = list(others)
    attempts = 0
    while waiting or unchanged:
        changes = EpisodeChanges(run.platform)
        counts = EvaluationCounts()
        composed = _compose(run, changes, counts, result.after, waiting)
        rows = [*unchanged[:_TARGETS], *composed]
        late = late_updates(run, batch, result, rows)
        try:
            _write(run, batch, rows, result.after, changes, late, attempts)
        except Conflict as conflict:
            attempts += 1
            if attempts == _ATTEMPTS:
                _log.warning(
                    "%d targets are left to the next round: %s",
                    len(waiting) + len(unchanged),
                    conflict,
                )
                return
            # Composed again, and not only written again: what another evaluator or an operator has
            # written meanwhile may be of the same episodes.
            before = batch.before
            remaining = [*unchanged, *waiting]
            stored = run.platform.states.load_many(
                [before.keys[row] for row in remaining]
            ).watermark
            unmoved = {
                row
                for row, at in zip(remaining, stored.tolist(), strict=True)
                if at == before.watermark[row]
            }
            waiting = {row: evaluated for row, evaluated in waiting.items() if row in unmoved}
            unchanged = [row for row in unchanged if row in unmoved]
            continue
        if composed:
            changes.log()
            run.counts.add(counts)
        result.advanced[rows] = True
        for request in late.done:
            run.requests.pop((request.definition, request.asset))
        for row in composed:
            del waiting[row]
        unchanged = unchanged[_TARGETS:]
        attempts = 0


def _compose(
    run: EvaluationRun,
    changes: EpisodeChanges,
    counts: EvaluationCounts,
    after: ConditionTable,
    waiting: Mapping[int, EvaluatedTarget],
) -> list[int]:
    """Compose the episodes of as many targets as fit into a unit of work, and put their states into
    `after`. Return their rows."""
    composed: list[int] = []
    ids = (
        episode_id(*evaluated.key, step.raised_at)
        for evaluated in waiting.values()
        for step, _ in evaluated.since.steps
    )
    changes.read_many(islice(ids, _EPISODES))  # of more, those that follow are read one by one
    for row, evaluated in waiting.items():
        state = compose_target(Composition(run, changes, counts, evaluated))
        after.write_state(row, state, evaluated.reprocessed.state)
        composed.append(row)
        if len(changes.episodes) >= _EPISODES or changes.size() >= _BYTES:
            break
    return composed


def _write(
    run: EvaluationRun,
    batch: Batch,
    rows: Sequence[int],
    states_after: ConditionTable,
    changes: EpisodeChanges,
    late: LateUpdates,
    attempt: int,
) -> None:
    """Write everything in one unit of work, states last. States alone need no unit of work: they
    are written by compare-and-set."""
    platform = run.platform
    states = platform.states
    before = batch.before.take(rows)
    after = states_after.take(rows)
    every = batch.targets[rows[0]].every
    has_others = changes.episodes or late.checkpoints or late.refuted or late.done
    if not (has_others or states.moves(before.keys, every)):
        states.advance(before, after, every=every)  # of one document: it needs no transaction
        return
    with platform.unit_of_work.begin(attempt) as unit:
        changes.write(unit)
        platform.checkpoints.write(late.refuted, late.checkpoints, unit)
        platform.arrivals.remove_requests(late.done, unit)
        # last, because other evaluators of the shard conflict with it from here on to the end
        states.advance(before, after, unit, every)


@dataclass(frozen=True)
class LateUpdates:
    """Writes of a unit of work that make later reprocessing possible, beside states and episodes.

    `refuted`: by target, the instant from which its checkpoints are wrong. `done`: requests that
    the unit completes.
    """

    checkpoints: list[Checkpoint] = field(default_factory=list)
    refuted: dict[TargetKey, datetime] = field(default_factory=dict)
    done: list[ReprocessingRequest] = field(default_factory=list)


def late_updates(
    run: EvaluationRun, batch: Batch, result: BatchResult, rows: Sequence[int]
) -> LateUpdates:
    """Return the updates that are written with the new states of these rows.

    Checkpoints inside a reprocessed interval are wrong and dropped. No checkpoint is stored between
    a target's state of one step earlier and its watermark.
    """
    updates = LateUpdates()
    at = np.asarray(rows, np.int64)
    targets = [batch.targets[row] for row in rows]
    evaluated_from = batch.evaluated_from[at]
    start = batch.starts[at]
    watermark = result.after.watermark[at]
    again = batch.reprocessed[at]
    for i, row in enumerate(rows if result.reprocessed else ()):
        if row in result.reprocessed:
            again[i] = result.reprocessed[row] is not None
    is_due = checkpoints_due(
        targets, np.where(again, evaluated_from, start), np.where(again, start, watermark)
    )
    requested = np.array(
        [target.key in run.requests for target in targets] if run.requests else False
    )
    for i in np.flatnonzero((watermark > start) & (is_due | again | requested)).tolist():
        key = targets[i].key
        if is_due[i]:
            state = _state_at_start(batch, result, rows[i], bool(again[i]))
            needed_from = from_millis(int(watermark[i]) - targets[i].allowed_lateness)
            updates.checkpoints.append(Checkpoint(*key, state, needed_from))
        # the state of one step earlier has no checkpoint behind it that could be wrong
        if again[i] and evaluated_from[i] != batch.before.earlier.watermark[rows[i]]:
            updates.refuted[key] = from_millis(int(evaluated_from[i])) + _MOMENT
        if key in run.requests:
            updates.done.append(run.requests[key])
    return updates


def checkpoints_due(targets: Sequence[EvaluationTarget], before: Millis, after: Millis) -> Flags:
    """Return, per target, whether to store a checkpoint when its evaluation advances from one
    instant to another (ms).

    One checkpoint is due for each forty-eighth of the allowed lateness; targets take turns.
    """
    lateness = np.array([target.allowed_lateness for target in targets], np.int64)
    step = np.maximum(lateness // _CHECKPOINTS, _SHORTEST)
    offset = np.array([target.turn for target in targets], np.int64) * step // _TURNS
    is_due: Flags = (lateness > 0) & ((before + offset) // step != (after + offset) // step)
    return is_due


def _state_at_start(
    batch: Batch, result: BatchResult, row: int, is_reprocessed: bool
) -> ConditionState:
    """Return the corrected state of a target at its old watermark."""
    state = result.reprocessed.get(row)
    if state is None and is_reprocessed:  # its condition has not changed in the whole interval
        earlier = result.after.take([row])
        earlier.restore_earlier([0])
        state = earlier.state(0)
    elif state is None:
        state = batch.before.state(row)
    return state or ConditionState(from_millis(batch.starts[row]))
