"""Point-in-time views of an asset: the input of all learning."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.learning.features.build import grid
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.reading_counts import most_have_enough_readings
from alerting.readings.history import (
    History,
    LongHistory,
    Millis,
    duration_millis,
    event_delays,
    has_data,
    millis,
    no_events,
)
from alerting.readings.variable_series import usual_instants


def point_in_time_view(history: History, until: int, start: int | None = None) -> History:
    """Return the point-in-time view of a history at `until` (ms).

    It has the values whose delay had passed, the events that had started, and the ends that had
    come. Readings before `start` are excluded too; events are not, because their recency looks back
    without limit.
    """
    ts = millis(pd.DatetimeIndex(history.readings.index))
    first = 0 if start is None else int(np.searchsorted(ts, start, side="left"))
    readings = history.readings.iloc[first : int(np.searchsorted(ts, until, side="right"))]
    ts = millis(pd.DatetimeIndex(readings.index))
    late = {str(name): until - duration_millis(history.delay(str(name))) for name in readings}
    hidden = {
        name: readings[name].where(ts <= limit)
        for name, limit in late.items()
        if len(ts) and limit < ts[-1]
    }
    if hidden:
        readings = readings.assign(**hidden)
    starts = millis(history.events["start"])
    ends = history.events["end"]
    delay = event_delays(history)
    events = history.events.assign(end=ends.where(millis(ends) + delay <= until))[
        starts + delay <= until
    ]
    return replace(history, readings=readings, events=events, known_until=until)


def without_strays(history: History) -> History:
    """Return a history without the few readings that lie far from all others, as of a clock that
    was not set: they would stretch every period."""
    usual = usual_instants(millis(pd.DatetimeIndex(history.readings.index)))
    return replace(history, readings=history.readings.iloc[usual])


def long_view(history: LongHistory, until: int) -> LongHistory:
    """Return the point-in-time view of a long history at `until` (ms)."""
    bare = replace(history.head, events=no_events())

    def read(names: Sequence[str], start: int, end: int) -> pd.DataFrame:
        readings = history.read(names, start, min(end, until))
        return point_in_time_view(replace(bare, readings=readings), until).readings

    ends = [*(end for end in history.ends if end < until), until]
    return LongHistory(point_in_time_view(history.head, until), history.variables, ends, read)


def evaluated_instants(
    definition: TrainedDefinition, plan: FeaturePlan, history: History, start: int, end: int
) -> Millis:
    """Return the instants (ms) of (start, end] that are evaluated: the stride grid.

    Of the unit just made only those with a value of the plan's variables, known at once, in the
    stride before them.
    """
    if not definition.is_of_unit:
        return grid(start, end, plan.stride_ms)
    names = [v for v in plan.variables if v not in plan.carried_longer] or plan.variables
    made = np.zeros(len(history.readings), np.bool_)
    for name in names:
        if name in history.readings and not history.delay(name):
            made |= has_data(history, name)
    ts = millis(pd.DatetimeIndex(history.readings.index))[made]
    at = np.unique(-(-ts // plan.stride_ms) * plan.stride_ms)
    return at[(at > start) & (at <= end)]


def is_known(
    definition: TrainedDefinition, plan: FeaturePlan, history: History, at: Millis
) -> npt.NDArray[np.bool_]:
    """Return when a model is asked: values are known, and most windows have enough readings."""
    known = has_any_value(plan, history, at) & has_needed_value(definition, plan, history, at)
    return known & most_have_enough_readings(plan, history, at)


def has_needed_value(
    definition: TrainedDefinition, plan: FeaturePlan, history: History, at: Millis
) -> npt.NDArray[np.bool_]:
    """Return where the variable that a definition must know has a value."""
    name = definition.must_know
    if name is None:
        return np.ones(len(at), np.bool_)
    if name not in history.readings:
        return np.zeros(len(at), np.bool_)
    times = millis(pd.DatetimeIndex(history.readings.index))[
        has_data(history, name)
    ] + duration_millis(history.delay(name))
    newest = np.searchsorted(times, at, side="right")
    return np.asarray(newest > np.searchsorted(times, at - plan.carry_ms(name), side="right"))


def has_any_value(plan: FeaturePlan, history: History, at: Millis) -> npt.NDArray[np.bool_]:
    """Return whether the plan knows any value in the longest window before each instant.

    An instant without any value is unknown. A value that is carried forward for longer counts only
    in a plan without other variables: it would stay in force while every sensor is silent.
    """
    has_value = np.zeros(len(at), np.bool_)
    ts = millis(pd.DatetimeIndex(history.readings.index))
    for name in [v for v in plan.variables if v not in plan.carried_longer] or plan.variables:
        if has_value.all():
            break
        if name in history.readings:
            times = ts[has_data(history, name)] + duration_millis(history.delay(name))
            span = max(plan.carry_ms(name), plan.longest_window_ms)
            newest = np.searchsorted(times, at, side="right")
            has_value |= newest > np.searchsorted(times, at - span, side="right")
    return has_value
