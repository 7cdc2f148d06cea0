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
from datetime import datetime

from alerting.deferred import np
from alerting.definitions.alert_definition import Revision
from alerting.definitions.asset_documents import Asset
from alerting.episodes.evaluation_plan import ConditionTable
from alerting.episodes.lifecycle import ConditionState, without_episode
from alerting.kinds.protocol import Refresh, TargetEvaluation
from alerting.ports import Conflict, EvaluationPorts, ReprocessingRequest
from alerting.ports.use_cases import id_logger
from alerting.readings.variable_series import Flags
from alerting.usecases.episodes.stored_episodes import EpisodeChanges
from alerting.usecases.evaluation.compose import Composed, Composition, compose_live
from alerting.usecases.evaluation.reprocess import (
    LateUpdates,
    compose_reprocessed,
    find_again,
    late_updates,
    make_outcomes_due,
)
from alerting.usecases.evaluation.target import Batch, EvaluationRun

RAISES_OF_TARGET = 500
# A unit of work is full from here on; the last target may double it.
_EPISODES = 500
_BYTES = 4_000_000
# Targets without a changed episode whose states, and at most as many checkpoints, are written
# together.
_TARGETS = 5_000
# Their pauses take 9 s altogether: nearly as long as a transaction of a dead process lasts.
_ATTEMPTS = 10
_log = id_logger(__name__)


@dataclass(frozen=True)
class EvaluatedTarget:
    """Evaluation of one target, reading by reading.

    `state`: the stored state. `reprocessed`: evaluation from `evaluated_from` to the watermark;
    `since`: evaluation from the watermark on. `is_cut`: there were too many raises for one unit of
    work, and the evaluation ends before the next raise.
    """

    revision: Revision
    asset: Asset
    state: ConditionState
    evaluated_from: ConditionState
    reprocessed: TargetEvaluation
    since: TargetEvaluation
    is_cut: bool

    @property
    def is_reprocessed(self) -> bool:
        return self.evaluated_from is not self.state

    @property
    def changes_episodes(self) -> bool:
        """Return whether an episode, or its outcome, may differ from what is stored."""
        return (
            bool(self.since.steps or self.refreshes)
            or self.since.state.last_high_at != self.reprocessed.state.last_high_at
            or self.may_correct
            or self.may_change_outcomes
        )

    @property
    def refreshes(self) -> dict[datetime, Refresh]:
        """Return the instants at which to compute reasons and advice again: in the new time, else,
        after late data, at the old watermark."""
        still_open = self.reprocessed.state.raised_at
        earlier = {
            at: refresh
            for at, refresh in self.reprocessed.refreshes.items()
            if at == still_open and self.is_reprocessed
        }
        return earlier | self.since.refreshes

    @property
    def may_change_outcomes(self) -> bool:
        """Return whether late data may change outcomes that come from data."""
        return self.is_reprocessed and self.revision.definition.problem is not None

    @property
    def may_correct(self) -> bool:
        """Return whether reprocessing may differ from what is stored.

        Every step changes the compared values, except severities and causes that change back.
        """
        if not self.is_reprocessed:
            return False
        if self.reprocessed.steps or _condition_intervals(
            self.evaluated_from
        ) != _condition_intervals(self.state):
            return True
        return self.state.raised_at is not None and bool(self.state.levels or self.state.cause)

    def count_unknown(self, after: ConditionState) -> ConditionState:
        """Return the state with the reason why its end is unknown, and how many evaluations in a
        row ended so."""
        reason = self.since.unknown
        return replace(
            after,
            unknown_count=self.state.unknown_count + 1 if reason else 0,
            unknown_reason=reason,
        )


def _condition_intervals(state: ConditionState) -> tuple[object, ...]:
    return (
        state.raised_at,
        state.happening_since,
        state.last_raised_at,
        state.last_closed_at,
        state.last_high_at,
        state.severity,
        state.cause,
    )


