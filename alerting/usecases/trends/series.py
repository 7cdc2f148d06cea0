"""Series of several variables over a span, with few enough points to draw: extremes stay."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.durations import format_duration
from alerting.definitions.faults import NotFound, UserError, name_hint
from alerting.ports import PlantPorts
from alerting.readings.buckets import (
    Buckets,
    find_bad,
    find_gaps,
    gap_limit,
    merge_buckets,
)
from alerting.readings.cleaning import Floats
from alerting.readings.instants import Millis, duration_millis, to_millis
from alerting.usecases.trends.samples import read_samples

MOST_VARIABLES = 12
LONGEST = timedelta(days=3653)
AS_THEY_ARE = 4_000
"""Readings of a variable that are returned as they are stored."""
MOST_READINGS = 100_000
"""Instants of which one request reads the readings themselves."""

Source = Literal["readings", "minutes", "hours"]


@dataclass(frozen=True)
class VariableSeries:
    """One variable: each point is a reading, or a bucket that begins at `t` (ms).

    `low`, `high`, `mean`: NaN where there is no good value. `gaps`, `bad`: rows of two instants
    (ms). `count`: good samples in the span. `source`: of what the points were made.
    """

    variable: str
    title: str
    unit: str | None
    source: Source
    t: Millis
    low: Floats
    high: Floats
    mean: Floats
    gaps: Millis
    bad: Millis
    count: int


@dataclass(frozen=True)
class SeriesAnswer:
    """Series of an asset's variables. `unread`: times (ms) of which readings were not read, because
    there are too many; they are missing in every series."""

    asset: str
    start: datetime
    end: datetime
    series: list[VariableSeries]
    unread: list[tuple[int, int]] = field(default_factory=list)


def read_series(
    platform: PlantPorts,
    asset: str,
    variables: Sequence[str],
    start: datetime,
    end: datetime,
    points: int,
    now: datetime,
) -> SeriesAnswer:
    """Return series of numbers over [start, end), each with about `points` points or 4,000 readings
    at most. After `now` nothing is missing.

    Raises NotFound for an unknown asset or variable, and UserError for a variable that is no
    number, a span that does not end after its start or is longer than ten years, and a stored value
    that is not of its variable's type.
    """
    found = find_asset(platform, asset)
    names = list(dict.fromkeys(variables))
    for name in names:
        _require_number(found, name)
    require_span(start, end)
    first = to_millis(start)
    last = to_millis(end)
    samples = read_samples(platform.readings, found, names, first, last, MOST_READINGS)
    width = max(1, -(-(last - first) // points))
    unread = [(first, samples.start)] if samples.start > first else []
    shown = samples.start, max(samples.start, min(last, to_millis(now)))
    series = [_series(found, name, samples.of[name], shown, width) for name in names]
    return SeriesAnswer(found.name, start, end, series, unread)


def find_asset(platform: PlantPorts, name: str) -> Asset:
    """Return an asset. Raises NotFound."""
    found = platform.assets.get(name)
    if found is None:
        raise NotFound(f"there is no asset {name!r}")
    return found


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
        hint = name_hint(name, asset.variables, "known variables")
        raise NotFound(f"{asset.name!r} declares no variable {name!r}" + (hint and f" ({hint})"))
    if declared.type != "number":
        raise UserError(
            f"variable: {name!r} is a {declared.type}; a series is of numbers, because a text or a "
            "switch has no mean"
        )


def longest_hold(declared: Variable, samples: Buckets) -> int | None:
    """Return how long (ms) a value stands for itself before its absence is a gap."""
    if declared.carry_forward is not None:
        return duration_millis(declared.carry_forward)
    usual = declared.sampling
    return gap_limit(samples, None if usual is None else duration_millis(usual))


def _series(
    asset: Asset, name: str, samples: Buckets, span: tuple[int, int], width: int
) -> VariableSeries:
    few = int(samples.count.sum()) <= AS_THEY_ARE
    shown = samples if few else merge_buckets(samples, width)
    declared = asset.variables[name]
    gaps = find_gaps(samples, *span, longest_hold(declared, samples))
    t, low, high, mean = _points(shown, gaps, span[0])
    return VariableSeries(
        name,
        declared.title or name,
        declared.unit,
        "readings",
        t,
        low,
        high,
        mean,
        gaps,
        find_bad(shown, 0 if few else width, span[1]),
        int(samples.count.sum()),
    )


def _points(shown: Buckets, gaps: Millis, start: int) -> tuple[Millis, Floats, Floats, Floats]:
    """Return the points of buckets, with a missing one in each gap, so that no line crosses it."""
    breaks = gaps[:, 0] + 1
    breaks = breaks[~np.isin(breaks, shown.start)]
    nothing = np.full(len(breaks), np.nan)
    t = np.concatenate([np.maximum(shown.start, start), breaks])
    order = np.argsort(t, kind="stable")
    mean = np.full(len(shown.start), np.nan)
    np.divide(shown.total, shown.count, out=mean, where=shown.count > 0)
    low, high, middle = (
        np.concatenate([column, nothing])[order] for column in (shown.low, shown.high, mean)
    )
    return t[order], low, high, middle
