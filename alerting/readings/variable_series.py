"""Values of one variable in the order of time: readings as columns; many series in one array,
summarised once for many evaluations; the categories in force at instants (a recipe, a product, a
mode, the hour of the day); the times between values; and statistics of a selected time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from alerting.deferred import np, npt, pd
from alerting.definitions.alert_definition import Condition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.condition_fields import HOUR_OF_DAY
from alerting.definitions.wording.language import Styled, count_in_english, templates
from alerting.readings.history import (
    DAY_MS,
    History,
    Millis,
    Positions,
    duration_millis,
    from_millis,
    has_data,
    millis,
    no_instants,
    to_millis,
)


class Series(NamedTuple):
    """Readings of one variable at `ts` (ms, increasing), and instants of samples of bad quality.

    A missing number is NaN, a missing category None. `events`: the starts of the events that the
    condition counts, None if it counts none.
    """

    ts: Millis
    values: npt.NDArray[Any]
    bad: Millis
    events: Millis | None = None


def series_of(definition: Condition, history: History) -> Series:
    """Return the readings of the definition's variable, each with its instant (ms), and the starts
    of the events that it counts."""
    events = None if definition.event is None else event_starts(definition.event, history)
    bad = history.doubts.bad.get(definition.variable, no_instants())
    dtype: Any = object if is_text(history.asset, definition.variable) else np.float64
    if definition.variable not in history.readings:
        return Series(np.empty(0, np.int64), np.empty(0, dtype), bad, events)
    ts = millis(pd.DatetimeIndex(history.readings.index))
    return Series(ts, history.readings[definition.variable].to_numpy(dtype), bad, events)


def event_starts(pattern: str, history: History) -> Millis:
    """Return the starts (ms, increasing) of the events of a type, in which * matches any text."""
    is_of_type = [fnmatchcase(name, pattern) for name in history.events["type"]]
    return np.sort(millis(history.events["start"])[np.array(is_of_type, np.bool_)])


def is_text(asset: Asset, name: str) -> bool:
    """Return whether a variable is a category."""
    variable = asset.variables.get(name)
    return variable is not None and variable.type == "category"


def has_value(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return, for each number or text, whether it is not missing."""
    return values == values if values.dtype != object else np.asarray(pd.notna(values), np.bool_)  # noqa: PLR0124 - NaN


Numbers: TypeAlias = "npt.NDArray[np.float64]"
Flags: TypeAlias = "npt.NDArray[np.bool_]"


@dataclass(frozen=True)
class RaggedReadings:
    """Readings of several series, one series after the other; within a series instants (ms)
    increase. No value is missing.

    The readings of series s are at [`bounds[s]`, `bounds[s + 1]`).
    """

    ts: Millis
    values: Numbers
    bounds: Positions


@dataclass(frozen=True)
class WindowSummary:
    """Summary of the readings of each window. If `count` is 0, the other columns have no meaning.

    `first`, `last`: instants of the first and last reading. `low`, `high`: the least and the
    greatest value. `gap`: the longest time between two neighbours. `value`: the last value; it has
    been the same since `since`, or, if `constant`, in the whole window.
    """

    count: Positions
    first: Millis
    last: Millis
    low: Numbers
    high: Numbers
    gap: Millis
    value: Numbers
    since: Millis
    constant: Flags


def pack(series: Sequence[tuple[Millis, Numbers]]) -> RaggedReadings:
    """Concatenate series, each as instants and values; a missing value is no reading."""
    ts = np.concatenate([np.empty(0, np.int64), *(instants for instants, _ in series)])
    values = np.concatenate([np.empty(0), *(numbers for _, numbers in series)])
    number = np.repeat(np.arange(len(series)), [len(instants) for instants, _ in series])
    present = ~np.isnan(values)
    bounds = np.append(0, np.cumsum(np.bincount(number[present], minlength=len(series))))
    return RaggedReadings(ts[present], values[present], bounds)


