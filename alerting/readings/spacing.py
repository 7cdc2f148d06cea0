"""Times between the values of a variable, and statistics of the values within a selected time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.deferred import np, npt
from alerting.definitions.assets import Asset
from alerting.definitions.wording.language import Styled, count_in_english, templates
from alerting.readings.history import (
    History,
    Millis,
    duration_millis,
    from_millis,
    has_data,
    millis,
    to_millis,
)

_DAY = 86_400_000
LEAST_FAR = 30 * _DAY
_YEAR = 365 * _DAY
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
    """Return the usual time (ms) between two values: from the asset's document, or else the median
    of the distances.

    None without both.
    """
    for history in histories:
        declared = declared_ms(name, history.asset)
        if declared:
            return declared
    found = distances(name, histories)
    return int(np.median(found)) if len(found) else None


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
        """Return the median as `sampling_ms` finds it; None of fewer than two instants."""
        if not self._counts:
            return None
        lengths = sorted(self._counts)
        until = np.cumsum([self._counts[length] for length in lengths])
        middle = [
            lengths[int(np.searchsorted(until, rank, side="right"))]
            for rank in ((until[-1] - 1) // 2, until[-1] // 2)
        ]
        return int(sum(middle) / 2)


def usual_instants(times: Millis, total: int | None = None, *, is_lenient: bool = False) -> slice:
    """Return which instants (ms, increasing) are usual: all without a few at an end that lie far
    from all others, as of a clock that was not set. Far is as long as the others last, or a year,
    but at least 30 days.

    `total`: of how many instants these are the first and last ones. `is_lenient`: for a person,
    who decides; then there may be more of them beside few others.
    """
    count = len(times) if total is None else total
    few = min((count - 1) // 2 if is_lenient else count // 10, max(_FEW, count // 100))
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
    """Yield a sentence on the instants before the usual ones, and on those after, with their
    number."""
    if usual.start:
        gap = int(times[usual.start] - times[usual.start - 1])
        yield _far(_BEFORE, usual.start, gap), usual.start
    if (count := len(times) - usual.stop) > 0:
        yield _far(_AFTER, count, int(times[usual.stop] - times[usual.stop - 1])), count


def _far(texts: tuple[tuple[str, str], tuple[str, str]], count: int, gap: int) -> str:
    of_years, of_days = texts
    if gap < 2 * _YEAR:
        return count_in_english(*of_days, count, days=gap // _DAY)
    return count_in_english(*of_years, count, years=int(gap / (365.2425 * _DAY)))


def describe_doubtful(
    times: Millis, now: datetime | None, total: int | None = None
) -> Iterator[str]:
    """Yield sentences on readings far from all others, and on those after now (None: not told), of
    instants (ms) in any order.

    `total`: of how many these are the first and last ones.
    """
    times = np.sort(times)
    known = len(times) if now is None else int(np.searchsorted(times, to_millis(now + SKEW)))
    if known:
        past = times[:known]
        usual = usual_instants(past, total, is_lenient=True)
        yield from (said for said, _ in describe_strays(past, usual))
    if now is not None and known < len(times):
        yield describe_after_now(from_millis(int(times[-1])) - now, len(times) - known)


def describe_after_now(by: timedelta, count: int) -> str:
    """Say how many readings lie after now, and by how much the newest does."""
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
    """Statistics of values, in their unit. `spread`: standard deviation, None of one value. `low`,
    `high`: 5 and 95 % of the values are below."""

    count: int
    mean: float
    spread: float | None
    lowest: float
    low: float
    median: float
    high: float
    highest: float


def statistics_of(values: npt.NDArray[np.float64]) -> Statistics | None:
    """Return the statistics of finite values; None of none."""
    if not len(values):
        return None
    low, median, high = np.percentile(values, (5, 50, 95)).tolist()
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    return Statistics(
        len(values),
        float(values.mean()),
        spread,
        float(values.min()),
        low,
        median,
        high,
        float(values.max()),
    )
