"""Figures of the values of a variable within a selected time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Figures:
    """Figures of values, in their unit. `spread`: standard deviation, None of one value. `low`,
    `high`: 5 and 95 % of the values are below."""

    count: int
    mean: float
    spread: float | None
    lowest: float
    low: float
    median: float
    high: float
    highest: float


def figures_of(values: npt.NDArray[np.float64]) -> Figures | None:
    """Return the figures of finite values; None of none."""
    if not len(values):
        return None
    low, median, high = np.percentile(values, (5, 50, 95)).tolist()
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    lowest, highest = float(values.min()), float(values.max())
    return Figures(len(values), float(values.mean()), spread, lowest, low, median, high, highest)
