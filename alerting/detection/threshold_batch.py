"""Threshold kind, batch of targets: detect, without evaluating each value, that all values of a
target give the same result.

If the greatest value of a series is within an upper limit, so is every other value. This
comparison, and the same for lower limits, gaps and runs of equal values, is computed for all
targets together. Where values may differ in their result, and for cases not covered here, the
result is `MAY_CHANGE`. Every other result equals that of `threshold.evaluate_values`, reading by
reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import NamedTuple, TypeAlias

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import Condition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.threshold_limits import learned_limits, levels_on, unknown_limits
from alerting.detection.evaluation_results_and_texts import stale_message, waiting_message
from alerting.readings.history import FAR_FUTURE, Millis, duration_millis
from alerting.readings.variable_series import Flags, Numbers, WindowSummary

Codes: TypeAlias = "npt.NDArray[np.int8]"
MAY_CHANGE, CLEAR, ABOVE, BELOW, MEETS, NO_DATA_ALERT, NO_VALUE = range(7)
SOUND, WAITING, STALE = range(3)


class BatchLimits(NamedTuple):
    """Limits of one target as numbers. A missing limit is a number that no value exceeds.

    `inside_low`, `inside_high`: ends of the band `inside`, or both the value of `equals`;
    `leave_low`, `leave_high`: ends of the band that values must leave before that is over. `low`,
    `high`: engineering range. `stale_after`, `frozen_after`: ms. `no_data_alerts`: missing data are
    a reason to raise. `levels`: number of severities with limits.
    """

    above: float
    clear_above_at: float
    below: float
    clear_below_at: float
    inside_low: float
    inside_high: float
    leave_low: float
    leave_high: float
    low: float
    high: float
    stale_after: int
    frozen_after: int
    no_data_alerts: bool
    levels: int


def limits_of(definition: Condition, asset: Asset) -> BatchLimits | None:
    """Return the limits of a target; None for targets that must be evaluated reading by reading.

    Such targets have rates, numbers in a time, counts of readings, texts, learned limits, silence
    that is clear, or limits that the asset does not state.
    """
    variable = asset.variables.get(definition.variable)
    text = variable is not None and variable.type == "category"
    if (
        definition.rate_per is not None
        or definition.count_within is not None
        or definition.at_least is not None
        or text
        or learned_limits(definition)
        or definition.no_data == "clear"
    ):
        return None
    if unknown_limits(definition, asset):
        return None
    levels = levels_on(definition, asset)
    equals = levels[0].equals
    if isinstance(equals, str):
        return None
    above = min([inf, *[x.above for x in levels if x.above is not None]])
    below = max([-inf, *[x.below for x in levels if x.below is not None]])
    clear_above = levels[0].clear_above_at
    clear_below = levels[0].clear_below_at
    inside = levels[0].inside or ((inf, -inf) if equals is None else (equals, equals))
    leave = levels[0].leave or inside
    ignore = definition.no_data == "ignore"
    low = None if variable is None or ignore else variable.low
    high = None if variable is None or ignore else variable.high
    return BatchLimits(
        above=above,
        clear_above_at=above if clear_above is None else clear_above,
        below=below,
        clear_below_at=below if clear_below is None else clear_below,
        inside_low=inside[0],
        inside_high=inside[1],
        leave_low=leave[0],
        leave_high=leave[1],
        low=-inf if low is None else low,
        high=inf if high is None else high,
        stale_after=FAR_FUTURE if ignore else duration_millis(definition.stale_after),
        frozen_after=FAR_FUTURE
        if definition.frozen_after is None
        else duration_millis(definition.frozen_after),
        no_data_alerts=definition.no_data == "alert",
        levels=len(levels),
    )


class LimitColumns:
    """Limits of many targets, a column for each field of `BatchLimits`."""

    def __init__(self, rows: Sequence[BatchLimits]) -> None:
        columns = np.array(rows, np.float64).reshape(len(rows), len(BatchLimits._fields)).T
        self.above, self.clear_above_at, self.below, self.clear_below_at = columns[:4]
        self.inside_low, self.inside_high, self.leave_low, self.leave_high, self.low, self.high = (
            columns[4:10]
        )
        self.stale_after = columns[10].astype(np.int64)
        self.frozen_after = columns[11].astype(np.int64)
        self.no_data_alerts = columns[12] > 0
        self.single = columns[13] == 1


@dataclass(frozen=True)
class CarriedColumns:
    """Carried readings, one row per target: taken `at`, unchanged `since` (ms); `value` NaN: none
    yet.

    `above`, `below`: whether the value is beyond that limit, or was and has not come back to
    `clear_at`; `inside`: whether it is in the band, or was and has not left the wider band.
    """

    at: Millis
    value: Numbers
    since: Millis
    above: Flags
    below: Flags
    inside: Flags


@dataclass(frozen=True)
class Unchanged:
    """Result from the watermark to the end, one row per target, and the reading that is carried
    forward from the end.

    `status`: the result that every value has, NO_VALUE without any value; between values data may
    be missing, which is unknown, unless it `keeps_arriving`. `ends`: whether the last value is
    still in force at the end, is STALE, or a first value is still WAITING to come.
    """

    status: Codes
    ends: Codes
    carried: CarriedColumns
    keeps_arriving: Flags


def evaluate_unchanged(
    limits: LimitColumns,
    carried: CarriedColumns,
    summary: WindowSummary,
    begin: Millis,
    end: Millis,
) -> Unchanged:
    """Evaluate the readings of [begin, end) (ms), summed up in `summary`, together with the carried
    readings."""
    nothing = summary.count == 0
    waiting = np.isnan(carried.value)
    low = np.where(nothing, carried.value, np.fmin(carried.value, summary.low))
    high = np.where(nothing, carried.value, np.fmax(carried.value, summary.high))
    keeps_arriving = _keeps_arriving(limits, carried, summary, begin, end)
    moves = _changes_in_time(limits, carried, summary, end) & (
        keeps_arriving | ~limits.no_data_alerts
    )
    sound = moves & (low >= limits.low) & (high <= limits.high)
    status = np.where(sound, _by_value(limits, carried, low, high), MAY_CHANGE)
    after = _carried_on(carried, summary)
    ends = np.where(
        after.at + limits.stale_after < end, STALE, np.where(nothing & waiting, WAITING, SOUND)
    )
    without = nothing & (waiting | (carried.at + limits.stale_after < begin))
    missing = without & limits.no_data_alerts & (ends == STALE)
    status[without] = NO_VALUE
    status[missing] = np.where(carried.at + limits.stale_after < begin, NO_DATA_ALERT, MAY_CHANGE)[
        missing
    ]
    return Unchanged(
        status.astype(np.int8),
        ends.astype(np.int8),
        after,
        keeps_arriving | (status >= NO_DATA_ALERT),
    )


def ending_message(
    evaluated: Unchanged, titles: Sequence[str], limits: LimitColumns
) -> list[str | None]:
    """Return why the status at the end is unknown, by target; None where it is known. `titles`: of
    the variables."""
    rows = zip(
        evaluated.status.tolist(),
        evaluated.ends.tolist(),
        titles,
        limits.stale_after.tolist(),
        strict=True,
    )
    return [
        None
        if status == NO_DATA_ALERT or ends == SOUND
        else waiting_message(title)
        if ends == WAITING
        else stale_message(title, timedelta(milliseconds=stale_after))
        for status, ends, title, stale_after in rows
    ]


def _by_value(
    limits: LimitColumns, carried: CarriedColumns, low: Numbers, high: Numbers
) -> npt.NDArray[np.int64]:
    """Return the result that the least and the greatest value of each target imply.

    Between a limit and its clear limit, the previous side counts.
    """
    within = (
        ~carried.above
        & ~carried.below
        & ~carried.inside
        & (high <= limits.above)
        & (low >= limits.below)
    )
    clear = within & ((high < limits.inside_low) | (low > limits.inside_high))
    above = carried.above & ~carried.below & (low > limits.clear_above_at) & (low >= limits.below)
    below = carried.below & ~carried.above & (high < limits.clear_below_at) & (high <= limits.above)
    meets = carried.inside & (low >= limits.leave_low) & (high <= limits.leave_high)
    triggered = np.select([above, below, meets], [ABOVE, BELOW, MEETS], MAY_CHANGE)
    return np.where(clear, CLEAR, np.where(limits.single, triggered, MAY_CHANGE))


def _keeps_arriving(
    limits: LimitColumns,
    carried: CarriedColumns,
    summary: WindowSummary,
    begin: Millis,
    end: Millis,
) -> Flags:
    """Return a mask of the targets of which no reading becomes stale before the next one or the
    end."""
    until_first = (summary.first <= begin) | (summary.first - carried.at <= limits.stale_after)
    fresh = (
        until_first
        & (summary.gap <= limits.stale_after)
        & (end - summary.last <= limits.stale_after)
    )
    keeps: Flags = np.where(summary.count == 0, end - carried.at <= limits.stale_after, fresh)
    return keeps


def _changes_in_time(
    limits: LimitColumns, carried: CarriedColumns, summary: WindowSummary, end: Millis
) -> Flags:
    """Return a mask of the targets of which no value stays the same for too long."""
    waiting = np.isnan(carried.value)
    since = np.where(waiting, np.where(summary.count == 0, end, summary.first), carried.since)
    changes: Flags = end - since <= limits.frozen_after
    return changes


def _carried_on(carried: CarriedColumns, summary: WindowSummary) -> CarriedColumns:
    nothing = summary.count == 0
    same = summary.constant & (summary.value == carried.value)
    return CarriedColumns(
        at=np.where(nothing, carried.at, summary.last),
        value=np.where(nothing, carried.value, summary.value),
        since=np.where(nothing | same, carried.since, summary.since),
        above=carried.above,
        below=carried.below,
        inside=carried.inside,
    )
