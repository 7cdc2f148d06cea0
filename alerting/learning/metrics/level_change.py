"""A change of unit within a history: from some instant on, values are another multiple of those
before."""

import numpy as np
import numpy.typing as npt

from alerting.learning.metrics.metrics import Floats
from alerting.readings.history import Millis

DAY = 86_400_000
_AROUND = (28 * DAY, 7 * DAY)  # before and after a change, which are compared
_SHORT = (3 * DAY,)  # the same, of a history shorter than two of the others
_NEAR = 7  # days, by which a change is looked for
_MOST = 100_000  # values that are looked at, evenly
_LEAST_DAYS = 2
_LEAST_VALUES = 20
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_LEAST = np.log10(8.0)  # factor of any change that is told
_UNIT_LIKE = np.log10(3.6)  # a smaller one, as from m/s to km/h, or from kWh to MJ
_EXACT = np.log10(1.03)
# By such factors quantiles and spread may differ from the change: another unit multiplies all
# alike, while another level of the process leaves the spread, and a ramp what lies beside it.
_ALIKE = np.log10(1.5)
_SPREAD = np.log10(2.0)


def find_level_change(at: Millis, values: Floats) -> tuple[int, float] | None:
    """Return since when (ms) values are another multiple of those before, in all quantiles and in
    their spread alike and within a day, and the factor: at least 8, or 3.6, or as much less.

    None without one. The largest of several is returned.
    """
    known = np.isfinite(values) & (values != 0)
    thinned = max(1, int(known.sum()) // _MOST)
    at = at[known][::thinned]
    level = np.log10(np.abs(values[known][::thinned]))
    if not len(at):
        return None
    lengths = _AROUND if at[-1] - at[0] >= 2 * _AROUND[-1] else _SHORT
    days, first = np.unique(at // DAY, return_index=True)
    medians = np.array([np.median(part) for part in np.split(level, first[1:])])
    found: tuple[int, float] | None = None
    for day in range(_LEAST_DAYS, len(days) - _LEAST_DAYS + 1):
        near = (medians[max(0, day - _NEAR) : day], medians[day : day + _NEAR])
        levels = (float(np.median(near[0])), float(np.median(near[1])))
        most = 0.0 if found is None else abs(found[1])
        if abs(levels[1] - levels[0]) < max(_UNIT_LIKE - _EXACT, most):
            continue
        change = _locate(level, first[day - 1], first[day + 1 :][:1], levels)
        factor = next(
            filter(None, (_factor(at, level, change, around) for around in lengths)), None
        )
        if factor is not None and abs(factor) > most:
            found = change, factor
    return None if found is None else (int(at[found[0]]), float(10 ** found[1]))


def _locate(
    level: Floats, first: int, end: npt.NDArray[np.int64], levels: tuple[float, float]
) -> int:
    """Return the position from which on the rows of two days belong to the later level."""
    rows = level[first : int(end[0]) if len(end) else len(level)]
    of_before, of_after = (np.append(0.0, np.cumsum(np.abs(rows - one))) for one in levels)
    return first + int(np.argmin(of_before + of_after[-1] - of_after))


def _factor(at: Millis, level: Floats, change: int, around: int) -> float | None:
    """Return the logarithm of the factor of a change at a position, by as much time (ms) before as
    after it; None where it is none."""
    if not 0 < change < len(at) or min(at[change] - at[0], at[-1] - at[change]) < around:
        return None
    start, end = np.searchsorted(at, [at[change] - around, at[change] + around])
    before = level[start:change]
    after = level[change:end]
    if min(len(before), len(after)) < _LEAST_VALUES:
        return None
    of_before, of_after = (np.quantile(part, _QUANTILES) for part in (before, after))
    shifts = of_after - of_before
    factor = float(np.median(shifts))
    size = abs(factor)
    if size < _LEAST and abs(size - _UNIT_LIKE) > _EXACT:
        return None
    spreads = [_spread(part) for part in (of_before, of_after)]
    if min(spreads) <= 0 or abs(np.log10(spreads[1] / spreads[0]) - factor) > _SPREAD:
        return None
    is_alike = np.abs(shifts - factor).max() <= _ALIKE
    return factor if is_alike and _is_at_once(at, level, change, factor) else None


def _is_at_once(at: Millis, level: Floats, change: int, factor: float) -> bool:
    """Return whether the values beside a change, or the days, differ by its factor or more."""
    start, end = np.searchsorted(at, [at[change] - DAY, at[change] + DAY])
    beside = (max(start, change - _LEAST_VALUES), min(end, change + _LEAST_VALUES)), (start, end)
    jumps = (
        np.median(level[change:b]) - np.median(level[a:change]) for a, b in beside if a < change
    )
    return any(jump * np.sign(factor) >= abs(factor) - _SPREAD for jump in jumps)


def _spread(quantiles: Floats) -> float:
    return float(10 ** quantiles[-1] - 10 ** quantiles[0])
