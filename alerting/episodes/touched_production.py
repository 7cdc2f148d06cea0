"""The production that an alarm of quality touches: from the last good sample to the first good one
after the last bad one, in time, in units and by lot.

Pure, from the readings that were known at an instant. Nothing of it is stored: the same readings
give the same block in live evaluation, when it catches up and in a backtest, and a later sample
that proves production clean makes the block smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import Problem
from alerting.definitions.asset_documents import Asset
from alerting.definitions.wording.language import (
    Styled,
    join_first,
    join_with_and,
    joined,
    translatable,
    translatable_count,
)
from alerting.detection.problem_occurrences import (
    NOT_YET,
    ConditionSamples,
    condition_intervals,
    problem_delay,
    problem_samples,
)
from alerting.episodes.episode import Episode
from alerting.readings.history import (
    FAR_FUTURE,
    History,
    Millis,
    duration_millis,
    from_millis,
    has_data,
    millis,
    to_millis,
)
from alerting.readings.rates import Counter, find_falls

# before the raise, in which the last good sample is searched; and for which a lot stays in force
LONGEST_BACK = timedelta(days=31)
MOST_LOTS = 5


@dataclass(frozen=True)
class TouchedTime:
    """The time (start, end] of touched production. `clean_until`: the stamp of the last good sample
    before it; None without one."""

    start: datetime
    end: datetime
    clean_until: datetime | None


@dataclass(frozen=True)
class LotInProduction:
    """A lot, None if no variable names it; the part of the touched time in which it was in
    production; and its units there, None if they are not known."""

    name: str | None
    start: datetime
    end: datetime
    units: float | None


@dataclass(frozen=True)
class TouchedProduction(TouchedTime):
    """The production that an episode touches, as known at an instant.

    `lots`: in the order of their production; one without a name where no lot is known. `length_s`
    and `bad_s`: seconds of the whole, and of the part that samples show as bad, from each bad
    sample to the next good one. `units`, `bad_units`: None if they are not known. `message`: what
    to block, as a sentence with its instants in ISO 8601.
    """

    episode: str
    asset: str
    lots: tuple[LotInProduction, ...]
    units: float | None
    length_s: float
    bad_s: float
    bad_units: float | None
    message: str


def known_samples(problem: Problem, history: History, at: datetime) -> ConditionSamples:
    """Return the samples of a problem's variables that are known at an instant."""
    ts, is_bad = problem_samples(problem, history)
    is_known = ts <= to_millis(at - problem_delay(problem, history.asset, ()))
    return ConditionSamples(ts[is_known], is_bad[is_known])


def touched_time(
    samples: ConditionSamples, episode: Episode, expected_from: datetime, at: datetime
) -> TouchedTime:
    """Return the time of the production that an alarm touches, as known at an instant.

    It goes from the last good sample before the first bad one of the alarm to the first good one
    after its last bad one, or to the end of the alarm, or to now. A prediction whose problem no
    sample has shown yet touches what is made from `expected_from` on, unless a later good sample
    clears it; earlier bad samples are those of another alarm. An alarm about units just made, which
    come before their evaluation, begins and ends as much earlier.
    """
    earlier = episode.raised_at - expected_from
    end = to_millis(min(episode.closed_at - earlier if episode.closed_at else at, at))
    good = samples.ts[~samples.is_met]
    before = np.append(-FAR_FUTURE, good[good <= to_millis(episode.raised_at)])[-1]
    since = to_millis(expected_from) if episode.is_prediction else before
    bad = samples.ts[samples.is_met & (samples.ts > since) & (samples.ts <= end)]
    clean = (good[good < bad[0]] if len(bad) else good)[-1:].tolist()
    start = clean[0] if clean else to_millis(episode.raised_at - LONGEST_BACK)
    if len(bad):
        end = min([end, *good[good > bad[-1]][:1].tolist()])
    elif episode.is_prediction or not clean:
        start = max(start, to_millis(expected_from))
    return TouchedTime(
        from_millis(start),
        from_millis(max(start, end)),
        from_millis(clean[0]) if clean else None,
    )


def touched_production(
    episode: Episode,
    time: TouchedTime,
    samples: ConditionSamples,
    history: History,
    at: datetime,
) -> TouchedProduction:
    """Return the touched production of a time in units and by lot. `history`: readings from before
    its start on."""
    units = count_units(history, time.start, time.end, at)
    lots = tuple(_find_lots(time, history, at))
    first, after, _ = condition_intervals(samples.ts, samples.is_met)
    after = np.where(after == NOT_YET, FAR_FUTURE, after)
    first, after = np.clip((first, after), to_millis(time.start), to_millis(time.end))
    bad = [
        count_units(history, from_millis(begin), from_millis(end), at)
        for begin, end in zip(first.tolist(), after.tolist(), strict=True)
        if begin < end
    ]
    numbers = [number for number in bad if isinstance(number, float)]
    return TouchedProduction(
        time.start,
        time.end,
        time.clean_until,
        episode.id,
        history.asset.name,
        lots,
        units if isinstance(units, float) else None,
        (time.end - time.start).total_seconds(),
        float((after - first).sum()) / 1000,
        sum(numbers) if isinstance(units, float) and len(numbers) == len(bad) else None,
        _describe(time, history.asset, units, lots),
    )


