"""Limits of control charts by the average run length in control, from tables.

Points are independent and normal, and the level and deviation are known. EWMA: asymptotic limits,
by the integral equation of S. V. Crowder (Technometrics 29 (1987) 401-407; the published table is
that of J. M. Lucas and M. S. Saccucci, Technometrics 32 (1990)). CUSUM, two-sided: by that of E. S.
Page (Biometrika 41 (1954) 100-115; table 9.4 of D. C. Montgomery, Introduction to Statistical
Quality Control), the smallest allowances by D. Siegmund's approximation (1985). Zones: simulated
for the first three rules of Western Electric together. Between the entries limits are linear in the
logarithm of the run length.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import chi2, norm

from alerting.detection.control_charts.chart import Chart
from alerting.detection.control_charts.rules import RULES

_LOG_LENGTHS = np.log([20, 100, 370, 1_000, 10_000, 100_000, 1_000_000])
# by the weight of the newest point
_EWMA: Mapping[float, Sequence[float]] = {
    0.05: (1.053, 1.879, 2.490, 2.884, 3.627, 4.229, 4.749),
    0.1: (1.334, 2.148, 2.701, 3.059, 3.749, 4.322, 4.824),
    0.2: (1.603, 2.360, 2.859, 3.187, 3.834, 4.384, 4.871),
    0.3: (1.739, 2.453, 2.925, 3.238, 3.866, 4.404, 4.885),
    0.5: (1.874, 2.534, 2.977, 3.277, 3.886, 4.415, 4.891),
    1.0: (1.960, 2.576, 3.000, 3.291, 3.891, 4.417, 4.892),
}
# by the allowance k
_CUSUM: Mapping[float, Sequence[float]] = {
    0.05: (4.56, 10.30, 17.68, 24.94, 45.45, 68.0, 90.9),
    0.125: (3.851, 7.841, 12.083, 15.697, 24.634, 33.80, 43.0),
    0.25: (3.019, 5.597, 8.008, 9.931, 14.492, 19.091, 23.695),
    0.5: (2.032, 3.502, 4.774, 5.757, 8.053, 10.355, 12.657),
    0.75: (1.461, 2.481, 3.339, 3.999, 5.531, 7.066, 8.601),
    1.0: (1.066, 1.874, 2.516, 3.009, 4.160, 5.312, 6.463),
    1.5: (0.472, 1.131, 1.604, 1.942, 2.700, 3.462, 4.232),
}
_ZONES = (0.722, 0.967, 1.138, 1.264, 1.557, 1.832, 2.078)


def limit_of(chart: Chart, run_length: float) -> float:
    """Return the limit of a chart, or the width of its zones, at which it gives a false alarm in so
    many points on average."""
    if chart.kind == "ewma":
        return _interpolated(_EWMA, chart.smoothing, run_length)
    if chart.kind == "cusum":
        return _interpolated(_CUSUM, chart.allowance, run_length)
    if all(RULES[name].points == 1 for name in chart.rules):
        return _point_limit(run_length) / 3
    return float(np.interp(math.log(run_length), _LOG_LENGTHS, _ZONES))


def spread_limits(size: int, run_length: float) -> tuple[float, float]:
    """Return lowest and highest standard deviation of a subgroup, in those of a reading (S chart).

    From the chi-squared distribution, so that each side has half of the false alarms.
    """
    share = float(norm.cdf(_point_limit(run_length)))
    low, high = (float(chi2.ppf(side, size - 1)) for side in (1 - share, share))
    return math.sqrt(low / (size - 1)), math.sqrt(high / (size - 1))


def _point_limit(run_length: float) -> float:
    return float(norm.isf(0.5 / run_length))


def _interpolated(
    table: Mapping[float, Sequence[float]], parameter: float, run_length: float
) -> float:
    of_rows = [np.interp(math.log(run_length), _LOG_LENGTHS, limits) for limits in table.values()]
    # over the reciprocal, on which limits depend nearly as a line
    return float(np.interp(-1 / parameter, [-1 / row for row in table], of_rows))
