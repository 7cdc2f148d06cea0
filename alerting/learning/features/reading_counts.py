"""Readings in the windows before an instant: after a pause, a window with few of them says little.

A mean of one reading varies more than the mean of ten from which a model has learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple, TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.wording.language import translatable
from alerting.learning.features.moments import BoolArray
from alerting.learning.features.plan import FeaturePlan, UsualCount
from alerting.learning.features.samples import AssetReadings
from alerting.readings.history import History, Millis, duration_millis, millis

TOO_FEW = translatable("too few readings since the pause")
_LEAST = 3  # usual readings; half of fewer is any reading at all
_REGULAR = 0.95  # of the running windows have half of the usual readings, else a count says nothing
_LEAST_WINDOWS = 20
_MOST_VALUES = 4_000_000  # that are counted at once
_MOST_INSTANTS = 10_000  # of a history, from which the usual counts are taken
Counts: TypeAlias = "npt.NDArray[np.int32]"


class Windowed(NamedTuple):
    """Readings in windows before instants: `counts` of (variable, window) in columns.

    `running`: whether the asset had readings in both halves of each window (instants x windows).
    `whole`: whether no pause longer than half of it ends in the window.
    """

    counts: Counts
    running: BoolArray
    whole: BoolArray


def count_readings(
    history: History, names: Sequence[str], windows_ms: Sequence[int], at: Millis
) -> Windowed:
    """Return how many readings of each variable lie in each window (t - w, t] before instants.

    The first reading ends a pause: the history reaches back by half a window more.
    """
    counts, times = _count_values(history, names, windows_ms, at)
    return Windowed(
        counts,
        np.stack([_runs(times, at, w) for w in windows_ms], axis=1),
        np.stack([_is_whole(times, at, w) for w in windows_ms], axis=1),
    )


def _count_values(
    history: History, names: Sequence[str], windows_ms: Sequence[int], at: Millis
) -> tuple[Counts, Millis]:
    """Return the counts of `count_readings`, and the instants in its windows, and half a window
    before, with a reading of any variable."""
    counts = np.zeros((len(at), len(names) * len(windows_ms)), np.int32)
    if not len(at):
        return counts, np.empty(0, np.int64)
    readings = AssetReadings(history)
    begin = int(at.min()) - 3 * max(windows_ms) // 2
    rows = readings.rows_known(0, begin, int(at.max()))
    ts = readings.ts[rows]
    any_there = np.zeros(len(ts), np.bool_)
    until = np.searchsorted(ts, at, side="right")
    since = [np.searchsorted(ts, at - window, side="right") for window in windows_ms]
    size = max(1, _MOST_VALUES // max(len(ts), 1))
    for first in range(0, len(names), size):
        some = names[first : first + size]
        there = np.isfinite(readings.matrix(some, rows))
        any_there |= there.any(axis=0)
        sums = np.zeros((len(some), len(ts) + 1), np.int32)
        np.cumsum(there, axis=1, dtype=np.int32, out=sums[:, 1:])
        for number, start in enumerate(since):
            columns = (first + np.arange(len(some))) * len(windows_ms) + number
            counts[:, columns] = (sums[:, until] - sums[:, start]).T
    return counts, ts[any_there]


def _runs(times: Millis, at: Millis, window: int) -> BoolArray:
    """Return whether there are readings in both halves of the window before each instant."""
    bounds = np.searchsorted(times, [at - window, at - window // 2, at], side="right")
    return np.asarray((np.diff(bounds, axis=0) > 0).all(axis=0))


def _is_whole(times: Millis, at: Millis, window: int) -> BoolArray:
    """Return whether no pause longer than half a window ends in the window before each instant."""
    resumed = times[np.diff(times, prepend=np.iinfo(np.int64).min // 2) > window // 2]
    count = np.searchsorted(resumed, [at - window, at], side="right")
    return np.asarray(count[0] == count[1])


def reach_of_pauses(plan: FeaturePlan) -> timedelta:
    """Return how far before the windows of a plan a pause begins that still counts in them."""
    return timedelta(milliseconds=plan.longest_window_ms // 2)


def regular_names(plan: FeaturePlan, history: History) -> tuple[str, ...]:
    """Return the numbers of a plan whose windows fill as the asset runs: known at once, sampled
    within the shortest window, not carried forward."""
    return tuple(
        number.name
        for number in plan.numbers
        if not duration_millis(history.delay(number.name))
        and not plan.is_carried_forward(number.name)
        and (number.sampling_ms or 0) <= plan.windows_ms[0]
    )


def usual_counts(
    names: Sequence[str], windows_ms: Sequence[int], found: Windowed
) -> tuple[UsualCount, ...]:
    """Return the median count of each variable and window, over windows in which the asset ran.

    None of a variable with fewer than three readings in a window, or with counts that vary.
    """
    usual = []
    columns = [(name, window) for name in names for window in range(len(windows_ms))]
    for position, (name, window) in enumerate(columns):
        counts = found.counts[found.running[:, window], position]
        if len(counts) < _LEAST_WINDOWS:
            continue
        median = int(np.median(counts))
        if median >= _LEAST and float((2 * counts >= median).mean()) >= _REGULAR:
            usual.append(UsualCount(name, windows_ms[window], median))
    return tuple(usual)


def with_usual_counts(plan: FeaturePlan, histories: Sequence[History]) -> FeaturePlan:
    """Return the plan of a model of a problem, with the usual counts of its shortest window.

    Longer windows are not waited for: they would silence a model for hours after each pause.
    """
    names = [
        name
        for name in (regular_names(plan, histories[0]) if histories else ())
        if all(name in regular_names(plan, history) for history in histories)
    ]
    parts = []
    windows = plan.windows_ms[:1]
    for history in histories:
        ts = millis(pd.DatetimeIndex(history.readings.index))
        chosen = ts[:: max(1, len(ts) // _MOST_INSTANTS)]
        parts.append(count_readings(history, names, windows, chosen))
    if not parts or not names:
        return plan
    found = Windowed(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    return replace(plan, usual=usual_counts(names, windows, found))


def has_enough_readings(plan: FeaturePlan, history: History, at: Millis) -> BoolArray:
    """Return where no window of a variable is filled to less than half, most are filled, and no
    pause ends in one.

    A variable without any reading is silent, which is not for counts to say. The history reaches
    back by `reach_of_pauses` more than features do.
    """
    if not plan.usual:
        return np.ones(len(at), np.bool_)
    names = tuple(dict.fromkeys(one.name for one in plan.usual))
    windows = tuple(sorted({one.window_ms for one in plan.usual}))
    return _are_filled(plan, names, windows, count_readings(history, names, windows, at))


def most_have_enough_readings(plan: FeaturePlan, history: History, at: Millis) -> BoolArray:
    """Return where at least half of the variables have half of their usual readings: a silent
    sensor is no pause."""
    return _mostly_filled(_usual_windows(plan, history, at), plan)


def are_filled(plan: FeaturePlan, history: History, found: Windowed) -> BoolArray:
    """Return for counted instants what `has_enough_readings` returns."""
    return _are_filled(plan, regular_names(plan, history), plan.windows_ms, found)


def _usual_windows(plan: FeaturePlan, history: History, at: Millis) -> Counts:
    if not plan.usual:
        return np.zeros((len(at), 0), np.int32)
    names = tuple(dict.fromkeys(one.name for one in plan.usual))
    windows = tuple(sorted({one.window_ms for one in plan.usual}))
    return _of_usual(plan, names, windows, _count_values(history, names, windows, at)[0])


def _of_usual(
    plan: FeaturePlan, names: Sequence[str], windows: Sequence[int], counts: Counts
) -> Counts:
    """Return the counts of the windows that have a usual one (instants x usual counts)."""
    return counts[
        :,
        [names.index(one.name) * len(windows) + windows.index(one.window_ms) for one in plan.usual],
    ]


def _short(counts: Counts, plan: FeaturePlan) -> BoolArray:
    return np.asarray(2 * counts < np.array([one.readings for one in plan.usual], np.int32))


def _mostly_filled(counts: Counts, plan: FeaturePlan) -> BoolArray:
    return np.asarray(2 * _short(counts, plan).sum(axis=1) <= len(plan.usual))


def _are_filled(
    plan: FeaturePlan, names: Sequence[str], windows: Sequence[int], found: Windowed
) -> BoolArray:
    counts = _of_usual(plan, names, windows, found.counts)
    partly = (_short(counts, plan) & (counts > 0)).any(axis=1)
    counted = [windows.index(one) for one in {one.window_ms for one in plan.usual}]
    return np.asarray(_mostly_filled(counts, plan) & ~partly & found.whole[:, counted].all(axis=1))
