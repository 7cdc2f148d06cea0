"""Evaluate a batch of targets: fetch readings once, advance unchanged targets together, evaluate
the others one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.deferred import np
from alerting.definitions.alert_definition import Revision
from alerting.definitions.asset_documents import Asset
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
from alerting.readings.history import NO_TIME, Positions, from_millis, to_millis
from alerting.readings.variable_series import RaggedReadings, summarise_windows
from alerting.usecases.definitions.versions import answer_at, segments
from alerting.usecases.evaluation.commit import (
    RAISES_OF_TARGET,
    BatchResult,
    commit_shard,
    store_scores,
)
from alerting.usecases.evaluation.inputs import (
    Batch,
    BatchReadings,
    EvaluationRun,
    TargetInputs,
)
from alerting.usecases.evaluation.target import EvaluatedTarget, evaluate_parts

_AT_ONCE = 500
_VALUES_AT_ONCE = 5_000_000


def evaluate_batch(run: EvaluationRun, batch: Batch) -> Batch | None:
    """Evaluate targets up to the run's instant, write the results, and add to the run's counts.

    Return the targets that had too many raises for one unit of work, to be evaluated further from
    their present state; None if there is no such target.
    """
    readings = BatchReadings(run.platform.readings, batch, run.as_of)
    rows = range(len(batch.targets))
    result = BatchResult(batch.before.take(rows), np.zeros(len(rows), np.bool_))
    ready = batch.by_shard(advance_unchanged(run.as_of, batch, readings, result.after))
    others = sorted(set(rows).difference(*ready.values()))
    cut: list[int] = []
    for evaluated in _portions(run, batch, others, readings) if others else ():
        store_scores(run.platform.scores, evaluated.values())
        cut += [row for row, target in evaluated.items() if target.is_cut]
        changed: dict[int, EvaluatedTarget] = {}
        for row, target in evaluated.items():
            if target.since.unreadable:
                run.counts.unreadable[target.revision.name] = target.since.unreadable
            if batch.reprocessed[row] and not target.is_reprocessed:
                # its request stays stored for the next round
                run.requests.pop(batch.targets[row].key)
            result.reprocessed[row] = target.reprocessed.state if target.is_reprocessed else None
            if target.changes_episodes:
                changed[row] = target
            else:
                result.after.write_state(row, target.since.state, target.reprocessed.state)
                ready.setdefault(batch.targets[row].shard, []).append(row)
        for shard, of_shard in batch.by_shard(changed).items():
            commit_shard(
                run, batch, result, {row: changed[row] for row in of_shard}, ready.pop(shard, [])
            )
    for of_shard in ready.values():
        commit_shard(run, batch, result, {}, of_shard)
    going_on = [row for row in cut if result.advanced[row]]
    run.counts.targets += int(result.advanced.sum()) - len(going_on)
    run.counts.elsewhere += int((~result.advanced).sum())
    for (name, asset), reason in zip(
        result.after.keys, result.after.unknown_reason.tolist(), strict=True
    ):
        if reason is not None:
            run.counts.unknown[f"{name} on {asset}"] = reason
    return batch.go_on(going_on, result.after) if going_on else None


def _portions(
    run: EvaluationRun, batch: Batch, rows: Sequence[int], readings: BatchReadings
) -> Iterator[dict[int, EvaluatedTarget]]:
    """Evaluate rows, and yield portions to write together. A portion has as many rows as fit in
    memory with their histories. Targets of definitions without a revision are left out."""
    inputs = run.load_inputs(batch, rows, readings)
    portion: dict[int, EvaluatedTarget] = {}
    values = 0
    for row in (row for row in rows if batch.targets[row].definition in inputs.versions):
        evaluated = _evaluate_target(inputs, row)
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


def _evaluate_target(inputs: TargetInputs, row: int) -> EvaluatedTarget:
    """Evaluate a target: first again up to its watermark, if it is reprocessed, then from there."""
    batch = inputs.batch
    target = batch.targets[row]
    # the newest, or an older one while the newest has no champion yet
    revisions, decisions = inputs.versions[target.definition]
    answer = answer_at(revisions, decisions, inputs.as_of).revision if decisions else None
    revision = answer or revisions[-1]
    asset = inputs.assets[target.asset]
    end = inputs.as_of - timedelta(milliseconds=target.latency)
    start = from_millis(batch.starts[row])
    state = batch.before.state(row) or ConditionState(watermark=start)
    if state.watermark > end:  # evaluated beyond now: all of it is evaluated again
        start = end
    evaluated_from = (batch.base.state(row) if batch.reprocessed[row] else None) or state
    reprocessed = _evaluate(inputs, revision, asset, evaluated_from, start)
    if reprocessed.state.watermark < start:
        # A model or value cannot be read: this round evaluates the new times alone, from the state
        # that is stored.
        reprocessed = TargetEvaluation(state, scores=reprocessed.scores)
        evaluated_from = state
    if evaluated_from is not state:  # why it ended unknown is carried to the next stride
        ended = replace(reprocessed.state, unknown_reason=reprocessed.unknown)
        reprocessed = replace(reprocessed, state=ended)
    since = _evaluate(inputs, revision, asset, reprocessed.state, end)
    raises = [step.at for step, _ in since.steps if step.kind == "raised"]
    is_cut = len(raises) > RAISES_OF_TARGET
    if is_cut:
        # a moment before the first raise too many, so that the next unit of work finds it as new
        until = raises[RAISES_OF_TARGET] - timedelta(milliseconds=1)
        since = _evaluate(inputs, revision, asset, reprocessed.state, until)
    ended = replace(
        since.state,
        unknown_count=state.unknown_count + 1 if since.unknown else 0,
        unknown_reason=since.unknown,
    )
    since = replace(since, state=ended)
    return EvaluatedTarget(revision, asset, state, evaluated_from, reprocessed, since, is_cut)


def _evaluate(
    inputs: TargetInputs, revision: Revision, asset: Asset, state: ConditionState, until: datetime
) -> TargetEvaluation:
    """Evaluate a target by the revisions and champions in force.

    A stored value of the wrong type stops its target at the watermark and becomes the reason why it
    is unknown.
    """
    if state.watermark >= until:
        return TargetEvaluation(state)
    parts = segments(*inputs.versions[revision.name], state.watermark, until)
    try:
        return evaluate_parts(
            inputs.platform,
            inputs.models,
            asset,
            state,
            parts,
            fetched=inputs.readings.find,
            shared=inputs.shared,
        )
    except UserError as refusal:
        return TargetEvaluation(state, unknown=refusal.message)


def advance_unchanged(
    as_of: datetime, batch: Batch, readings: BatchReadings, after: ConditionTable
) -> list[int]:
    """Advance the targets whose condition does not change, and write their new states into `after`.
    Return their rows."""
    series_values, index = readings.pack_series()
    base = batch.base
    columns = batch.reprocessed, base.watermark, base.at, base.variable
    rows = [
        row
        for row, values in enumerate(
            zip(batch.targets, *(column.tolist() for column in columns), strict=True)
        )
        if _is_simple(*values) and values[0].series in index
    ]
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
        again = [rows[i] for i in reprocessed]
        before = batch.before
        # the earlier evaluation agrees if the condition is the same at both ends, because every
        # step changes it
        unchanged[reprocessed] = [
            before.conditions[row] == base.conditions[row]
            and before.variable[row] == base.variable[row]
            for row in again
        ]
        advanced.earlier.write_rows(
            reprocessed,
            _carried_at_watermarks(
                batch, again, states.take(reprocessed), series_values, series[reprocessed]
            ),
        )
    staying = np.flatnonzero(unchanged).tolist()
    after.put_rows([rows[i] for i in staying], advanced.take(staying))
    return [rows[i] for i in staying]


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
