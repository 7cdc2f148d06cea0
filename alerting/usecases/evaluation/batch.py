"""Evaluate a batch of targets: fetch readings once, advance unchanged targets together, evaluate the others one by one.

Order of writes: first the episodes of all targets, then the states, each only if no other process has advanced its target.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.model import Revision
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable, Pair
from alerting.ports import ReprocessingRequest, Wanted
from alerting.readings.history import from_millis
from alerting.readings.ragged import Flags
from alerting.usecases.definitions.versions import segments
from alerting.usecases.evaluation.batch_readings import BlockReadings
from alerting.usecases.evaluation.evaluate_target import TargetEvaluation, evaluate_target, evaluate_threshold
from alerting.usecases.evaluation.fast_path import advance_unchanged, only_known_episodes
from alerting.usecases.evaluation.persist import Persisted, persist_live
from alerting.usecases.evaluation.reconcile import persist_reprocessed
from alerting.usecases.evaluation.reprocess import Again, look_after_late
from alerting.usecases.evaluation.run import Block, EvaluationCounts, Run

_AT_ONCE = 500
_MOMENT = timedelta(milliseconds=1)


def evaluate_block(run: Run, block: Block) -> None:
    """Evaluate targets up to the run's instant, and add to its counts."""
    readings = _fetch(run, block)
    after = block.before.take(range(len(block.before)))
    staying = advance_unchanged(run, block, readings, after)
    others = sorted(set(range(len(block.before))) - set(staying))
    run.fetch_revisions({block.watched[row].definition for row in others})
    others = [row for row in others if run.histories[block.watched[row].definition]]  # without these no revision is valid
    kept: dict[int, Persisted] = {}
    again: dict[int, Again | None] = {}
    for rows in _portions(block, others):
        judged = {row: _evaluate_target(run, readings, block, row) for row in rows}
        changed = _changed(run, block, judged)
        _announce_writes(run, {block.watched[row].pair: judged[row] for row in changed})
        for row, one in judged.items():
            kept[row] = _keep(run, one) if row in changed else Persisted(_noted(one.since.state, one))
            again[row] = Again(one.begun.watermark, one.again.state) if one.is_again else None
            after.put(row, kept[row].state, one.again.state)
    moved = run.platform.states.advance_many(block.before, after)
    look_after_late(run, block, after, moved, again)
    _request_lost_writes(run, block, moved, kept, again)
    _count(run.counts, block, after, kept, moved)


def _fetch(run: Run, block: Block) -> BlockReadings:
    """Fetch the readings of every asset and variable of a threshold, from the earliest start that a threshold needs."""
    variables: dict[str, dict[str, None]] = {}
    starts: dict[str, int] = {}
    for watch, start in zip(block.watched, block.begun.tolist(), strict=True):
        if watch.variable is not None:
            variables.setdefault(watch.asset, {})[watch.variable] = None
            starts[watch.asset] = min(start - watch.lookback, starts.get(watch.asset, start))
    wanted = [Wanted(run.assets[name], tuple(variables[name]), from_millis(starts[name])) for name in variables]
    return BlockReadings(run.platform.readings, wanted, run.as_of)


@dataclass(frozen=True)
class _Evaluated:
    """Evaluation of one target, reading by reading: `again` from `begun` to its watermark if reprocessed, `since` from there on.

    `state`: as it is stored.
    """

    revision: Revision
    asset: Asset
    state: ConditionState
    begun: ConditionState
    again: TargetEvaluation
    since: TargetEvaluation

    @property
    def is_again(self) -> bool:
        return self.begun is not self.state

    @property
    def may_correct(self) -> bool:
        """Return whether reprocessing may differ from what is stored.

        Every step changes the compared values, except severities that change and change back.
        """
        if self.again.steps or _condition_intervals(self.begun) != _condition_intervals(self.state):
            return True
        return self.state.raised_at is not None and bool(self.state.levels)


def _condition_intervals(state: ConditionState) -> tuple[object, ...]:
    return state.raised_at, state.last_raised_at, state.last_closed_at, state.severity


def _portions(block: Block, rows: Sequence[int]) -> Iterator[list[int]]:
    """Yield rows to evaluate before any of them is stored: many thresholds, but single models, whose histories fill memory."""
    for is_model, of_kind in groupby(rows, key=lambda row: block.watched[row].variable is None):
        left = list(of_kind)
        size = 1 if is_model else _AT_ONCE
        yield from (left[start : start + size] for start in range(0, len(left), size))


