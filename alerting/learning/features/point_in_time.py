"""The point-in-time view of an asset, which is the input of all learning; and the feature rows that
a model sees of this view, column by column.

A value is known at ts + delay; a window of length w at t covers the known times (t - w, t]. The
last value of a variable is carried forward until the next one is known, at most as long as the plan
says. A row depends only on its windows and on values carried forward (the recency of events: on all
events up to t). So it is the same, bit for bit, from a year of readings and from a slice that just
covers `plan.lookback` and begins with the newest earlier value of each variable in
`plan.carried_longer`. A value outside the engineering range of its variable is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby, pairwise
from typing import NamedTuple, TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.asset_documents import Asset
from alerting.learning.features import moments
from alerting.learning.features.moments import Index, Moments
from alerting.learning.features.past_results import fill_results
from alerting.learning.features.plan import CategorySource, FeaturePlan, NumberSource
from alerting.learning.features.planning import plan_features
from alerting.learning.features.reading_counts import (
    AssetReadings,
    ReadingInterval,
    Samples,
    drop_old_samples,
    most_have_enough_readings,
    newest_sample,
    newest_with_value,
    take,
)
from alerting.readings.history import (
    BoolArray,
    Floats,
    History,
    LongHistory,
    Millis,
    column_index,
    duration_millis,
    engineering_range,
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
    """Return a history without the few readings far from all others, such as those of a clock that
    was not set, which would stretch every period."""
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

    For the unit just made, only the instants with a value of the plan's variables, known at once,
    in the stride before them.
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
) -> BoolArray:
    """Return a mask of the instants that a model scores: values are known, and most windows have
    enough readings."""
    has_values = has_any_value(plan, history, at) & has_needed_value(definition, plan, history, at)
    return has_values & most_have_enough_readings(plan, history, at)


def has_needed_value(
    definition: TrainedDefinition, plan: FeaturePlan, history: History, at: Millis
) -> BoolArray:
    """Return a mask of the instants at which the variable that a definition must know has a
    value."""
    name = definition.must_know
    if name is None:
        return np.ones(len(at), np.bool_)
    return _has_recent_value(history, name, at, plan.carry_ms(name))


def has_any_value(plan: FeaturePlan, history: History, at: Millis) -> BoolArray:
    """Return a mask of the instants with any value of the plan's variables in the longest window
    before them.

    An instant without any value is unknown. A value that is carried forward for longer counts only
    in a plan without other variables, because it stays in force while every sensor is silent.
    """
    has_value = np.zeros(len(at), np.bool_)
    for name in [v for v in plan.variables if v not in plan.carried_longer] or plan.variables:
        if has_value.all():
            break
        span = max(plan.carry_ms(name), plan.longest_window_ms)
        has_value |= _has_recent_value(history, name, at, span)
    return has_value


def _has_recent_value(history: History, name: str, at: Millis, span: int) -> BoolArray:
    """Return a mask of the instants t with a value of a variable known in (t - span, t]."""
    if name not in history.readings:
        return np.zeros(len(at), np.bool_)
    ts = millis(pd.DatetimeIndex(history.readings.index))[has_data(history, name)]
    times = ts + duration_millis(history.delay(name))
    newest = np.searchsorted(times, at, side="right")
    return np.asarray(newest > np.searchsorted(times, at - span, side="right"))


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
__all__ = [
    "FeaturePlan",
    "build_features",
    "build_features_many",
    "build_features_of_assets",
    "declares_numbers_alike",
    "grid",
    "plan_features",
]

AT_ONCE = 1_000_000  # values of what-ifs that are computed together
Codes: TypeAlias = "npt.NDArray[np.integer]"


def fill_numbers(
    plan: FeaturePlan,
    readings: AssetReadings,
    at: Millis,
    out: Floats,
    names: Collection[str] | None = None,
) -> None:
    """Fill in the columns of these numbers (all by default), a row for each instant."""
    chosen = [number for number in plan.numbers if names is None or number.name in names]
    if out.size >= LARGE and out.flags.f_contiguous:
        _fill_compiled(plan, readings, at, out, chosen)
        return
    for part in _chunks(at, _chunk_span(plan, BUCKETS_AT_ONCE)):
        interval = ReadingInterval(plan, readings, at[part])
        for group in _groups(interval, chosen):
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


def _groups(interval: ReadingInterval, chosen: Iterable[NumberSource]) -> Iterator[_Group]:
    def alike(number: NumberSource) -> tuple[int, bool, bool, tuple[int, ...]]:
        only_last = number.name in interval.plan.only_last
        lags = interval.plan.lags_of(number.name)
        return interval.delay_ms(number.name), bool(number.sampling_ms), only_last, lags

    most = max(1, BUCKETS_AT_ONCE // interval.size)
    for (delay, *_), numbers in groupby(sorted(chosen, key=alike), alike):
        members = list(numbers)
        yield from (
            _Group(delay, members[first : first + most]) for first in range(0, len(members), most)
        )


def _fill_group(interval: ReadingInterval, group: _Group, out: Floats) -> None:
    plan = interval.plan
    rows = interval.window_rows(group.delay)
    names = [number.name for number in group.numbers]
    values = interval.readings.matrix(names, rows.rows)
    has_value = np.isfinite(values)
    windows = interval.window_moments(moments.bucket_moments(rows.buckets, values, has_value))
    index = drop_old_samples(
        rows.times, interval.at, plan.longest_window_ms, newest_with_value(has_value, rows.until)
    )
    last = _newest_of_rows(values, index)
    known_at = _newest_of_rows(rows.times.astype(np.float64), index)
    for i, name in enumerate(names if plan.carried_forward else ()):
        if plan.is_carried_forward(name):
            samples = interval.readings.samples(name)
            chosen = newest_sample(samples.times, interval.at, plan.carry_ms(name))
            last[i] = take(samples.values, chosen)
            known_at[i] = take(samples.times.astype(np.float64), chosen)
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
            out.T[into] = (interval.at - known_at) / 1000.0
        else:
            statistic = np.empty(windows.n.shape)
            if column.aggregation == "missing":
                expected = [
                    [max(span // (number.sampling_ms or span), 1) for span in plan.windows_ms]
                    for number in group.numbers
                ]
                share = windows.n / np.array(expected, np.float64)[:, :, None]
                np.clip(1.0 - share, 0.0, 1.0, out=statistic)
            else:
                _OF_MOMENTS[column.aggregation](windows, statistic)
            of_windows = np.arange(len(plan.windows_ms))
            out.T[into[:, None] + of_windows] = statistic
            position += len(of_windows) - 1


def _lagged(interval: ReadingInterval, names: Sequence[str], lag: int) -> Floats:
    lagged = np.empty((len(names), len(interval.at)))
    for i, name in enumerate(names):
        samples = interval.lag_samples(name, lag)
        carry = interval.plan.carry_ms(name)
        lagged[i] = take(samples.values, newest_sample(samples.times, interval.at - lag, carry))
    return lagged


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
    chosen: Sequence[NumberSource],
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
            for delay in {interval.delay_ms(number.name) for number in chosen}:
                interval.window_rows(delay)
            for _ in threads.map(
                lambda number, i=interval, first=part.start: _fill_number(i, number, first, out.T),
                chosen,
            ):
                pass


def _fill_number(interval: ReadingInterval, number: NumberSource, first: int, out: Floats) -> None:
    from alerting.learning.features import compiled  # noqa: PLC0415 - imports numba, which only large tables need

    plan = interval.plan
    rows = interval.window_rows(interval.delay_ms(number.name))
    values = interval.readings.matrix([number.name], rows.rows)[0]
    carry = plan.carry_ms(number.name)
    samples = Samples(rows.times, values)
    until = rows.until
    if plan.is_carried_forward(number.name):
        samples = interval.readings.samples(number.name)
        until = np.searchsorted(samples.times, interval.at, side="right")
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
                *samples, until, interval.at, carry, column.aggregation == "age", into
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


def grid(start_ms: int, end_ms: int, stride_ms: int) -> Millis:
    """Return the instants t with start < t <= end that are whole strides since 1970."""
    return np.arange(start_ms // stride_ms + 1, end_ms // stride_ms + 1, dtype=np.int64) * stride_ms


def build_features(plan: FeaturePlan, history: History, at: Millis) -> pd.DataFrame:
    """Return a row per instant, columns as in the plan; missing is NaN.

    `at` increases. Instants on the plan's stride grid are fastest; each other phase, which a newer
    revision's stride may have, costs one more pass. Units: those of the readings; slope per hour,
    age and recency in seconds, missing a share from 0 to 1, count a number of events.
    """
    if np.any(np.diff(at) <= 0):
        raise ValueError("instants of features must increase")
    phases = at % plan.bucket_ms
    if (phases != phases[:1]).any():
        passes = [
            build_features(plan, history, at[phases == p]).set_axis(np.flatnonzero(phases == p))
            for p in np.unique(phases)
        ]
        return pd.concat(passes).sort_index().set_axis(pd.RangeIndex(len(at)))
    readings = AssetReadings(history)
    floats = np.empty((len(at), len(plan.columns) - len(plan.levels)), order="F")
    fill_numbers(plan, readings, at, floats)
    return _with_other_columns(plan, readings, at, floats)


def build_features_of_assets(
    plan: FeaturePlan, histories: Sequence[History], at: Millis
) -> list[pd.DataFrame]:
    """Return what `build_features` returns for each of several assets at one instant.

    Their numbers are computed together, which takes a fifth of the time. The assets declare the
    numbers alike (`declares_numbers_alike`), and no value is carried forward for longer than the
    longest window.
    """
    assets = [AssetReadings(history) for history in histories]
    floats = np.empty((len(assets), len(plan.columns) - len(plan.levels)))
    joined, instants = _join(plan, assets, int(at[0]))
    fill_numbers(plan, AssetReadings(joined), instants, floats)
    return [
        _with_other_columns(plan, readings, at, row[None, :])
        for readings, row in zip(assets, floats, strict=True)
    ]


def declares_numbers_alike(plan: FeaturePlan, first: Asset, second: Asset) -> bool:
    """Return whether two assets have the same types, delays and ranges of a plan's numbers."""

    def declared(asset: Asset, name: str) -> tuple[object, ...]:
        kind = asset.variables[name].type if name in asset.variables else None
        return kind, asset.delay(name), engineering_range(asset, name)

    return all(declared(first, n.name) == declared(second, n.name) for n in plan.numbers)


