"""Rows of several categories, each in units of the normal operation of its own: what is usual for
one recipe is not for another.

The relations between columns are those of all categories together, learned from rows around their
own level.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from alerting.detection.anomalies.normal_space import (
    Floats,
    NormalSpace,
    precision_of,
    robust_level,
    spread_floors,
    take_logarithms,
)
from alerting.detection.categories import Labels
from alerting.detection.problems import BoolArray

Rows = npt.NDArray[np.int64]
Spaces = Mapping[str | None, NormalSpace]
"""The normal space of each category; None: of rows without one."""
LEAST_ROWS = 50
"""Rows from which the level of a category is known, and values from which that of a column in it
is."""
_LEAST_SCALE = (
    1e-3  # of the usual deviation of all rows: a column that never varied in one category
)


def fit_spaces(matrix: Floats, categories: Labels, spreads: BoolArray) -> Spaces:
    """Learn from rows (n x k) of normal operation the centre and scale of each category, with one
    precision for all of them. `spreads`: columns (k) that count by their logarithm.

    A column with few values in a category has centre and scale of all rows.
    """
    floors = spread_floors(matrix, spreads)
    together = NormalSpace.fit(matrix, floors)
    groups = group_rows(categories)
    if groups.keys() <= {None}:
        return {None: together}
    matrix = take_logarithms(matrix, floors)
    own = np.empty_like(matrix)
    levels = dict[str | None, tuple[Floats, Floats]]()
    for category, which in groups.items():
        part = NormalSpace.fit(matrix[which])
        few = (~np.isnan(matrix[which])).sum(axis=0) < LEAST_ROWS
        scale = np.maximum(part.scale, _LEAST_SCALE * together.scale)
        levels[category] = (
            np.where(few, together.centre, part.centre),
            np.where(few, together.scale, scale),
        )
        own[which] = (matrix[which] - levels[category][0]) / levels[category][1]
    precision = precision_of(own)
    return {
        category: NormalSpace(centre, scale, precision, floors)
        for category, (centre, scale) in levels.items()
    }


def encode(spaces: Spaces, matrix: Floats, categories: Labels) -> Floats:
    """Return rows in usual deviations from the centre of their own category. Raises KeyError for
    one without a space."""
    rows = np.empty_like(matrix)
    for category, which in group_rows(categories).items():
        rows[which] = spaces[category].encode(matrix[which])
    return rows


def around_own_level(matrix: Floats, categories: Labels) -> Floats:
    """Return rows in robust deviations from the median of their own category, by which those far
    from the others are found."""
    rows = np.empty_like(matrix)
    for which in group_rows(categories).values():
        middle, spread = robust_level(matrix[which])
        rows[which] = (matrix[which] - middle) / spread
    return rows


def group_rows(categories: Labels) -> dict[str | None, Rows]:
    """Return the positions of the rows of each category, in the order in which they occur."""
    found: dict[str | None, list[int]] = {}
    for position, category in enumerate(categories.tolist()):
        found.setdefault(category, []).append(position)
    return {category: np.array(positions, np.int64) for category, positions in found.items()}
