"""Advance, in one vectorised step, the targets whose condition does not change in a batch,
including reprocessed ones."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from alerting.detection.threshold_batch import LimitColumns, ending_message, evaluate_unchanged
from alerting.episodes.state_table import (
    CarriedState,
    ConditionTable,
    advance_states,
    find_unchanged,
)
from alerting.episodes.targets import EvaluationTarget
from alerting.readings.history import to_millis
from alerting.readings.instants import NO_TIME
from alerting.readings.ragged import Flags, Positions, RaggedReadings, summarise_windows
from alerting.usecases.evaluation.batch_readings import BatchReadings
from alerting.usecases.evaluation.run import Batch


def advance_unchanged(
    as_of: datetime, batch: Batch, readings: BatchReadings, after: ConditionTable
) -> list[int]:
    """Write the new states of the targets whose condition does not change into `after`. Return
    their rows."""
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
    found = evaluate_unchanged(
        limits, carried, summarise_windows(series_values, series, begin, end), begin, end
    )
    unknown = ending_message(
        found, [target.title or target.variable or "" for target in targets], limits
    )
    advanced = advance_states(states, found, unknown, end - 1)
    unchanged = find_unchanged(states, severities, found)
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
    """Return the rows of the targets that the fast path can evaluate."""
    columns = batch.reprocessed, batch.base.watermark, batch.base.at, batch.base.variable
    rows = zip(batch.targets, *(column.tolist() for column in columns), strict=True)
    return [row for row, given in enumerate(rows) if _is_simple(*given)]


def _is_simple(
    target: EvaluationTarget,
    is_reprocessed: bool,
    since: int,
    carried_at: int,
    variable: str | None,
) -> bool:
    """Return whether the fast path can evaluate a target from its watermark `since`, with the
    reading that it carries.

    Its limits are numbers, its revision is the one of its last evaluation, or its first one, and it
    is not reprocessed with outcomes that may change.
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
    """Return which reprocessed targets need no write. Reprocessing has found no change of their
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
