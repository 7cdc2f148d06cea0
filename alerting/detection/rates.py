"""Rates of change, exact near limits: a rate that equals a limit is found to be equal.

A binary number is hardly ever the written decimal: 0.4 - 0.1 is more than 0.3. Rates that rounding
could move to the other side of a limit are computed again from the decimals.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from fractions import Fraction
from typing import TypeAlias

from alerting.deferred import np, npt
from alerting.readings.history import Millis

Numbers: TypeAlias = "npt.NDArray[np.float64]"
# relative: more than two values, a limit and four operations can be off by
_ROUNDING = 4 * sys.float_info.epsilon


def rates_of_change(
    ts: Millis,
    values: Numbers,
    possible: npt.NDArray[np.bool_],
    per: int,
    stale: int,
    limits: Iterable[float],
) -> Numbers:
    """Return the change of each value per `per` (ms) since the newest possible one at least `per`
    before it.

    NaN without such a value less than `per + stale` old. `ts`: ms, increasing.
    """
    then = ts[possible]
    earlier = values[possible]
    position = np.searchsorted(then, ts - per, side="right") - 1
    there = position >= 0
    there[there] = then[position[there]] > ts[there] - per - stale
    now = values[there]
    before = earlier[position[there]]
    took = ts[there] - then[position[there]]
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf: no rate
        found = (now - before) * per / took
        scale = (np.abs(now) + np.abs(before)) * per / took
    for row in np.flatnonzero(_close_to_a_limit(found, scale, limits) & (now != before)).tolist():
        found[row] = _exact(float(now[row]), float(before[row]), per, int(took[row]))
    rates = np.full(len(ts), np.nan)
    rates[there] = found
    return rates


def _close_to_a_limit(
    found: Numbers, scale: Numbers, limits: Iterable[float]
) -> npt.NDArray[np.bool_]:
    """Return whether rounding alone could put each rate on the other side of a limit."""
    close = np.zeros(len(found), np.bool_)
    for limit in limits:
        close |= np.abs(found - limit) <= _ROUNDING * (scale + abs(limit))
    return close & np.isfinite(scale)


def _exact(now: float, before: float, per: int, took: int) -> float:
    """Return the rate of the decimals as they are written, rounded once."""
    return float((Fraction(repr(now)) - Fraction(repr(before))) * per / took)
