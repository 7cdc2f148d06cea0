"""Evaluate a block of pairs: fetch readings once, move on together what stays as it is, judge the other pairs one by one.

Order of writes: the episodes of every pair first, then the states of all, each pair only if nobody else has moved it.
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
    """Evaluate pairs up to the run's instant, and add to its counts."""
    readings = _fetch(run, block)
    after = block.before.take(range(len(block.before)))
    staying = advance_unchanged(run, block, readings, after)
    others = sorted(set(range(len(block.before))) - set(staying))
    run.fetch_revisions({block.watched[row].definition for row in others})
    others = [row for row in others if run.histories[block.watched[row].definition]]  # else none of its revisions is valid
    kept: dict[int, Persisted] = {}
    again: dict[int, Again | None] = {}
    for rows in _portions(block, others):
        judged = {row: _judge_pair(run, readings, block, row) for row in rows}
        changed = _changed(run, block, judged)
        _pledge(run, {block.watched[row].pair: judged[row] for row in changed})
        for row, one in judged.items():
            kept[row] = _keep(run, one) if row in changed else Persisted(_noted(one.since.state, one))
            again[row] = Again(one.begun.watermark, one.again.state) if one.is_again else None
            after.put(row, kept[row].state, one.again.state)
    moved = run.platform.states.advance_many(block.before, after)
    look_after_late(run, block, after, moved, again)
    _owe_what_was_lost(run, block, moved, kept, again)
    _count(run.counts, block, after, kept, moved)


def _fetch(run: Run, block: Block) -> BlockReadings:
    """The readings of every asset and variable that a threshold is for, from where the first of them wants it."""
    variables: dict[str, dict[str, None]] = {}
    starts: dict[str, int] = {}
    for watch, start in zip(block.watched, block.begun.tolist(), strict=True):
        if watch.variable is not None:
            variables.setdefault(watch.asset, {})[watch.variable] = None
            starts[watch.asset] = min(start - watch.lookback, starts.get(watch.asset, start))
    wanted = [Wanted(run.assets[name], tuple(variables[name]), from_millis(starts[name])) for name in variables]
    return BlockReadings(run.platform.readings, wanted, run.as_of)


@dataclass(frozen=True)
class _Judged:
    """One pair, judged reading by reading: `again` from `begun` up to its watermark, if it has to, and `since` from there on.

    `state`: as it is kept.
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
        """Whether judging again may differ from what was kept: every step leaves its trace, save severities that come and go."""
        if self.again.steps or _spells(self.begun) != _spells(self.state):
            return True
        return self.state.raised_at is not None and bool(self.state.levels)


def _spells(state: ConditionState) -> tuple[object, ...]:
    return state.raised_at, state.last_raised_at, state.last_closed_at, state.severity


def _portions(block: Block, rows: Sequence[int]) -> Iterator[list[int]]:
    """Rows to judge before any of them is kept: many thresholds, but models one by one, whose histories fill memory."""
    for is_model, of_kind in groupby(rows, key=lambda row: block.watched[row].variable is None):
        left = list(of_kind)
        size = 1 if is_model else _AT_ONCE
        yield from (left[start : start + size] for start in range(0, len(left), size))


def _judge_pair(run: Run, readings: BlockReadings, block: Block, row: int) -> _Judged:
    """Judge one pair reading by reading."""
    watch = block.watched[row]
    revision, asset = run.histories[watch.definition][-1], run.assets[watch.asset]
    state = block.before.state(row) or ConditionState(watermark=from_millis(block.starts[row]))
    begun = (block.base.state(row) if block.again[row] else None) or state
    again = _judge(run, readings, revision, asset, begun, state.watermark)
    if again.state.watermark < state.watermark:  # a model, or a value, that cannot be read: tried again next time
        run.late.debts.pop(watch.pair)
        again, begun = TargetEvaluation(state), state
    since = _judge(run, readings, revision, asset, again.state, block.until(row, run.as_of))
    if since.unreadable:
        run.counts.unreadable[revision.name] = since.unreadable
    return _Judged(revision, asset, state, begun, again, since)


def _changed(run: Run, block: Block, judged: Mapping[int, _Judged]) -> set[int]:
    """Pairs of which something may have to be kept: where something happened, or late data may have changed what was kept."""
    changed = {row for row, one in judged.items() if one.since.steps or (one.is_again and one.may_correct)}
    quiet = [row for row, one in judged.items() if one.is_again and row not in changed]
    known = only_known_episodes(run, block, quiet)
    return changed | {row for row, is_known in zip(quiet, known.tolist(), strict=True) if not is_known}


def _pledge(run: Run, judged: Mapping[Pair, _Judged]) -> None:
    """Owe to judge these pairs again, before anything is kept of them, until their watermarks have moved.

    Who is killed in between leaves episodes and corrections that another, who has seen other readings, knows nothing of.
    """
    if not judged:
        return
    starts = {pair: one.begun.watermark + _MOMENT if one.is_again else one.state.watermark for pair, one in judged.items()}
    pledge = run.platform.arrivals.pledge(starts, run.as_of)
    for pair, start in starts.items():
        known = run.late.debts.get(pair) or ReprocessingRequest(*pair, start)
        run.late.debts[pair] = replace(known, pledges=(*known.pledges, pledge))


def _keep(run: Run, judged: _Judged) -> Persisted:
    """Keep the episodes of one pair; the state to keep comes back with what was done."""
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


def _judge(
    run: Run, readings: BlockReadings, revision: Revision, asset: Asset, state: ConditionState, until: datetime
) -> TargetEvaluation:
    """By what was in force. A stored value that is none holds its pair back, and is the reason why it is unknown."""
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


def _owe_what_was_lost(
    run: Run, block: Block, moved: Flags, kept: Mapping[int, Persisted], again: Mapping[int, Again | None]
) -> None:
    """Whoever moved a watermark before us may have seen other readings than we, who have kept episodes and corrections."""
    owed = {}
    for row in np.flatnonzero(~moved).tolist():
        begun, one = again.get(row), kept.get(row)
        if begun is not None:
            owed[block.watched[row].pair] = begun.begun + _MOMENT
        elif one is not None and (one.raised or one.closed):
            owed[block.watched[row].pair] = from_millis(block.starts[row])
    run.platform.arrivals.owe(owed)


def _noted(after: ConditionState, judged: _Judged) -> ConditionState:
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
