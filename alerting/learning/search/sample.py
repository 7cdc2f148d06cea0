"""The training rows of a search: all, or a sample of a large table.

All rows of the rarer class stay; the other class is thinned evenly in time, and each row that stays
has the weight of the rows that it represents, so that prevalence and probabilities remain the same.
Only trials are fitted and compared on the sample: a candidate's metrics and out-of-fold scores are
of all rows, and the chosen candidate is fitted on all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.detection.problems import BoolArray
from alerting.learning.data.dataset import Dataset
from alerting.learning.features.encoding import Columns, Floats
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.families.contract import STRONGEST
from alerting.learning.models.trained import Estimator

Labels = npt.NDArray[np.int8]
MOST_SEARCHED = 150_000  # rows, of a table with at most MOST_CELLS
MOST_CELLS = 60_000_000  # rows times columns; a wider table is searched on fewer rows
LEAST_SEARCHED = 20_000  # however many columns there are
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ColumnLimit:
    """The columns of one feature plan, of which a fit takes as many as it has rows."""

    columns: Columns

    @staticmethod
    def from_plan(plan: FeaturePlan) -> ColumnLimit:
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


@dataclass(frozen=True)
class SearchSample:
    """Rows of a search: by row of the dataset, whether the search uses it, and its weight there.

    `notes`: a sentence where rows were excluded, none otherwise.
    """

    selected: BoolArray
    weight: Floats
    notes: tuple[str, ...]

    @property
    def thinned(self) -> bool:
        """Return whether any row was excluded."""
        return bool(self.notes)

    def select_rows(self, rows: Positions) -> Positions:
        """Return the rows (positions) that belong to the sample."""
        return rows[self.selected[rows]]

    def weights(self, rows: Positions) -> Floats | None:
        """Return weights of some rows of the sample (positions); None where all are 1."""
        weight = self.weight[rows]
        return None if (weight == 1.0).all() else weight


def search_sample(dataset: Dataset, most: int | None = None) -> SearchSample:
    """Return a sample of at most `most` rows (default: fewer with many columns)."""
    if most is None:
        most = min(MOST_SEARCHED, max(LEAST_SEARCHED, MOST_CELLS // len(dataset.plan.columns)))
    train = np.flatnonzero(dataset.part == "train")
    selected = np.ones(len(dataset.label), np.bool_)
    weight = dataset.weight.copy()
    if len(train) <= most:
        return SearchSample(selected, weight, ())
    with_problem, without = (train[dataset.label[train] == value] for value in (1, 0))
    first = min(len(with_problem), max(most // 2, most - len(without)))
    selected[train] = False
    for rows, count in ((with_problem, first), (without, most - first)):
        selected[evenly(rows, count)] = True
        weight[rows] *= len(rows) / max(count, 1)
    note = (
        f"searched on {most:,} of {len(train):,} training rows ({_share(first, len(with_problem))} "
        f"with a problem ahead, {_share(most - first, len(without))} without, evenly in time and "
        "weighted); figures and the final fit are of all rows"
    )
    return SearchSample(selected, weight, (note,))


def evenly(rows: Positions, count: int) -> Positions:
    """Return `count` of the rows, as evenly spaced as possible; all where there are no more."""
    if count >= len(rows):
        return rows
    return rows[(np.arange(count, dtype=np.int64) * len(rows) + len(rows) // 2) // count]


def _share(count: int, of: int) -> str:
    return f"all {of:,}" if count == of else f"{count:,} of {of:,}"
