"""Threshold kind: compare every reading, carried forward until it is stale, or its rate of change,
with its limits.

The fault of the data is separate from the comparison with limits: missing data are never normal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias, get_args

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import SEVERITIES, Condition, Severity
from alerting.definitions.asset_documents import COUNTER_REACHES, Asset
from alerting.definitions.threshold_limits import Level, levels_on, unknown_limits
from alerting.detection.carried_reading import Carried
from alerting.detection.evaluation_results_and_texts import (
    INSIDE,
    MISSING,
    Fact,
    ReadingInForce,
    StatusInterval,
)
from alerting.detection.learned_limits import (
    LearnedLimits,
    LearnedSide,
    learned_sides_at,
    unknown_rows,
)
from alerting.readings.history import (
    FAR_FUTURE,
    History,
    Millis,
    duration_millis,
    find_members,
    from_millis,
    no_instants,
    to_millis,
)
from alerting.readings.rates import Counter, rates_of_change
from alerting.readings.variable_series import Flags, Numbers, has_value, is_text, series_of
from alerting.readings.window_counts import changes_of, is_covered, number_within, unbroken_since

Codes: TypeAlias = "npt.NDArray[np.int8]"
"""Status of each reading: a rank (0 within limits, 1 low ... 4 critical), or a code of a fact."""
SOUND = -1
_FIRST_FACT = 10
_SIDE = 20  # a rank of the limits on this side of `_SIDES_OF_CODES`
_SIDES_OF_CODES = ("above", "below", INSIDE)
_FACTS: tuple[Fact, ...] = get_args(Fact)
WAITING, STALE, FROZEN, OUT_OF_RANGE, BAD_QUALITY, NO_RATE, NO_LIMIT, ENDED = range(
    _FIRST_FACT, _FIRST_FACT + len(_FACTS)
)


def intervals_of_codes(
    starts: Millis, codes: Codes, end: int, alert: Severity | None, variable: str
) -> list[StatusInterval]:
    """Return the interval from each instant (ms, increasing) to the next one, the last interval to
    `end`.

    Equal neighbours are one interval. `alert`: severity of missing data; None: they are unknown.
    """
    first = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    bounds = [from_millis(at) for at in (*starts[first].tolist(), end)]
    runs = zip(bounds[:-1], bounds[1:], codes[first].tolist(), strict=True)
    return [_status_interval(start, stop, code, alert, variable) for start, stop, code in runs]


def _status_interval(
    start: datetime, end: datetime, code: int, alert: Severity | None, variable: str
) -> StatusInterval:
    if code == 0:
        return StatusInterval(start, end, "clear")
    side, rank = divmod(code, _SIDE)
    if rank < _FIRST_FACT:
        cause = f"{variable}.{_SIDES_OF_CODES[side]}"
        return StatusInterval(start, end, "triggered", SEVERITIES[rank - 1], cause=cause)
    fact = _FACTS[code - _FIRST_FACT]
    if alert is not None and fact in MISSING:
        return StatusInterval(start, end, "triggered", alert, fact, fact)
    return StatusInterval(start, end, "unknown", fact=fact)


@dataclass(frozen=True)
class _Rows:
    """Readings to evaluate, the carried one first, and for a number of events or changes the
    instants at which it falls. `run`: since when the value of each is unchanged; `taken`: when the
    reading in force was taken."""

    ts: Millis
    raw: npt.NDArray[Any]
    evaluated: npt.NDArray[Any]
    fact: Codes
    run: Millis
    taken: Millis


@dataclass(frozen=True)
class Evaluated:
    """Intervals from the watermark to `until` without a hole, and the reading that is carried
    forward from `until`.

    `learned`: each learned limit for the rows, with its severity and side; `missing`: why there is
    none.
    """

    intervals: list[StatusInterval]
    carried: Carried | None
    rows: _Rows | None = None
    learned: Sequence[LearnedSide] = ()
    missing: str = ""

    def reading_at(self, at: datetime) -> ReadingInForce | None:
        """Return the reading in force at an instant; None where limits are unknown."""
        if self.rows is None:
            return None
        i = max(int(np.searchsorted(self.rows.ts, to_millis(at), side="right")) - 1, 0)
        position = bisect_right(self.intervals, at, key=lambda interval: interval.start) - 1
        fact = (
            self.intervals[position].fact
            if position >= 0 and at < self.intervals[position].end
            else None
        )
        evaluated = _plain(self.rows.evaluated[i])
        number = None if isinstance(evaluated, str) else evaluated
        limits = tuple(side.in_force(i, self.missing) for side in self.learned)
        return ReadingInForce(
            from_millis(int(self.rows.taken[i])), _plain(self.rows.raw[i]), number, fact, limits
        )


def counter_of(definition: Condition, asset: Asset) -> Counter | None:
    """Return the counter that a rate is taken of, as the condition or the variable declares it;
    None if its values may fall."""
    variable = asset.variables.get(definition.variable)
    is_counter = definition.counter
    if is_counter is None:
        is_counter = variable is not None and variable.counter
    if definition.rate_per is None or not is_counter:
        return None
    return Counter(definition.rolls_over_at or (variable.rolls_over_at if variable else None))


def lookback(definition: Condition, asset: Asset) -> timedelta:
    """Return how far before the watermark readings are needed; 0 except for a rate or a number in a
    time."""
    if definition.count_within is not None:
        return definition.count_within + definition.stale_after
    if definition.rate_per is None:
        return timedelta(0)
    reach = definition.rate_per + definition.stale_after
    return reach if counter_of(definition, asset) is None else COUNTER_REACHES * reach


def evaluate_values(
    definition: Condition,
    history: History,
    carried: Carried | None,
    after: datetime,
    until: datetime,
) -> Evaluated:
    """Evaluate every reading in (after, until], continuing from the carried reading; intervals
    without a hole, in whole ms.

    A missing value (NaN) is no reading; a sample of bad quality has an unknown value. A reading is
    carried forward until the next one, for `stale_after` at most; after that, data are missing.
    `history` begins at `after - lookback(definition, asset)` or before.
    """
    series = series_of(definition, history)
    return evaluate_series(
        definition,
        history.asset,
        series.ts,
        series.values,
        carried,
        after,
        until,
        series.bad,
        events=series.events,
    )


def evaluate_series(
    definition: Condition,
    asset: Asset,
    ts: Millis,
    values: npt.NDArray[Any],
    carried: Carried | None,
    after: datetime,
    until: datetime,
    bad: Millis | None = None,
    learned: LearnedLimits | None = None,
    events: Millis | None = None,
) -> Evaluated:
    """Evaluate readings at `ts` (ms, increasing) as `evaluate_values` does.

    Values are float64 (missing: NaN), or objects (missing: None) for a category. `bad`: instants
    (ms, increasing) of samples of bad quality; they are among `ts`, and missing in `values`.
    `learned`: the learned limits in force; without them only stated limits count. `events`: the
    starts (ms, increasing) of the events that are counted.
    """
    bad = no_instants() if bad is None else bad
    begin = to_millis(after) + 1
    end = to_millis(until) + 1
    if unknown_limits(definition, asset):
        return Evaluated(
            [StatusInterval(from_millis(begin), from_millis(end), "unknown", fact="no_limit")], None
        )
    if carried is None or not _continues(definition, asset, carried):
        carried = Carried(definition.variable, after, None)
    reach = FAR_FUTURE if definition.count_within else duration_millis(lookback(definition, asset))
    present = (ts > begin - 1 - reach) & (ts < end)
    # a missing value is no reading
    present &= (has_value(values) | find_members(ts, bad)) if len(bad) else has_value(values)
    rows = _rows(definition, asset, ts[present], values[present], carried, begin)
    if definition.count_within is not None:
        sound = has_value(values) & present & _possible(definition, asset, values)
        rows = _counted(definition, asset, rows, ts[sound], values[sound], events, (begin, end))
    # readings that arrive when their value has already been the same for too long
    frozen = rows.ts >= rows.run + frozen_millis(definition)
    sides = learned_sides_at(definition, learned, rows.ts)
    ranks, codes_of_sides, beyond = _ranks(
        levels_on(definition, asset),
        _without(rows.evaluated, frozen),
        frozenset(carried.beyond),
        sides,
        _cleared_by_gap(definition, rows.taken),
    )
    rows.fact[(rows.fact == SOUND) & (ranks == 0) & unknown_rows(sides, len(ranks))] = NO_LIMIT
    sound = (rows.fact == SOUND) & ~frozen
    ranks, recent = _ranks_by_count(definition, rows.ts, ranks, sound, carried.recent)
    if definition.at_least is None:  # a count says no side
        ranks = ranks + codes_of_sides
    intervals = _status_intervals(
        definition, rows, np.where(rows.fact == SOUND, ranks, rows.fact), begin, end
    )
    return Evaluated(
        intervals,
        _last(definition, rows, beyond, recent),
        rows,
        sides,
        learned.missing if learned else "",
    )


def _continues(definition: Condition, asset: Asset, carried: Carried) -> bool:
    """Return whether the carried reading is of the evaluated variable and has its type."""
    text = isinstance(carried.value, str)
    return carried.variable == definition.variable and (
        carried.value is None or text == is_text(asset, definition.variable)
    )


def _last(
    definition: Condition, rows: _Rows, beyond: tuple[str, ...], recent: tuple[int, ...]
) -> Carried:
    last = rows.evaluated[-1]
    rate = None if definition.rate_per is None or np.isnan(last) else float(last)
    at = from_millis(int(rows.taken[-1]))
    since = from_millis(int(rows.run[-1]))
    bad = bool(rows.fact[-1] == BAD_QUALITY)
    value = _plain(rows.raw[-1])
    last_one = Carried(definition.variable, at, value, rate, beyond, recent, since, bad)
    return replace(last_one, ended=True) if rows.fact[-1] == ENDED else last_one


def _plain(value: Any) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    return None if np.isnan(value) else float(value)


def _rows(
    definition: Condition,
    asset: Asset,
    ts: Millis,
    raw: npt.NDArray[Any],
    carried: Carried,
    begin: int,
) -> _Rows:
    """Return the readings to evaluate. A row without a value is a sample of bad quality."""
    possible = _possible(definition, asset, raw) & has_value(raw)
    evaluated = _evaluated_values(definition, asset, ts, raw, possible)
    fresh = slice(int(np.searchsorted(ts, begin)), None)
    before = np.array(
        [np.nan if carried.value is None and raw.dtype != object else carried.value], raw.dtype
    )
    carried_number = (
        before
        if definition.rate_per is None
        else np.array([np.nan if carried.rate is None else carried.rate])
    )
    ts = np.concatenate(([to_millis(carried.at)], ts[fresh]))
    raw = np.concatenate((before, raw[fresh]))
    present = has_value(raw)
    sound = np.concatenate((_possible(definition, asset, before), possible[fresh])) & present
    evaluated = np.concatenate((carried_number, evaluated[fresh]))
    if evaluated.dtype != object:
        evaluated = np.where(sound, evaluated, np.nan)
    fact = np.where(sound, SOUND, OUT_OF_RANGE).astype(np.int8)
    fact[~present] = BAD_QUALITY
    if definition.rate_per is not None:
        fact[sound & np.isnan(evaluated)] = NO_RATE
    if carried.value is None and not carried.bad:
        fact[0] = ENDED if carried.ended else WAITING
    return _Rows(ts, raw, evaluated, fact, _runs(ts, raw, carried), ts)


def _counted(
    definition: Condition,
    asset: Asset,
    rows: _Rows,
    heard: Millis,
    values: npt.NDArray[Any],
    events: Millis | None,
    times: tuple[int, int],
) -> _Rows:
    """Return the rows with the number of events, or of changes of the values at `heard`, and one
    more at each instant at which a number falls or becomes known.

    Without a variable that shows that the asset is heard, an event is its reading, and the number
    of events is known; after an alarm that a person has ended, from the next event on. A number
    that is not known counts if it is beyond an upper limit.
    """
    begin, end = times
    within = duration_millis(definition.count_within or timedelta(0))
    longest = stale_millis(definition)
    counted = changes_of(heard, values, longest) if events is None else events
    since = unbroken_since(heard, longest)
    turns = np.unique(
        np.concatenate(([begin], rows.ts[1:], counted, counted + within, since + within))
    )
    at = np.append(rows.ts[0], turns[(turns >= begin) & (turns < end)])
    base = np.searchsorted(rows.ts, at, side="right") - 1
    number = number_within(counted, at, within)
    fact = rows.fact[base]
    taken = rows.taken[base]
    if definition.variable:
        limits = [level.above for level in levels_on(definition, asset) if level.above is not None]
        least = min(limits, default=np.inf)
        number[~is_covered(heard, since, at, within) & ~(number > least)] = np.nan
        fact[(fact == SOUND) & np.isnan(number)] = NO_RATE
    else:
        newest = np.append(rows.ts[0], counted)[np.searchsorted(counted, at, side="right")]
        taken = np.maximum(newest, taken)
        fact[(fact != ENDED) | (newest >= begin)] = SOUND
    number[fact != SOUND] = np.nan
    number[0] = np.nan  # before the times
    return _Rows(at, rows.raw[base], number, fact, rows.run[base], taken)


def _possible(definition: Condition, asset: Asset, raw: npt.NDArray[Any]) -> Flags:
    """Return whether each value lies within the engineering range of its variable."""
    variable = asset.variables.get(definition.variable)
    possible = np.ones(len(raw), np.bool_)
    if variable is None or raw.dtype == object or definition.no_data == "ignore":
        return possible
    if variable.low is not None:
        possible &= ~(raw < variable.low)
    if variable.high is not None:
        possible &= ~(raw > variable.high)
    return possible


def _evaluated_values(
    definition: Condition, asset: Asset, ts: Millis, raw: npt.NDArray[Any], possible: Flags
) -> npt.NDArray[Any]:
    """Return the numbers that the limits apply to: the values, or their rates of change."""
    if definition.rate_per is None:
        return raw
    per = duration_millis(definition.rate_per)
    stale = duration_millis(definition.stale_after)
    limits = [limit for level in levels_on(definition, asset) for limit in level.numbers]
    counter = counter_of(definition, asset)
    return rates_of_change(ts, raw.astype(np.float64), possible, per, stale, limits, counter)


def _runs(ts: Millis, raw: npt.NDArray[Any], carried: Carried) -> Millis:
    """Return, for each reading, since when the value has been the same."""
    starts = np.append(True, raw[1:] != raw[:-1])
    first = np.maximum.accumulate(np.where(starts, np.arange(len(ts)), 0))
    since = ts.copy()
    since[0] = to_millis(carried.same_since or carried.at)
    return since[first]


def _ranks(
    levels: tuple[Level, ...],
    evaluated: npt.NDArray[Any],
    before: frozenset[str],
    learned: Sequence[LearnedSide],
    cleared: Flags,
) -> tuple[Codes, Codes, tuple[str, ...]]:
    """Return the worst rank reached by each reading, the code of its side, and the limits that the
    last one is beyond (for hysteresis).

    A learned limit that is unknown for a reading neither holds nor is over. `cleared`: readings
    before which every limit was over.
    """
    ranks = np.zeros(len(evaluated), np.int8)
    of_side = ranks.copy()
    last = []
    for level in levels:
        hit = np.zeros(len(evaluated), np.bool_)
        by_side = {
            limit.side: limit.moving.values for limit in learned if limit.severity == level.severity
        }
        for side, met, over in _sides(level, evaluated, by_side):
            name = f"{level.severity}.{side}"
            beyond = _lasting(met, over | (cleared & ~met), name in before)
            beyond_now = beyond & ~np.isnan(by_side[side]) if side in by_side else beyond
            of_side[beyond_now] = _SIDE * _SIDES_OF_CODES.index(side)
            hit |= beyond_now
            last += [name] if beyond[-1] else []
        ranks[hit] = SEVERITIES.index(level.severity) + 1
    return ranks, of_side, tuple(last)


def _sides(
    level: Level, evaluated: npt.NDArray[Any], learned: Mapping[str, Numbers]
) -> Iterator[tuple[str, Flags, Flags]]:
    """Yield each limit by its side, with a mask of the readings that meet it and a mask of those
    that end it (NaN does neither)."""
    above = learned.get("above", level.above)
    below = learned.get("below", level.below)
    if above is not None:
        yield (
            "above",
            evaluated > above,
            evaluated <= (above if level.clear_above_at is None else level.clear_above_at),
        )
    if below is not None:
        yield (
            "below",
            evaluated < below,
            evaluated >= (below if level.clear_below_at is None else level.clear_below_at),
        )
    if isinstance(level.equals, str):
        met = np.asarray(evaluated == level.equals, np.bool_)
        yield INSIDE, met, ~met
        return
    inside = level.inside if level.equals is None else (level.equals, level.equals)
    if inside is not None:
        low, high = level.leave or inside
        yield (
            INSIDE,
            (evaluated >= inside[0]) & (evaluated <= inside[1]),
            (evaluated < low) | (evaluated > high),
        )


def _cleared_by_gap(definition: Condition, ts: Millis) -> Flags:
    """Return a mask of the readings that come after a silence that counts as clear."""
    if definition.no_data != "clear":
        return np.zeros(len(ts), np.bool_)
    return np.append(False, np.diff(ts) > stale_millis(definition))


def limit_masks(levels: Sequence[Level], values: npt.NDArray[Any]) -> tuple[Flags, Flags]:
    """Return two masks with one entry for each value: whether it is beyond a limit, and whether it
    is back within all of them."""
    sides = [side for level in levels for side in _sides(level, values, {})]
    return (
        np.logical_or.reduce([met for _, met, _ in sides]),
        np.logical_and.reduce([over for _, _, over in sides]),
    )


def _without(evaluated: npt.NDArray[Any], frozen: Flags) -> npt.NDArray[Any]:
    """Return the evaluated numbers with frozen ones missing, so that these do not change the side
    of a limit."""
    if evaluated.dtype == object or not frozen.any():
        return evaluated
    return np.where(frozen, np.nan, evaluated)


def _lasting(met: Flags, over: Flags, before: bool) -> Flags:
    """Return a mask of the readings at which a limit is in effect: from one that meets it until one
    that ends it."""
    decided = met | over
    last_decided = np.maximum.accumulate(np.where(decided, np.arange(len(met)), -1))
    return np.where(last_decided < 0, before, met[np.maximum(last_decided, 0)])


def _ranks_by_count(
    definition: Condition, ts: Millis, ranks: Codes, sound: Flags, recent: tuple[int, ...]
) -> tuple[Codes, tuple[int, ...]]:
    """Return, for each reading, the rank that at least `at_least` of the last sound readings reach.

    Readings before a hole in the data do not count.
    """
    at_least = definition.at_least
    if at_least is None:
        return ranks, ()
    holes = np.append(False, ts[1:] - ts[:-1] > stale_millis(definition))
    part = np.cumsum(holes)[sound]
    before = np.array(recent, np.int8)
    window = at_least.of
    series = np.concatenate((np.zeros(window - 1, np.int8), before, ranks[sound]))
    parts = np.concatenate((np.full(window - 1, -1), np.zeros(len(before), np.int64), part))
    counted = np.zeros(len(ranks), np.int8)
    if sound.any():
        windows = np.lib.stride_tricks.sliding_window_view(series, window)[len(before) :]
        same = (
            np.lib.stride_tricks.sliding_window_view(parts, window)[len(before) :] == part[:, None]
        )
        counted[sound] = np.sort(np.where(same, windows, 0), axis=1)[:, window - at_least.readings]
    stop = len(series) - (1 if sound[-1] else 0)
    latest = series[:stop][parts[:stop] == np.count_nonzero(holes)]
    return counted, tuple(latest[len(latest) - min(len(latest), window - 1) :].tolist())


def stale_millis(condition: Condition) -> int:
    """Return the time (ms) after which a reading no longer counts; FAR_FUTURE if it counts until
    the next one."""
    lasts = condition.no_data == "ignore" or not condition.variable
    return FAR_FUTURE if lasts else duration_millis(condition.stale_after)


def frozen_millis(condition: Condition) -> int:
    """Return the time (ms) for which a value may stay the same; FAR_FUTURE without such a limit."""
    return FAR_FUTURE if condition.frozen_after is None else duration_millis(condition.frozen_after)


def _status_intervals(
    definition: Condition, rows: _Rows, codes: Codes, begin: int, end: int
) -> list[StatusInterval]:
    """Return the status intervals of the readings: each reading is carried forward, and may freeze
    or become stale.

    Equal neighbours are one interval.
    """
    following = np.append(rows.ts[1:], end)
    valid_until = np.minimum(following, rows.taken + stale_millis(definition))
    valid_until = np.where(rows.fact == ENDED, following, valid_until)
    freezes = valid_until
    if definition.frozen_after is not None:
        freezes = np.clip(rows.run + frozen_millis(definition), rows.ts, valid_until)
        freezes = np.where(np.isin(rows.fact, (SOUND, NO_RATE, NO_LIMIT)), freezes, valid_until)
    starts = np.column_stack((rows.ts, freezes, valid_until)).ravel()
    ends = np.column_stack((freezes, valid_until, following)).ravel()
    stale = np.full(len(codes), 0 if definition.no_data == "clear" else STALE)
    whole = np.column_stack((codes, np.full(len(codes), FROZEN), stale)).ravel()
    starts = np.maximum(starts, begin)
    lasting = ends > starts
    alert = definition.severity if definition.no_data == "alert" else None
    return intervals_of_codes(starts[lasting], whole[lasting], end, alert, definition.variable)
