"""Rates of change of a variable, and the increase of a counter, whose value falls only where it
begins again or rolls over.

Rates are exact near limits: a rate that equals a limit is found to be equal. A binary number is
hardly ever the written decimal: 0.4 - 0.1 is more than 0.3. Rates that rounding could move to the
other side of a limit are computed again from the decimals.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from alerting.deferred import np, npt

Floats: TypeAlias = "npt.NDArray[np.float64]"
Flags: TypeAlias = "npt.NDArray[np.bool_]"
Integers: TypeAlias = "npt.NDArray[np.int64]"

# relative: more than two values, a limit and four operations can be off by
_ROUNDING = 4 * sys.float_info.epsilon
_LEAST_FALL = 0.01  # share of a counter's value; a smaller decrease is rounding
_MOST_ROLLED = 0.25  # share of a counter's range by which it may rise between two readings


class Counter(NamedTuple):
    """A variable that only rises, and begins again at 0. `rolls_over_at`: the number of its values,
    e.g. 65536; None if it does not roll over."""

    rolls_over_at: float | None = None


class Falls(NamedTuple):
    """Where a counter falls, as positions of readings.

    `lower`: readings below the one before. `ignored`: those of them after which the next one is
    back at the old level, and zeros without a reading before. `at`: those at which the counter
    began again or rolled over; `added`: what its value lacks since then to go on as before.
    """

    lower: Integers
    ignored: Flags
    at: Integers
    added: Floats


def find_falls(ts: Integers, values: Floats, longest: int, counter: Counter) -> Falls:
    """Find where a counter falls: each reading is compared with the one before it and the one after
    it, if these are less than `longest` (ms) away. `ts`: ms, increasing; `values`: all present."""
    near = np.append(False, np.diff(ts) < longest)[: len(ts)]
    before = np.append(0.0, values[:-1])[: len(ts)]
    dip = _LEAST_FALL * np.abs(before)
    lower = near & (values < before - dip)
    returns = np.append(near[1:] & (values[1:] >= (before - dip)[:-1]), False)[: len(ts)]
    ignored = (lower & returns) | (~near & (values == 0))
    at = np.flatnonzero(lower & ~ignored)
    added = np.maximum(before[at], 0.0)
    if counter.rolls_over_at is not None:
        rolled = counter.rolls_over_at - before[at] + values[at]
        plausible = (before[at] <= counter.rolls_over_at) & (
            rolled <= _MOST_ROLLED * counter.rolls_over_at
        )
        added = np.where(plausible, counter.rolls_over_at, added)
    return Falls(np.flatnonzero(lower), ignored, at, added)


def rates_of_change(
    ts: Integers,
    values: Floats,
    possible: Flags,
    per: int,
    stale: int,
    limits: Iterable[float],
    counter: Counter | None = None,
) -> Floats:
    """Return the change of each value per `per` (ms) since the newest possible value at least `per`
    before it; of a counter, the increase.

    NaN if that value is `per + stale` old or older, or there is none. `ts`: ms, increasing. A rate
    depends on no later reading: at the first reading below the one before, which may be a fault of
    one sample, a counter has the rate of the one before, and at further lower ones none.
    """
    rows = np.flatnonzero(possible)
    falls = None if counter is None else find_falls(ts[rows], values[rows], per + stale, counter)
    base = rows if falls is None else rows[~falls.ignored]
    then = ts[base]
    position = np.searchsorted(then, ts - per, side="right") - 1
    has_earlier = position >= 0
    has_earlier[has_earlier] = then[position[has_earlier]] > ts[has_earlier] - per - stale
    earlier = base[position[has_earlier]]
    now = values[has_earlier]
    before = values[earlier]
    took = ts[has_earlier] - ts[earlier]
    added = np.zeros(len(now))
    if falls is not None:
        windows = np.searchsorted(
            rows[falls.at], np.column_stack((earlier, np.flatnonzero(has_earlier))), side="right"
        )
        fell = windows[:, 1] > windows[:, 0]
        sums = np.add.reduceat(np.append(falls.added, 0.0), windows[fell].ravel())
        added[fell] = sums[::2]
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf: no rate
        changes = (now - before + added) * per / took
        scale = (np.abs(now) + np.abs(before) + added) * per / took
    close = _close_to_a_limit(changes, scale, limits) & ((now != before) | (added != 0))
    for row in np.flatnonzero(close).tolist():
        parts = [now[row], -before[row]]
        if falls is not None:
            parts += falls.added[slice(*windows[row])].tolist()
        # of decimals as they are written, rounded once
        changes[row] = float(
            sum(Fraction(repr(float(part))) for part in parts) * per / int(took[row])
        )
    rates = np.full(len(ts), np.nan)
    rates[has_earlier] = changes
    if falls is not None:
        rates[rows[falls.lower]] = np.nan
        rates[rows[falls.lower]] = rates[rows[falls.lower - 1]]
    return rates


def _close_to_a_limit(rates: Floats, scale: Floats, limits: Iterable[float]) -> Flags:
    """Return whether rounding alone could put each rate on the other side of a limit."""
    close = np.zeros(len(rates), np.bool_)
    for limit in limits:
        close |= np.abs(rates - limit) <= _ROUNDING * (scale + abs(limit))
    return close & np.isfinite(scale)
