"""Buckets of an asset's variables over a span: of rollups where there are any, else of readings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from alerting.definitions.assets import Asset
from alerting.ports import SeriesPorts
from alerting.readings.buckets import Buckets, join_buckets, merge_buckets, no_buckets, without_good
from alerting.readings.interval_labels import bad_intervals
from alerting.readings.rollups import (
    WIDTHS,
    Interval,
    RollupSize,
    merge_intervals,
    subtract,
)
from alerting.usecases.trends.samples import read_samples


@dataclass
class IntervalBuckets:
    """Buckets by variable. `rolled`: variables with some from rollups; `unread`: times (ms) whose
    readings are too many."""

    of: Mapping[str, Buckets]
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
    """Return buckets of a size over [start, end) (ms), or with None the samples themselves.

    Values that are labelled bad count as such. What is not rolled up is read from readings, newest
    first, as far as about `most` instants reach. The first and last bucket of a rollup may extend
    beyond the span.
    """
    if size is None:
        samples = read_samples(platform.readings, asset, names, start, end, most)
        return IntervalBuckets(samples.of, unread=_rest(start, samples.start))
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
    found = platform.rollups.load(asset.name, sorted(rolled), size, first, end)
    pieces: dict[str, list[Buckets]] = {}
    for name in names:
        pieces[name] = [
            without_good(found[name].select(*span), bad[name], width) for span in covered[name]
        ]
    unread: list[Interval] = []
    rows = 0
    for missing in dict.fromkeys(tuple(subtract([(start, end)], covered[n])) for n in names):
        alike = [n for n in names if tuple(subtract([(start, end)], covered[n])) == missing]
        for since, until in reversed(missing):
            left = most - rows
            if left <= 0:
                unread.append((since, until))
                continue
            samples = read_samples(platform.readings, asset, alike, since, until, left)
            rows += samples.rows
            unread += _rest(since, samples.start)
            for name in alike:
                pieces[name].append(merge_buckets(samples.of[name], width))
    of = {name: _in_order(found) for name, found in pieces.items()}
    return IntervalBuckets(of, rolled, merge_intervals(unread))


def _edges(bad: Sequence[Interval], width: int) -> list[Interval]:
    """Return the buckets of which a part is labelled bad: these are read."""
    cut = {at // width * width for interval in bad for at in interval if at % width}
    return [(start, start + width) for start in sorted(cut)]


def _rest(start: int, read_from: int) -> tuple[Interval, ...]:
    return ((start, read_from),) if read_from > start else ()


def _in_order(pieces: Sequence[Buckets]) -> Buckets:
    some = [piece for piece in pieces if len(piece.start)]
    return (
        join_buckets(sorted(some, key=lambda piece: int(piece.start[0]))) if some else no_buckets()
    )
