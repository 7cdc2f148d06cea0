"""Values of computed variables, as a pure function of the readings of their parts.

At each instant at which a part has a reading, every part counts by its last reading, if that is at
most `within` old and sound: neither of bad quality nor outside of its engineering range. Nothing is
interpolated and no grid is made, so the value at an instant depends on the readings of a bounded
time before it and on nothing else, however the time is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.assets import Asset, Computed
from alerting.definitions.fields.variables import LAG_LENGTHS
from alerting.readings.history import (
    FAR_FUTURE,
    Doubts,
    Floats,
    History,
    Millis,
    duration_millis,
    find_members,
    in_range,
    millis,
    no_instants,
)

# Reads stored variables after an instant, None from the first one on: a frame with the conventions
# of `History`, and doubts.
ReadStored: TypeAlias = "Callable[[Sequence[str], datetime | None], tuple[pd.DataFrame, Doubts]]"
Flags: TypeAlias = "npt.NDArray[np.bool_]"
_AT_ONCE = 2_000_000  # weights of readings of a lag in memory at once


@dataclass(frozen=True)
class _Part:
    """Readings of a part: `value` is NaN where not sound, `is_bad` where of bad quality."""

    ts: Millis
    value: Floats
    is_bad: Flags


def read_computed(
    asset: Asset, names: Iterable[str], start: datetime | None, read: ReadStored
) -> tuple[pd.DataFrame, Doubts]:
    """Return readings after an instant, some computed from what `read` returns."""
    wanted = list(names)
    needed = asset.with_parts(wanted)
    computed = [name for name in needed if asset.is_computed(name)]
    if not computed:
        return read(wanted, start)
    stored = [name for name in needed if name not in computed]
    frame, doubts = read(stored, None if start is None else start - lookback(asset, wanted))
    found = with_computed(History(asset, frame, doubts=doubts), computed)
    readings = found.readings if start is None else found.readings.loc[found.readings.index > start]
    return readings[wanted], _only(found.doubts, wanted)


def lookback(asset: Asset, names: Iterable[str]) -> timedelta:
    """Return how far before an instant readings lie that decide these variables there."""
    found: dict[str, timedelta] = {}
    for name in asset.with_parts(names):
        computed = asset.variables[name].computed if name in asset.variables else None
        found[name] = (
            timedelta(0)
            if computed is None
            else computed.lookback + max(found[part] for part in computed.drivers)
        )
    return max(found.values(), default=timedelta(0))


def with_computed(history: History, names: Sequence[str]) -> History:
    """Return a history with these computed variables, from columns that are there."""
    readings = history.readings
    doubts = history.doubts
    bad = dict(doubts.bad)
    uncertain = dict(doubts.uncertain)
    ts = millis(pd.DatetimeIndex(readings.index))
    columns = {str(name): readings[name] for name in readings}
    for name in names:
        computed = history.asset.variables[name].computed
        if computed is None:
            continue
        parts = [_part(history.asset, part, ts, columns, bad) for part in computed.drivers]
        values, is_bad = compute(computed, ts, parts)
        columns[name] = pd.Series(values, readings.index)
        if is_bad.any():
            bad[name] = ts[is_bad]
        doubtful = [uncertain[part] for part in computed.drivers if part in uncertain]
        if doubtful:
            uncertain[name] = np.unique(np.concatenate(doubtful))
    return replace(
        history, readings=pd.DataFrame(columns, readings.index), doubts=Doubts(bad, uncertain)
    )


def compute(computed: Computed, at: Millis, parts: Sequence[_Part]) -> tuple[Floats, Flags]:
    """Return the value at each instant (ms, increasing), and where it has none because a part is of
    bad quality.

    NaN where no part has a reading at the instant, where a part has no sound value, and for a ratio
    with 0 below.
    """
    has_reading = np.logical_or.reduce([find_members(at, part.ts) for part in parts])
    values = np.full(len(at), np.nan)
    is_bad = np.zeros(len(at), np.bool_)
    rows = np.flatnonzero(has_reading)
    found = [_in_force(part, at[rows], duration_millis(computed.within)) for part in parts]
    first = found[0][0]
    if computed.kind == "lag" and computed.time_constant is not None:
        first = _lagged(parts[0], at[rows], first, duration_millis(computed.time_constant))
    values[rows] = computed.gain * _combine(computed, first, *(value for value, _ in found[1:]))
    is_bad[rows] = np.logical_or.reduce([bad for _, bad in found])
    return np.where(np.isfinite(values), values, np.nan), is_bad


def _combine(computed: Computed, first: Floats, *others: Floats) -> Floats:
    if computed.kind == "difference":
        return first - others[0]
    if computed.kind == "ratio":
        ratio: Floats = np.divide(
            first, others[0], out=np.full(len(first), np.nan), where=others[0] != 0
        )
        return ratio
    return first


def _part(
    asset: Asset, name: str, ts: Millis, columns: Mapping[str, pd.Series], bad: Mapping[str, Millis]
) -> _Part:
    raw = columns[name].to_numpy(np.float64) if name in columns else np.full(len(ts), np.nan)
    is_bad = find_members(ts, bad.get(name, no_instants()))
    there = ~np.isnan(raw) | is_bad
    sound = in_range(asset, name, raw[there])
    return _Part(ts[there], np.where(np.isfinite(sound), sound, np.nan), is_bad[there])


def _in_force(part: _Part, at: Millis, within: int) -> tuple[Floats, Flags]:
    """Return each instant's last value, NaN unless recent and sound; and where it is bad."""
    newest = np.searchsorted(part.ts, at, side="right") - 1
    there = newest >= 0
    there[there] = at[there] - part.ts[newest[there]] <= within
    value = np.append(part.value, np.nan)
    is_bad = np.append(part.is_bad, False)
    newest = np.where(there, newest, len(part.ts))
    return value[newest], is_bad[newest]


def _lagged(part: _Part, at: Millis, present: Floats, time_constant: int) -> Floats:
    """Return the values of a part behind a first-order lag, from its readings of `LAG_LENGTHS` time
    constants (ms) alone.

    A reading holds until the next one; its weight is what is left of its time after the lag. NaN
    where the present value is.
    """
    first = np.searchsorted(part.ts, at - LAG_LENGTHS * time_constant, side="right")
    last = np.searchsorted(part.ts, at, side="right")
    found = present.copy()
    bounds = np.flatnonzero(np.diff(np.cumsum(last - first) // _AT_ONCE, prepend=0))
    for rows in np.split(np.arange(len(at)), bounds):
        if not len(rows):
            continue
        counts = (last - first)[rows]
        starts = np.cumsum(counts) - counts
        which = np.arange(counts.sum()) - np.repeat(starts - first[rows], counts)
        now = np.repeat(at[rows], counts)
        until = np.minimum(np.append(part.ts, FAR_FUTURE)[which + 1], now)
        weight = np.exp((until - now) / time_constant) - np.exp(
            (part.ts[which] - now) / time_constant
        )
        value = part.value[which]
        weight = np.where(np.isnan(value), 0.0, weight)
        total = np.add.reduceat(weight, starts)
        lagged = np.add.reduceat(weight * np.nan_to_num(value), starts)
        found[rows] = np.where(total > 0, lagged / np.where(total > 0, total, 1.0), present[rows])
    return np.where(np.isnan(present), np.nan, found)


def _only(doubts: Doubts, names: Sequence[str]) -> Doubts:
    bad, uncertain = (
        {name: of[name] for name in names if name in of} for of in (doubts.bad, doubts.uncertain)
    )
    return Doubts(bad, uncertain)
