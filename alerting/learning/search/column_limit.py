"""The limit on columns: those remain that rank the fitted rows best, no more than rows, or than a
parameter asks for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.learning.features.encoding import Columns, Floats
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.estimator import Estimator
from alerting.learning.models.families.contract import STRONGEST

Positions = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int8]
BoolArray = npt.NDArray[np.bool_]
COLUMN_SET = "columns"  # parameter of earlier models, which were fitted on a set of columns


@dataclass(frozen=True)
class ColumnLimit:
    """The columns of one feature plan, of which a fit takes as many as it has rows."""

    columns: Columns

    @staticmethod
    def from_plan(plan: FeaturePlan) -> "ColumnLimit":
        """Return the limit on the columns of a plan."""
        return ColumnLimit(Columns.from_plan(plan))

    def choose(self, params: Mapping[str, Any], rows: int, rank: Callable[[], Floats]) -> Positions:
        """Return the positions of the columns for a fit on a number of rows, in increasing order.

        All, unless there are more columns than rows, or than `params` asks for (STRONGEST): then
        the best ranking ones, and the one that `params` names (`column`). `rank`: returns what
        `rank_all` does; called only where columns are left out.
        """
        every = np.arange(len(self.columns.names))
        most = min(rows, params.get(STRONGEST) or rows)
        if len(every) <= most:
            return every
        strength = rank().copy()
        if params.get("column") is not None:
            strength[self.columns.names.index(params["column"])] = np.inf
        return np.sort(np.argsort(-strength, kind="stable")[:most])

    def rank_all(self, matrix: Floats, rows: Positions, label: Labels) -> Floats:
        """Return the `ranking_strength` of every column on these rows of all."""
        every = np.arange(len(self.columns.names))
        return ranking_strength(matrix, rows, every, label[rows], self.columns.categorical)

    def take(self, chosen: Positions) -> Columns:
        """Return the chosen columns alone."""
        names = tuple(self.columns.names[i] for i in chosen)
        return Columns(
            names,
            {name: self.columns.levels[name] for name in names if name in self.columns.levels},
        )

    def widen(self, estimator: Estimator, chosen: Positions) -> Estimator:
        """Return an estimator that was fitted on chosen columns as one that reads all columns."""
        if len(chosen) == len(self.columns.names):
            return estimator
        encoding = replace(estimator.encoding, columns=tuple(chosen.tolist()))
        return replace(estimator, columns=self.columns, encoding=encoding)


def without_column_set(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an earlier model without its set of columns."""
    return {key: value for key, value in params.items() if key != COLUMN_SET}


def take_part(matrix: Floats, rows: Positions, columns: Positions) -> Floats:
    """Return some rows and columns of a matrix, in one copy."""
    return matrix[rows] if len(columns) == matrix.shape[1] else matrix[np.ix_(rows, columns)]


def ranking_strength(
    matrix: Floats, rows: Positions, columns: Positions, label: Labels, categorical: Sequence[int]
) -> Floats:
    """Return how far each column ranks rows from chance: |Mann-Whitney's U| in deviations.

    `label`: of the rows. Missing values are left out; of a category the level counts that separates
    best.
    """
    texts = set(categorical)
    positive = label == 1
    found = [
        _strength(matrix[rows, i], positive, _category_difference if i in texts else _difference)
        for i in columns
    ]
    return np.array(found, np.float64)


def _strength(
    values: Floats, positive: BoolArray, difference: Callable[[Floats, Floats], float]
) -> float:
    there = ~np.isnan(values)
    ones, zeros = (values[there & mask] for mask in (positive, ~positive))
    if not len(ones) or not len(zeros):
        return 0.0
    return abs(difference(ones, zeros)) * float(
        np.sqrt(12 * len(ones) * len(zeros) / (len(ones) + len(zeros) + 1))
    )


def _difference(ones: Floats, zeros: Floats) -> float:
    """Return by how much the share of larger pairs exceeds a half; ties count half."""
    zeros = np.sort(zeros)
    below = (
        np.searchsorted(zeros, ones, side="left").sum()
        + np.searchsorted(zeros, ones, side="right").sum()
    )
    return float(below / (2 * len(ones) * len(zeros)) - 0.5)


def _category_difference(ones: Floats, zeros: Floats) -> float:
    """Return the same for the level (code) that separates best."""
    size = int(max(ones.max(), zeros.max())) + 1
    shares = [
        np.bincount(codes.astype(np.int64), minlength=size) / len(codes) for codes in (ones, zeros)
    ]
    return float(np.abs(shares[0] - shares[1]).max() / 2)
