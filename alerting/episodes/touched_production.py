"""The production that an alarm of quality touches: from the last good sample to the first good one
after the last bad one, in time, in units and by lot.

Pure, from the readings that were known at an instant. Nothing of it is stored: the same readings
give the same block in live evaluation, when it catches up and in a backtest, and a later sample
that proves production clean makes the block smaller.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import Definition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.condition_fields import Conditions
from alerting.definitions.wording.language import (
    Styled,
    join_first,
    join_with_and,
    joined,
    template,
    translatable,
)
from alerting.detection.combined_conditions import status_intervals
from alerting.detection.problem_occurrences import NOT_YET, condition_intervals, problem_samples
from alerting.episodes.episode import Episode
from alerting.readings.history import (
    FAR_FUTURE,
    BoolArray,
    Floats,
    History,
    Millis,
    duration_millis,
    from_millis,
    has_data,
    millis,
    to_millis,
)
from alerting.readings.rates import Counter, find_falls

LONGEST_BACK = timedelta(days=31)
"""How long before the raise the last good sample is searched, and how long a lot stays in force."""
MOST_LOTS = 5
_LEAST_FRESH = timedelta(minutes=10)
_SAMPLES_MISSED = 5
_MOMENT = timedelta(milliseconds=1)
_UNITS_UNKNOWN = template("pieces unknown: no reading of {variable} {start} to {end}")
_LOTS_UNKNOWN = template("lots unknown: no reading of {variable} {start} to {end}")


class QualitySamples(NamedTuple):
    """Samples of the variables that show the problem of a definition: their instants (ms,
    increasing), and which of them are bad."""

    ts: Millis
    bad: BoolArray


@dataclass(frozen=True)
class TouchedTime:
    """The time (start, end] of touched production. `clean_until`: the stamp of the last good sample
    before; None without one. `is_measured`: a bad sample has shown the problem."""

    start: datetime
    end: datetime
    clean_until: datetime | None
    is_measured: bool


@dataclass(frozen=True)
class CountedUnits:
    """A number of units; None where readings are missing, for the reason `unknown`, and where no
    variable counts units."""

    number: float | None = None
    unknown: str = ""


NO_UNITS = CountedUnits()


@dataclass(frozen=True)
class LotInProduction:
    """A lot, the part of the touched time in which it was in production, and its units there; None
    if they are not known."""

    name: str
    start: datetime
    end: datetime
    units: float | None = None


@dataclass(frozen=True)
class TouchedProduction:
    """The production that an alarm touches. `unit`: of the counted units, None for pieces.
    `lots_unknown`: why the lots of a part are unknown; empty if they are known, or none is named.
    """

    time: TouchedTime
    units: CountedUnits = NO_UNITS
    unit: str | None = None
    lots: tuple[LotInProduction, ...] = ()
    lots_unknown: str = ""

    @property
    def is_empty(self) -> bool:
        """Return whether a good sample has cleared all of it."""
        return self.time.start >= self.time.end

    @property
    def lot_names(self) -> tuple[str, ...]:
        """Return the names of the lots, each once, in the order of their production."""
        return tuple(dict.fromkeys(lot.name for lot in self.lots))

    @property
    def message(self) -> str:
        """Return what to block, as a sentence with its instants in ISO 8601."""
        clean = self.time.clean_until
        if self.is_empty and clean is not None:
            return translatable(
                "nothing to block: good by the sample of {when}", when=clean.isoformat()
            )
        start = self.time.start.isoformat()
        parts = [translatable("block {start} to {end}", start=start, end=self.time.end.isoformat())]
        if self.units.number is not None:
            number = Styled(self.units.number, f"count {self.unit}" if self.unit else "count")
            parts.append(
                translatable("{number}", number=number)
                if self.unit
                else translatable("{number} pieces", number=number)
            )
        if names := self.lot_names:
            listed = join_first(names, MOST_LOTS)
            if 1 < len(names) <= MOST_LOTS:
                listed = join_with_and(joined(", ", *names[:-1]), names[-1])
            parts.append(
                translatable("lot {name}", name=names[0])
                if len(names) == 1
                else translatable("lots {names}", names=listed)
            )
        unknown = (self.units.unknown, self.lots_unknown)
        return joined("; ", joined(", ", *parts), *unknown, self._describe_proof())

    def _describe_proof(self) -> str:
        clean = self.time.clean_until
        if clean is None:
            return translatable("no good sample is known before it")
        when = clean.isoformat()
        if clean < self.time.start:
            return translatable("not measured since the good sample of {when}", when=when)
        return translatable("before it clean by the sample of {when}", when=when)


@dataclass(frozen=True)
class BadProduction:
    """The part of touched production that samples show as bad: from each bad sample to the next
    good one. `units`: None if they are not known."""

    time: timedelta
    units: float | None


@dataclass(frozen=True)
class ProductionBlock:
    """The production that an episode touches, and how much of it was bad, as known at an
    instant."""

    episode: str
    asset: str
    raised_at: datetime
    production: TouchedProduction
    bad: BadProduction


def known_samples(definition: Definition, history: History, at: datetime) -> QualitySamples:
    """Return the samples that are known at an instant, each with whether it shows the problem."""
    samples = (
        QualitySamples(*problem_samples(definition.problem, history))
        if definition.problem is not None
        else _samples_of_limits(definition, history)
    )
    delay = max(map(history.delay, definition.quality_variables), default=timedelta(0))
    count = int(np.searchsorted(samples.ts, to_millis(at - delay), side="right"))
    return QualitySamples(samples.ts[:count], samples.bad[:count])


def _samples_of_limits(definition: Definition, history: History) -> QualitySamples:
    names = [name for name in definition.quality_variables if name in history.readings]
    present = history.readings[names].notna().any(axis=1).to_numpy()
    at = millis(history.readings.index)[present]
    if not len(at) or not isinstance(definition, Conditions):
        return QualitySamples(at[:0], np.empty(0, np.bool_))
    first = from_millis(int(at[0])) - _MOMENT
    last = from_millis(int(at[-1])) + _MOMENT
    intervals = status_intervals(definition, history, first, last)
    starts = [to_millis(interval.start) for interval in intervals]
    status = np.array([interval.status for interval in intervals], dtype=object)
    status = status[np.searchsorted(starts, at, side="right") - 1]
    is_known = status != "unknown"
    return QualitySamples(at[is_known], np.asarray(status[is_known] == "triggered", np.bool_))


def touched_time(
    samples: QualitySamples, episode: Episode, expected_from: datetime, at: datetime
) -> TouchedTime:
    """Return the time of the production that an alarm touches, as known at an instant.

    It goes from the last good sample before the first bad one of the alarm to the first good one
    after its last bad one, or to the end of the alarm, or to now. A prediction whose problem no
    sample has shown yet touches what is made from `expected_from` on, unless a later good sample
    clears it.
    """
    raised = to_millis(episode.raised_at)
    end = to_millis(min(episode.closed_at or at, at))
    good = samples.ts[~samples.bad]
    clean = _last(good[good <= raised])
    wrong = samples.ts[samples.bad & (samples.ts <= end)]
    wrong = wrong if clean is None else wrong[wrong > clean]
    if len(wrong):
        clean = _last(good[good < wrong[0]])
        end = min([end, *good[good > wrong[-1]][:1].tolist()])
    else:
        clean = _last(good)
    start = to_millis(episode.raised_at - LONGEST_BACK) if clean is None else clean
    if not len(wrong) and (clean is None or episode.is_prediction):
        start = max(start, to_millis(expected_from))
    return TouchedTime(
        from_millis(start),
        from_millis(max(start, end)),
        None if clean is None else from_millis(clean),
        len(wrong) > 0,
    )


def _last(ts: Millis) -> int | None:
    return int(ts[-1]) if len(ts) else None


def touched_production(time: TouchedTime, history: History, at: datetime) -> TouchedProduction:
    """Return the touched production of a time in units and by lot, by the readings known at an
    instant. `history`: readings from before its start on."""
    counts = variable_that(history.asset, "counts")
    if time.start >= time.end:
        return TouchedProduction(time)
    lots = _lots_in_production(time, history, at)
    missing = not lots or lots[0].start > time.start
    name = variable_that(history.asset, "names")
    unknown = ""
    if name is not None and missing:
        until = lots[0].start if lots else time.end
        unknown = _no_reading(_LOTS_UNKNOWN, name, time.start, until)
    return TouchedProduction(
        time,
        count_units(history, time.start, time.end, at),
        history.asset.variables[counts].unit if counts else None,
        tuple(
            replace(lot, units=count_units(history, lot.start, lot.end, at).number) for lot in lots
        ),
        unknown,
    )


def bad_production(
    samples: QualitySamples, time: TouchedTime, history: History, at: datetime
) -> BadProduction:
    """Return how much of the production of a time was bad, by the samples known at an instant."""
    first, after, _ = condition_intervals(samples.ts, samples.bad)
    begins = np.maximum(first, to_millis(time.start)).tolist()
    ends = np.minimum(np.where(after == NOT_YET, FAR_FUTURE, after), to_millis(time.end)).tolist()
    runs = [
        (from_millis(begin), from_millis(end))
        for begin, end in zip(begins, ends, strict=True)
        if begin < end
    ]
    units = [count_units(history, begin, end, at).number for begin, end in runs]
    known = [number for number in units if number is not None]
    has_units = variable_that(history.asset, "counts") is not None and len(known) == len(units)
    return BadProduction(
        sum((end - begin for begin, end in runs), timedelta(0)), sum(known) if has_units else None
    )


def variable_that(asset: Asset, field: Literal["counts", "names"]) -> str | None:
    """Return the variable of an asset that counts units, or that names lots; None without one."""
    return next((name for name, v in asset.variables.items() if getattr(v, field)), None)


def longest_pause(asset: Asset, name: str) -> timedelta:
    """Return how far apart two readings of a variable may be before some count as missing."""
    sampling = asset.variables[name].sampling or timedelta(0)
    return max(_LEAST_FRESH, _SAMPLES_MISSED * sampling) + asset.delay(name)


def count_units(history: History, start: datetime, end: datetime, at: datetime) -> CountedUnits:
    """Return the units that were made in (start, end], by the readings known at an instant: the
    increase of a counter, or the sum of numbers of pieces.

    A pause of a counter is harmless unless it began again there.
    """
    name = variable_that(history.asset, "counts")
    if name is None:
        return NO_UNITS
    made = _made(history, name, at)
    begin = to_millis(start)
    stop = to_millis(end)
    pause = duration_millis(longest_pause(history.asset, name))
    first = int(np.searchsorted(made.ts, begin, side="right"))
    last = int(np.searchsorted(made.ts, stop, side="right"))
    has_base = first > 0 and begin - made.ts[first - 1] <= pause
    base = made.ts[first - 1 : first] if has_base else [begin - pause - 1]
    marks = np.concatenate((base, made.ts[first:last], [stop])).astype(np.int64)
    is_harmless = np.append(has_base & made.is_difference[first:last], False)
    if len(gaps := np.flatnonzero((np.diff(marks) > pause) & ~is_harmless)):
        since = from_millis(max(int(marks[gaps[0]]), begin))
        until = from_millis(int(marks[gaps[0] + 1]))
        return CountedUnits(None, _no_reading(_UNITS_UNKNOWN, name, since, until))
    return CountedUnits(float(made.units[first:last].sum()))


class _Made(NamedTuple):
    """Units made up to each reading since the one before. `is_difference`: of two values of a
    counter that did not begin again between them."""

    ts: Millis
    units: Floats
    is_difference: BoolArray


def _made(history: History, name: str, at: datetime) -> _Made:
    declared = history.asset.variables[name]
    ts, raw = _known_values(history, name, at)
    values = raw.astype(np.float64)
    if not declared.counter:
        return _Made(ts, values, np.zeros(len(ts), np.bool_))
    falls = find_falls(ts, values, FAR_FUTURE, Counter(declared.rolls_over_at))
    added = np.zeros(len(ts))
    added[falls.at] = falls.added
    # the newest reading may be a fault of one sample, which the next one shows
    counts = ~falls.ignored & ~(
        (np.arange(len(ts)) == len(ts) - 1) & np.isin(len(ts) - 1, falls.lower)
    )
    level = (values + np.cumsum(added))[counts]
    return _Made(ts[counts], np.diff(level, prepend=level[:1]), added[counts] == 0)


def _lots_in_production(
    time: TouchedTime, history: History, at: datetime
) -> tuple[LotInProduction, ...]:
    """Return the lots of a touched time in order; a lot is in force until the next one is named."""
    name = variable_that(history.asset, "names")
    if name is None or name not in history.readings:
        return ()
    ts, values = _known_values(history, name, at)
    stop = to_millis(time.end)
    begins = np.maximum(ts, to_millis(time.start))
    ends = np.append(begins[1:], stop)[: len(ts)]
    lots: list[LotInProduction] = []
    for lot, begin, end in zip(
        values, begins.tolist(), np.minimum(ends, stop).tolist(), strict=True
    ):
        if lots and begin < end and lots[-1].name == lot:
            lots[-1] = replace(lots[-1], end=from_millis(end))
        elif begin < end:
            lots.append(LotInProduction(str(lot), from_millis(begin), from_millis(end)))
    return tuple(lots)


def _no_reading(template: str, name: str, start: datetime, end: datetime) -> str:
    return translatable(template, variable=name, start=start.isoformat(), end=end.isoformat())


def _known_values(history: History, name: str, at: datetime) -> tuple[Millis, npt.NDArray[Any]]:
    """Return the values of a variable that are known at an instant, with their instants (ms)."""
    if name not in history.readings:
        return np.empty(0, np.int64), np.empty(0, np.float64)
    ts = millis(history.readings.index)
    known = has_data(history, name) & (ts <= to_millis(at - history.delay(name)))
    return ts[known], history.readings[name].to_numpy()[known]
