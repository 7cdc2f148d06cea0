"""Phase I of a control chart: centre line, deviation and autoregressive model from a period that
was mostly in control.

Stretches out of control are found by circular binary segmentation of block means and left out (A.
B. Olshen, E. S. Venkatraman, R. Lucito and M. Wigler, Biostatistics 5 (2004) 557-572); so are
single points beyond the limits. Each is returned, so that a person can look at it.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Millis = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
LEAST_POINTS = 30
MOST_ORDER = 5
_BLOCKS = 240
_LEAST_BLOCKS = 8
_PENALTY = 3.0  # times the logarithm of the number of blocks, in variances of a block mean
_FAR = 1.0  # standard deviations from the usual level from which a stretch is out of control
_BEYOND = 3.5  # standard deviations from which a single point is left out
_ROUNDS = 10
_MAD = 1.4826
_LEAST_GAIN = (
    10.0  # of the Bayesian information criterion, for an autoregressive model of a higher order
)


class LeftOut(NamedTuple):
    """A stretch of readings that was left out: first and last instant (ms), number of readings,
    mean."""

    start: int
    end: int
    readings: int
    mean: float


@dataclass(frozen=True)
class PhaseOne:
    """Estimates of phase I. `deviation`: standard deviation of the `used` readings; `outliers`:
    single ones left out."""

    centre: float
    sigma: float
    coefficients: tuple[float, ...]
    deviation: float
    used: int
    outliers: int
    left_out: tuple[LeftOut, ...]


def estimate(at: Millis, values: Floats, gap: int, residuals: bool) -> PhaseOne | None:
    """Return the estimates from readings at instants (ms); None where fewer than `LEAST_POINTS` are
    left, or do not vary.

    `gap`: time (ms) after which a reading does not follow the one before. `residuals`: whether to
    fit an autoregressive model, of the order with the least Bayesian information criterion up to 5.
    """
    if len(at) < LEAST_POINTS:
        return None
    left_out = _find_out_of_control(at, values)
    keep = np.ones(len(at), np.bool_)
    for stretch in left_out:
        keep[(at >= stretch.start) & (at <= stretch.end)] = False
    if keep.sum() < LEAST_POINTS:
        return None
    centre = float(np.median(values[keep]))
    coefficients = _autoregression(at, values - centre, keep, gap) if residuals else ()
    deviations, whole = _residuals(at, values - centre, coefficients, keep, gap)
    inside = whole
    offset = 0.0
    sigma = robust_deviation(deviations[whole])
    for _ in range(_ROUNDS):
        if sigma <= 0 or inside.sum() < LEAST_POINTS:
            return None
        within = whole & (np.abs(deviations - offset) <= _BEYOND * sigma)
        offset = float(deviations[within].mean())
        sigma = float(deviations[within].std(ddof=1))
        if (within == inside).all():
            break
        inside = within
    if sigma <= 0 or inside.sum() < LEAST_POINTS:
        return None
    centre += offset / (1 - sum(coefficients))
    return PhaseOne(
        centre,
        sigma,
        coefficients,
        float(values[inside].std(ddof=1)),
        int(inside.sum()),
        int(whole.sum() - inside.sum()),
        left_out,
    )


def robust_deviation(values: Floats) -> float:
    """Return the standard deviation by the median absolute deviation; the plain one where half of
    all values are equal."""
    if not len(values):
        return 0.0
    robust = _MAD * float(np.median(np.abs(values - np.median(values))))
    return robust or float(values.std(ddof=1))


def _find_out_of_control(at: Millis, values: Floats) -> tuple[LeftOut, ...]:
    """Return the stretches whose mean lies more than one standard deviation from the usual level,
    oldest first."""
    size = max(1, len(values) // _BLOCKS)
    number = len(values) // size
    if number < _LEAST_BLOCKS:
        return ()
    edges = np.append(np.arange(number) * size, len(values))
    means = np.add.reduceat(values, edges[:-1]) / np.diff(edges)
    noise = _MAD * float(np.median(np.abs(np.diff(means)))) / math.sqrt(2)
    if noise <= 0:
        return ()
    cuts = [0, *_change_points(means, _PENALTY * math.log(number) * noise**2), number]
    parts = [(edges[a], edges[b]) for a, b in pairwise(cuts)]
    levels = np.array([np.median(values[a:b]) for a, b in parts])
    sigma = robust_deviation(
        np.concatenate([values[a:b] - level for (a, b), level in zip(parts, levels, strict=True)])
    )
    lengths = np.array([b - a for a, b in parts])
    order = np.argsort(levels, kind="stable")
    usual = levels[order][int(np.searchsorted(np.cumsum(lengths[order]), lengths.sum() / 2))]
    found: list[LeftOut] = []
    far = np.abs(levels - usual) > _FAR * sigma
    first = 0
    for number, (a, b) in enumerate(parts):
        first = first if number and far[number - 1] else int(a)
        if far[number] and (number + 1 == len(parts) or not far[number + 1]):
            found.append(
                LeftOut(
                    int(at[first]), int(at[b - 1]), int(b) - first, float(values[first:b].mean())
                )
            )
    return tuple(found)


def _change_points(means: Floats, penalty: float) -> list[int]:
    """Return where the mean of a series changes, by circular binary segmentation.

    The part is split off that lowers the sum of squares most, at an end or in the middle, as long
    as it falls by the penalty.
    """
    sums = np.concatenate(([0.0], np.cumsum(means)))
    found = set[int]()
    open_parts = [(0, len(means))]
    while open_parts:
        a, b = open_parts.pop()
        if b - a < 2:
            continue
        at = np.arange(a, b + 1)
        length = (at[None, :] - at[:, None]).astype(np.float64)
        inner = sums[at][None, :] - sums[at][:, None]
        whole = float(b - a)
        total = sums[b] - sums[a]
        possible = (length > 0) & (length < whole)
        length = np.where(possible, length, 1.0)
        gain = np.where(
            possible,
            inner**2 / length
            + (total - inner) ** 2 / (whole - length + ~possible)
            - total**2 / whole,
            0.0,
        )
        first, last = (int(i) for i in np.unravel_index(int(np.argmax(gain)), gain.shape))
        if gain[first, last] > penalty:
            cuts = [a, *(cut for cut in (a + first, a + last) if a < cut < b), b]
            found.update(cuts[1:-1])
            open_parts += list(pairwise(cuts))
    return sorted(found)


def _lagged(
    at: Millis, deviations: Floats, keep: Flags, gap: int, order: int
) -> tuple[Floats, Flags]:
    """Return the `order` deviations before each reading, newest first, and which readings follow on
    all of them without a gap."""
    lags = np.zeros((len(at), order))
    whole = keep.copy()
    follows = np.concatenate(([False], (np.diff(at) <= gap) & keep[1:] & keep[:-1]))
    for lag in range(1, order + 1):
        lags[lag:, lag - 1] = deviations[:-lag]
        whole[:lag] = False
        whole[lag:] &= follows[1 : len(at) - lag + 1]
    return lags, whole


def _autoregression(at: Millis, deviations: Floats, keep: Flags, gap: int) -> tuple[float, ...]:
    """Return the coefficients of the autoregressive model of the least information criterion; none
    for white noise.

    All orders are fitted by least squares on the same readings, without those far from their
    neighbours' level.
    """
    near = np.abs(deviations) <= 2 * _BEYOND * robust_deviation(deviations[keep])
    lags, rows = _lagged(at, deviations, keep & near, gap, MOST_ORDER)
    if rows.sum() < 10 * MOST_ORDER + LEAST_POINTS:
        return ()
    y = deviations[rows]
    x = lags[rows]
    number = int(rows.sum())
    fitted: tuple[float, ...] = ()
    best = number * math.log(float(np.mean((y - y.mean()) ** 2)) or 1e-300)
    for order in range(1, MOST_ORDER + 1):
        design = np.column_stack((x[:, :order], np.ones(number)))
        solution = np.linalg.lstsq(design, y, rcond=None)[0]
        criterion = number * math.log(
            float(np.mean((y - design @ solution) ** 2)) or 1e-300
        ) + order * math.log(number)
        if criterion < best - _LEAST_GAIN and sum(solution[:-1]) < 1:
            best = criterion
            fitted = tuple(float(c) for c in solution[:-1])
    return fitted


def _residuals(
    at: Millis, deviations: Floats, coefficients: tuple[float, ...], keep: Flags, gap: int
) -> tuple[Floats, Flags]:
    """Return the residuals of all readings, and which of them have all readings before them that
    they need."""
    if not coefficients:
        return deviations, keep
    lags, whole = _lagged(at, deviations, keep, gap, len(coefficients))
    return deviations - lags @ np.array(coefficients), whole
