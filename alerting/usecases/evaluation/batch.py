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
from alerting.episodes.state_table import ConditionTable, TargetKey
from alerting.ports import ReprocessingRequest, Wanted
from alerting.readings.history import from_millis
from alerting.readings.ragged import Flags
from alerting.usecases.definitions.versions import segments
from alerting.usecases.evaluation.batch_readings import BatchReadings
from alerting.usecases.evaluation.evaluate_target import TargetEvaluation, evaluate_target, evaluate_threshold
from alerting.usecases.evaluation.fast_path import advance_unchanged, has_only_expected_episodes
from alerting.usecases.evaluation.persist import Persisted, persist_live
from alerting.usecases.evaluation.reconcile import persist_reprocessed
from alerting.usecases.evaluation.reprocess import ReprocessedTarget, finish_reprocessing
from alerting.usecases.evaluation.run import Batch, EvaluationCounts, Run

_AT_ONCE = 500
_MOMENT = timedelta(milliseconds=1)


def evaluate_batch(run: Run, batch: Batch) -> None:
    """Evaluate targets up to the run's instant, and add to its counts."""
    readings = _fetch(run, batch)
    after = batch.before.take(range(len(batch.before)))
    staying = advance_unchanged(run, batch, readings, after)
    others = sorted(set(range(len(batch.before))) - set(staying))
    run.fetch_revisions({batch.targets[row].definition for row in others})
    others = [row for row in others if run.histories[batch.targets[row].definition]]  # without these no revision is valid
    persisted: dict[int, Persisted] = {}
    reprocessed: dict[int, ReprocessedTarget | None] = {}
    for rows in _portions(batch, others):
        evaluated = {row: _evaluate_target(run, readings, batch, row) for row in rows}
        changed = _rows_to_write(run, batch, evaluated)
        _announce_writes(run, {batch.targets[row].key: evaluated[row] for row in changed})
        for row, one in evaluated.items():
            persisted[row] = _persist(run, one) if row in changed else Persisted(_count_unknown(one.since.state, one))
            reprocessed[row] = (
                ReprocessedTarget(one.evaluated_from.watermark, one.reprocessed.state) if one.is_reprocessed else None
            )
            after.put(row, persisted[row].state, one.reprocessed.state)
    advanced = run.platform.states.advance_many(batch.before, after)
    finish_reprocessing(run, batch, after, advanced, reprocessed)
    _request_lost_writes(run, batch, advanced, persisted, reprocessed)
    _count(run.counts, batch, after, persisted, advanced)


def _fetch(run: Run, batch: Batch) -> BatchReadings:
    """Fetch the readings of every asset and variable of a threshold, from the earliest start that a threshold needs."""
    variables: dict[str, dict[str, None]] = {}
    starts: dict[str, int] = {}
    for target, start in zip(batch.targets, batch.evaluated_from.tolist(), strict=True):
        if target.variable is not None:
            variables.setdefault(target.asset, {})[target.variable] = None
            starts[target.asset] = min(start - target.lookback, starts.get(target.asset, start))
    wanted = [Wanted(run.assets[name], tuple(variables[name]), from_millis(starts[name])) for name in variables]
    return BatchReadings(run.platform.readings, wanted, run.as_of)


@dataclass(frozen=True)
class _Evaluated:
    """Evaluation of one target, reading by reading.

    `state`: as it is stored. `reprocessed`: from `evaluated_from` to its watermark; `since`: from there on.
    """

    revision: Revision
    asset: Asset
    state: ConditionState
    evaluated_from: ConditionState
    reprocessed: TargetEvaluation
    since: TargetEvaluation

    @property
    def is_reprocessed(self) -> bool:
        return self.evaluated_from is not self.state

    @property
    def may_correct(self) -> bool:
        """Return whether reprocessing may differ from what is stored.

        Every step changes the compared values, except severities that change and change back.
        """
        if self.reprocessed.steps or _condition_intervals(self.evaluated_from) != _condition_intervals(self.state):
            return True
        return self.state.raised_at is not None and bool(self.state.levels)


def _condition_intervals(state: ConditionState) -> tuple[object, ...]:
    return state.raised_at, state.last_raised_at, state.last_closed_at, state.severity


def _portions(batch: Batch, rows: Sequence[int]) -> Iterator[list[int]]:
    """Yield rows to evaluate before any of them is stored: many thresholds, but single models, whose histories fill memory."""
    for is_model, of_kind in groupby(rows, key=lambda row: batch.targets[row].variable is None):
        left = list(of_kind)
        size = 1 if is_model else _AT_ONCE
        yield from (left[start : start + size] for start in range(0, len(left), size))