def _evaluate_target(run: Run, readings: BlockReadings, block: Block, row: int) -> _Evaluated:
    """Evaluate one target reading by reading."""
    watch = block.watched[row]
    revision, asset = run.histories[watch.definition][-1], run.assets[watch.asset]
    state = block.before.state(row) or ConditionState(watermark=from_millis(block.starts[row]))
    begun = (block.base.state(row) if block.again[row] else None) or state
    again = _evaluate(run, readings, revision, asset, begun, state.watermark)
    if again.state.watermark < state.watermark:  # a model or value cannot be read: the next round tries again
        run.late.requests.pop(watch.pair)
        again, begun = TargetEvaluation(state), state
    since = _evaluate(run, readings, revision, asset, again.state, block.until(row, run.as_of))
    if since.unreadable:
        run.counts.unreadable[revision.name] = since.unreadable
    return _Evaluated(revision, asset, state, begun, again, since)


def _changed(run: Run, block: Block, judged: Mapping[int, _Evaluated]) -> set[int]:
    """Return the rows that may need a write: with new steps, or with stored episodes that late data may have changed."""
    changed = {row for row, one in judged.items() if one.since.steps or (one.is_again and one.may_correct)}
    quiet = [row for row, one in judged.items() if one.is_again and row not in changed]
    known = only_known_episodes(run, block, quiet)
    return changed | {row for row, is_known in zip(quiet, known.tolist(), strict=True) if not is_known}


def _announce_writes(run: Run, judged: Mapping[Pair, _Evaluated]) -> None:
    """Create reprocessing requests for these targets before their episodes are written; they last until the watermarks advance.

    A killed evaluator leaves episodes and corrections that the next evaluator, with other readings, cannot know of.
    """
    if not judged:
        return
    starts = {pair: one.begun.watermark + _MOMENT if one.is_again else one.state.watermark for pair, one in judged.items()}
    announce_write = run.platform.arrivals.announce_write(starts, run.as_of)
    for pair, start in starts.items():
        known = run.late.requests.get(pair) or ReprocessingRequest(*pair, start)
        run.late.requests[pair] = replace(known, announced_writes=(*known.announced_writes, announce_write))


def _keep(run: Run, judged: _Evaluated) -> Persisted:
    """Store the episodes of one target. Return the state to store with the counts."""
    revision, asset = judged.revision, judged.asset
    rejudged = Persisted(judged.again.state)
    if judged.is_again:
        rejudged = persist_reprocessed(run.platform, revision, asset, judged.again, judged.since, judged.begun, run.as_of)
    kept = persist_live(run.platform, revision, asset, judged.since, run.as_of)
    return replace(
        kept,
        state=_noted(kept.state, judged),
        raised=kept.raised + rejudged.raised,
        withdrawn=rejudged.withdrawn,
    )


def _evaluate(
    run: Run, readings: BlockReadings, revision: Revision, asset: Asset, state: ConditionState, until: datetime
) -> TargetEvaluation:
    """Evaluate a target by the revisions and champions in force.

    A stored value of the wrong type stops its target at the watermark and becomes the reason why it is unknown.
    """
    if state.watermark >= until:
        return TargetEvaluation(state)
    is_model = revision.definition.kind != "threshold"
    decisions = run.platform.decisions.of(revision.name) if is_model else []
    parts = segments(run.histories[revision.name], decisions, state.watermark, until)
    try:
        if is_model:
            return evaluate_target(run.platform, run.shelf, revision, asset, state, parts)
        return evaluate_threshold(readings.of(asset), asset, state, parts)
    except UserError as refusal:
        return TargetEvaluation(state, unknown=str(refusal))


def _request_lost_writes(
    run: Run, block: Block, moved: Flags, kept: Mapping[int, Persisted], again: Mapping[int, Again | None]
) -> None:
    """Request reprocessing of targets that another evaluator advanced first: it may have used different readings."""
    requested = {}
    for row in np.flatnonzero(~moved).tolist():
        begun, one = again.get(row), kept.get(row)
        if begun is not None:
            requested[block.watched[row].pair] = begun.begun + _MOMENT
        elif one is not None and (one.raised or one.closed):
            requested[block.watched[row].pair] = from_millis(block.starts[row])
    run.platform.arrivals.request_reprocessing(requested)


def _noted(after: ConditionState, judged: _Evaluated) -> ConditionState:
    reason = judged.since.unknown
    return replace(after, unknown_count=judged.state.unknown_count + 1 if reason else 0, unknown_reason=reason)


def _count(counts: EvaluationCounts, block: Block, after: ConditionTable, kept: Mapping[int, Persisted], moved: Flags) -> None:
    counts.pairs += int(moved.sum())
    counts.elsewhere += int((~moved).sum())
    counts.raised += sum(one.raised for row, one in kept.items() if moved[row])
    counts.closed += sum(one.closed for row, one in kept.items() if moved[row])
    counts.withdrawn += sum(one.withdrawn for row, one in kept.items() if moved[row])
    for watch, reason in zip(block.watched, after.unknown_reason, strict=True):
        if reason is not None:
            counts.unknown[f"{watch.definition} on {watch.asset}"] = reason
