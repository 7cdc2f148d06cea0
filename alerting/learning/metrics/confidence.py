"""95 % confidence intervals of shares, rates and bootstrap samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from alerting.deferred import np, npt

ConfidenceInterval = tuple[float, float]
Floats: TypeAlias = "npt.NDArray[np.float64]"
_TAIL = 0.025
_Z = 1.959963984540054


def flatten_metrics(prefix: str, metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Flatten metrics and their `intervals`: `test_ap`, `test_ap_low`, `test_ap_high` for the
    prefix `test`."""
    flat = {f"{prefix}_{name}": value for name, value in metrics.items() if name != "intervals"}
    for name, (low, high) in metrics.get("intervals", {}).items():
        flat |= {f"{prefix}_{name}_low": low, f"{prefix}_{name}_high": high}
    return flat


def merge_metrics(rows: Mapping[str, Any], events: Mapping[str, Any]) -> dict[str, Any]:
    """Merge metrics over rows and over events, with the intervals of both."""
    return {
        **rows,
        **events,
        "intervals": {**rows.get("intervals", {}), **events.get("intervals", {})},
    }


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
    from scipy.special import gammaincinv  # noqa: PLC0415 - takes 15 MB; only rates with an interval need it

    low = gammaincinv(count, _TAIL) if count else 0.0
    return float(low), float(gammaincinv(count + 1, 1 - _TAIL))


def weighted_median(values: Floats, weights: npt.NDArray[Any]) -> Floats:
    """Return the median of `values` under each row of weights, between the two middle ones where
    the half lies between them; NaN where all weights are zero.

    Lead times of trainings and of reports have this one median.
    """
    if not len(values):
        return np.full(len(weights), np.nan)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    reached = np.cumsum(weights[:, order], axis=1)
    half = reached[:, -1:] / 2
    low = ordered[np.argmax(reached >= half, axis=1)]
    high = ordered[np.argmax(reached > half, axis=1)]
    return np.where(reached[:, -1] > 0, (low + high) / 2, np.nan)


def percentile_interval(values: Floats) -> ConfidenceInterval | None:
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
