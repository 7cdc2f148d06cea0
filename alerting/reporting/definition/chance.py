"""The drift that chance alone gives where values that follow each other are alike.

n values of a slow variable are worth n / (1 + 2 Σ (1 - k/n) r(k)) independent ones (Bayley &
Hammersley 1946). For independent values the distribution of the population stability index is known
(Yurdakul & Naranjo 2020); it is drawn here, with empty bins as they count, and that of the
Wasserstein distance beside it, which goes on growing where all values lie in one bin.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from alerting.learning.features.moments import Floats

_DRAWS = 1_000
_LEVEL = 0.99
_GRID = 200  # quantiles that a distribution is compared at
_SEED = 20_260_101
_EMPTY = 1e-4  # share of an empty bin, as in Evidently
_HALVINGS = (
    12  # at most: correlation is measured at half the length of a slice, at a quarter of it, ...
)
_SLICE_GAP = 3.0  # a new slice begins after this many median distances from one value to the next
_MOST_VALUES = 2_000  # from which correlation is measured
_LEAST_PAIRS = 10
_SLOWEST = 0.99  # largest ratio of the correlation at a lag to that at its half


def psi(reference: Floats, current: Floats) -> Floats:
    """Return the population stability index of shares by bin; an empty bin counts as 0.01 %."""
    old, new = (np.where(shares == 0, _EMPTY, shares) for shares in (reference, current))
    return np.asarray(np.sum((new - old) * np.log(new / old), axis=-1))


def psi_by_chance(shares: Floats, reference_values: float, values: float) -> float:
    """Return the index that chance alone exceeds once in a hundred times. Deterministic.

    `shares`: of the reference, from so many independent values; the true ones are drawn around them
    (Dirichlet), and then the independent values of the period.
    """
    rng = np.random.default_rng(_SEED)
    true = rng.dirichlet(max(reference_values, 1.0) * np.maximum(shares, _EMPTY), _DRAWS)
    drawn = rng.multinomial(max(round(values), 1), true) / max(round(values), 1)
    return float(np.quantile(psi(shares, drawn), _LEVEL))


def wasserstein_by_chance(reference: Floats, reference_values: float, values: float) -> float:
    """Return the same of the Wasserstein distance, in standard deviations of the reference."""
    number = max(round(values * reference_values / (values + reference_values)), 1)
    grid = (np.arange(_GRID) + 0.5) / _GRID
    usual = np.quantile(reference, grid)
    drawn = np.sort(
        np.random.default_rng(_SEED).integers(_GRID, size=(_DRAWS, min(number, _GRID))), axis=1
    )
    distances = np.abs(usual[drawn[:, (grid * drawn.shape[1]).astype(np.int64)]] - usual).mean(
        axis=1
    )
    return float(np.quantile(distances, _LEVEL) / max(float(reference.std()), 0.001))


@dataclass(frozen=True)
class Correlation:
    """Correlation of a variable with itself by distance in time, on `slices` of `width_s`.

    `lags_s`: distances from 0 up to half the width; `at_lags`: the correlation at each, 0 where it
    cannot be told from 0.
    """

    slices: int
    width_s: float
    lags_s: Floats
    at_lags: Floats

    def correlation_at(self, lag_s: Floats) -> Floats:
        """Return the correlation at these distances; beyond the last one it goes on falling."""
        longest = self.lags_s[-1]
        (at_half, last) = self.at_lags[-2:]
        ratio = min(last / at_half, _SLOWEST) if at_half > 0 else 0.0
        beyond = last * ratio ** (2 * np.maximum(lag_s - longest, 0.0) / longest)
        return np.where(lag_s <= longest, np.interp(lag_s, self.lags_s, self.at_lags), beyond)

    def independent_within(self, seconds: float) -> float:
        """Return how many independent values an interval is worth, at least 1."""
        inside = self.lags_s[self.lags_s < seconds]
        lags = np.unique(np.r_[inside, np.linspace(0.0, seconds, _DRAWS)])
        alike = float(np.trapezoid((1 - lags / seconds) * self.correlation_at(lags), lags))
        return max(seconds / (2 * alike), 1.0)

    def independent_in_sample(self, seconds: float) -> float:
        """Return the same of the slices together, which lie within an interval of this length."""
        return min(
            self.slices * self.independent_within(self.width_s), self.independent_within(seconds)
        )


def measure_correlation(
    at_s: Floats, bins: npt.NDArray[np.int64], are_numbers: bool
) -> Correlation | None:
    """Return the correlation of values by instant (s) and bin: ranks, or categories by equality."""
    step = -(-len(at_s) // _MOST_VALUES)
    at_s = at_s[::step]
    bins = bins[::step]
    apart = np.diff(at_s)
    if not len(apart):
        return None
    ends = (np.flatnonzero(apart > _SLICE_GAP * np.median(apart)) + 1).tolist()
    widths = [at_s[b - 1] - at_s[a] for a, b in pairwise([0, *ends, len(at_s)])]
    width = float(np.median(widths))
    if width <= 0:
        return None
    indicators = (
        bins[:, None].astype(np.float64) if are_numbers else np.eye(int(bins.max()) + 1)[bins]
    )
    deviations = indicators - indicators.mean(axis=0)
    halvings = min(max(int(np.log2(width / np.median(apart))), 2), _HALVINGS)
    lags = width / 2.0 ** np.arange(halvings, 0, -1)
    found = [_at_lag(at_s, deviations, lag, lags[0] / 2) for lag in lags]
    return Correlation(len(widths), width, np.r_[0.0, lags], np.r_[1.0, np.minimum(found, 1.0)])


def _at_lag(at_s: Floats, deviations: Floats, lag: float, tolerance: float) -> float:
    """Return the correlation at a lag; 0 within two standard errors of 0 (Bartlett 1946)."""
    later = np.minimum(np.searchsorted(at_s, at_s + lag - tolerance), len(at_s) - 1)
    is_pair = np.abs(at_s[later] - at_s - lag) <= tolerance
    variance = float(np.mean(np.sum(deviations**2, axis=1)))
    if is_pair.sum() < _LEAST_PAIRS or not variance:
        return 0.0
    found = (
        float(np.mean(np.sum(deviations[is_pair] * deviations[later[is_pair]], axis=1))) / variance
    )
    return found if found > 2 / np.sqrt(is_pair.sum()) else 0.0
