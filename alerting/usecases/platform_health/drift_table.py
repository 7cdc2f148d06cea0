"""The hours of an asset that a check of drift reads: those of the training, and the last two weeks,
from rollups where there are any."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.assets import Asset
from alerting.definitions.model import ModelDefinition
from alerting.learning.metrics.normal_days import Floats, HourTable
from alerting.ports import UpkeepPorts
from alerting.readings.buckets import HOUR, Buckets
from alerting.readings.instants import duration_millis, from_millis, to_millis
from alerting.readings.rollups import Interval, merge_intervals
from alerting.usecases.episodes.suppression import suppressed_intervals_by_asset
from alerting.usecases.labels.learning import labelled_intervals
from alerting.usecases.trends.rolled import read_buckets
from alerting.usecases.trends.samples import load_columns

LONGEST = timedelta(days=60)
"""Of the training, its newest part."""
RECENT = timedelta(days=15)
MOST_VARIABLES = 200
_MOST_READINGS = 500_000  # that are not rolled up
_MOST_CATEGORIES = 8  # of a variable, the most frequent
_SCANT = 0.25  # of the usual samples of an hour: fewer make no mean


class LearnedHours(NamedTuple):
    """A table of hours that begins at `start` (ms), with the index of the hour at its `end`."""

    table: HourTable
    start: int
    end: int

    def instant(self, index: int) -> datetime:
        """Return when the hour of an index begins."""
        return from_millis(self.start + index * HOUR)


def read_table(
    platform: UpkeepPorts,
    definition: ModelDefinition,
    asset: Asset,
    learned: tuple[datetime, datetime],
    as_of: datetime,
) -> LearnedHours:
    """Return the hours of a definition's variables on an asset up to the last whole one, without
    suppressed times and those that are not to be learned from."""
    until = to_millis(as_of - definition.latency(asset, platform.latency)) // HOUR * HOUR
    first = to_millis(max(learned[0], learned[1] - LONGEST)) // HOUR * HOUR
    last = min(to_millis(learned[1]) // HOUR * HOUR, until)
    parts = merge_intervals(
        span
        for span in ((first, last), (max(first, until - duration_millis(RECENT)), until))
        if span[0] < span[1]
    )
    length = max((until - first) // HOUR, 0)
    left_out = _left_out(platform, definition, asset, from_millis(first), as_of)
    out = _covered(left_out, first, length)
    measured, numbers, categories = _names(definition, asset)
    hours = {name: np.full(length, np.nan) for name in (*measured, *numbers)}
    for start, end in parts:
        found = read_buckets(platform, asset, [*hours], start, end, "hours", _MOST_READINGS)
        for name, series in hours.items():
            fill_hours(series, found.of[name].select(start, end), first)
    settings = {name: hours[name] for name in numbers}
    for name in categories:
        settings |= _shares(platform, asset, name, parts, first, length)
    for series in hours.values():
        series[out] = np.nan
    known = np.zeros(length, np.bool_)
    known[: max((last - first) // HOUR, 0)] = True
    values = {name: hours[name] for name in measured}
    return LearnedHours(HourTable(values, settings, known & ~out), first, length)


def _names(definition: ModelDefinition, asset: Asset) -> tuple[list[str], list[str], list[str]]:
    """Return the measured variables of a definition, and the set-points and categories of the whole
    asset: what people set explains also where the model does not see it."""
    seen = definition.variables_evaluated(asset)
    declared = sorted(asset.variables.items())
    measured = [n for n, v in declared if n in seen and v.type != "category" and not v.controllable]
    numbers = [n for n, v in declared if v.type != "category" and v.controllable]
    categories = [n for n, v in declared if v.type == "category"]
    return measured[:MOST_VARIABLES], numbers[:MOST_VARIABLES], categories[:MOST_VARIABLES]


def fill_hours(hours: Floats, found: Buckets, first: int) -> None:
    """Put the means of hours with enough samples at their place."""
    good = found.has_good()
    enough = good.take(good.count >= _SCANT * np.median(good.count)) if len(good.count) else good
    hours[(enough.start - first) // HOUR] = enough.total / np.maximum(enough.count, 1)


def _shares(
    platform: UpkeepPorts,
    asset: Asset,
    name: str,
    parts: Sequence[Interval],
    first: int,
    length: int,
) -> dict[str, Floats]:
    """Return by value of a category, as `name=value`, its share of the samples of each hour. Of
    dense samples only some hours are read."""
    counted = [
        read_buckets(platform, asset, [name], start, end, "hours", _MOST_READINGS).of[name]
        for start, end in parts
    ]
    hours = np.concatenate([one.has_good().start for one in counted])
    samples = sum(int(one.count.sum()) for one in counted)
    step = max(-(-samples // _MOST_READINGS), 1)
    of_hours = dict[int, dict[str, float]]()
    for start in hours[::step].tolist():
        values = load_columns(platform.readings, asset, [name], start, start + HOUR).values[name]
        texts = [str(value) for value in values if not pd.isna(value)]
        if texts:
            of_hours[start] = {text: texts.count(text) / len(texts) for text in set(texts)}
    total = dict[str, float]()
    for shares in of_hours.values():
        for text, share in shares.items():
            total[text] = total.get(text, 0.0) + share
    found = {}
    for text in sorted(total, key=lambda text: (-total[text], text))[:_MOST_CATEGORIES]:
        column = np.full(length, np.nan)
        for start, shares in of_hours.items():
            column[(start - first) // HOUR] = shares.get(text, 0.0)
        found[f"{name}={text}"] = column
    return found


def _left_out(
    platform: UpkeepPorts,
    definition: ModelDefinition,
    asset: Asset,
    start: datetime,
    end: datetime,
) -> list[Interval]:
    suppressed = suppressed_intervals_by_asset(platform, definition, [asset], start, end)
    labelled = labelled_intervals(platform, definition, [asset], end)
    found = [*suppressed.get(asset.name, ()), *labelled.get(asset.name, ())]
    return [(to_millis(one.start), to_millis(one.end)) for one in found]


def _covered(intervals: Iterable[Interval], first: int, length: int) -> npt.NDArray[np.bool_]:
    """Return the hours that an interval meets."""
    found = np.zeros(length, np.bool_)
    for start, end in intervals:
        found[max((start - first) // HOUR, 0) : max(-(-(end - first) // HOUR), 0)] = True
    return found
