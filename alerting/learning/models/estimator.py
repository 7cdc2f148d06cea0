"""Fitted models and their margins; this module needs none of the libraries that fit models.

A margin is a number that rises with the risk: log-odds, or a probability. Calibration turns it into
a probability.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from alerting.deferred import np, npt, pd
from alerting.learning.features.encoding import Columns, Encoding, Floats
from alerting.learning.models.calibration import sigmoid

# values in a matrix up to which threads that wait for each other, on cores that others use too,
# cost most
SMALL = 5_000_000
ALL_THREADS = 0
AT_ONCE = 8_000_000  # values that are encoded together, so that memory does not grow with all rows


# bits of the decision of a node, as in LightGBM's model text
CATEGORICAL = 1
DEFAULT_LEFT = 2
ZERO_IS_MISSING = 4
NAN_IS_MISSING = 8


class Trees(NamedTuple):
    """The trees of a model, as the margin is their sum.

    Of all inner nodes: `feature`, `threshold` (left: at most this), `decision` (bits). Of each
    tree: `left`, `right`: the children of its nodes (a leaf is the complement of its number), and
    `value` of its leaves. `categories`: of each node with a category, those that go left, as bits.
    `single`: values are compared as 32-bit numbers.
    """

    feature: npt.NDArray[np.int64]
    threshold: Floats
    decision: npt.NDArray[np.int64]
    left: Sequence[npt.NDArray[np.int64]]
    right: Sequence[npt.NDArray[np.int64]]
    value: Sequence[Floats]
    categories: Sequence[npt.NDArray[np.int64]] = ()
    single: bool = False


class WeightedSum(NamedTuple):
    """A margin that is a weighted sum."""

    weights: Floats
    intercept: float


class FittedModel(Protocol):
    """A fitted model of one family. `encoded`: rows as `Encoding.encode` makes them."""

    @property
    def margin_is_probability(self) -> bool:
        """Return whether the margin is a probability, not log-odds."""

    def margin(self, encoded: Floats, rounds: int | None = None) -> Floats:
        """Return the margin of each row; of the first `rounds` alone, if given."""

    def contributions(self, encoded: Floats) -> tuple[Floats, float]:
        """Return each encoded column's SHAP value for the one row, and the expected margin."""

    def importance(self) -> Floats:
        """Return the contribution of each encoded column to the model, 0 or more."""

    def fitted_bytes(self) -> Iterator[bytes]:
        """Return the bytes of all fitted values, the same for equal models."""

    def files(self) -> dict[str, bytes]:
        """Return the model as files by name, in reading order; no code in them."""


@dataclass(frozen=True)
class Estimator:
    """A fitted model of one family, with the columns that it reads and their encoding."""

    family: str
    model: FittedModel
    columns: Columns
    encoding: Encoding

    def margin(self, rows: pd.DataFrame) -> Floats:
        """Return the margin of each row. Raises UserError if rows lack columns."""
        return self.margin_of(self.columns.matrix(rows))

    def margin_of(self, matrix: Floats, rounds: int | None = None) -> Floats:
        """Return the margin of each row; of the first `rounds` alone, if given."""
        if not len(matrix):
            return np.empty(0)
        step = max(1, AT_ONCE // max(1, matrix.shape[1]))
        if len(matrix) > step:
            parts = [
                self.margin_of(matrix[i : i + step], rounds) for i in range(0, len(matrix), step)
            ]
            return np.concatenate(parts)
        return np.asarray(self.model.margin(self.encoding.encode(matrix), rounds), np.float64)

    def probability_of(self, matrix: Floats, rounds: int | None = None) -> Floats:
        """Return the probability of each row of a matrix before calibration."""
        margin = self.margin_of(matrix, rounds)
        return margin if self.model.margin_is_probability else sigmoid(margin)

    def contributions(self, matrix: Floats) -> tuple[Floats, float]:
        """Return each column's SHAP value for the one row, and the expected margin."""
        shares, base = self.model.contributions(self.encoding.encode(matrix))
        return self.encoding.by_column(shares, len(self.columns.names)), base

    def importance(self) -> Floats:
        """Return each column's share in gain, impurity or weight; together 1, or all 0."""
        raw = self.encoding.by_column(self.model.importance(), len(self.columns.names))
        total = raw.sum()
        return raw / total if total > 0 else raw


def threads_for(matrix: Floats) -> int:
    """Return the threads for a matrix: one for a small one, otherwise all (0)."""
    return 1 if matrix.size <= SMALL else ALL_THREADS
