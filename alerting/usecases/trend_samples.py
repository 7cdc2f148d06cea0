"""Samples and buckets of an asset's variables over a span, from rollups where there are any, else
from readings; and further parts of charts: limits that change by themselves, as they were in force,
and the stored predictions, each graded by the value that came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.deferred import np, pd
from alerting.definitions.alert_definition import (
    Definition,
    ModelDefinition,
    TrainedDefinition,
)
from alerting.definitions.asset_documents import Asset, types_of
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.kinds.protocol import EvaluationSources, LoadedModels
from alerting.kinds.registry import moving_kind_of
from alerting.kinds.shared_inputs import SharedInputs
from alerting.learning.predicted_and_measured import ServedValues, compare_values
from alerting.ports import (
    ChartPorts,
    ModelUnavailable,
    ReadingColumns,
    Readings,
    ReportPorts,
    SandboxPorts,
    Scores,
    SeriesPorts,
    Wanted,
    WantedHistory,
)
from alerting.readings.buckets import (
    WIDTHS,
    Buckets,
    Interval,
    RollupSize,
    join_buckets,
    merge_buckets,
    merge_intervals,
    no_buckets,
    sample_buckets,
    subtract,
    without_good,
)
from alerting.readings.history import from_millis, millis, no_instants
from alerting.readings.interval_labels import bad_intervals
from alerting.reporting.variable_charts import NO_MOVING_LEVELS, LevelsInForce
from alerting.usecases.definitions.versions import segments

_FIRST = 600_000  # ms; how dense readings are is not known before
_MOMENT = timedelta(milliseconds=1)


class AssetSamples(NamedTuple):
    """The samples of each variable as buckets of one sample, from `start` (ms) on; `rows`: number
    of instants that were read."""

    by_variable: Mapping[str, Buckets]
    start: int
    rows: int


def read_samples(
    readings: Readings, asset: Asset, names: Sequence[str], start: int, end: int, most: int
) -> AssetSamples:
    """Return the samples in [start, end) (ms), as far back as about `most` instants reach.

    The lengths that are read grow with the distance of the readings, so the bound holds without a
    count. Raises UserError if a stored value is not of its variable's type.
    """
    pieces: dict[str, list[Buckets]] = {name: [] for name in names}
    first = end
    rows = 0
    length = _FIRST
    while first > start and rows < most:
        begin = max(start, first - length)
        columns = load_columns(readings, asset, names, begin, first)
        for fault in columns.faults.values():
            raise UserError(fault)
        for name in names:
            pieces[name].append(samples_of(asset, name, columns))
        first = begin
        rows = rows + len(columns.ts)
        fits = (most - rows) * (end - first) / rows if rows else 10 * length
        length = int(min(10 * length, max(fits, _FIRST)))
    joined = {name: join_buckets(reversed(buckets)) for name, buckets in pieces.items()}
    return AssetSamples(joined, first, rows)


def samples_of(asset: Asset, name: str, columns: ReadingColumns) -> Buckets:
    """Return the samples of a variable; a text counts as 0."""
    values = columns.values[name]
    numbers = np.where(pd.isna(values), np.nan, 0.0) if values.dtype == object else values
    bad = columns.doubts.bad.get(name, no_instants())
    return sample_buckets(asset, name, columns.ts, numbers, bad)


def load_columns(
    readings: Readings, asset: Asset, names: Sequence[str], start: int, end: int
) -> ReadingColumns:
    """Return all readings of variables in [start, end) (ms), computed variables included. Raises
    UserError for a value of the wrong type, if a variable is computed."""
    after = from_millis(start) - _MOMENT
    until = from_millis(end) - _MOMENT
    if not any(asset.is_computed(name) for name in names):
        request = Wanted(asset.name, types_of(asset, names), after)
        return readings.load_many([request], until)[asset.name]
    history = readings.load(WantedHistory(asset, after, until, names, events_since=until))
    columns = {name: history.readings[name].to_numpy() for name in names}
    return ReadingColumns(
        millis(pd.DatetimeIndex(history.readings.index)), columns, doubts=history.doubts
    )


@dataclass
class IntervalBuckets:
    """Buckets by variable. `rolled`: variables with some buckets from rollups; `unread`: times (ms)
    with too many readings."""

    by_variable: Mapping[str, Buckets]
    rolled: set[str] = field(default_factory=set)
    unread: tuple[Interval, ...] = ()


def read_buckets(
    platform: SeriesPorts,
    asset: Asset,
    names: Sequence[str],
    start: int,
    end: int,
    size: RollupSize | None,
    most: int,
) -> IntervalBuckets:
    """Return buckets of a size over [start, end) (ms), or for None the samples themselves.

    Values that are labelled bad count as bad. Times without rollups are read from readings, newest
    first, as far back as about `most` instants reach. The first and last bucket of a rollup may
    extend beyond the span.
    """
    if size is None:
        samples = read_samples(platform.readings, asset, names, start, end, most)
        return IntervalBuckets(samples.by_variable, unread=_rest(start, samples.start))
    width = WIDTHS[size]
    first = start // width * width
    state = platform.rollups.state(asset.name)
    labels = platform.labels.in_force([asset.name], None)
    bad = {name: bad_intervals(labels, asset, name) for name in names}
    covered = {
        name: tuple(subtract(state.covered(asset, name, first, end), _edges(bad[name], width)))
        if state
        else ()
        for name in names
    }
    rolled = {name for name in names if covered[name]}
    rollups = platform.rollups.load(asset.name, sorted(rolled), size, first, end)
    pieces: dict[str, list[Buckets]] = {}
    for name in names:
        pieces[name] = [
            without_good(rollups[name].select(*span), bad[name], width) for span in covered[name]
        ]
    unread: list[Interval] = []
    rows = 0
    alike_by_missing: dict[tuple[Interval, ...], list[str]] = {}
    for name in names:
        missing = tuple(subtract([(start, end)], covered[name]))
        alike_by_missing.setdefault(missing, []).append(name)
    for missing, alike in alike_by_missing.items():
        for since, until in reversed(missing):
            allowed = most - rows
            if allowed <= 0:
                unread.append((since, until))
                continue
            samples = read_samples(platform.readings, asset, alike, since, until, allowed)
            rows += samples.rows
            unread += _rest(since, samples.start)
            for name in alike:
                pieces[name].append(merge_buckets(samples.by_variable[name], width))
    by_variable = {name: _join_in_order(buckets) for name, buckets in pieces.items()}
    return IntervalBuckets(by_variable, rolled, merge_intervals(unread))


def _edges(bad: Sequence[Interval], width: int) -> list[Interval]:
    """Return the buckets that are labelled bad in part: these are read from readings."""
    cut = {at // width * width for interval in bad for at in interval if at % width}
    return [(start, start + width) for start in sorted(cut)]


def _rest(start: int, read_from: int) -> tuple[Interval, ...]:
    return ((start, read_from),) if read_from > start else ()


def _join_in_order(pieces: Sequence[Buckets]) -> Buckets:
    some = [piece for piece in pieces if len(piece.start)]
    return (
        join_buckets(sorted(some, key=lambda piece: int(piece.start[0]))) if some else no_buckets()
    )


def levels_in_force(
    platform: ChartPorts | ReportPorts | SandboxPorts,
    models: LoadedModels,
    definition: Definition,
    asset: Asset,
    start: datetime,
    end: datetime,
) -> LevelsInForce:
    """Return the limits in force in (start, end]; nothing for limits that do not change."""
    kind = moving_kind_of(definition) if isinstance(definition, ModelDefinition) else None
    if kind is None or start >= end:
        return NO_MOVING_LEVELS

    revisions = platform.definitions.revisions(definition.name)
    decisions = platform.decisions.for_definition(definition.name)
    sources = EvaluationSources(platform, models, asset, None, SharedInputs(platform.readings))
    try:
        return LevelsInForce(
            kind.moving_levels(definition, sources, segments(revisions, decisions, start, end))
        )
    except ModelUnavailable as unavailable:
        reason = translatable(
            "the limits in force are not drawn, for they cannot be read: {reason}",
            reason=str(unavailable),
        )
        return LevelsInForce({}, reason)


def load_served_values(
    scores: Scores,
    readings: Readings,
    definition: TrainedDefinition,
    asset: Asset,
    start: datetime,
    end: datetime,
) -> ServedValues | None:
    """Return the stored predictions of an asset in [start, end], with the samples known at `end`;
    None without any."""
    name = definition.must_know
    if name is None or name not in asset.variables:
        return None
    before = start - asset.delay(name) - definition.gap - 2 * definition.horizon
    history = readings.load(WantedHistory(asset, before, end, [name]))
    rows = scores.for_interval(definition.name, start, end + timedelta(milliseconds=1), asset.name)
    return compare_values(rows, history, name, definition.gap, end)
