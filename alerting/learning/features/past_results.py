"""Columns that compare the present with the last results of a variable that is measured seldom.

The course of such a variable is its slow level, which only results show, and what the process does
now. So a row has the mean of the last results, and the mean of each statistic at the instants at
which they were taken: what moved since then moves the estimate.
"""

from collections.abc import Callable

from alerting.deferred import np
from alerting.learning.features.plan import AT_RESULTS, LAST_RESULTS, FeaturePlan, over_results
from alerting.learning.features.reading_counts import AssetReadings
from alerting.readings.history import Floats, Millis, duration_millis


def fill_results(
    plan: FeaturePlan,
    readings: AssetReadings,
    at: Millis,
    out: Floats,
    fill_numbers: Callable[[FeaturePlan, AssetReadings, Millis, Floats], None],
) -> None:
    """Fill in the columns on the last results known at each instant, if the plan has any: means
    over at most LAST_RESULTS of them, NaN without one."""
    if not plan.results_of:
        return
    samples = readings.samples(plan.results_of)
    ends = np.searchsorted(samples.times, at, side="right")
    oldest = np.searchsorted(samples.times, at - plan.results_span_ms, side="right")
    begins = np.maximum(ends - LAST_RESULTS, oldest)
    first = int(begins.min(initial=len(samples.times)))
    last = int(ends.max(initial=first))
    taken = samples.times[first:last] - duration_millis(readings.history.delay(plan.results_of))
    # a model is fitted on the instant before a result, which its label follows
    instants, of_result = np.unique((taken - 1) // plan.stride_ms, return_inverse=True)
    process = plan.of_process
    statistics = np.empty((len(instants), len(process.columns)), order="F")
    if len(instants):
        fill_numbers(process, readings, instants * plan.stride_ms, statistics)
    where = [i for i, c in enumerate(plan.layout) if c.aggregation in ("results", "at_results")]
    filled = np.array_split(where, len(plan.results_over))
    names = [
        plan.columns[i].removesuffix(over_results(plan.results_over[0], AT_RESULTS))
        for i in filled[0]
    ]
    chosen = [process.columns.index(name) for name in names[1:]]
    columns = np.column_stack([samples.values[first:last], statistics[of_result][:, chosen]])
    total = np.zeros((len(at), columns.shape[1]))
    count = np.zeros(total.shape)
    for back in range(1, LAST_RESULTS + 1):
        rows = np.flatnonzero(ends - back >= begins)
        values = columns[ends[rows] - back - first]
        has_value = ~np.isnan(values)
        total[rows] += np.where(has_value, values, 0.0)
        count[rows] += has_value
        if back in plan.results_over:
            positions = filled[plan.results_over.index(back)]
            out[:, positions] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