def _join(plan: FeaturePlan, assets: Sequence[AssetReadings], at: int) -> tuple[History, Millis]:
    """Return the readings that the numbers of each asset see at an instant, and the instants. The
    assets follow one another in time, too far apart to see each other's readings."""
    names = tuple(number.name for number in plan.numbers)
    first = assets[0].history
    delay = max((duration_millis(first.delay(name)) for name in names), default=0)
    span = plan.reach_ms + max(delay, plan.delay_ms)
    shift = np.arange(len(assets)) * (span // plan.bucket_ms + 1) * plan.bucket_ms
    rows = [readings.rows_known(0, at - span, at) for readings in assets]
    ts = [
        readings.ts[seen] + apart for readings, seen, apart in zip(assets, rows, shift, strict=True)
    ]
    values = [readings.matrix(names, seen) for readings, seen in zip(assets, rows, strict=True)]
    index = pd.DatetimeIndex(np.concatenate(ts).astype("M8[ms]"), tz="UTC", name="ts")
    frame = pd.DataFrame(np.concatenate(values, axis=1).T, index, column_index(names), copy=False)
    return History(first.asset, frame), at + shift


def _with_other_columns(
    plan: FeaturePlan, readings: AssetReadings, at: Millis, floats: Floats
) -> pd.DataFrame:
    """Return rows whose columns of numbers are filled in, with all other columns filled in, too."""
    history = readings.history
    attributes = history.asset.attributes
    _fill_events(plan, history, at, floats)
    fill_results(plan, readings, at, floats, fill_numbers)
    for position, column in enumerate(plan.layout[: floats.shape[1]]):
        if column.kind == "attribute":
            value = attributes.get(column.source)
            floats[:, position] = value if isinstance(value, (int, float)) else np.nan
    codes = {f"{c.name}.last": _last_code(plan, readings, c, at) for c in plan.categories}
    for attribute in plan.category_attributes:
        level = str(attributes[attribute.name]) if attribute.name in attributes else None
        code = attribute.levels.index(level) if level in attribute.levels else -1
        codes[f"attribute/{attribute.name}"] = np.full(len(at), code)
    return _frame(plan, floats, codes)


def build_features_many(
    plan: FeaturePlan, history: History, at: int | Millis, changes: Sequence[Mapping[str, Floats]]
) -> pd.DataFrame:
    """Return a row per what-if, which is the history with changed values of some numeric variables.

    Each change maps variables to new values, one per row of `history.readings`. Only the columns of
    these variables are computed again, together for all what-ifs on the same variables, which makes
    thousands of what-ifs cheap; each row equals that of `build_features` on the changed history.
    The instants lie whole buckets of the plan apart.
    """
    instants = np.broadcast_to(np.asarray(at, np.int64), (len(changes),))
    distinct, which = np.unique(instants, return_inverse=True)
    before = build_features(plan, history, distinct)
    floats = before[list(plan.columns[: len(before.columns) - len(plan.levels)])].to_numpy()[which]
    by_names: dict[frozenset[str], list[int]] = {}
    for i, change in enumerate(changes):
        by_names.setdefault(frozenset(set(change) & set(plan.number_blocks)), []).append(i)
    most = max(1, AT_ONCE // max(1, len(history.readings)))
    for names, members in by_names.items():
        for first in range(0, len(members) if names else 0, most):
            some = members[first : first + most]
            tiled, seen = _tile(
                plan,
                history,
                instants[some],
                {n: [changes[i][n] for i in some] for n in sorted(names)},
            )
            part = floats[some]
            fill_numbers(plan, AssetReadings(tiled), seen, part, names)
            floats[some] = part
    codes = {name: before[name].cat.codes.to_numpy()[which] for name in plan.levels}
    return _frame(plan, floats, codes)


def _tile(
    plan: FeaturePlan, history: History, at: Millis, values: Mapping[str, Sequence[Floats]]
) -> tuple[History, Millis]:
    """Return the readings of the what-ifs one after another in time, too far apart to see each
    other, with their instants."""
    ts = millis(pd.DatetimeIndex(history.readings.index))
    carry = max((plan.carry_ms(name) for name in values), default=0)
    delay = max((duration_millis(history.delay(name)) for name in values), default=0)
    first, last = (int(ts[0]), int(ts[-1])) if len(ts) else (0, 0)
    seen = last - int(at.min()) + plan.reach_ms + carry + 2 * delay
    apart = (
        max(seen, last - first, int(at.max() - at.min())) // plan.bucket_ms + 1
    ) * plan.bucket_ms
    shift = np.arange(len(at), dtype=np.int64) * apart
    index = pd.DatetimeIndex(
        (ts[None, :] + shift[:, None]).ravel().astype("M8[ms]"), tz="UTC", name="ts"
    )
    columns = {
        name: np.concatenate([np.asarray(part, np.float64) for part in parts])
        for name, parts in values.items()
    }
    return History(history.asset, pd.DataFrame(columns, index=index)), at + shift


def _fill_events(plan: FeaturePlan, history: History, at: Millis, out: Floats) -> None:
    if not plan.events:
        return
    types = history.events["type"].to_numpy()
    starts = millis(history.events["start"]) + event_delays(history)
    # one type has one delay, so they stay sorted
    before = {event: starts[types == event] for event in plan.events}
    for position, column in enumerate(plan.layout):
        if column.kind != "event":
            continue
        begins = before[column.source]
        until = np.searchsorted(begins, at, side="right")
        if column.window_ms:
            out[:, position] = until - np.searchsorted(begins, at - column.window_ms, side="right")
        else:
            out[:, position] = (at - take(begins.astype(np.float64), until - 1)) / 1000.0


def _last_code(
    plan: FeaturePlan, readings: AssetReadings, category: CategorySource, at: Millis
) -> Codes:
    if category.name not in readings.history.readings or not len(at):
        return np.full(len(at), -1, np.int64)
    delay = duration_millis(readings.history.delay(category.name))
    carry = plan.carry_ms(category.name)
    rows = readings.rows_known(delay, int(at[0]) - carry, int(at[-1]))
    values = readings.history.readings[category.name].iloc[rows]
    has_value = values.notna().to_numpy()
    chosen = newest_sample((readings.ts[rows] + delay)[has_value], at, carry)
    codes = pd.Index(category.levels).get_indexer(pd.Index(values[has_value].astype(str)))
    return np.append(codes, -1)[chosen]


def _frame(plan: FeaturePlan, floats: Floats, codes: Mapping[str, Codes]) -> pd.DataFrame:
    frame = pd.DataFrame(floats, columns=column_index(plan.columns[: floats.shape[1]]), copy=False)
    for name, levels in plan.levels.items():
        frame[name] = pd.Categorical.from_codes(
            codes[name], categories=pd.Index(levels, dtype=object)
        )
    return frame
