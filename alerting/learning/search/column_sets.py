"""Sets of columns that a search tries: few problems rarely tell many columns apart.

A set is a parameter of a trial (`params["columns"]`, absent for all columns). What depends on labels, the screening, is fitted
on the rows that the model is fitted on, and on no others.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.learning.features.encoding import Columns, Floats
from alerting.learning.features.plan import Column, FeaturePlan
from alerting.learning.models.estimator import Estimator

Positions = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int8]
BoolArray = npt.NDArray[np.bool_]
COLUMNS = "columns"
ALL, COMPACT, SCREENED, OWN = "all", "compact", "screened", "own"
MOST_SCREENED = 40  # columns that a screening keeps
MOST_OF_A_SOURCE = 4  # of them from one variable or event type, whose columns are much alike


@dataclass(frozen=True)
class ColumnSets:
    """The sets that a search may choose from, for the columns of one feature plan.

    compact: last, mean and slope of the middle window, and what has no window. own: the columns of the problem's variable.
    screened: the columns that alone rank the rows best, at most MOST_OF_A_SOURCE of a variable.
    `fixed`: positions by set, where the set needs no labels.
    """

    columns: Columns
    sources: tuple[str, ...]
    fixed: Mapping[str, Positions]

    @staticmethod
    def of_plan(plan: FeaturePlan, problem_variables: Collection[str]) -> "ColumnSets":
        """Return the sets of a plan that are neither empty nor the same as all columns."""
        window = plan.windows_ms[len(plan.windows_ms) // 2]
        found = {
            COMPACT: _positions([_is_compact(column, window) for column in plan.layout]),
            OWN: _positions([c.kind == "variable" and c.source in problem_variables for c in plan.layout]),
        }
        fixed = {name: where for name, where in found.items() if 0 < len(where) < len(plan.columns)}
        return ColumnSets(Columns.from_plan(plan), tuple(column.source for column in plan.layout), fixed)

    @property
    def offered(self) -> tuple[str, ...]:
        """Return the names of the sets that a trial may use."""
        screened = (SCREENED,) if len(self.sources) > MOST_SCREENED else ()
        return (ALL, *(name for name in (COMPACT, *screened, OWN) if name in {*self.fixed, *screened}))

    def choose(self, params: Mapping[str, Any], matrix: Floats, rows: Positions, label: Labels) -> Positions:
        """Return the positions of the columns for a fit on `rows` (positions), in increasing order.

        There are never more than rows: beyond that the best ranking ones remain. `matrix`, `label`: of all rows.
        """
        wanted = params.get(COLUMNS, ALL)
        every = np.arange(len(self.sources))
        chosen = every if wanted in (ALL, SCREENED) else self.fixed.get(wanted, every)
        if wanted == SCREENED:
            return self._strongest(chosen, matrix, rows, label, MOST_SCREENED, MOST_OF_A_SOURCE)
        if len(chosen) > len(rows):
            return self._strongest(chosen, matrix, rows, label, len(rows), len(chosen))
        return chosen

    def describe(self, params: Mapping[str, Any]) -> list[str]:
        """Describe the set of a trial in a sentence; none for all columns."""
        wanted = params.get(COLUMNS, ALL)
        if wanted not in (SCREENED, *self.fixed):
            return []
        count = f"the best {MOST_SCREENED}" if wanted == SCREENED else str(len(self.fixed[wanted]))
        return [f"the best parameters use {count} of {len(self.sources)} columns ({wanted})"]

    def take(self, chosen: Positions) -> Columns:
        """Return the chosen columns alone."""
        names = tuple(self.columns.names[i] for i in chosen)
        return Columns(names, {name: self.columns.levels[name] for name in names if name in self.columns.levels})

    def widen(self, estimator: Estimator, chosen: Positions) -> Estimator:
        """Return an estimator that was fitted on chosen columns as one that reads all columns."""
        if len(chosen) == len(self.sources):
            return estimator
        encoding = replace(estimator.encoding, columns=tuple(chosen.tolist()))
        return replace(estimator, columns=self.columns, encoding=encoding)

    def _strongest(
        self, among: Positions, matrix: Floats, rows: Positions, label: Labels, most: int, of_a_source: int
    ) -> Positions:
        strength = ranking_strength(matrix, rows, among, label[rows], self.columns.categorical)
        taken: list[int] = []
        counts: Counter[str] = Counter()
        for position in among[np.argsort(-strength, kind="stable")].tolist():
            if counts[self.sources[position]] < of_a_source and len(taken) < most:
                taken.append(position)
                counts[self.sources[position]] += 1
        return np.array(sorted(taken), np.int64)


def family_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a trial that belong to its family."""
    return {key: value for key, value in params.items() if key != COLUMNS}


def take_part(matrix: Floats, rows: Positions, columns: Positions) -> Floats:
    """Return some rows and columns of a matrix, in one copy."""
    return matrix[rows] if len(columns) == matrix.shape[1] else matrix[np.ix_(rows, columns)]


def ranking_strength(matrix: Floats, rows: Positions, columns: Positions, label: Labels, categorical: Sequence[int]) -> Floats:
    """Return how far each column alone ranks the rows from chance: |Mann-Whitney's U| in standard deviations.

    `label`: of the rows. Missing values are left out; of a category the level counts that separates best.
    """
    texts, positive = set(categorical), label == 1
    found = [_strength(matrix[rows, i], positive, _category_difference if i in texts else _difference) for i in columns]
    return np.array(found, np.float64)


def _strength(values: Floats, positive: BoolArray, difference: Callable[[Floats, Floats], float]) -> float:
    there = ~np.isnan(values)
    ones, zeros = (values[there & mask] for mask in (positive, ~positive))
    if not len(ones) or not len(zeros):
        return 0.0
    return abs(difference(ones, zeros)) * float(np.sqrt(12 * len(ones) * len(zeros) / (len(ones) + len(zeros) + 1)))


def _difference(ones: Floats, zeros: Floats) -> float:
    """Return by how much the share of pairs in which the one is larger exceeds a half; ties count half."""
    zeros = np.sort(zeros)
    below = np.searchsorted(zeros, ones, side="left").sum() + np.searchsorted(zeros, ones, side="right").sum()
    return float(below / (2 * len(ones) * len(zeros)) - 0.5)


def _category_difference(ones: Floats, zeros: Floats) -> float:
    """Return the same for the level (code) that separates best."""
    size = int(max(ones.max(), zeros.max())) + 1
    shares = [np.bincount(codes.astype(np.int64), minlength=size) / len(codes) for codes in (ones, zeros)]
    return float(np.abs(shares[0] - shares[1]).max() / 2)


def _is_compact(column: Column, window_ms: int) -> bool:
    if column.aggregation in ("mean", "slope", "count"):
        return column.window_ms == window_ms
    return column.aggregation in ("last", "recency", "value")


def _positions(mask: Sequence[bool]) -> Positions:
    return np.flatnonzero(np.array(mask, np.bool_))
