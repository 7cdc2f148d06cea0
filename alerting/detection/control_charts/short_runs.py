"""Charts of a process that changes its product: each reading in units of its own category, on one
chart for all of them.

Short-run charts (D. J. Wheeler, Short Run SPC, 1991; the Z chart): a reading is charted by its
distance from the level of its own category, in standard deviations of this category, so that the
chart goes on over a change of the product.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.detection.control_charts.phase_one import LEAST_POINTS, robust_deviation

Floats = npt.NDArray[np.float64]


class CategoryLevel(NamedTuple):
    """Median and robust standard deviation of the readings of one category, and their number."""

    centre: float
    deviation: float
    readings: int


@dataclass(frozen=True)
class ShortRuns:
    """The levels of categories. `of_all`: those of all readings, for a category that is not known
    or was never seen.

    `centre`, `deviation`: the unit of what is charted: the mean level of the categories, and their
    mean deviation.
    """

    by: str
    centre: float
    deviation: float
    of_all: CategoryLevel
    levels: Mapping[str, CategoryLevel]

    def charted(self, value: float, category: str | None) -> float:
        """Return a reading as it is charted."""
        level = self.of_all if category is None else self.levels.get(category, self.of_all)
        return self.centre + (value - level.centre) / level.deviation * self.deviation

    def all_charted(self, values: Floats, categories: Sequence[str | None]) -> Floats:
        """Return readings as they are charted."""
        found = [
            self.charted(value, category)
            for value, category in zip(values.tolist(), categories, strict=True)
        ]
        return np.array(found, np.float64)


def estimate_short_runs(
    by: str, values: Floats, categories: Sequence[str | None]
) -> ShortRuns | None:
    """Return the levels of the categories with enough readings that vary; None without any."""
    labels = np.array(categories, object)
    levels = dict[str, CategoryLevel]()
    for category in sorted({one for one in categories if one is not None}):
        level = _level(values[labels == category])
        if level is not None:
            levels[category] = level
    of_all = _level(values)
    if not levels or of_all is None:
        return None
    weights = [level.readings for level in levels.values()]
    centre = float(np.average([level.centre for level in levels.values()], weights=weights))
    deviation = float(np.average([level.deviation for level in levels.values()], weights=weights))
    return ShortRuns(by, centre, deviation, of_all, levels)


def _level(values: Floats) -> CategoryLevel | None:
    if len(values) < LEAST_POINTS:
        return None
    deviation = robust_deviation(values)
    return (
        CategoryLevel(float(np.median(values)), deviation, len(values)) if deviation > 0 else None
    )