def _evaluate_target(run: Run, readings: BatchReadings, batch: Batch, row: int) -> _Evaluated:
    """Evaluate one target reading by reading."""
    target = batch.targets[row]
    revision, asset = run.histories[target.definition][-1], run.assets[target.asset]
    state = batch.before.state(row) or ConditionState(watermark=from_millis(batch.starts[row]))
    evaluated_from = (batch.base.state(row) if batch.reprocessed[row] else None) or state
    reprocessed = _evaluate(run, readings, revision, asset, evaluated_from, state.watermark)
    if reprocessed.state.watermark < state.watermark:  # a model or value cannot be read: the next round tries again
        run.late.requests.pop(target.key)
        reprocessed, evaluated_from = TargetEvaluation(state), state
    since = _evaluate(run, readings, revision, asset, reprocessed.state, batch.until(row, run.as_of))
    if since.unreadable:
        run.counts.unreadable[revision.name] = since.unreadable
    return _Evaluated(revision, asset, state, evaluated_from, reprocessed, since)


def _rows_to_write(run: Run, batch: Batch, evaluated: Mapping[int, _Evaluated]) -> set[int]:
    """Return the rows that may need a write: with new steps, or with stored episodes that late data may have changed."""
    changed = {row for row, one in evaluated.items() if one.since.steps or (one.is_reprocessed and one.may_correct)}
    quiet = [row for row, one in evaluated.items() if one.is_reprocessed and row not in changed]
    expected = has_only_expected_episodes(run, batch, quiet)
    return changed | {row for row, is_expected in zip(quiet, expected.tolist(), strict=True) if not is_expected}


def _announce_writes(run: Run, evaluated: Mapping[TargetKey, _Evaluated]) -> None:
    """Create reprocessing requests for these targets before their episodes are written; they last until the watermarks advance.

    A killed evaluator leaves episodes and corrections that the next evaluator, with other readings, cannot know of.
    """
    if not evaluated:
        return
    starts = {
        key: one.evaluated_from.watermark + _MOMENT if one.is_reprocessed else one.state.watermark
        for key, one in evaluated.items()
    }
    announce_write = run.platform.arrivals.announce_write(starts, run.as_of)
    for key, start in starts.items():
        existing = run.late.requests.get(key) or ReprocessingRequest(*key, start)
        run.late.requests[key] = replace(existing, announced_writes=(*existing.announced_writes, announce_write))


def _persist(run: Run, evaluated: _Evaluated) -> Persisted:
    """Store the episodes of one target. Return the state to store with the counts."""
    revision, asset = evaluated.revision, evaluated.asset
    reprocessed = Persisted(evaluated.reprocessed.state)
    if evaluated.is_reprocessed:
        reprocessed = persist_reprocessed(
            run.platform, revision, asset, evaluated.reprocessed, evaluated.since, evaluated.evaluated_from, run.as_of
        )
    persisted = persist_live(run.platform, revision, asset, evaluated.since, run.as_of)
    return replace(
        persisted,
        state=_count_unknown(persisted.state, evaluated),
        raised=persisted.raised + reprocessed.raised,
        withdrawn=reprocessed.withdrawn,
    )


def _evaluate(
    run: Run, readings: BatchReadings, revision: Revision, asset: Asset, state: ConditionState, until: datetime
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
            return evaluate_target(run.platform, run.models, revision, asset, state, parts)
        return evaluate_threshold(readings.of(asset), asset, state, parts)
    except UserError as refusal:
        return TargetEvaluation(state, unknown=str(refusal))


def _request_lost_writes(
    run: Run,
    batch: Batch,
    advanced: Flags,
    persisted: Mapping[int, Persisted],
    reprocessed: Mapping[int, ReprocessedTarget | None],
) -> None:
    """Request reprocessing of targets that another evaluator advanced first: it may have used different readings."""
    requested = {}
    for row in np.flatnonzero(~advanced).tolist():
        evaluated_from, one = reprocessed.get(row), persisted.get(row)
        if evaluated_from is not None:
            requested[batch.targets[row].key] = evaluated_from.evaluated_from + _MOMENT
        elif one is not None and (one.raised or one.closed):
            requested[batch.targets[row].key] = from_millis(batch.starts[row])
    run.platform.arrivals.request_reprocessing(requested)


def _count_unknown(after: ConditionState, evaluated: _Evaluated) -> ConditionState:
    reason = evaluated.since.unknown
    return replace(after, unknown_count=evaluated.state.unknown_count + 1 if reason else 0, unknown_reason=reason)


def _count(
    counts: EvaluationCounts, batch: Batch, after: ConditionTable, persisted: Mapping[int, Persisted], advanced: Flags
) -> None:
    counts.targets += int(advanced.sum())
    counts.elsewhere += int((~advanced).sum())
    counts.raised += sum(one.raised for row, one in persisted.items() if advanced[row])
    counts.closed += sum(one.closed for row, one in persisted.items() if advanced[row])
    counts.withdrawn += sum(one.withdrawn for row, one in persisted.items() if advanced[row])
    for target, reason in zip(batch.targets, after.unknown_reason, strict=True):
        if reason is not None:
            counts.unknown[f"{target.definition} on {target.asset}"] = reason