def _describe(
    time: TouchedTime, asset: Asset, units: float | str | None, lots: Sequence[LotInProduction]
) -> str:
    clean = (time.clean_until or time.start).isoformat()
    if time.start >= time.end:
        return translatable("nothing to block: good by the sample of {when}", when=clean)
    start = time.start.isoformat()
    block = translatable("block {start} to {end}", start=start, end=time.end.isoformat())
    if isinstance(units, float):
        pieces = translatable("{number} pieces", number=Styled(units, "count"))
        block = joined(", ", block, pieces)
    if names := [*dict.fromkeys(lot.name for lot in lots if lot.name)]:
        few = join_with_and(*filter(None, (joined(", ", *names[:-1]), names[-1])))
        listed = few if len(names) <= MOST_LOTS else join_first(names, MOST_LOTS)
        of_lots = translatable_count("lot {names}", "lots {names}", len(names), names=listed)
        block = joined(", ", block, of_lots)
    unknown = ""
    if lots[0].name is None and variable_that(asset, "names"):
        end = lots[0].end.isoformat()
        unknown = translatable("lots unknown {start} to {end}", start=start, end=end)
    proof = translatable("clean until the sample of {when}", when=clean)
    if time.clean_until is None:
        proof = translatable("no good sample is known before it")
    return joined("; ", block, units if isinstance(units, str) else "", unknown, proof)


def variable_that(asset: Asset, field: Literal["counts", "names"]) -> str | None:
    """Return the variable of an asset that counts units, or that names lots; None without one."""
    return next((name for name, v in asset.variables.items() if getattr(v, field)), None)


def longest_pause(asset: Asset) -> timedelta:
    """Return how far apart two readings of the counted units may be before some are missing."""
    counts = asset.variables.get(variable_that(asset, "counts") or "")
    usual = (counts and counts.sampling) or timedelta(0)
    return max(timedelta(minutes=10), 5 * usual)


def count_units(
    history: History, start: datetime, end: datetime, at: datetime
) -> float | str | None:
    """Return the units that were made in (start, end], by the readings known at an instant: the
    increase of a counter, or the sum of numbers of pieces. Where a reading is missing, return which
    one; None if no variable counts units.

    A pause of a counter is harmless unless it began again there.
    """
    name = variable_that(history.asset, "counts")
    if name is None:
        return None
    declared = history.asset.variables[name]
    ts, values = _known_values(history, name, at)
    level = np.asarray(values if declared.counter else np.cumsum(values), np.float64)
    falls = find_falls(ts, level, FAR_FUTURE, Counter(declared.rolls_over_at))
    added = np.bincount(falls.at, falls.added, len(ts))
    counts = ~falls.ignored
    counts[-1:] &= len(ts) - 1 not in falls.lower  # perhaps a fault, which the next reading shows
    ts = ts[counts]
    level = (level + np.cumsum(added))[counts]
    pause = duration_millis(longest_pause(history.asset))
    begin = to_millis(start)
    first, last = np.searchsorted(ts, [begin, to_millis(end)], side="right").tolist()
    has_base = first > 0 and begin - ts[first - 1] <= pause
    base = int(ts[first - 1]) if has_base else begin - pause - 1
    marks = np.concatenate(([base], ts[first:last], [to_millis(end)]))
    is_harmless = np.append((added[counts] == 0)[first:last] & has_base & declared.counter, False)
    if len(gaps := np.flatnonzero((np.diff(marks) > pause) & ~is_harmless)):
        since, until = np.maximum(marks[gaps[0] : gaps[0] + 2], begin).tolist()
        return translatable(
            "pieces unknown: no reading of {variable} {start} to {end}",
            variable=name,
            start=from_millis(since).isoformat(),
            end=from_millis(until).isoformat(),
        )
    return float(level[last - 1] - level[first - 1])


def _find_lots(time: TouchedTime, history: History, at: datetime) -> Iterator[LotInProduction]:
    """Yield the lots of a touched time in order; a lot is in force until the next one is named."""
    ts, values = _known_values(history, variable_that(history.asset, "names") or "", at)
    is_new = np.append(True, values[1:] != values[:-1])[: len(ts)]
    edges = [time.start, *map(from_millis, ts[is_new].tolist()), time.end]
    for name, begin, until in zip([None, *values[is_new]], edges, edges[1:], strict=False):
        start = max(begin, time.start)
        end = min(until, time.end)
        if start < end:
            units = count_units(history, start, end, at)
            yield LotInProduction(name, start, end, units if isinstance(units, float) else None)


def _known_values(history: History, name: str, at: datetime) -> tuple[Millis, npt.NDArray[Any]]:
    """Return the values of a variable that are known at an instant, with their instants (ms)."""
    ts = millis(history.readings.index)
    is_known = has_data(history, name) & (ts <= to_millis(at - history.delay(name)))
    return ts[is_known], history.readings.reindex(columns=[name])[name].to_numpy()[is_known]
