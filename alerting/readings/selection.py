"""Statistics of the values of a variable within a selected time."""

from __future__ import annotations

from dataclasses import dataclass

from alerting.deferred import np, npt


@dataclass(frozen=True)
class Statistics:
    """Statistics of values, in their unit. `spread`: standard deviation, None of one value. `low`,
    `high`: 5 and 95 % of the values are below."""

    count: int
    mean: float
    spread: float | None
    lowest: float
    low: float
    median: float
    high: float
    highest: float


def statistics_of(values: npt.NDArray[np.float64]) -> Statistics | None:
    """Return the statistics of finite values; None of none."""
    if not len(values):
        return None
    low, median, high = np.percentile(values, (5, 50, 95)).tolist()
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    return Statistics(
        len(values),
        float(values.mean()),
        spread,
        float(values.min()),
        low,
        median,
        high,
        float(values.max()),
    )
