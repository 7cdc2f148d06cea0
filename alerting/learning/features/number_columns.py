"""Columns of number variables: statistics of windows, the newest value and its age, lagged values.

There are two ways that give the same bits: small tables are computed by numpy, variables together;
large ones by compiled functions, variable by variable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, pairwise
from typing import NamedTuple

from alerting.deferred import np
from alerting.learning.features import moments
from alerting.learning.features.moments import Floats, Index, Moments
from alerting.learning.features.plan import FeaturePlan, NumberSource
from alerting.learning.features.samples import (
    AssetReadings,
    ReadingInterval,
    Samples,
    drop_old_samples,
    newest_sample,
    newest_there,
    take,
)
from alerting.readings.history import Millis

THREADS = 4  # that fill in the columns of a large table; compiled code works without Python's lock
# values of a table from which compiled functions gain more time than loading them takes
LARGE = 16_000_000
BUCKETS_AT_ONCE = 1 << 14  # the statistics of this number of buckets stay in the processor's cache
COMPILED_AT_ONCE = 1 << 16  # rows that are sorted into buckets at once for compiled functions
# least length of an interval that is worked on at once, in windows: each begins with one window
# more
WINDOWS_AT_ONCE = 8
_OF_MOMENTS: Mapping[str, Callable[[Moments, Floats], None]] = {
    "mean": moments.mean,
    "std": moments.std,
    "min": moments.low,
    "max": moments.high,
    "slope": moments.slope,
}


def fill_numbers(
    plan: FeaturePlan,
    readings: AssetReadings,
    at: Millis,
    out: Floats,
    names: Collection[str] | None = None,
) -> None:
    """Fill in the columns of these numbers (all by default), a row for each instant."""
    wanted = [number for number in plan.numbers if names is None or number.name in names]
    if out.size >= LARGE and out.flags.f_contiguous:
        _fill_compiled(plan, readings, at, out, wanted)
        return
    for part in _chunks(at, _chunk_span(plan, BUCKETS_AT_ONCE)):
        interval = ReadingInterval(plan, readings, at[part])
        for group in _groups(interval, wanted):
            _fill_group(interval, group, out[part])


def _chunk_span(plan: FeaturePlan, buckets: int) -> int:
    return max(buckets * plan.bucket_ms, WINDOWS_AT_ONCE * plan.longest_window_ms)


def _chunks(at: Millis, span: int) -> Iterator[slice]:
    """Return runs of instants, each in one interval: memory stays bounded."""
    if len(at):
        edges = [0, *(np.flatnonzero(np.diff((at - at[0]) // span)) + 1).tolist(), len(at)]
        yield from (slice(first, end) for first, end in pairwise(edges))


# ---- small tables


class _Group(NamedTuple):
    """Numbers with the same kinds of columns whose values become known after the same delay."""

    delay: int
    numbers: Sequence[NumberSource]


def _groups(interval: ReadingInterval, wanted: Iterable[NumberSource]) -> Iterator[_Group]:
    def alike(number: NumberSource) -> tuple[int, bool, tuple[int, ...]]:
        return (
            interval.delay_ms(number.name),
            bool(number.sampling_ms),
            interval.plan.lags_of(number.name),
        )

    most = max(1, BUCKETS_AT_ONCE // interval.size)
    for (delay, *_), numbers in groupby(sorted(wanted, key=alike), alike):
        members = list(numbers)
        yield from (
            _Group(delay, members[first : first + most]) for first in range(0, len(members), most)
        )


def _fill_group(interval: ReadingInterval, group: _Group, out: Floats) -> None:
    plan = interval.plan
    rows = interval.window_rows(group.delay)
    names = [number.name for number in group.numbers]
    values = interval.readings.matrix(names, rows.rows)
    there = np.isfinite(values)
    windows = interval.window_moments(moments.bucket_moments(rows.buckets, values, there))
    index = drop_old_samples(
        rows.times, interval.at, plan.longest_window_ms, newest_there(there, rows.until)
    )
    last = _newest_of_rows(values, index)
    known = _newest_of_rows(rows.times.astype(np.float64), index)
    for i, name in enumerate(names if plan.carried_forward else ()):
        if plan.is_carried_forward(name):
            samples = interval.readings.samples(name)
            chosen = newest_sample(samples.times, interval.at, plan.carry_ms(name))
            last[i] = take(samples.values, chosen)
            known[i] = take(samples.times.astype(np.float64), chosen)
    block = plan.number_blocks[names[0]]
    first = np.array([plan.number_blocks[name].start for name in names])
    position = block.start
    while position < block.stop:
        column = plan.layout[position]
        into = first + position - block.start
        position += 1
        if column.aggregation == "lag":
            lag = column.window_ms or plan.longest_window_ms
            out.T[into] = _lagged(interval, names, lag)
        elif column.aggregation == "last":
            out.T[into] = last + 0.0
        elif column.aggregation == "age":
            out.T[into] = (interval.at - known) / 1000.0
        else:
            found = np.empty(windows.n.shape)
            if column.aggregation == "missing":
                np.clip(1.0 - windows.n / _expected(plan, group)[:, :, None], 0.0, 1.0, out=found)
            else:
                _OF_MOMENTS[column.aggregation](windows, found)
            of_windows = np.arange(len(plan.windows_ms))
            out.T[into[:, None] + of_windows] = found
            position += len(of_windows) - 1


def _expected(plan: FeaturePlan, group: _Group) -> Floats:
    """Return how many samples each window has if none is missing (numbers x windows)."""
    return np.array(
        [
            [max(span // (number.sampling_ms or span), 1) for span in plan.windows_ms]
            for number in group.numbers
        ],
        np.float64,
    )


def _lagged(interval: ReadingInterval, names: Sequence[str], lag: int) -> Floats:
    found = np.empty((len(names), len(interval.at)))
    for i, name in enumerate(names):
        samples = interval.lag_samples(name, lag)
        carry = interval.plan.carry_ms(name)
        found[i] = take(samples.values, newest_sample(samples.times, interval.at - lag, carry))
    return found


def _newest_of_rows(values: Floats, index: Index) -> Floats:
    """Return the values at these indices (variables x instants), NaN for -1."""
    return np.where(
        index < 0,
        np.nan,
        np.take_along_axis(np.atleast_2d(values), index, axis=1) if values.size else np.nan,
    )


# ---- large tables


def _fill_compiled(
    plan: FeaturePlan,
    readings: AssetReadings,
    at: Millis,
    out: Floats,
    wanted: Sequence[NumberSource],
) -> None:
    in_a_bucket = (
        len(readings.ts) * plan.bucket_ms // max(int(readings.ts[-1] - readings.ts[0]), 1)
        if len(readings.ts)
        else 1
    )
    buckets = max(1, COMPILED_AT_ONCE // max(1, in_a_bucket))
    with ThreadPoolExecutor(THREADS) as threads:
        for part in _chunks(at, _chunk_span(plan, buckets)):
            interval = ReadingInterval(plan, readings, at[part])
            for delay in {interval.delay_ms(number.name) for number in wanted}:
                interval.window_rows(delay)
            for _ in threads.map(
                lambda number, i=interval, first=part.start: _fill_number(i, number, first, out.T),
                wanted,
            ):
                pass


def _fill_number(interval: ReadingInterval, number: NumberSource, first: int, out: Floats) -> None:
    from alerting.learning.features import compiled  # noqa: PLC0415 - imports numba, which only large tables need

    plan = interval.plan
    rows = interval.window_rows(interval.delay_ms(number.name))
    values = interval.readings.matrix([number.name], rows.rows)[0]
    carry = plan.carry_ms(number.name)
    known = Samples(rows.times, values)
    until = rows.until
    if plan.is_carried_forward(number.name):
        known = interval.readings.samples(number.name)
        until = np.searchsorted(known.times, interval.at, side="right")
    steps = moments.merge_steps(interval.lengths)
    numbers = {length: i for i, length in enumerate((1, *steps))}
    merged = np.array(
        [(numbers[older], numbers[newer], newer) for older, newer in steps.values()], np.int64
    ).reshape(-1, 3)
    block = plan.number_blocks[number.name]
    columns = []
    expected = []
    for position in range(block.start, block.stop):
        column = plan.layout[position]
        span = plan.layout[position].window_ms or plan.longest_window_ms
        into = out[position, first : first + len(interval.at)]
        if column.aggregation in compiled.STATISTICS:
            window = numbers[span // plan.bucket_ms]
            columns.append((window, compiled.STATISTICS.index(column.aggregation), position))
            expected.append(float(max(span // (number.sampling_ms or span), 1)))
        elif column.aggregation == "lag":
            lagged = interval.lag_samples(number.name, span)
            before = interval.at - span
            compiled.write_newest(
                *lagged,
                np.searchsorted(lagged.times, before, side="right"),
                before,
                carry,
                False,
                into,
            )
        else:
            compiled.write_newest(
                *known, until, interval.at, carry, column.aggregation == "age", into
            )
    if columns:
        bucket = rows.buckets.bucket
        seconds = rows.buckets.seconds
        where, runs = (
            (bucket, np.stack([values, seconds], axis=1))
            if rows.buckets.alone
            else compiled.run_moments(bucket, seconds, values)
        )
        widths = merged[:, 2] * plan.bucket_ms / 1000.0
        compiled.write_windows(
            where,
            runs,
            interval.last,
            merged,
            widths,
            np.array(columns),
            np.array(expected),
            out,
            first,
        )
