"""Evaluate a batch of targets: fetch readings once, advance unchanged targets together, evaluate
the others one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.deferred import np
from alerting.definitions.alert_definition import Revision
from alerting.definitions.asset_documents import Asset, VariableType
from alerting.definitions.faults import UserError
from alerting.detection.threshold_batch import LimitColumns, ending_message, evaluate_unchanged
from alerting.episodes.evaluation_plan import (
    CarriedState,
    ConditionTable,
    EvaluationTarget,
    advance_states,
    find_unchanged,
)
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol import TargetEvaluation
from alerting.ports import Wanted
from alerting.readings.history import NO_TIME, Positions, from_millis, to_millis
from alerting.readings.variable_series import Flags, RaggedReadings, summarise_windows
from alerting.usecases.definitions.versions import answer_at, segments
from alerting.usecases.evaluation.commit import (
    RAISES_OF_TARGET,
    BatchResult,
    EvaluatedTarget,
    by_shard,
    commit_shard,
)
from alerting.usecases.evaluation.target import (
    Batch,
    BatchInputs,
    BatchReadings,
    EvaluationCounts,
    EvaluationRun,
    evaluate_parts,
    scores_of,
)

_AT_ONCE = 500
_VALUES_AT_ONCE = 5_000_000


def evaluate_batch(run: EvaluationRun, batch: Batch) -> Batch | None:
    """Evaluate targets up to the run's instant, write the results, and add to the run's counts.

    Return the targets that had too many raises for one unit of work, to be evaluated further from
    their present state; None if there is no such target.
    """
    readings = _fetch(run, batch)
    result = BatchResult(
        batch.before.take(range(len(batch.before))), np.zeros(len(batch.before), np.bool_)
    )
    staying = advance_unchanged(run.as_of, batch, readings, result.after)
    others = sorted(set(range(len(batch.before))) - set(staying))
    inputs = run.load_inputs([batch.targets[row] for row in others], readings)
    others = [row for row in others if batch.targets[row].definition in inputs.versions]
    ready = by_shard(batch, staying)
    cut: list[int] = []
    for evaluated in _portions(run, inputs, batch, others):
        cut += [row for row, evaluation in evaluated.items() if evaluation.is_cut]
        for row, evaluation in evaluated.items():
            result.reprocessed[row] = (
                evaluation.reprocessed.state if evaluation.is_reprocessed else None
            )
            if not evaluation.changes_episodes:
                result.after.write_state(
                    row,
                    evaluation.count_unknown(evaluation.since.state),
                    evaluation.reprocessed.state,
                )
                ready.setdefault(batch.targets[row].shard, []).append(row)
        changed = {
            row: evaluation for row, evaluation in evaluated.items() if evaluation.changes_episodes
        }
        for shard, of_shard in by_shard(batch, changed).items():
            commit_shard(
                run, batch, result, {row: changed[row] for row in of_shard}, ready.pop(shard, [])
            )
    for of_shard in ready.values():
        commit_shard(run, batch, result, {}, of_shard)
    going_on = [row for row in cut if result.advanced[row]]
    _count(run.counts, batch, result, len(going_on))
    return batch.go_on(going_on, result.after) if going_on else None


def _fetch(run: EvaluationRun, batch: Batch) -> BatchReadings:
    """Fetch the readings of every asset and variable of a threshold, from the earliest instant that
    a threshold needs."""
    types: dict[str, dict[str, VariableType]] = {}
    starts: dict[str, int] = {}
    for target, start in zip(batch.targets, batch.evaluated_from.tolist(), strict=True):
        if target.variable is not None:
            types.setdefault(target.asset, {})[target.variable] = target.type
            starts[target.asset] = min(start - target.lookback, starts.get(target.asset, start))
    fetched = [Wanted(name, types[name], from_millis(starts[name])) for name in types]
    return BatchReadings(run.platform.readings, fetched, run.as_of)


def _portions(
    run: EvaluationRun, inputs: BatchInputs, batch: Batch, rows: Sequence[int]
) -> Iterator[dict[int, EvaluatedTarget]]:
    """Evaluate rows, and yield portions to write together. A portion has as many rows as fit in
    memory with their histories."""
    portion: dict[int, EvaluatedTarget] = {}
    values = 0
    for row in rows:
        evaluated = _evaluate_target(run, inputs, batch, row)
        portion[row] = evaluated
        values += sum(
            0 if e.history is None else e.history.readings.size
            for e in (evaluated.reprocessed, evaluated.since)
        )
        if len(portion) == _AT_ONCE or values > _VALUES_AT_ONCE:
            yield portion
            portion = {}
            values = 0
    if portion:
        yield portion


def _evaluate_target(
    run: EvaluationRun, inputs: BatchInputs, batch: Batch, row: int
) -> EvaluatedTarget:
    target = batch.targets[row]
    # the newest, or an older one while the newest has no champion yet
    revisions, decisions = inputs.versions[target.definition]
    answer = answer_at(revisions, decisions, run.as_of).revision if decisions else None
    revision = answer or revisions[-1]
    asset = inputs.assets[target.asset]
    end = batch.evaluation_end(row, run.as_of)
    start = from_millis(batch.starts[row])
    state = batch.before.state(row) or ConditionState(watermark=start)
    if state.watermark > end:  # evaluated beyond now: all of it is evaluated again
        start = end
    evaluated_from = (batch.base.state(row) if batch.reprocessed[row] else None) or state
    reprocessed = _evaluate(run, inputs, revision, asset, evaluated_from, start)
    if reprocessed.state.watermark < start:
        # A model or value cannot be read. The stored request stays for the next round; without it
        # here this round evaluates the new times alone, from the state that is stored.
        run.requests.pop(target.key)
        reprocessed = TargetEvaluation(state)
        evaluated_from = state
    if evaluated_from is not state:  # why it ended unknown is carried to the next stride
        ended = replace(reprocessed.state, unknown_reason=reprocessed.unknown)
        reprocessed = replace(reprocessed, state=ended)
    since = _evaluate(run, inputs, revision, asset, reprocessed.state, end)
    until = _find_cut(since)
    if until is not None:
        since = _evaluate(run, inputs, revision, asset, reprocessed.state, until)
    if since.unreadable:
        run.counts.unreadable[revision.name] = since.unreadable
    return EvaluatedTarget(
        revision, asset, state, evaluated_from, reprocessed, since, until is not None
    )


def _find_cut(evaluation: TargetEvaluation) -> datetime | None:
    """Return the instant up to which an evaluation fits into one unit of work; None if all of it
    fits."""
    raises = [step.at for step, _ in evaluation.steps if step.kind == "raised"]
    # a moment before the first raise too many, so that the next unit of work finds it as new
    return (
        raises[RAISES_OF_TARGET] - timedelta(milliseconds=1)
        if len(raises) > RAISES_OF_TARGET
        else None
    )


def _evaluate(
    run: EvaluationRun,
    inputs: BatchInputs,
    revision: Revision,
    asset: Asset,
    state: ConditionState,
    until: datetime,
) -> TargetEvaluation:
    """Evaluate a target by the revisions and champions in force.

    A stored value of the wrong type stops its target at the watermark and becomes the reason why it
    is unknown.
    """
    if state.watermark >= until:
        return TargetEvaluation(state)
    parts = segments(*inputs.versions[revision.name], state.watermark, until)
    try:
        result = evaluate_parts(
            run.platform,
            run.models,
            asset,
            state,
            parts,
            read=inputs.readings.reader_for(asset),
            shared=inputs.shared,
        )
    except UserError as refusal:
        return TargetEvaluation(state, unknown=refusal.message)
    run.add_scores(scores_of(revision.name, asset, result))
    return result


def _count(counts: EvaluationCounts, batch: Batch, result: BatchResult, going_on: int) -> None:
    counts.targets += int(result.advanced.sum()) - going_on
    counts.elsewhere += int((~result.advanced).sum())
    counts.raised += sum(composed.raised for composed in result.composed.values())
    counts.closed += sum(composed.closed for composed in result.composed.values())
    counts.withdrawn += sum(composed.withdrawn for composed in result.composed.values())
    for target, reason in zip(batch.targets, result.after.unknown_reason, strict=True):
        if reason is not None:
            counts.unknown[f"{target.definition} on {target.asset}"] = reason


def advance_unchanged(
    as_of: datetime, batch: Batch, readings: BatchReadings, after: ConditionTable
) -> list[int]:
    """Advance the targets whose condition does not change, and write their new states into `after`.
    Return their rows."""
    series_values, index = readings.pack_series()
    rows = [row for row in _simple_rows(batch) if batch.targets[row].series in index]
    if not rows:
        return []
    targets = [batch.targets[row] for row in rows]
    states = _start_states(batch, rows)
    begin = states.watermark + 1
    end = to_millis(as_of) + 1 - np.array([target.latency for target in targets])
    series = np.array([index[target.series] for target in targets])
    limits = LimitColumns([target.limits for target in targets if target.limits])
    severities = [target.severities for target in targets]
    carried = states.carried_columns(severities)
    evaluation = evaluate_unchanged(
        limits, carried, summarise_windows(series_values, series, begin, end), begin, end
    )
    unknown = ending_message(
        evaluation, [target.title or target.variable or "" for target in targets], limits
    )
    advanced = advance_states(states, evaluation, unknown, end - 1)
    unchanged = find_unchanged(states, severities, evaluation)
    reprocessed = np.flatnonzero(unchanged & batch.reprocessed[rows]).tolist()
    if reprocessed:
        unchanged[reprocessed] = _needs_no_write(batch, [rows[i] for i in reprocessed])
        advanced.earlier.write_rows(
            reprocessed,
            _carried_at_watermarks(
                batch,
                [rows[i] for i in reprocessed],
                states.take(reprocessed),
                series_values,
                series[reprocessed],
            ),
        )
    staying = np.flatnonzero(unchanged).tolist()
    after.put_rows([rows[i] for i in staying], advanced.take(staying))
    return [rows[i] for i in staying]


def _simple_rows(batch: Batch) -> list[int]:
    columns = batch.reprocessed, batch.base.watermark, batch.base.at, batch.base.variable
    rows = zip(batch.targets, *(column.tolist() for column in columns), strict=True)
    return [row for row, values in enumerate(rows) if _is_simple(*values)]


def _is_simple(
    target: EvaluationTarget,
    is_reprocessed: bool,
    since: int,
    carried_at: int,
    variable: str | None,
) -> bool:
    """Return whether the fast path can evaluate a target from its watermark `since`, with the
    reading that it carries forward.

    Its limits must be numbers, its revision must be the one of its last evaluation, or its first
    one, and it must not be reprocessed with outcomes that may change.
    """
    if target.limits is None or (target.has_outcome and is_reprocessed):
        return False
    if since == NO_TIME:
        return len(target.severities) == 1 and target.revision == 1
    in_force = target.since < since or (target.since == since and target.revision == 1)
    return in_force and carried_at != NO_TIME and variable == target.variable


def _start_states(batch: Batch, rows: Sequence[int]) -> ConditionTable:
    """Return the states to evaluate from. A target that was never evaluated waits for its first
    reading."""
    states = batch.base.take(rows)
    starts = batch.starts[np.asarray(rows)]
    new = states.watermark == NO_TIME
    states.watermark[new] = starts[new]
    states.at[new] = starts[new]
    states.since[new] = starts[new]
    for i in np.flatnonzero(new).tolist():
        states.variable[i] = batch.targets[rows[i]].variable
    return states


def _needs_no_write(batch: Batch, rows: Sequence[int]) -> Flags:
    """Return which reprocessed targets need no write, because reprocessing did not change their
    condition.

    The earlier evaluation agrees if the condition is the same at both ends, because every step
    changes it.
    """
    before = batch.before
    base = batch.base
    same = [
        before.conditions[row] == base.conditions[row]
        and before.variable[row] == base.variable[row]
        for row in rows
    ]
    return np.array(same, np.bool_)


def _carried_at_watermarks(
    batch: Batch,
    rows: Sequence[int],
    states: ConditionTable,
    series_values: RaggedReadings,
    series: Positions,
) -> CarriedState:
    """Return the corrected values, at their watermarks, of reprocessed targets whose condition did
    not change."""
    targets = [batch.targets[row] for row in rows]
    ends = batch.starts[rows]
    limits = LimitColumns([target.limits for target in targets if target.limits])
    carried = states.carried_columns([target.severities for target in targets])
    begin = states.watermark + 1
    carried_end = evaluate_unchanged(
        limits, carried, summarise_windows(series_values, series, begin, ends + 1), begin, ends + 1
    ).carried
    return CarriedState(ends, carried_end.at, carried_end.value, carried_end.since)
