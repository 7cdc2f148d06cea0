"""Pairs of columns, whose products and differences are columns of their own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from alerting.deferred import np
from alerting.readings.history import Floats

if TYPE_CHECKING:
    from alerting.learning.features.plan import Columns


@dataclass(frozen=True)
class ColumnPairs:
    """Products and differences of pairs of columns, which trees can only approximate.

    Expanded columns, in order: the matrix itself, the product of every pair, the first minus the
    second of every pair.
    """

    positions: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def choose(columns: Columns, telling: Floats, most: int) -> ColumnPairs:
        """Return all pairs of the `most` number columns with the largest contributions."""
        numbers = [
            i
            for i, name in enumerate(columns.names)
            if name not in columns.levels and telling[i] > 0
        ]
        chosen = sorted(sorted(numbers, key=lambda i: (-telling[i], i))[:most])
        return ColumnPairs(tuple(combinations(chosen, 2)))

    def expand(self, matrix: Floats) -> Floats:
        """Return the matrix with products and differences appended, which are missing where either
        column is."""
        return np.hstack([matrix, self.combine(matrix)]) if self.positions else matrix

    def combine(self, matrix: Floats) -> Floats:
        """Return the products and differences alone."""
        first = matrix[:, [position for position, _ in self.positions]]
        second = matrix[:, [position for _, position in self.positions]]
        return np.hstack([first * second, first - second])

    def by_column(self, values: Floats, columns: int) -> Floats:
        """Return a value per column: each column of a pair gets half of the pair's value."""
        shares = values[:columns].copy()
        for k, pair in enumerate(self.positions):
            half = (values[columns + k] + values[columns + len(self.positions) + k]) / 2
            for column in pair:
                shares[column] += half
        return shares


NO_PAIRS = ColumnPairs()
