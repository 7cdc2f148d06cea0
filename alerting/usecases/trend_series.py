"""Series of several variables over a span, with few enough points to draw, in which extremes stay;
and the variables to choose from, with their last day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from alerting.deferred import np, pd
from alerting.definitions.alert_definition import AssetIndex, Revision, matching_assets
from alerting.definitions.asset_documents import Asset, Variable, event_titles
from alerting.definitions.faults import NotFound, UserError, format_duration, name_hint
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import Alarm
from alerting.ports import EpisodePorts, PlantPorts, Readings, SeriesPorts, WantedHistory
from alerting.readings.buckets import (
    HOUR,
    WIDTHS,
    Buckets,
    Interval,
    RollupSize,
    find_bad,
    find_gaps,
    gap_limit,
    merge_buckets,
    merge_intervals,
    subtract,
)
from alerting.readings.history import (
    DAY_MS,
    Floats,
    Millis,
    duration_millis,
    find_members,
    from_millis,
    to_millis,
)
from alerting.usecases.episodes.mutes_and_suppression import assets_upwards
from alerting.usecases.time_labels import without_bad_values
from alerting.usecases.trend_samples import IntervalBuckets, read_buckets, read_samples

MOST_VARIABLES = 12
LONGEST = timedelta(days=3653)
AS_THEY_ARE = 4_000
"""Readings of a variable that are returned as they are stored."""
MOST_READINGS = 100_000
"""Instants of which one request reads the readings themselves."""

_MOST_AMONG_OTHERS = 10_000
"""Instants that are read for the sake of a variable with few samples."""
_LONGEST_OF_MINUTES = 400 * DAY_MS
_LEAST: tuple[tuple[RollupSize, int], ...] = (("hours", 2), ("minutes", 4))
"""Buckets are wide enough if they leave a half, or a fourth, of the points that are asked for."""
Source = Literal["readings", "minutes", "hours"]


@dataclass(frozen=True)
class VariableSeries:
    """One variable: each point is a reading, or a bucket that begins at `t` (ms).

    `low`, `high`, `mean`: NaN where there is no good value. `gaps`, `bad`: times (ms). `count`:
    good samples in the span. `source`: from which data the points were made.
    """

    variable: str
    title: str
    unit: str | None
    source: Source
    t: Millis
    low: Floats
    high: Floats
    mean: Floats
    gaps: tuple[Interval, ...]
    bad: tuple[Interval, ...]
    count: int


@dataclass(frozen=True)
class SeriesAnswer:
    """Series of an asset's variables. `unread`: times (ms) whose readings are too many to be read;
    they are missing in every series."""

    asset: str
    start: datetime
    end: datetime
    series: list[VariableSeries]
    unread: tuple[Interval, ...]


def read_series(
    platform: SeriesPorts,
    asset: str,
    variables: Sequence[str],
    start: datetime,
    end: datetime,
    points: int,
    now: datetime,
) -> SeriesAnswer:
    """Return series of numbers over [start, end), each with about `points` points or 4,000 readings
    at most. Times after `now` are no gaps.

    Raises NotFound for an unknown asset or variable, and UserError for a variable that is no
    number, a span that does not end after its start or is longer than ten years, and a stored value
    that is not of its variable's type.
    """
    declared = find_asset(platform, asset)
    platform = without_bad_values(platform)
    names = list(dict.fromkeys(variables))
    for name in names:
        _require_number(declared, name)
    require_span(start, end)
    first = to_millis(start)
    last = to_millis(end)
    span = first, last
    # the widest buckets that leave enough points
    size = next(
        (size for size, least in _LEAST if (last - first) * least >= points * WIDTHS[size]), None
    )
    buckets = read_buckets(platform, declared, names, *span, size, MOST_READINGS)
    made = {name: _choose_buckets(buckets, name, size) for name in names}
    made |= _refine(platform, declared, made, span)
    width = max(1, -(-(last - first) // points))
    past = first, max(first, min(last, to_millis(now)))
    series = [
        _make_series(declared, name, made[name], past, buckets.unread, width) for name in names
    ]
    return SeriesAnswer(declared.name, start, end, series, buckets.unread)


def find_asset(platform: PlantPorts, name: str) -> Asset:
    """Return an asset. Raises NotFound."""
    asset = platform.assets.get(name)
    if asset is None:
        raise NotFound(f"there is no asset {name!r}")
    return asset


def require_span(start: datetime, end: datetime) -> None:
    """Check a span of a request. Raises UserError."""
    if end <= start:
        raise UserError("end: must lie after start")
    if end - start > LONGEST:
        raise UserError(
            f"end: at most {format_duration(LONGEST)} after start; ask for a shorter span"
        )


def _require_number(asset: Asset, name: str) -> None:
    declared = asset.variables.get(name)
    if declared is None:
        hint = name_hint(name, asset.variables, translatable("known variables"))
        raise NotFound(f"{asset.name!r} declares no variable {name!r}" + (hint and f" ({hint})"))
    if declared.type != "number":
        raise UserError(
            f"variable: {name!r} is a {declared.type}; a series is of numbers, because a text or a "
            "switch has no mean"
        )


class _Shown(NamedTuple):
    """Buckets of a width (ms), 0 for the samples themselves, and the data from which they were
    made."""

    buckets: Buckets
    width: int
    source: Source

    @property
    def good(self) -> int:
        return int(self.buckets.count.sum())

    def is_few(self) -> bool:
        """Return whether these are buckets whose samples are few enough to be given themselves."""
        return self.width > 0 and max(self.good, len(self.buckets.start)) <= AS_THEY_ARE


def _choose_buckets(read: IntervalBuckets, name: str, size: RollupSize | None) -> _Shown:
    """Return the buckets of a variable; if each holds a single good sample, the samples."""
    buckets = read.by_variable[name]
    if size is None:
        return _Shown(buckets, 0, "readings")
    if not buckets.bad.any() and (buckets.count <= 1).all():
        return _Shown(replace(buckets, start=buckets.first), 0, "readings")
    return _Shown(buckets, WIDTHS[size], size if name in read.rolled else "readings")


def _refine(
    platform: SeriesPorts, asset: Asset, made: Mapping[str, _Shown], span: Interval
) -> dict[str, _Shown]:
    """Return finer data for variables with few samples: minutes if each holds one sample, else
    readings, if there are not many readings of other variables among them."""
    better: dict[str, _Shown] = {}
    few = [name for name, shown in made.items() if shown.is_few()]
    hourly = [name for name in few if made[name].width == HOUR]
    if hourly and span[1] - span[0] <= _LONGEST_OF_MINUTES:
        fine = read_buckets(platform, asset, hourly, *span, "minutes", MOST_READINGS)
        better = {
            name: _choose_buckets(fine, name, "minutes") for name in hourly if not fine.unread
        }
    few = [name for name in few if better.get(name, made[name]).is_few()]
    if few:
        samples = read_samples(platform.readings, asset, few, *span, _MOST_AMONG_OTHERS)
        if samples.start == span[0]:
            better |= {name: _Shown(samples.by_variable[name], 0, "readings") for name in few}
    return better


def longest_hold(declared: Variable, buckets: Buckets) -> int | None:
    """Return how long (ms) a value stands for itself before its absence is a gap."""
    if declared.carry_forward is not None:
        return duration_millis(declared.carry_forward)
    usual = declared.sampling
    return gap_limit(buckets, None if usual is None else duration_millis(usual))


def gaps_of(
    declared: Variable, buckets: Buckets, span: Interval, unread: Iterable[Interval]
) -> tuple[Interval, ...]:
    """Return the times of a span without a good sample, except times that were not read."""
    gaps = find_gaps(buckets, *span, longest_hold(declared, buckets))
    return tuple(subtract(merge_intervals((a, b) for a, b in gaps.tolist()), unread))


def _make_series(
    asset: Asset, name: str, made: _Shown, span: Interval, unread: Sequence[Interval], width: int
) -> VariableSeries:
    declared = asset.variables[name]
    shown = made.buckets
    shown_width = made.width
    if made.good > AS_THEY_ARE or (made.width and width > made.width):
        shown_width = -(-width // max(1, made.width)) * max(1, made.width)
        shown = merge_buckets(made.buckets, shown_width)
    gaps = gaps_of(declared, made.buckets, span, unread)
    t, low, high, mean = _points(shown, gaps, span[0])
    return VariableSeries(
        name,
        declared.title or name,
        declared.unit,
        made.source,
        t,
        low,
        high,
        mean,
        gaps,
        tuple((a, b) for a, b in find_bad(shown, shown_width, span[1]).tolist()),
        made.good,
    )


def _points(
    shown: Buckets, gaps: Sequence[Interval], start: int
) -> tuple[Millis, Floats, Floats, Floats]:
    """Return the points of buckets, with a missing one in each gap, so that no line crosses it."""
    mean = np.full(len(shown.start), np.nan)
    np.divide(shown.total, shown.count, out=mean, where=shown.count > 0)
    t = np.maximum(shown.start, start)
    if not gaps:
        return t, shown.low, shown.high, mean
    breaks = np.array([begin + 1 for begin, _ in gaps], np.int64)
    breaks = breaks[~find_members(breaks, shown.start)]
    nothing = np.full(len(breaks), np.nan)
    t = np.concatenate([t, breaks])
    order = np.argsort(t, kind="stable")

    def with_breaks(column: Floats) -> Floats:
        return np.concatenate([column, nothing])[order]

    return t[order], with_breaks(shown.low), with_breaks(shown.high), with_breaks(mean)


_MOST_READINGS = 4_000


@dataclass(frozen=True)
class AssetLine:
    """An asset with the number of its variables and the instant of its newest reading."""

    asset: Asset
    last_reading: datetime | None


class LastSample(NamedTuple):
    """A good sample."""

    at: datetime
    value: float | str | bool


@dataclass(frozen=True)
class VariableLine:
    """A variable with its newest good sample of the read time, how many samples were good and bad
    there, the share of it that good samples cover, and the definitions that read the variable.

    `hours`: its samples of each hour; `silent_since`: since when a value is missing, None if no
    value is missing; the beginning of the read time, if that had no sample.
    """

    name: str
    variable: Variable
    delay: timedelta
    last: LastSample | None
    good: int
    bad: int
    coverage: float | None
    definitions: list[str]
    hours: Buckets
    silent_since: datetime | None


@dataclass(frozen=True)
class VariablePage:
    """Variables of an asset by name over [since, until). `unread`: times (ms) of it that were left
    out; `next`: the last name, if there are more."""

    asset: str
    since: datetime
    until: datetime
    unread: tuple[Interval, ...]
    items: list[VariableLine]
    next: str | None


def asset_lines(platform: PlantPorts, now: datetime) -> list[AssetLine]:
    """Return all assets by name."""
    newest = platform.readings.newest_readings(now)
    return [
        AssetLine(asset, newest[asset.name].ts if asset.name in newest else None)
        for asset in sorted(platform.assets.all(), key=lambda asset: asset.name)
    ]


def variable_page(
    platform: SeriesPorts,
    revisions: Iterable[Revision],
    asset: str,
    now: datetime,
    limit: int,
    after: str | None = None,
) -> VariablePage:
    """Return variables of an asset with names after a given one, with their last day. `revisions`:
    the newest of each definition. Raises NotFound for an unknown asset."""
    page_asset = find_asset(platform, asset)
    platform = without_bad_values(platform)
    following = sorted(name for name in page_asset.variables if after is None or name > after)
    names = following[:limit]
    until = to_millis(now) + 1
    day = (until - DAY_MS, until)
    samples = read_buckets(platform, page_asset, names, *day, "hours", _MOST_READINGS)
    values = _last_values(platform.readings, page_asset, samples.by_variable)
    users = _users(revisions, page_asset)
    items = [
        VariableLine(
            name,
            page_asset.variables[name],
            page_asset.delay(name),
            values.get(name),
            int(samples.by_variable[name].count.sum()),
            int(samples.by_variable[name].bad.sum()),
            _coverage(page_asset.variables[name], samples.by_variable[name], day, samples.unread),
            users.get(name, []),
            samples.by_variable[name],
            _silent_since(
                page_asset.variables[name], samples.by_variable[name], day, samples.unread
            ),
        )
        for name in names
    ]
    more = names[-1] if len(following) > limit else None
    return VariablePage(page_asset.name, from_millis(day[0]), now, samples.unread, items, more)


def last_samples(
    platform: SeriesPorts, asset: Asset, names: Sequence[str], now: datetime
) -> dict[str, LastSample]:
    """Return the newest good sample of each variable that has one within the last day."""
    platform = without_bad_values(platform)
    until = to_millis(now) + 1
    day = (until - DAY_MS, until)
    samples = read_buckets(platform, asset, names, *day, "hours", _MOST_READINGS)
    return _last_values(platform.readings, asset, samples.by_variable)


def _coverage(
    declared: Variable, buckets: Buckets, day: Interval, unread: Sequence[Interval]
) -> float | None:
    """Return the share of the read time without gaps; None if nothing was read."""
    gaps = gaps_of(declared, buckets, day, unread)
    read = _length([day]) - _length(unread)
    return 1 - _length(gaps) / read if read else None


def silent_variables(platform: SeriesPorts, asset: Asset, now: datetime) -> list[str]:
    """Return the variables of an asset whose value is missing now, by the last day."""
    until = to_millis(now) + 1
    day = (until - DAY_MS, until)
    samples = read_buckets(platform, asset, list(asset.variables), *day, "hours", _MOST_READINGS)
    return [
        name
        for name, declared in asset.variables.items()
        if _silent_since(declared, samples.by_variable[name], day, samples.unread) is not None
    ]


def _silent_since(
    declared: Variable, buckets: Buckets, day: Interval, unread: Sequence[Interval]
) -> datetime | None:
    gaps = gaps_of(declared, buckets, day, unread)
    return from_millis(gaps[-1][0]) if gaps and gaps[-1][1] == day[1] else None


def _length(spans: Iterable[Interval]) -> int:
    return sum(end - start for start, end in spans)


def _last_values(
    readings: Readings, asset: Asset, samples: Mapping[str, Buckets]
) -> dict[str, LastSample]:
    by_instant: dict[int, list[str]] = {}
    for name, buckets in samples.items():
        if len(good := buckets.has_good().last):
            by_instant.setdefault(int(good[-1]), []).append(name)
    values = {}
    for at, names in by_instant.items():
        instant = from_millis(at)
        history = readings.load(
            WantedHistory(
                asset, instant - timedelta(milliseconds=1), instant, names, events_since=instant
            )
        )
        for name in names:
            value = history.readings[name].iloc[-1:].item()
            is_switch = asset.variables[name].type == "boolean"
            values[name] = LastSample(instant, bool(value) if is_switch else value)
    return values


def _users(revisions: Iterable[Revision], asset: Asset) -> dict[str, list[str]]:
    index = AssetIndex([asset])
    users: dict[str, list[str]] = {}
    for revision in revisions:
        definition = revision.definition
        if definition.state != "retired" and matching_assets(definition, index):
            for name in asset.with_parts(definition.variables_read(asset)):
                users.setdefault(name, []).append(definition.name)
    return users


MOST_BANDS = 1_000


@dataclass(frozen=True)
class EventBand:
    """An event of the asset or of an asset above it; `end` is None while it goes on. `title`: the
    title of its type."""

    asset: str
    type: str
    title: str
    start: datetime
    end: datetime | None


@dataclass(frozen=True)
class Bands:
    """Events and alarms of a span, oldest first; `cut`: whether only the newest of each kind are
    given."""

    events: list[EventBand]
    alarms: list[Alarm]
    cut: bool


def find_bands(
    platform: EpisodePorts, asset: str, start: datetime, end: datetime, most: int = MOST_BANDS
) -> Bands:
    """Return the events and episodes that overlap [start, end), at most so many of each. Raises
    NotFound for an unknown asset, UserError for a wrong span."""
    band_asset = find_asset(platform, asset)
    require_span(start, end)
    titles = event_titles(platform.assets.event_types())
    events = [
        event
        for ancestor in assets_upwards(platform.assets, band_asset)
        for event in _events(platform, ancestor, titles, start, end)
    ]
    events.sort(key=lambda event: (event.start, event.asset, event.type))
    alarms = [
        alarm
        # one that is over was raised at most three months before the span
        for alarm in platform.episodes.alarms(
            start, end, start - timedelta(days=92), {band_asset.name}
        )
        if alarm.closed_at is None or alarm.closed_at > start
    ]
    is_cut = max(len(events), len(alarms)) > most
    return Bands(events[-most:], alarms[-most:], is_cut)


def _events(
    platform: PlantPorts, asset: Asset, titles: Mapping[str, str], start: datetime, end: datetime
) -> list[EventBand]:
    events = platform.readings.load(WantedHistory(asset, end, end, (), events_since=start)).events
    return [
        EventBand(
            asset.name,
            type_,
            titles.get(type_, type_),
            first.to_pydatetime(),
            None if is_open else last.to_pydatetime(),
        )
        for type_, first, last, is_open in zip(
            events["type"], events["start"], events["end"], pd.isna(events["end"]), strict=True
        )
        if first < end and (is_open or last >= start)
    ]