def summarise_windows(
    packed: RaggedReadings, series: Positions, begin: Millis, end: Millis
) -> WindowSummary:
    """Return a summary of each window i: the readings of `series[i]` in [`begin[i]`, `end[i]`).
    Windows may overlap."""
    start = _positions(packed, series, begin)
    stop = _positions(packed, series, end)
    width = len(packed.ts) + 1
    windows, of_row = np.unique(start * width + stop, return_inverse=True)
    summary = _summarise_rows(packed, windows // width, windows % width)
    return WindowSummary(*(column[of_row] for column in vars(summary).values()))


def _positions(packed: RaggedReadings, series: Positions, at: Millis) -> Positions:
    """Return, for each row, the index of the first reading at or after an instant in its series."""
    if not len(series):
        return np.empty(0, np.int64)
    origin = min(int(at.min()), int(packed.ts.min(initial=at.min())))
    span = max(int(at.max()), int(packed.ts.max(initial=at.max()))) - origin + 1
    number = np.repeat(np.arange(len(packed.bounds) - 1), np.diff(packed.bounds))
    positions: Positions = np.searchsorted(
        number * span + (packed.ts - origin), series * span + (at - origin)
    )
    return positions


def _summarise_rows(packed: RaggedReadings, start: Positions, stop: Positions) -> WindowSummary:
    # so that every index exists
    ts = np.append(packed.ts, 0)
    values = np.append(packed.values, 0.0)
    count = stop - start
    last = np.maximum(stop - 1, 0)
    gaps = np.append(np.diff(packed.ts, prepend=packed.ts[:1]), 0)
    turns = np.append(True, values[1:] != values[:-1])
    begun = np.maximum.accumulate(np.where(turns, np.arange(len(values)), 0))[last]
    return WindowSummary(
        count=count,
        first=ts[start],
        last=ts[last],
        low=_over(np.minimum, values, start, stop),
        high=_over(np.maximum, values, start, stop),
        gap=np.where(
            count > 1, _over(np.maximum, gaps, np.minimum(start + 1, len(packed.ts)), stop), 0
        ),
        value=values[last],
        since=ts[np.maximum(begun, start)],
        constant=begun <= start,
    )


def _over(
    reduce: np.ufunc, column: npt.NDArray[Any], start: Positions, stop: Positions
) -> npt.NDArray[Any]:
    """Return the least or greatest value of each window in a column that has one extra element at
    its end."""
    extremes: npt.NDArray[Any] = reduce.reduceat(column, np.column_stack((start, stop)).ravel())[
        ::2
    ]
    return extremes


Labels: TypeAlias = "npt.NDArray[np.object_]"
LONGEST = timedelta(days=90)
"""Time for which the value of a category is carried forward, unless the asset's document says
so."""


class WindowCategories(NamedTuple):
    """For each window: its category at the end (None if unknown), and whether the category changed
    within."""

    values: Labels
    changes: Flags


@dataclass(frozen=True)
class CategoryValues:
    """Values of a category at instants (ms), increasing. Each value is carried forward until the
    next one, for `longest` ms at most."""

    at: Millis
    values: Labels
    longest: int

    def in_force(self, ts: Millis) -> Labels:
        """Return the value in force at each instant, None where it is not known."""
        labels = np.full(len(ts), None, object)
        if len(self.at):
            last = np.searchsorted(self.at, ts, side="right") - 1
            is_known = (last >= 0) & (ts - self.at[np.maximum(last, 0)] <= self.longest)
            labels[is_known] = self.values[last[is_known]]
        return labels

    def over_windows(
        self, ends: Millis, length: int, among: Collection[str] | None = None
    ) -> WindowCategories:
        """Return the categories of the windows (end - length, end]. `among`: the values that count;
        any other value counts as unknown."""
        expiries = (
            self.at[np.append(np.diff(self.at) > self.longest, True)[: len(self.at)]]
            + self.longest
            + 1
        )
        instants = np.unique(np.concatenate([self.at, expiries]))

        def values_at(ts: Millis) -> Labels:
            labels = self.in_force(ts)
            if among is not None:
                labels[[value not in among for value in labels.tolist()]] = None
            return labels

        values = values_at(instants)
        changed = instants[
            values != np.concatenate([np.full(1, None, object), values[:-1]])[: len(values)]
        ]
        inside = np.searchsorted(changed, ends, side="right") - np.searchsorted(
            changed, ends - length, side="right"
        )
        return WindowCategories(values_at(ends), inside > 0)


def longest_hold(asset: Asset, name: str) -> timedelta:
    """Return how long a value of a category is carried forward if no other value comes."""
    declared = asset.variables.get(name)
    return (declared.carry_forward if declared else None) or LONGEST


def label_of(value: Any) -> str:
    """Return the text of one value: `true` or `false` for a boolean."""
    return value if isinstance(value, str) else str(bool(value)).lower()


def category_values(asset: Asset, name: str, frames: Sequence[pd.DataFrame]) -> CategoryValues:
    """Return the values of a category or boolean variable, sorted by instant (ms), from frames of
    readings, which are in the order of time."""
    columns = [frame[name].dropna() for frame in frames if name in frame]
    at = np.concatenate(
        [millis(pd.DatetimeIndex(column.index)) for column in columns] or [np.empty(0, np.int64)]
    )
    values = [label_of(value) for column in columns for value in column.tolist()]
    order = np.unique(at, return_index=True)[1] if len(at) else np.empty(0, np.int64)
    return CategoryValues(
        at[order], np.array(values, object)[order], duration_millis(longest_hold(asset, name))
    )


def labels_at(
    names: Sequence[str], categories: Mapping[str, CategoryValues], zone: str, ts: Millis
) -> list[Labels]:
    """Return, for each name, its value at each instant as text, None where it is not known; the
    hour of the day (0 to 23) is in the time zone."""
    labels = []
    for name in names:
        if name == HOUR_OF_DAY:
            hours = (
                pd.DatetimeIndex(ts.astype("datetime64[ms]"))
                .tz_localize("UTC")
                .tz_convert(ZoneInfo(zone))
                .hour
            )
            labels.append(np.array([str(hour) for hour in hours], object))
        else:
            labels.append(categories[name].in_force(ts))
    return labels


LEAST_FAR = 30 * DAY_MS
_YEAR = 365 * DAY_MS
_FEW = 3
SKEW = timedelta(minutes=1)  # by which clocks differ
_UNITS = (
    (3600, 86_400),
    (60, 600),
    (1, 0),
)  # seconds of a unit, and from which length on it is used
_AFTER_NOW = templates(
    "{number} reading lies after now, by {ahead}",
    "{number} readings lie after now (the newest by {ahead})",
)
_AFTER_NOW_BY_YEARS = templates(
    "{number} reading lies after now, by {years} years",
    "{number} readings lie after now (the newest by {years} years)",
)
_BEFORE = (
    templates(
        "{number} reading lies {years} years before the others",
        "{number} readings lie {years} years before the others",
    ),
    templates(
        "{number} reading lies {days} days before the others",
        "{number} readings lie {days} days before the others",
    ),
)
_AFTER = (
    templates(
        "{number} reading lies {years} years after the others",
        "{number} readings lie {years} years after the others",
    ),
    templates(
        "{number} reading lies {days} days after the others",
        "{number} readings lie {days} days after the others",
    ),
)


def sampling_ms(name: str, histories: Sequence[History]) -> int | None:
    """Return the usual time (ms) between two values: as the asset's document states it, else the
    median of their distances.

    None if neither is known.
    """
    for history in histories:
        declared = declared_ms(name, history.asset)
        if declared:
            return declared
    lengths = distances(name, histories)
    return int(np.median(lengths)) if len(lengths) else None


def declared_ms(name: str, asset: Asset) -> int | None:
    """Return the usual time (ms) between values of a variable, as its document states."""
    declared = asset.variables.get(name)
    return duration_millis(declared.sampling) if declared and declared.sampling else None


def distances(name: str, histories: Sequence[History]) -> Millis:
    """Return the times (ms) between neighbouring values of a variable on all assets."""
    return np.concatenate(
        [np.empty(0, np.int64), *(np.diff(value_times(h, name)) for h in histories)]
    )


def value_times(history: History, name: str) -> Millis:
    """Return the instants (ms) at which a variable has a value within its engineering range."""
    return millis(history.readings.index)[has_data(history, name)]


LEAST_REGULAR = 10  # values from which regular spacing is known


class UsualDistance:
    """The median of times (ms) between neighbouring values, of instants added in pieces."""

    def __init__(self) -> None:
        self._last: Millis = np.empty(0, np.int64)
        self._counts = Counter[int]()

    def add(self, times: Millis) -> None:
        """Add the next instants, which are later than those before."""
        times = np.concatenate([self._last, times])
        lengths, counts = np.unique(np.diff(times), return_counts=True)
        self._counts.update(dict(zip(lengths.tolist(), counts.tolist(), strict=True)))
        self._last = times[-1:]

    def median(self) -> int | None:
        """Return the median, like `sampling_ms`; None for fewer than two instants."""
        if not self._counts:
            return None
        lengths = sorted(self._counts)
        until = np.cumsum([self._counts[length] for length in lengths])
        middle = [
            lengths[int(np.searchsorted(until, rank, side="right"))]
            for rank in ((until[-1] - 1) // 2, until[-1] // 2)
        ]
        return int(sum(middle) / 2)

    def longest(self, share: float) -> int:
        """Return the distance that this share of all does not exceed; 0 for fewer than two
        instants."""
        lengths = sorted(self._counts)
        until = np.cumsum([self._counts[length] for length in lengths])
        rank = int(np.searchsorted(until, share * self._counts.total()))
        return lengths[rank] if lengths else 0

    def regular(self) -> int | None:
        """Return the median of regular values; None for fewer than `LEAST_REGULAR` values, and
        where less than half of their distances lie within a quarter of the median, as of values
        that are recorded when they change."""
        usual = self.median() or 0
        similar = sum(
            count for length, count in self._counts.items() if 4 * abs(length - usual) <= usual
        )
        number = self._counts.total()
        return usual if number >= LEAST_REGULAR - 1 and 2 * similar >= number else None

    @staticmethod
    def merge(parts: Iterable[UsualDistance]) -> UsualDistance:
        """Return the distances of all parts."""
        merged = UsualDistance()
        for part in parts:
            merged._counts.update(part._counts)
        return merged


def regular_distance(times: Millis) -> int | None:
    """Return the usual time (ms) between regular values; None where they are not regular."""
    distance = UsualDistance()
    distance.add(times)
    return distance.regular()


def usual_instants(times: Millis, total: int | None = None, *, is_lenient: bool = False) -> slice:
    """Return the usual instants among these (ms, increasing): all except a few at either end that
    lie far from all others, such as those from a clock that was not set. Far means as far as the
    time that the other instants span, or a year, but at least 30 days.

    `total`: number of all instants, if only the first and last ones are given. `is_lenient`: allow
    a larger share of far instants, because a person decides on them.
    """
    count = len(times) if total is None else total
    few = min((count - 1) // 2 if is_lenient else count // 10, max(_FEW, count // 100))
    if count > len(times):  # what lies between the ends is left out, and no gap
        few = min(few, len(times) // 2 - 1)
    gaps = (np.flatnonzero(np.diff(times) >= LEAST_FAR) + 1).tolist()
    first = 0
    end = len(times)
    for _ in range(2):  # those of one end stretch what the others last
        for at in gaps:
            if at <= few and _is_far(times, at - 1, at, times[end - 1] - times[at]):
                first = at
        for at in reversed(gaps):
            if first < at and len(times) - at <= few:
                end = at if _is_far(times, at - 1, at, times[at - 1] - times[first]) else end
    return slice(first, end)


def describe_strays(times: Millis, usual: slice) -> Iterator[tuple[str, int]]:
    """Yield a sentence on the instants before the usual ones, and one on the instants after them,
    each with their number."""
    if usual.start:
        gap = int(times[usual.start] - times[usual.start - 1])
        yield _far(_BEFORE, usual.start, gap), usual.start
    if (count := len(times) - usual.stop) > 0:
        yield _far(_AFTER, count, int(times[usual.stop] - times[usual.stop - 1])), count


def _far(texts: tuple[tuple[str, str], tuple[str, str]], count: int, gap: int) -> str:
    of_years, of_days = texts
    if gap < 2 * _YEAR:
        return count_in_english(*of_days, count, days=gap // DAY_MS)
    return count_in_english(*of_years, count, years=int(gap / (365.2425 * DAY_MS)))


def describe_doubtful(
    times: Millis, now: datetime | None, total: int | None = None
) -> Iterator[str]:
    """Yield sentences on readings far from all others, and on readings after `now` (None: no such
    sentence). The instants (ms) may be in any order.

    `total`: number of all instants, if only the first and last ones are given.
    """
    times = np.sort(times)
    count = len(times) if now is None else int(np.searchsorted(times, to_millis(now + SKEW)))
    left_out = max(0, (total or 0) - len(times))
    is_past = 2 * count >= len(times)  # what is left out
    if count:
        past = times[:count]
        usual = usual_instants(past, count + left_out * is_past, is_lenient=True)
        yield from (sentence for sentence, _ in describe_strays(past, usual))
    if now is not None and count < len(times):
        ahead = len(times) - count + left_out * (not is_past)
        yield describe_after_now(from_millis(int(times[-1])) - now, ahead)


def describe_after_now(by: timedelta, count: int) -> str:
    """Return a sentence on how many readings lie after `now`, and by how much the newest one
    does."""
    if by >= timedelta(days=730):
        years = int(by / timedelta(days=365.2425))
        return count_in_english(*_AFTER_NOW_BY_YEARS, count, years=years)
    return count_in_english(*_AFTER_NOW, count, ahead=rough_duration(by))


def rough_duration(value: timedelta) -> Styled:
    """Return a duration, rounded to hours, minutes or seconds by its size."""
    seconds = value.total_seconds()
    unit = next(unit for unit, least in _UNITS if seconds >= least)
    return Styled(round(seconds / unit) * unit, "duration")


def _is_far(times: Millis, before: int, after: int, others_last: int) -> bool:
    return bool(times[after] - times[before] >= min(_YEAR, max(others_last, LEAST_FAR)))


@dataclass(frozen=True)
class Statistics:
    """Statistics of values, in their unit. `spread`: standard deviation, None for a single value.
    `low`, `high`: the 5 % and 95 % quantiles."""

    count: int
    mean: float
    spread: float | None
    lowest: float
    low: float
    median: float
    high: float
    highest: float


def statistics_of(values: npt.NDArray[np.float64]) -> Statistics | None:
    """Return the statistics of the finite values, in their unit; None if there are none."""
    if not len(values):
        return None
    low, median, high = np.percentile(values, (5, 50, 95)).tolist()
    return Statistics(
        len(values),
        float(values.mean()),
        float(values.std(ddof=1)) if len(values) > 1 else None,
        float(values.min()),
        low,
        median,
        high,
        float(values.max()),
    )
