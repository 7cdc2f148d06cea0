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

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import groupby, pairwise
from typing import TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.asset_documents import Asset
from alerting.learning.features import moments
from alerting.learning.features.past_results import fill_results
from alerting.learning.features.plan import CategorySource, FeaturePlan, NumberSource
from alerting.learning.features.planning import plan_features
from alerting.learning.features.reading_counts import (
    AssetReadings,
    ReadingInterval,
    Samples,
    most_have_enough_readings,
    newest_sample,
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
    """Return a mask of the instants (ms) that a model scores: values are known, and most windows
    have enough readings."""
    has_values = has_any_value(plan, history, at) & has_needed_value(definition, plan, history, at)
    return has_values & most_have_enough_readings(plan, history, at)


def has_needed_value(
    definition: TrainedDefinition, plan: FeaturePlan, history: History, at: Millis
) -> BoolArray:
    """Return a mask of the instants (ms) at which the variable that a definition must know has a
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
LARGE = 1_000_000  # values of a table from which threads gain more time than starting them takes
ROWS_AT_ONCE = 1 << 15  # of readings or buckets, whose sums stay in the processor's cache
# least length of an interval that is worked on at once, in windows: each begins with one window
# more
WINDOWS_AT_ONCE = 8
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
    """Fill in the columns of these numbers (all by default), a row for each instant.

    The columns of `out` are contiguous.
    """
    chosen = [number for number in plan.numbers if names is None or number.name in names]
    at = np.ascontiguousarray(at)
    with ThreadPoolExecutor(THREADS) as threads:
        fill_all: Callable[..., Iterator[None]] = map if out.size < LARGE else threads.map
        for part in _chunks(at, _chunk_span(plan, readings)):
            interval = ReadingInterval(plan, readings, at[part])
            fill = partial(_fill_group, interval, part.start, out.T)
            deque(fill_all(fill, _groups(interval, chosen)), maxlen=0)


def _chunk_span(plan: FeaturePlan, readings: AssetReadings) -> int:
    """Return the ms of buckets that hold some ten thousand rows: memory stays bounded."""
    in_a_bucket = (
        len(readings.ts) * plan.bucket_ms // max(int(readings.ts[-1] - readings.ts[0]), 1)
        if len(readings.ts)
        else 1
    )
    buckets = max(1, ROWS_AT_ONCE // max(1, in_a_bucket))
    return max(buckets * plan.bucket_ms, WINDOWS_AT_ONCE * plan.longest_window_ms)


def _chunks(at: Millis, span: int) -> Iterator[slice]:
    """Return runs of instants, each in one interval."""
    if len(at):
        edges = [0, *(np.flatnonzero(np.diff((at - at[0]) // span)) + 1).tolist(), len(at)]
        yield from (slice(first, end) for first, end in pairwise(edges))


def _groups(
    interval: ReadingInterval, chosen: Iterable[NumberSource]
) -> list[Sequence[NumberSource]]:
    """Return the numbers that are summed up together: their values become known after the same
    delay, and they have the same kinds of columns."""

    def alike(number: NumberSource) -> tuple[int, bool, bool, tuple[int, ...]]:
        only_last = number.name in interval.plan.only_last
        lags = interval.plan.lags_of(number.name)
        return interval.delay_ms(number.name), bool(number.sampling_ms), only_last, lags

    groups: list[Sequence[NumberSource]] = []
    for (delay, *_), numbers in groupby(sorted(chosen, key=alike), alike):
        members = list(numbers)
        most = max(1, ROWS_AT_ONCE // max(interval.size, len(interval.window_rows(delay).times)))
        groups += (members[first : first + most] for first in range(0, len(members), most))
    return groups


def _fill_group(
    interval: ReadingInterval, first: int, out: Floats, numbers: Sequence[NumberSource]
) -> None:
    """Fill in the columns of numbers: the rows of `out` from the instant `first` on."""
    from alerting.learning.features import compiled  # noqa: PLC0415 - imports numba, half a second

    plan = interval.plan
    names = [number.name for number in numbers]
    rows = interval.window_rows(interval.delay_ms(names[0]))
    values = np.ascontiguousarray(interval.readings.matrix(names, rows.rows))
    begins = np.array([plan.number_blocks[name].start for name in names])
    windows = []
    expected = []
    block = plan.number_blocks[names[0]]
    for position, column in enumerate(plan.layout[block.start : block.stop]):
        span = column.window_ms or plan.longest_window_ms
        if column.aggregation in compiled.STATISTICS:
            statistic = compiled.STATISTICS.index(column.aggregation)
            windows.append((interval.windows[span // plan.bucket_ms], statistic, position))
            expected.append([max(span // (number.sampling_ms or span), 1) for number in numbers])
            continue
        is_lag = column.aggregation == "lag"
        at = interval.at - span if is_lag else interval.at
        for name, row, value in zip(names, begins + position, values, strict=True):
            samples = Samples(rows.times, value)
            until = rows.until
            if is_lag or plan.is_carried_forward(name):
                samples = (
                    interval.lag_samples(name, span) if is_lag else interval.readings.samples(name)
                )
                until = np.searchsorted(samples.times, at, side="right")
            is_age = column.aggregation == "age"
            compiled.write_newest(*samples, until, at, plan.carry_ms(name), is_age, out, row, first)
    if windows:
        compiled.write_windows(
            *moments.sum_up(rows.buckets, values),
            interval.last,
            interval.steps,
            interval.steps[:, 2] * plan.bucket_ms / 1000.0,
            np.array(windows),
            np.array(expected, np.float64).T.copy(),
            begins,
            out,
            first,
        )


def grid(start_ms: int, end_ms: int, stride_ms: int) -> Millis:
    """Return the instants t (ms) with start < t <= end that are whole strides since 1970."""
    return np.arange(start_ms // stride_ms + 1, end_ms // stride_ms + 1, dtype=np.int64) * stride_ms


def build_features(plan: FeaturePlan, history: History, at: Millis) -> pd.DataFrame:
    """Return a row per instant, columns as in the plan; missing is NaN.

    `at` increases. Instants on the plan's stride grid are fastest; each other phase, which a newer
    revision's stride may have, costs one more pass. Units: those of the readings; slope per hour,
    age and recency in seconds, missing a share from 0 to 1, count a number of events. Raises
    ValueError if `at` does not increase.
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
    floats = np.empty((len(assets), len(plan.columns) - len(plan.levels)), order="F")
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
            part = np.asfortranarray(floats[some])
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
