"""Advance, in one vectorised step, the targets whose condition does not change in a batch, including reprocessed ones."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from alerting.detection.threshold_batch import LimitColumns, ending_message, evaluate_unchanged
from alerting.episodes.state_table import NEVER, ConditionTable, Status, advanced_states, stay
from alerting.readings.history import from_millis, to_millis
from alerting.readings.ragged import Flags, Positions, RaggedReadings, summarise_windows
from alerting.usecases.evaluation.batch_readings import BlockReadings
from alerting.usecases.evaluation.run import Block, Run

_MOMENT = timedelta(milliseconds=1)


def advance_unchanged(run: Run, block: Block, readings: BlockReadings, after: ConditionTable) -> list[int]:
    """Write the new states of the targets whose condition does not change into `after`. Return their rows."""
    packed, places = readings.packed()
    rows = [row for row, watch in enumerate(block.watched) if _is_simple(block, row) and watch.series in places]
    if not rows:
        return []
    watched, spells = [block.watched[row] for row in rows], _begun(block, rows)
    begin = spells.watermark + 1
    end = to_millis(run.as_of) + 1 - np.array([watch.latency for watch in watched])
    series = np.array([places[watch.series] for watch in watched])
    limits = LimitColumns([watch.limits for watch in watched if watch.limits])
    severities = [watch.severities for watch in watched]
    carried = spells.carried(severities)
    found = evaluate_unchanged(limits, carried, summarise_windows(packed, series, begin, end), begin, end)
    unknown = ending_message(found, [watch.variable or "" for watch in watched], limits)
    moved = advanced_states(spells, found, unknown, end - 1)
    stays = stay(spells, severities, found)
    again = np.flatnonzero(stays & block.again[rows]).tolist()
    if again:
        stays[again] = _nothing_to_store(run, block, [rows[i] for i in again])
        moved.earlier.put(again, _at_watermarks(block, [rows[i] for i in again], spells.take(again), packed, series[again]))
    staying = np.flatnonzero(stays).tolist()
    after.put_rows([rows[i] for i in staying], moved.take(staying))
    return [rows[i] for i in staying]


def _is_simple(block: Block, row: int) -> bool:
    """Return whether the fast path can evaluate a target.

    Its limits are numbers, and its revision is the one of its last evaluation, or its first one.
    """
    watch, spells = block.watched[row], block.base
    if watch.limits is None:
        return False
    if spells.watermark[row] == NEVER:
        return len(watch.severities) == 1 and watch.revision == 1
    since = spells.watermark[row]
    in_force = watch.since < since or (watch.since == since and watch.revision == 1)
    return bool(in_force and spells.at[row] != NEVER and spells.variable[row] == watch.variable)


def _begun(block: Block, rows: Sequence[int]) -> ConditionTable:
    """Return the states to evaluate from. A target that was never evaluated waits for its first reading."""
    spells, starts = block.base.take(rows), block.starts[np.asarray(rows)]
    new = spells.watermark == NEVER
    spells.watermark[new], spells.at[new], spells.since[new] = starts[new], starts[new], starts[new]
    for i in np.flatnonzero(new).tolist():
        spells.variable[i] = block.watched[rows[i]].variable
    return spells


def _nothing_to_store(run: Run, block: Block, rows: Sequence[int]) -> Flags:
    """Return which reprocessed targets need no write. Reprocessing has found no change of their condition.

    The earlier evaluation agrees if the condition is the same at both ends, because every step changes it, and if no other
    episode is stored. An evaluator killed before it advanced the watermark may have raised or closed another one.
    """
    before, base = block.before, block.base
    same = [before.conditions[row] == base.conditions[row] and before.variable[row] == base.variable[row] for row in rows]
    return np.array(same, np.bool_) & only_known_episodes(run, block, rows)


def only_known_episodes(run: Run, block: Block, rows: Sequence[int]) -> Flags:
    """Return which targets have no live episode, open or raised in the reprocessed interval, other than that of their state."""
    kept = _stored_episodes(run, block, rows) if rows else {}
    open_ones = [block.before.conditions[row].raised_at for row in rows]
    expected = [[] if raised_at is None else [(raised_at, None)] for raised_at in open_ones]
    return np.array([kept[row] == episodes for row, episodes in zip(rows, expected, strict=True)], np.bool_)


def _stored_episodes(run: Run, block: Block, rows: Sequence[int]) -> dict[int, list[tuple[datetime, datetime | None]]]:
    """Return, by row, start and end of the live episodes that are open or were raised in the reprocessed interval."""
    pairs, begun = {block.watched[row].pair: row for row in rows}, block.begun
    since = from_millis(min(begun[row] for row in rows)) + _MOMENT
    found: dict[int, list[tuple[datetime, datetime | None]]] = {row: [] for row in rows}
    for alarm in run.platform.episodes.alarms(since, run.as_of + _MOMENT, active_from=since):
        row = pairs.get((alarm.definition, alarm.asset))
        if row is not None and not alarm.backfilled and (alarm.closed_at is None or to_millis(alarm.raised_at) > begun[row]):
            found[row].append((alarm.raised_at, alarm.closed_at))
    return found


def _at_watermarks(
    block: Block, rows: Sequence[int], spells: ConditionTable, packed: RaggedReadings, series: Positions
) -> Status:
    """Return the corrected values, at their watermarks, of reprocessed targets whose condition did not change."""
    watched, ends = [block.watched[row] for row in rows], block.starts[rows]
    limits = LimitColumns([watch.limits for watch in watched if watch.limits])
    carried, begin = spells.carried([watch.severities for watch in watched]), spells.watermark + 1
    stood = evaluate_unchanged(limits, carried, summarise_windows(packed, series, begin, ends + 1), begin, ends + 1).carried
    return Status(ends, stood.at, stood.value, stood.since)
