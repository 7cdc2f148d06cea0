"""Reprocessing: the next evaluation of a target begins at the state before its late data, instead of at its watermark.

The same functions evaluate from a stored past state, so the state afterwards is that of a run without late data. A reprocessing
request is removed only after the watermark has advanced: after a crash or a race before that, the request is done again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from alerting.detection.carried import Carried
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import NEVER, ConditionTable
from alerting.episodes.targets import EvaluationTarget
from alerting.ports import Checkpoint, Platform, ReprocessingRequest
from alerting.readings.history import from_millis, to_millis
from alerting.readings.ragged import Flags
from alerting.usecases.episodes.store import update
from alerting.usecases.evaluation.late_routing import route_arrivals
from alerting.usecases.evaluation.run import Block, LateRound, Run

_CHECKPOINTS = 48  # within the allowed lateness: every half hour for a day
_SHORTEST = 60_000  # ms
_TURNS = 2**32
_MOMENT = timedelta(milliseconds=1)
_EVALUATOR_GIVEN_UP = timedelta(minutes=3)


@dataclass(frozen=True)
class Again:
    """A reprocessed target: the start of reprocessing, and the corrected state at the old watermark."""

    begun: datetime
    state: ConditionState


def begin_round(platform: Platform, watched: Sequence[EvaluationTarget], names: Sequence[str], as_of: datetime) -> LateRound:
    """Record how far this round evaluates, route arrivals, and load the reprocessing requests of the named definitions.

    The caller reads no readings before this. `watched`: the targets of all definitions.
    """
    platform.arrivals.extend_evaluated_until(as_of)
    counts = route_arrivals(platform, watched, as_of)
    requests = platform.arrivals.requests(names)
    return LateRound(counts, {pair: _payable(debt, as_of) for pair, debt in requests.items()})


def _payable(debt: ReprocessingRequest, as_of: datetime) -> ReprocessingRequest:
    """Return the request without the marks of evaluators that may still be running.

    Their later writes are reprocessed afterwards. An evaluator counts as stopped after three minutes.
    """
    given_up = as_of - _EVALUATOR_GIVEN_UP
    return replace(
        debt, announced_writes=tuple(p for p in debt.announced_writes if datetime.fromisoformat(p.split()[0]) <= given_up)
    )


def end_round(platform: Platform, late: LateRound) -> None:
    """Remove the reprocessing requests that are done."""
    if late.fulfilled:
        platform.arrivals.fulfilled(late.fulfilled)


def bases_of(run: Run, watched: Sequence[EvaluationTarget], spells: ConditionTable) -> ConditionTable:
    """Return the states to evaluate from: the present ones, or earlier ones for targets to reprocess.

    A target whose condition has not changed carries its state of one step earlier; for the others a checkpoint is looked up.
    Without a checkpoint that is old enough, the target starts at its beginning, if that is recent, or at its earliest checkpoint.
    """
    base, far = spells.take(range(len(spells))), dict[int, datetime]()
    near = []
    for row, watch in enumerate(watched):
        debt = run.late.requests.get(watch.pair)
        if debt is None or to_millis(debt.start) > spells.watermark[row] or spells.watermark[row] == NEVER:
            continue
        if NEVER != spells.earlier.watermark[row] < to_millis(debt.start):
            near.append(row)
        else:
            far[row] = debt.start
    base.go_back(near)
    for row, state in _past_states(run, watched, spells, far).items():
        if to_millis(state.watermark) < spells.watermark[row]:
            base.put(row, state)
    base.unknown_count = spells.unknown_count.copy()
    return base


def _past_states(
    run: Run, watched: Sequence[EvaluationTarget], spells: ConditionTable, starts: Mapping[int, datetime]
) -> dict[int, ConditionState]:
    """Return, by row, the latest checkpoint before an instant, or else the nearest state to it."""
    kept = run.platform.checkpoints.before({watched[row].pair: start for row, start in starts.items()})
    found = {row: kept.get(watched[row].pair) for row in starts}
    missing = [row for row, state in found.items() if state is None]
    run.fetch_revisions({watched[row].definition for row in missing if watched[row].revision > 1})
    for row in missing:
        first = run.first_instant(watched[row])
        if first is not None and spells.watermark[row] - first <= 2 * watched[row].allowed_lateness:
            found[row] = _state_at_first(watched[row], from_millis(first))
        else:
            found[row] = run.platform.checkpoints.after(*watched[row].pair, starts[row])
    return {row: state for row, state in found.items() if state is not None}


def _state_at_first(watch: EvaluationTarget, first: datetime) -> ConditionState:
    """Return the state of a target that waits for its first reading."""
    return ConditionState(first, carried=None if watch.variable is None else Carried(watch.variable, first, None))


def look_after_late(run: Run, block: Block, after: ConditionTable, moved: Flags, again: Mapping[int, Again | None]) -> None:
    """Mark requests of advanced targets as done, and store checkpoints from which late data can be reprocessed.

    Checkpoints inside a reprocessed interval are wrong and dropped. No checkpoint is stored between a target's state of one step
    earlier and its watermark. `again`: of targets that were evaluated one by one.
    """
    kept, wrong = [], {}
    begun, starts, judged_again = block.begun.tolist(), block.starts.tolist(), block.again.tolist()
    for row in np.flatnonzero(moved & (after.watermark > block.starts)).tolist():
        watch = block.watched[row]
        debt = run.late.requests.get(watch.pair)
        is_again = again[row] is not None if row in again else judged_again[row]
        begin, end = (begun[row], starts[row]) if is_again else (starts[row], int(after.watermark[row]))
        if is_due(watch, begin, end):
            needed_from = from_millis(int(after.watermark[row]) - watch.allowed_lateness)
            kept.append(Checkpoint(*watch.pair, _state_at_start(block, after, again, row, is_again), needed_from))
        if is_again and begun[row] != block.before.earlier.watermark[row]:
            wrong[watch.pair] = from_millis(begun[row]) + _MOMENT
        if is_again and watch.has_outcome and debt is not None:
            _look_again_at_outcomes(run, watch, debt.start, from_millis(after.watermark[row]))
        if debt is not None:
            run.late.fulfilled.append(debt)
    if wrong:
        run.platform.checkpoints.drop(wrong)
    if kept:
        run.platform.checkpoints.save(kept)


def is_due(watch: EvaluationTarget, before: int, after: int) -> bool:
    """Return whether to store a checkpoint when evaluation advances from one instant to another (ms).

    One checkpoint for each forty-eighth of the allowed lateness; targets take turns.
    """
    if not watch.allowed_lateness:
        return False
    step = max(watch.allowed_lateness // _CHECKPOINTS, _SHORTEST)
    return (before + watch.turn * step // _TURNS) // step != (after + watch.turn * step // _TURNS) // step


def _state_at_start(
    block: Block, after: ConditionTable, again: Mapping[int, Again | None], row: int, is_again: bool
) -> ConditionState:
    """Return the corrected state of a target at its old watermark."""
    one = again.get(row)
    if one is not None:
        return one.state
    if is_again:  # its condition has not changed in the whole interval
        stood = after.take([row])
        stood.go_back([0])
        return stood.state(0) or ConditionState(from_millis(block.starts[row]))
    return block.before.state(row) or ConditionState(from_millis(block.starts[row]))


def _look_again_at_outcomes(run: Run, watch: EvaluationTarget, start: datetime, now: datetime) -> None:
    """Make due again the outcomes that late data may have changed."""
    run.fetch_revisions({watch.definition})
    definition = run.histories[watch.definition][-1].definition
    promise = definition.gap + definition.horizon
    for episode in run.platform.episodes.find(*watch.pair, start=start - promise):
        if episode.outcome_record is not None and episode.outcome_due_at is None and not episode.withdrawn:
            update(run.platform, episode.id, lambda e: e if e.withdrawn else replace(e, outcome_due_at=now))
