"""Bounds of shares, rates and draws at 95 %."""

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

Bounds = tuple[float, float]
_TAIL = 0.025
_Z = 1.959963984540054


def wilson(count: float, total: float) -> Bounds:
    """The interval of a share (Wilson 1927): stays within 0 and 1, and is right for few cases too."""
    p, n = count / total, total
    centre = (p + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    half = _Z * math.sqrt(p * (1 - p) / n + _Z * _Z / (4 * n * n)) / (1 + _Z * _Z / n)
    return (max(0.0, centre - half) if count else 0.0), (min(1.0, centre + half) if count < total else 1.0)


def poisson(count: int) -> Bounds:
    """The exact interval of an expected count (Garwood 1936)."""
    low = stats.chi2.ppf(_TAIL, 2 * count) / 2 if count else 0.0
    return float(low), float(stats.chi2.ppf(1 - _TAIL, 2 * count + 2) / 2)


def percentiles(values: npt.NDArray[np.float64]) -> Bounds | None:
    """The middle 95 % of what was drawn; draws without a figure (NaN) do not count, None without any other."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def widest(*bounds: Bounds | None) -> Bounds:
    """The bounds that hold all of these; at least one must be known."""
    known = [b for b in bounds if b is not None]
    return min(low for low, _ in known), max(high for _, high in known)
