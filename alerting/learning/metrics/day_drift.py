"""Variables that left their training's normal beyond chance, told from the last 24 hours.

A process that moves shifts levels; a sensor that is off breaks relations, its own and those of
variables that it explains, in a pattern by which it is found (matched filter: Basseville &
Nikiforov 1993). The limit is corrected for all variables and checks of a month (Bonferroni). Since
when: the minimum of a CUSUM (Page 1954).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from alerting.deferred import np
from alerting.definitions.wording.language import template
from alerting.learning.metrics.normal_days import (
    DAY,
    Aspect,
    Floats,
    HourTable,
    NormalDay,
    NormalDays,
    carry_settings,
)

CHECKS_A_MONTH = 120
FALSE_ALERTS_A_MONTH = 1 / 20
FEW_VALUES = template("too few values in the last 24 hours")
_MOST_SENSORS = 3
_SLOWLY = 0.7  # of the shift, on the first day, if it grows
_LONGEST_SEARCH = 14 * DAY


@dataclass(frozen=True)
class DayCheck:
    """The last 24 hours of a variable beside its training.

    `shift`: from what was to be expected, in the variable's unit; `limit`: what chance does not
    exceed; `level`: the median of the window. `moved`: beyond chance, by enough to matter, and not
    because of another variable's sensor. `doubt`: why it cannot be told; all numbers are then 0.
    """

    variable: str
    aspect: Aspect
    shift: float = 0.0
    limit: float = 0.0
    level: float = 0.0
    moved: bool = False
    doubt: str = ""


def check_day(normal: NormalDays, table: HourTable, end: int) -> list[DayCheck]:
    """Return the checks of each variable over the 24 hours before the index `end`: of its level,
    and of its relation to others where it has any."""
    window = slice(max(end - DAY, 0), end)
    series = carry_settings(table)
    part = HourTable(
        {name: hours[window] for name, hours in table.values.items()},
        {},
        table.in_training[window],
    )
    last = {name: hours[window] for name, hours in series.items()}
    tests = max(len(normal.levels) + len(normal.relations), 1) * CHECKS_A_MONTH
    levels = [_check(one, part, last, tests) for one in normal.levels]
    relations = [_check(one, part, last, tests) for one in normal.relations]
    return levels + _blame(normal.relations, relations)


def hours_off(normal: NormalDays, table: HourTable, variable: str, aspect: Aspect) -> Floats:
    """Return how far each hour of a variable is off what was to be expected."""
    series = carry_settings(table)
    of_aspect = normal.levels if aspect == "level" else normal.relations
    return next(one for one in of_aspect if one.variable == variable).off(table, series)


class Onset(NamedTuple):
    """Since when a variable lies apart: index of the hour; `slowly`: it grew over days."""

    hour: int
    slowly: bool


def find_onset(normal: NormalDays, table: HourTable, check: DayCheck, end: int) -> Onset:
    """Return since when a variable that moved lies apart, at most 14 days before `end`, and not
    before the end of the training."""
    off = hours_off(normal, table, check.variable, check.aspect)
    known = np.flatnonzero(table.in_training)
    first = max(int(known[-1]) + 1 if len(known) else 0, end - _LONGEST_SEARCH, 0)
    first = min(first, max(end - DAY, 0))
    size = abs(check.shift)
    along = np.nan_to_num(np.sign(check.shift) * off[first:end], nan=size / 2)
    sums = np.concatenate([[0.0], np.cumsum(np.clip(along, -size, 2 * size) - size / 2)])
    hour = min(first + int(np.argmin(sums)), end - 1)
    early = along[hour - first : hour - first + DAY]
    return Onset(hour, end - hour >= 3 * DAY and float(np.median(early)) < _SLOWLY * size)


def new_settings(table: HourTable, end: int) -> list[str]:
    """Return what people set in the 24 hours before `end` as it never was in the training, the
    farthest first."""
    found = {}
    for name, hours in table.settings.items():
        known = hours[table.in_training]
        known = known[np.isfinite(known)]
        last = hours[max(end - DAY, 0) : end]
        last = last[np.isfinite(last)]
        if not len(known) or not len(last):
            continue
        now = float(np.median(last))
        width = float(known.max() - known.min())
        beyond = max(float(known.min()) - now, now - float(known.max()))
        if beyond > max(0.1 * width, 1e-6 * max(abs(now), 1.0)):
            found[name] = beyond / max(width, 1e-9)
    return sorted(found, key=lambda name: (-found[name], name))


def _check(normal: NormalDay, part: HourTable, last: Mapping[str, Floats], tests: int) -> DayCheck:
    name = normal.variable
    if normal.doubt:
        return DayCheck(name, normal.aspect, doubt=normal.doubt)
    off = normal.off(part, last)
    if np.isfinite(off).sum() < normal.least:
        return DayCheck(name, normal.aspect, doubt=FEW_VALUES)
    shift = float(np.nanmedian(off))
    limit = _limit(normal, tests)
    return DayCheck(
        name,
        normal.aspect,
        shift,
        limit,
        float(np.nanmedian(part.values[name])),
        abs(shift) > limit and (normal.aspect == "relation" or abs(shift) >= normal.scale),
    )


def _limit(normal: NormalDay, tests: int) -> float:
    from scipy.special import stdtrit  # noqa: PLC0415 - takes 15 MB; only the check of a day needs it

    tail = FALSE_ALERTS_A_MONTH / tests / 2
    return float(-stdtrit(normal.freedom, tail) * normal.spread)


def _blame(normal: Sequence[NormalDay], checks: Sequence[DayCheck]) -> list[DayCheck]:
    """Return the checks of relations, moved where the sensor of a variable explains best what moved
    beyond chance, at most three sensors one after the other."""
    left = {c.variable: c.shift for c in checks if not c.doubt}
    spread = {one.variable: one.spread for one in normal}
    limits = {c.variable: c.limit for c in checks}
    patterns = {
        one.variable: _pattern(one.variable, [n for n in normal if n.variable in left])
        for one in normal
        if one.variable in left
    }
    blamed: dict[str, float] = {}
    while len(blamed) < _MOST_SENSORS and any(abs(left[n]) > limits[n] for n in left):
        free = [name for name in patterns if name not in blamed]
        if not free:
            break
        fits = {name: _fit(patterns[name], left, spread) for name in free}
        best = max(free, key=lambda name: (fits[name][0], name))
        _, offset = fits[best]
        blamed[best] = offset
        left = {name: left[name] - offset * patterns[best].get(name, 0.0) for name in left}
    scales = {one.variable: one.scale for one in normal}
    return [
        replace(c, shift=blamed[c.variable], moved=abs(blamed[c.variable]) >= scales[c.variable])
        if c.variable in blamed
        else replace(c, moved=False)
        for c in checks
    ]


def _pattern(variable: str, normal: Sequence[NormalDay]) -> dict[str, float]:
    """Return what an offset of 1 of a variable does to the relations of all."""
    found = {}
    for one in normal:
        slopes = dict(zip(one.regression.names, one.regression.slopes.tolist(), strict=True))
        found[one.variable] = float(one.variable == variable) - slopes.get(variable, 0.0)
    return found


def _fit(
    pattern: Mapping[str, float], shifts: Mapping[str, float], spread: Mapping[str, float]
) -> tuple[float, float]:
    """Return how much of the shifts an offset with this pattern explains at best, and the
    offset."""
    names = list(shifts)
    expected = np.array([pattern.get(name, 0.0) / spread[name] for name in names])
    seen = np.array([shifts[name] / spread[name] for name in names])
    power = float(expected @ expected)
    product = float(expected @ seen)
    return (product * product / power, product / power) if power > 0 else (0.0, 0.0)


def day_levels(hours: Floats, end: int, days: int) -> list[tuple[int, float]]:
    """Return the median of each of the last days before the index `end`, by the index of its end,
    oldest first; days without an hour are left out."""
    ends = [e for e in range(end - DAY * (days - 1), end + 1, DAY) if e >= DAY]
    present = [e for e in ends if np.isfinite(hours[e - DAY : e]).any()]
    return [(e, float(np.nanmedian(hours[e - DAY : e]))) for e in present]
