"""95 % confidence intervals of shares, rates and bootstrap samples."""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv

ConfidenceInterval = tuple[float, float]
_TAIL = 0.025
_Z = 1.959963984540054


def wilson_interval(count: float, total: float) -> ConfidenceInterval:
    """Return the interval of a share (Wilson 1927): it stays within 0 and 1, and is right for few
    cases too."""
    p = count / total
    n = total
    centre = (p + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    half = _Z * math.sqrt(p * (1 - p) / n + _Z * _Z / (4 * n * n)) / (1 + _Z * _Z / n)
    return (max(0.0, centre - half) if count else 0.0), (
        min(1.0, centre + half) if count < total else 1.0
    )


def poisson_interval(count: int) -> ConfidenceInterval:
    """Return the exact interval of an expected count (Garwood 1936)."""
    low = gammaincinv(count, _TAIL) if count else 0.0
    return float(low), float(gammaincinv(count + 1, 1 - _TAIL))


def percentile_interval(values: npt.NDArray[np.float64]) -> ConfidenceInterval | None:
    """Return the middle 95 % of bootstrap values; NaN is ignored, None without any other value."""
    present = values[~np.isnan(values)]
    if not len(present):
        return None
    low, high = np.quantile(present, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def enclosing_interval(*intervals: ConfidenceInterval | None) -> ConfidenceInterval:
    """Return the smallest interval around all of these; None is ignored, at least one interval is
    required."""
    present = [b for b in intervals if b is not None]
    return min(low for low, _ in present), max(high for _, high in present)