def compose_target(
    platform: EvaluationPorts,
    changes: EpisodeChanges,
    evaluated: EvaluatedTarget,
    request: ReprocessingRequest | None,
    as_of: datetime,
) -> Composed:
    """Add the changed episodes of a target to `changes`: corrected episodes, then episodes of new
    times. `request`: the reprocessing request that the evaluation has answered, if any."""
    target = Composition(
        platform, changes, evaluated.revision, evaluated.asset, as_of, not evaluated.is_cut
    )
    corrected = Composed(evaluated.reprocessed.state)
    if evaluated.may_correct:
        corrected = compose_reprocessed(
            target,
            evaluated.reprocessed,
            evaluated.since,
            evaluated.evaluated_from,
            evaluated.state.watermark,
        )
    live = compose_live(target, replace(evaluated.since, refreshes=evaluated.refreshes))
    find_again(target, evaluated.since, evaluated.reprocessed.state)
    if request is not None and evaluated.may_change_outcomes:
        make_outcomes_due(
            changes, evaluated.revision, evaluated.asset, request.start, live.state.watermark
        )
    state = live.state
    if (
        evaluated.is_reprocessed
        and state.raised_at is not None
        and state.happening_since is None
        and changes.live_open(evaluated.revision.name, evaluated.asset.name) is None
    ):
        state = without_episode(state, state.watermark)  # a person has ended it
    before = evaluated.state
    if evaluated.is_reprocessed and state.carried and before.carried and before.carried.is_ended:
        ended_at = before.last_closed_at or before.watermark
        carried = state.carried.after_end(ended_at)
        if carried.is_ended:
            state = replace(state, carried=carried, last_closed_at=ended_at)
    return Composed(
        evaluated.count_unknown(state),
        live.raised + corrected.raised,
        live.closed,
        corrected.withdrawn,
    )


@dataclass(frozen=True)
class BatchResult:
    """Result of a batch so far: the states after it, which of them are written, and the composed
    episodes of the written ones.

    `reprocessed`: the corrected states at the old watermarks, of targets that were evaluated one by
    one; None for a target that was not reprocessed.
    """

    after: ConditionTable
    advanced: Flags
    reprocessed: dict[int, ConditionState | None] = field(default_factory=dict)
    composed: dict[int, Composed] = field(default_factory=dict)


def by_shard(batch: Batch, rows: Iterable[int]) -> dict[tuple[int, int], list[int]]:
    """Return rows by the shard that stores their states."""
    rows_by_shard: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        rows_by_shard.setdefault(batch.targets[row].shard, []).append(row)
    return rows_by_shard


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
    Targets that another process advances, or blocks for long, are left out. Scores are stored
    first, because nothing computes them again after the states.
    """
    run.store_scores()
    waiting = dict(changed)
    unchanged = list(others)
    attempts = 0
    while waiting or unchanged:
        changes, composed = _compose(run, result.after, waiting)
        rows = [*unchanged[:_TARGETS], *composed]
        late = late_updates(run, batch, result.after, rows, result.reprocessed)
        try:
            _write(run, batch, rows, result.after.take(rows), changes, late, attempts)
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
            unmoved = _find_unmoved(run, batch, [*unchanged, *waiting])
            waiting = {row: evaluated for row, evaluated in waiting.items() if row in unmoved}
            unchanged = [row for row in unchanged if row in unmoved]
            continue
        changes.log()
        result.advanced[rows] = True
        result.composed.update(composed)
        for request in late.done:
            run.requests.pop((request.definition, request.asset))
        waiting = {row: evaluated for row, evaluated in waiting.items() if row not in composed}
        unchanged = unchanged[_TARGETS:]
        attempts = 0


def _compose(
    run: EvaluationRun, after: ConditionTable, waiting: Mapping[int, EvaluatedTarget]
) -> tuple[EpisodeChanges, dict[int, Composed]]:
    """Compose the episodes of as many targets as fit into a unit of work, and put their states into
    `after`."""
    changes = EpisodeChanges(run.platform)
    composed = dict[int, Composed]()
    for row, evaluated in waiting.items():
        request = run.requests.get((evaluated.revision.name, evaluated.asset.name))
        composed[row] = compose_target(run.platform, changes, evaluated, request, run.as_of)
        after.write_state(row, composed[row].state, evaluated.reprocessed.state)
        if len(changes.episodes) >= _EPISODES or changes.size() >= _BYTES:
            break
    return changes, composed


def _write(
    run: EvaluationRun,
    batch: Batch,
    rows: Sequence[int],
    after: ConditionTable,
    changes: EpisodeChanges,
    late: LateUpdates,
    attempt: int,
) -> None:
    """Write everything in one unit of work, states last. States alone need no unit of work: they
    are written by compare-and-set."""
    states = run.platform.states
    before = batch.before.take(rows)
    every = batch.targets[rows[0]].every
    if not (changes.episodes or late or states.moves(before.keys, every)):
        states.advance(before, after, every=every)  # of one document: it needs no transaction
        return
    with run.platform.unit_of_work.begin(attempt) as unit:
        changes.write(unit)
        late.write(run.platform, unit)
        # last, because other evaluators of the shard conflict with it from here on to the end
        states.advance(before, after, unit, every)


def _find_unmoved(run: EvaluationRun, batch: Batch, rows: Sequence[int]) -> set[int]:
    before = batch.before.take(rows)
    unmoved = run.platform.states.load_many(before.keys).watermark == before.watermark
    return {rows[i] for i in np.flatnonzero(unmoved).tolist()}
