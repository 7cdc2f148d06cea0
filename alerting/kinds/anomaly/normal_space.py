"""Columns of normal operation in units of their usual deviation, and the value of each that the
others lead to expect; of several categories each in units of its own: what is usual for one recipe
is not for another.

The relations between columns are those of all categories together, learned from rows around their
own level. Every product is a sum over columns in a fixed order, never a matrix product: the last
bits of one depend on the number of rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alerting.detection.problems import BoolArray
from alerting.readings.variable_series import Labels

Floats = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[np.float64]]
# usual deviations at which a value is clipped: the code of a fault does not decide by its size
FARTHEST = 50.0
_FLOOR = 0.1  # of the usual spread: what is added to a spread before its logarithm
_LEAST_VALUES = 50  # of a spread, from which it is known
_SHRINK = 1e-3  # of the covariance towards independent columns
_LEAST_SCALE = 1e-3  # of the centre: a value that never varied
_ROUNDS = 10
_TOUCHED = 4.0  # times the median distance, from which a row is far from the others


def product(rows: Floats, weights: Floats) -> Floats:
    """Return rows (n x k) times weights (k x m), each row with the same bits whatever the other
    rows are."""
    found = np.zeros((len(rows), weights.shape[1]))
    for column in range(len(weights)):
        found += rows[:, column, None] * weights[column]
    return found


def squared_length(rows: Floats) -> Floats:
    """Return the sum of squares of each row."""
    found = np.zeros(len(rows))
    for column in range(rows.shape[1]):
        found += rows[:, column] ** 2
    return found


@dataclass(frozen=True)
class NormalSpace:
    """Normal rows of k columns: `centre`, `scale` (k), and `precision` (k x k), the inverse
    covariance of scaled columns.

    `floors` (k): above 0 of a column that counts by the logarithm of its value and this; NaN of one
    that does not count. Spaces of before have none.
    """

    centre: Floats
    scale: Floats
    precision: Floats
    floors: Floats | None = None

    @staticmethod
    def fit(matrix: Floats, floors: Floats | None = None) -> "NormalSpace":
        """Learn from rows (n x k) of normal operation; NaN is missing, and counts as the mean of
        its column."""
        matrix = take_logarithms(matrix, floors)
        centre = np.array([_mean(column) for column in matrix.T])
        spread = np.array([_deviation(column) for column in matrix.T])
        scale = np.maximum(spread, np.maximum(_LEAST_SCALE * np.abs(centre), 1e-9))
        return NormalSpace(centre, scale, precision_of((matrix - centre) / scale), floors)

    def encode(self, matrix: Floats) -> Floats:
        """Return rows in usual deviations from the centre; a missing value is what the others lead
        to expect."""
        matrix = take_logarithms(matrix, self.floors)
        rows = np.clip((matrix - self.centre) / self.scale, -FARTHEST, FARTHEST)
        missing = np.isnan(rows)
        if missing.any():
            patterns, of = np.unique(missing, axis=0, return_inverse=True)
            for number, pattern in enumerate(patterns):
                if pattern.any():
                    which = np.flatnonzero(of == number)
                    rows[np.ix_(which, np.flatnonzero(pattern))] = self._expected(
                        rows[which], pattern
                    )
        return rows

    def expect(self, rows: Floats, columns: Sequence[int]) -> Floats:
        """Return encoded rows in which some columns have the values that the others lead to
        expect."""
        pattern = np.zeros(len(self.centre), np.bool_)
        pattern[list(columns)] = True
        found = rows.copy()
        found[:, pattern] = self._expected(rows, pattern)
        return found

    def decode(self, rows: Floats) -> Floats:
        """Return encoded rows in the units of the readings."""
        found = rows * self.scale + self.centre
        if self.floors is not None:
            logged = self.floors != 0
            found[:, logged] = np.maximum(np.exp(found[:, logged]) - self.floors[logged], 0.0)
        return found

    def _expected(self, rows: Floats, missing: BoolArray) -> Floats:
        """Return the mean of the missing columns given the others, of a normal distribution."""
        known = ~missing
        if not known.any():
            return np.zeros((len(rows), int(missing.sum())))
        weights = -np.linalg.solve(
            self.precision[np.ix_(missing, missing)], self.precision[np.ix_(missing, known)]
        )
        return product(rows[:, known], np.ascontiguousarray(weights.T))

    def arrays(self) -> dict[str, Floats]:
        """Return its arrays by name."""
        found = {"centre": self.centre, "scale": self.scale, "precision": self.precision}
        return found if self.floors is None else found | {"floors": self.floors}

    @staticmethod
    def from_arrays(arrays: Arrays) -> "NormalSpace":
        """Return the space of these arrays."""
        return NormalSpace(
            arrays["centre"], arrays["scale"], arrays["precision"], arrays.get("floors")
        )


def spread_floors(matrix: Floats, spreads: BoolArray) -> Floats | None:
    """Return the floors of normal rows (n x k) of which some columns are `spreads`; None without
    one.

    A spread varies by shares of itself. It is not known with few values, or where it is always 0.
    """
    if not spreads.any():
        return None
    floors = np.zeros(matrix.shape[1])
    for column in np.flatnonzero(spreads):
        values = matrix[~np.isnan(matrix[:, column]), column]
        known = len(values) >= _LEAST_VALUES and values.any()
        floors[column] = _FLOOR * (np.median(values) or values.mean()) if known else np.nan
    return floors


def take_logarithms(matrix: Floats, floors: Floats | None) -> Floats:
    """Return rows whose spreads are logarithms; NaN of those that do not count."""
    if floors is None:
        return matrix
    logged = floors != 0
    found = matrix.copy()
    found[:, logged] = np.log(matrix[:, logged] + floors[logged])
    return found


def precision_of(scaled: Floats) -> Floats:
    """Return the inverse covariance of scaled rows (n x k) around 0; a missing value counts as
    0."""
    rows = np.nan_to_num(scaled)
    covariance = rows.T @ rows / max(len(rows), 1)
    covariance = (1 - _SHRINK) * covariance + _SHRINK * np.eye(len(covariance))
    return np.asarray(np.linalg.inv(covariance))


def far_from_others(matrix: Floats, most: float, trusted: BoolArray) -> BoolArray:
    """Return the rows that are far from the others, at most the share `most` of them, and none of
    the `trusted` ones.

    The distance is that of the covariance of the central rows, found in rounds of concentration
    (Rousseeuw and Van Driessen 1999); far is beyond `_TOUCHED` times its median.
    """
    if not most or not len(matrix):
        return np.zeros(len(matrix), np.bool_)
    count = int(most * len(matrix))
    middle, spread = robust_level(matrix)
    rough = replace(NormalSpace.fit(matrix), centre=middle, scale=spread)
    distance = squared_length(rough.encode(matrix))
    for _ in range(_ROUNDS):
        central = (
            distance <= np.partition(distance, len(distance) - 1 - count)[len(distance) - 1 - count]
        )
        space = NormalSpace.fit(matrix[central])
        rows = space.encode(matrix)
        distance = np.einsum("ij,jk,ik->i", rows, space.precision, rows)
    far = (
        np.sqrt(np.maximum(distance, 0)) > _TOUCHED * np.sqrt(max(_median(distance), 0))
    ) & ~trusted
    if far.sum() > count:
        far &= distance >= np.sort(distance[far])[-count] if count else False
    return np.asarray(far)


def robust_level(matrix: Floats) -> tuple[Floats, Floats]:
    """Return the median of each column, and its median absolute deviation as a standard one (the
    usual one where it is 0)."""
    middle = np.array([_median(column) for column in matrix.T])
    spread = np.array(
        [1.4826 * _median(np.abs(column - m)) for column, m in zip(matrix.T, middle, strict=True)]
    )
    usual = np.array([_deviation(column) for column in matrix.T])
    return middle, np.where(spread > 0, spread, np.maximum(usual, 1e-9))


def _mean(values: Floats) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else 0.0


def _median(values: Floats) -> float:
    present = values[~np.isnan(values)]
    return float(np.median(present)) if len(present) else 0.0


def _deviation(values: Floats) -> float:
    present = values[~np.isnan(values)]
    return float(present.std()) if len(present) else 0.0


Rows = npt.NDArray[np.int64]
Spaces = Mapping[str | None, NormalSpace]
"""The normal space of each category; None: of rows without one."""
LEAST_ROWS = 50
"""Rows from which the level of a category is known, and values from which that of a column in it
is."""


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
