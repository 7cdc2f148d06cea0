"""A fitted model and its margin; this module needs none of the libraries that fit models.

A margin is a number that rises with the risk: log-odds for LightGBM and logistic regression, the mean vote of the trees
(a probability) for the random forest. Calibration turns it into a probability.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from alerting.definitions.model import Family
from alerting.learning.features.encoding import NO_PAIRS, ColumnPairs, Columns, Dense, Floats
from alerting.learning.models.calibration import sigmoid

SMALL = 5_000_000  # values in a matrix up to which threads that wait for each other, on cores that others use too, cost most
ALL_THREADS = 0
AT_ONCE = 200_000  # rows that are encoded together, so that memory does not grow with all rows


class FittedModel(Protocol):
    """A fitted model of one family: the interface for scores, explanations and files.

    `encoded`: rows as `Estimator.encode` makes them.
    """

    def margin(self, encoded: Floats, rounds: int | None = None) -> Floats:
        """Return the margin of each row; of the first `rounds` rounds alone, if given and if the family has rounds."""

    def contributions(self, encoded: Floats) -> tuple[Floats, float]:
        """Return SHAP value of each encoded column for the margin of the one row, and the expected margin."""

    def importance(self) -> Floats:
        """Return the contribution of each encoded column to the model, 0 or more."""

    def fitted_bytes(self) -> Iterator[bytes]:
        """Return the bytes of all fitted values, the same for equal models."""

    def files(self) -> dict[str, bytes]:
        """Return the model as files by name."""


@dataclass(frozen=True)
class Estimator:
    """A fitted model of one family, with the columns that it reads. `model`: None only before it is fitted."""

    family: Family
    model: Any  # a FittedModel; Any lets an estimator encode before it is fitted
    columns: Columns
    dense: Dense | None  # None for LightGBM, which knows missing values and categories itself
    pairs: ColumnPairs = NO_PAIRS  # of trees alone

    def margin(self, rows: pd.DataFrame) -> Floats:
        """Return the margin of each row. Raises UserError if rows lack columns."""
        return self.margin_of(self.columns.matrix(rows))

    def margin_of(self, matrix: Floats, rounds: int | None = None) -> Floats:
        """Return the margin of each row of a matrix made by `columns`; of the first `rounds` rounds alone, if given."""
        if not len(matrix):
            return np.empty(0)
        if len(matrix) > AT_ONCE:
            parts = [self.margin_of(matrix[i : i + AT_ONCE], rounds) for i in range(0, len(matrix), AT_ONCE)]
            return np.concatenate(parts)
        return np.asarray(self.model.margin(self.encode(matrix), rounds), np.float64)

    def probability_of(self, matrix: Floats, rounds: int | None = None) -> Floats:
        """Return the probability of each row of a matrix before calibration."""
        margin = self.margin_of(matrix, rounds)
        return margin if self.margin_is_probability else sigmoid(margin)

    @property
    def margin_is_probability(self) -> bool:
        """Return whether the margin is a probability, not log-odds."""
        return self.family == "random_forest"

    def contributions(self, matrix: Floats) -> tuple[Floats, float]:
        """Return SHAP value of each column for the margin of the one row of `matrix`, and the expected margin."""
        shares, base = self.model.contributions(self.encode(matrix))
        return self.by_column(shares), base

    def importance(self) -> Floats:
        """Return the share of each column in the model's gain, impurity or absolute weight; adds up to 1 unless all are 0."""
        raw = self.by_column(self.model.importance())
        total = raw.sum()
        return raw / total if total > 0 else raw

    def encode(self, matrix: Floats) -> Floats:
        """Return a matrix in the encoding of the model."""
        if self.dense is None:
            return self.pairs.expand(matrix)
        if self.family == "logistic_regression":
            return self.dense.transform(matrix)
        return np.hstack([self.dense.expand(matrix), self.pairs.combine(self.dense.fill(matrix))])

    def by_column(self, values: Floats) -> Floats:
        """Add up one value per encoded column by the column behind it."""
        count = len(self.columns.names)
        if self.dense is not None:
            plain = len(values) - 2 * len(self.pairs.of)
            values = np.concatenate([self.dense.by_column(values[:plain], count), values[plain:]])
        return self.pairs.by_column(values, count)


@dataclass(frozen=True)
class Blend:
    """A weighted mean of the probabilities of several estimators of the same columns; that mean is its margin.

    `weights` are positive and add up to 1.
    """

    members: tuple[Estimator, ...]
    weights: tuple[float, ...]

    @property
    def family(self) -> Literal["blend"]:
        """Return the name `blend` in the position of a family's name."""
        return "blend"

    @property
    def columns(self) -> Columns:
        """Return the columns of all members."""
        return self.members[0].columns

    def margin(self, rows: pd.DataFrame) -> Floats:
        """Return the margin of each row. Raises UserError if rows lack columns."""
        return self.margin_of(self.columns.matrix(rows))

    def margin_of(self, matrix: Floats) -> Floats:
        """Return the margin of each row of a matrix made by `columns`."""
        parts = [weight * member.probability_of(matrix) for member, weight in zip(self.members, self.weights, strict=True)]
        return np.asarray(sum(parts), np.float64)

    def importance(self) -> Floats:
        """Return the weighted mean of the members' shares of each column; adds up to 1 unless all are 0."""
        shares = [weight * member.importance() for member, weight in zip(self.members, self.weights, strict=True)]
        return np.asarray(sum(shares), np.float64)


FamilyName = Family | Literal["blend"]


def threads_for(matrix: Floats) -> int:
    """Return the threads for LightGBM: one for a small matrix, otherwise all (0). The result is the same."""
    return 1 if matrix.size <= SMALL else ALL_THREADS
