"""The production that an alarm of quality touches: from the last good sample to the first good one
after the last bad one, in time, in units and by lot.

Pure, from the readings that were known at an instant. Nothing of it is stored: the same readings
give the same block in live evaluation, when it catches up and in a backtest, and a later sample
that proves production clean makes the block smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal, NamedTuple

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import Problem
from alerting.definitions.asset_documents import Asset
from alerting.definitions.wording.language import (
    Interval,
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

# The last good sample is searched this far before the raise, and a lot stays in force so long.
LONGEST_BACK = timedelta(days=31)
MOST_LOTS = 5  # that a sentence names
MOST_SHOWN = 100


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

    `lots`: in the order of their production, without the `more_lots` behind the first ones; one
    without a name where no lot is known. `length_s` and `bad_s`: seconds of the whole, and of the
    part that samples show as bad, from each bad sample to the next good one. `units`, `bad_units`:
    None if they are not known. `message`: what to block, as a sentence with its instants in ISO
    8601.
    """

    episode: str
    asset: str
    lots: tuple[LotInProduction, ...]
    units: float | None
    length_s: float
    bad_s: float
    bad_units: float | None
    message: str
    more_lots: int = 0


def known_samples(problem: Problem, history: History, at: datetime) -> ConditionSamples:
    """Return the samples of a problem's variables that are known at an instant, each with its own
    instant (ms)."""
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
    most_lots: int | None = None,
) -> TouchedProduction:
    """Return the touched production of a time in units and by lot. `history`: readings from before
    its start on; `most_lots`: of more lots the first ones, None for all."""
    made = UnitsMade(history, at)
    units = made.count(time.start, time.end)
    lot_times = _find_lots(time, history, at)
    lots = tuple(
        LotInProduction(name, since, until, number if isinstance(number, float) else None)
        for name, begin, end in islice(zip(*lot_times, strict=True), most_lots)
        for since, until in [(from_millis(int(begin)), from_millis(int(end)))]
        for number in [made.count(since, until)]
    )
    first, after, _ = condition_intervals(samples.ts, samples.is_met)
    after = np.where(after == NOT_YET, FAR_FUTURE, after)
    first, after = np.clip((first, after), to_millis(time.start), to_millis(time.end))
    bad = [
        made.count(from_millis(begin), from_millis(end))
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
        _describe(time, history.asset, units, lot_times),
        len(lot_times.names) - len(lots),
    )


def _describe(time: TouchedTime, asset: Asset, units: float | str | None, lots: _LotTimes) -> str:
    clean = time.clean_until or time.start
    if time.start >= time.end:
        return translatable("nothing to block: good by the sample of {when}", when=clean)
    block = translatable("block {period}", period=Interval(time.start, time.end))
    if isinstance(units, float):
        block = joined(", ", block, translatable("{number} pieces", number=Styled(units, "count")))
    if names := [*dict.fromkeys(filter(None, lots.names.tolist()))]:
        listed = join_first(names, MOST_LOTS)
        if len(names) <= MOST_LOTS:
            listed = join_with_and(*filter(None, (joined(", ", *names[:-1]), names[-1])))
        of_lots = translatable_count("lot {names}", "lots {names}", len(names), names=listed)
        block = joined(", ", block, of_lots)
    unknown = ""
    if lots.names[0] is None and variable_that(asset, "names"):
        until = from_millis(int(lots.end[0]))
        unknown = translatable("lots unknown {period}", period=Interval(time.start, until))
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


class UnitsMade:
    """The units that were made, by the readings known at an instant: the increase of a counter, or
    the sum of numbers of pieces. It is read once for all times."""

    def __init__(self, history: History, at: datetime) -> None:
        self._name = variable_that(history.asset, "counts")
        if self._name is None:
            return
        declared = history.asset.variables[self._name]
        ts, values = _known_values(history, self._name, at)
        level = np.asarray(values if declared.counter else np.cumsum(values), np.float64)
        falls = find_falls(ts, level, FAR_FUTURE, Counter(declared.rolls_over_at))
        added = np.bincount(falls.at, falls.added, len(ts))
        counts = ~falls.ignored
        # perhaps a fault, which the next reading shows
        counts[-1:] &= len(ts) - 1 not in falls.lower
        self._ts = ts[counts]
        self._level = (level + np.cumsum(added))[counts]
        self._is_whole = (added[counts] == 0) & bool(declared.counter)
        self._pause = duration_millis(longest_pause(history.asset))

    def count(self, start: datetime, end: datetime) -> float | str | None:
        """Return the units made in (start, end]. Where a reading is missing, return which one; None
        if no variable counts units.

        A pause of a counter is harmless unless it began again there.
        """
        if self._name is None:
            return None
        begin = to_millis(start)
        first, last = np.searchsorted(self._ts, [begin, to_millis(end)], side="right").tolist()
        has_base = first > 0 and begin - self._ts[first - 1] <= self._pause
        base = int(self._ts[first - 1]) if has_base else begin - self._pause - 1
        marks = np.concatenate(([base], self._ts[first:last], [to_millis(end)]))
        is_harmless = np.append(self._is_whole[first:last] & has_base, False)
        if len(gaps := np.flatnonzero((np.diff(marks) > self._pause) & ~is_harmless)):
            since, until = np.maximum(marks[gaps[0] : gaps[0] + 2], begin).tolist()
            return translatable(
                "pieces unknown: no reading of {variable} {period}",
                variable=self._name,
                period=Interval(from_millis(since), from_millis(until)),
            )
        return float(self._level[last - 1] - self._level[first - 1])


class _LotTimes(NamedTuple):
    """The lots of a touched time in order, each with the time (ms) in which it was in force, to the
    next one that is named."""

    names: npt.NDArray[Any]
    begin: Millis
    end: Millis


def _find_lots(time: TouchedTime, history: History, at: datetime) -> _LotTimes:
    ts, values = _known_values(history, variable_that(history.asset, "names") or "", at)
    is_new = np.append(True, values[1:] != values[:-1])[: len(ts)]
    within = to_millis(time.start), to_millis(time.end)
    edges = np.clip(np.concatenate((within[:1], ts[is_new], within[1:])), *within)
    is_made = edges[:-1] < edges[1:]
    names = np.append(np.array([None]), values[is_new])
    return _LotTimes(names[is_made], edges[:-1][is_made], edges[1:][is_made])


def _known_values(history: History, name: str, at: datetime) -> tuple[Millis, npt.NDArray[Any]]:
    """Return the values of a variable that are known at an instant, with their instants (ms)."""
    ts = millis(history.readings.index)
    is_known = has_data(history, name) & (ts <= to_millis(at - history.delay(name)))
    return ts[is_known], history.readings.reindex(columns=[name])[name].to_numpy()[is_known]
