"""Average run lengths of control charts, and the limits that have a chosen one.

The run length is the number of points up to and including the first signal. Points are independent
and normal. EWMA and CUSUM charts by their integral equations (S. V. Crowder, Technometrics 29
(1987) 401-407; E. S. Page, Biometrika 41 (1954) 100-115), solved at Gauss-Legendre nodes; the
approximation by a Markov chain of D. Brook and D. A. Evans (Biometrika 59 (1972) 539-549) has the
same limit. Rules of a Shewhart chart together by simulation with a seed.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from alerting.detection.control_charts.rules import MOST_POINTS, RULES, RuleName

Floats = npt.NDArray[np.float64]
SIMULATED_RUNS = 1600
GUARANTEE = 0.9  # share of the phases I with a run length of at least the chosen one
_NODES = 48
_QUANTILES = 6
_WIDTHS = np.geomspace(0.6, 2.2, 97)
_LONGEST = 10_000  # points of a simulated run
_AT_ONCE = 100
_LARGEST = 1e12


def shewhart_run_length(limit: float, shift: float = 0.0, spread: float = 1.0) -> float:
    """Return the average run length of one point beyond ±limit. Points have mean `shift` and
    standard deviation `spread`."""
    p = norm.sf((limit - shift) / spread) + norm.cdf((-limit - shift) / spread)
    return min(1 / p, _LARGEST) if p > 0 else _LARGEST


def ewma_limit(smoothing: float, limit: float) -> float:
    """Return the limit of the EWMA itself in standard deviations of a point: `limit` times its
    asymptotic deviation."""
    return limit * math.sqrt(smoothing / (2 - smoothing))


def ewma_run_length(
    limit: float, smoothing: float, shift: float = 0.0, spread: float = 1.0
) -> float:
    """Return the average run length of an EWMA chart with asymptotic limits, begun at its centre
    line (Crowder 1987)."""
    bound = ewma_limit(smoothing, limit)
    at, weight = _nodes(-bound, bound)
    starts = np.append(at, 0.0)
    kernel = (
        weight
        * _density((at[None, :] - (1 - smoothing) * starts[:, None]) / smoothing, shift, spread)
        / smoothing
    )
    return _solve(kernel)


def cusum_run_length(
    limit: float, allowance: float, shift: float = 0.0, spread: float = 1.0
) -> float:
    """Return the average run length of a two-sided CUSUM chart, begun at zero (Page 1954).

    `allowance`: k; `limit`: h, in standard deviations of a point. The two sides by 1 / ARL = 1 /
    ARL(up) + 1 / ARL(down), which holds as no point can move both (Kemp 1961).
    """
    up, down = (_one_sided_cusum(limit, allowance, side, spread) for side in (shift, -shift))
    return 1 / (1 / up + 1 / down)


def _one_sided_cusum(limit: float, allowance: float, shift: float, spread: float) -> float:
    at, weight = _nodes(0.0, limit)
    starts = np.append(at, 0.0)
    kernel = weight * _density(at[None, :] - starts[:, None] + allowance, shift, spread)
    return _solve(kernel, to_start=norm.cdf(allowance - starts, shift, spread))


def _density(values: Floats, mean: float, deviation: float) -> Floats:
    return np.asarray(
        np.exp(-0.5 * ((values - mean) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi)),
        np.float64,
    )


def _nodes(low: float, high: float) -> tuple[Floats, Floats]:
    x, w = _legendre()
    return low + (x + 1) * (high - low) / 2, w * (high - low) / 2


@lru_cache(maxsize=1)
def _legendre() -> tuple[Floats, Floats]:
    x, w = np.polynomial.legendre.leggauss(_NODES)
    return x, w


def _solve(kernel: Floats, to_start: Floats | None = None) -> float:
    """Return the run length from the start: the last row, whose column holds what returns exactly
    to the start."""
    size = len(kernel)
    matrix = np.zeros((size, size))
    matrix[:, :-1] = kernel
    if to_start is not None:
        matrix[:, -1] = to_start
    length = float(np.linalg.solve(np.eye(size) - matrix, np.ones(size))[-1])
    return length if 0 < length < _LARGEST else _LARGEST


def spread_limits(size: int, limit: float) -> tuple[float, float]:
    """Return lowest and highest standard deviation of a subgroup, in those of a reading, that a
    limit on ±z means (S chart).

    From the chi-squared distribution, so that either side has the probability of a normal value
    beyond the limit.
    """
    low, high = (float(chi2.ppf(norm.cdf(side * limit), size - 1)) for side in (-1, 1))
    return math.sqrt(low / (size - 1)), math.sqrt(high / (size - 1))


RunLength = Callable[[float, float, float], float]  # of limit, shift and spread


def limit_for(run_length: RunLength, wanted: float, points: int | None = None) -> float:
    """Return the limit with the wanted average run length in control.

    `points`: of phase I, from which centre line and deviation were estimated. Wider, so that nine
    of ten such phases I have at least the wanted run length (A. Gandy and J. T. Kvaløy,
    Scandinavian Journal of Statistics 40 (2013) 647-668; here over the exact distributions of a
    mean and a standard deviation instead of a bootstrap). None: they are known.
    """
    known = _root(lambda limit: run_length(limit, 0.0, 1.0), wanted, 3.0)
    if points is None:
        return known
    middles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    shifts = norm.ppf(0.5 + middles / 2) / math.sqrt(points)
    ratios = np.sqrt(chi2.ppf(middles, points - 1) / (points - 1))
    # a point is seen through the estimates: (x - mean - error) / (ratio x deviation)
    limits = [
        _root(lambda limit, m=shift / ratio, s=1 / ratio: run_length(limit, m, s), wanted, known)  # type: ignore[misc]
        for shift in shifts.tolist()
        for ratio in ratios.tolist()
    ]
    return float(np.quantile(limits, GUARANTEE))


def _root(length: Callable[[float], float], wanted: float, near: float) -> float:
    """Return the limit at which an increasing run length has the wanted value. `near`: a first
    guess."""
    low = near
    high = near
    while length(low) > wanted:
        low *= 0.8
    while length(high) < wanted:
        high *= 1.25
    return (
        low
        if low == high
        else float(brentq(lambda limit: math.log(length(limit) / wanted), low, high, xtol=1e-4))
    )


def rules_width(
    names: Sequence[RuleName], wanted: float, points: int | None = None, seed: int = 0
) -> float:
    """Return the width of the zones at which these rules together have the wanted average run
    length in control.

    `points`: of phase I; the zones are then wider by the share by which those of rule 1 alone are
    (`limit_for`). Raises ValueError with the longest possible run length if the rules without a
    limit alone signal more often.
    """
    known = _joint_width(tuple(names), wanted, seed)
    if points is None:
        return known
    return (
        known
        * limit_for(shewhart_run_length, wanted, points)
        / limit_for(shewhart_run_length, wanted)
    )


@lru_cache(maxsize=64)
def _joint_width(names: tuple[RuleName, ...], wanted: float, seed: int) -> float:
    if all(RULES[name].points == 1 for name in names):
        return limit_for(shewhart_run_length, wanted) / 3
    lengths = simulate_run_lengths(names, _WIDTHS, min(int(wanted) + 50, _LONGEST), seed=seed)
    if lengths[-1] < wanted:
        raise ValueError(f"{lengths[-1]:.0f}")
    return float(np.exp(np.interp(math.log(wanted), np.log(lengths), np.log(_WIDTHS))))


def simulate_run_lengths(
    names: Sequence[RuleName],
    widths: Floats,
    longest: int,
    runs: int = SIMULATED_RUNS,
    shift: float = 0.0,
    seed: int = 0,
) -> Floats:
    """Return the average run length of rules together, for each of the increasing widths.

    Runs end after `longest` points; the average is points by signals, which the geometric tail of
    run lengths allows.
    """
    random = np.random.default_rng(seed)
    first = np.full((len(widths), runs), longest, np.int64)
    signalled = np.zeros((len(widths), runs), np.bool_)
    going = np.arange(runs)  # that have not signalled at every width
    reached = np.zeros(runs)  # the largest width at which each of them has signalled
    z = np.full((MOST_POINTS - 1, runs), np.nan)
    for start in range(0, longest, _AT_ONCE):
        fresh = random.standard_normal((min(_AT_ONCE, longest - start), runs)) + shift
        z = np.concatenate((z[-(MOST_POINTS - 1) :], fresh[:, going]))
        each = np.max([_largest_widths(name, z) for name in names], axis=0)
        widest = np.maximum.accumulate(np.concatenate((reached[None, :], each)), axis=0)
        steps, of_runs = np.nonzero(widest[1:] > widest[:-1])
        before, now = (
            np.searchsorted(widths, widest[steps + later, of_runs], side="right")
            for later in (0, 1)
        )
        moved = now > before
        found = np.column_stack((steps, going[of_runs], before, now))[moved]
        for step, run, low, high in found.tolist():
            first[low:high, run] = start + step + 1
            signalled[low:high, run] = True
        left = widest[-1] < widths[-1]
        if not left.any():
            break
        going = going[left]
        reached = widest[-1, left]
        z = z[:, left]
    return np.asarray(first.sum(axis=1) / np.maximum(signalled.sum(axis=1), 1), np.float64)


def _largest_widths(name: RuleName, z: Floats) -> Floats:
    """Return, by point and run, the largest width at which a rule signals: 0 for never, infinite
    for any.

    `z`: points by runs, begun with the points before them; what is missing there (NaN) violates
    nothing.
    """

    def points_before(number: int) -> Floats:
        return z[MOST_POINTS - 1 - number : len(z) - number]

    last = points_before(0)
    points = RULES[name].points
    match name:
        case "western_electric_1" | "nelson_1":
            return np.abs(last) / 3
        case "western_electric_2" | "nelson_5":
            found = _sides(
                lambda s: (
                    np.minimum(s * last, np.fmax(s * points_before(1), s * points_before(2))) / 2
                )
            )
        case "western_electric_3" | "nelson_6":
            found = _sides(
                lambda s: np.minimum(
                    s * last, _second_smallest([s * points_before(n) for n in range(1, 5)])
                )
            )
        case "nelson_8":
            found = np.minimum.reduce([np.abs(points_before(n)) for n in range(points)])
        case "western_electric_4" | "nelson_2":
            found = _sides(
                lambda s: _always(
                    np.minimum.reduce([s * points_before(n) for n in range(points)]) > 0
                )
            )
        case "nelson_3":
            steps = np.diff(z, axis=0)
            found = _sides(
                lambda s: _always(
                    np.minimum.reduce([s * _ending(steps, n, z) for n in range(points - 1)]) > 0
                )
            )
        case "nelson_4":
            turns = np.diff(z, axis=0)
            turns = turns[1:] * turns[:-1]
            found = _always(
                np.maximum.reduce([_ending(turns, n, z) for n in range(points - 2)]) < 0
            )
        case "nelson_7":
            found = _always(
                np.maximum.reduce([np.abs(points_before(n)) for n in range(points)]) < 1
            )
    return np.nan_to_num(found, nan=0.0, posinf=np.inf)


def _sides(one: Callable[[float], Floats]) -> Floats:
    return np.fmax(np.fmax(one(1.0), one(-1.0)), 0.0)


def _second_smallest(values: Sequence[Floats]) -> Floats:
    """Return the second smallest of four; of three values and a missing one the smallest."""
    a, b, c, d = (np.nan_to_num(v, nan=-np.inf) for v in values)
    return np.minimum(
        np.maximum(np.minimum(a, b), np.minimum(c, d)),
        np.minimum(np.maximum(a, b), np.maximum(c, d)),
    )


def _ending(values: Floats, number: int, z: Floats) -> Floats:
    """Return the value that ends this many points before each point. `values`: differences, fewer
    than the points `z`."""
    first = MOST_POINTS - 1 - number - (len(z) - len(values))
    return values[first : first + len(z) - (MOST_POINTS - 1)]


def _always(signals: npt.NDArray[np.bool_]) -> Floats:
    return np.where(signals, np.inf, 0.0)
