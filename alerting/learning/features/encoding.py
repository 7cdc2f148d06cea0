"""Encoding of rows into the matrices of estimators; fixed at training, stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from alerting.deferred import np, npt, pd
from alerting.definitions.faults import UserError
from alerting.learning.features.plan import STORED, FeaturePlan
from alerting.readings.history import column_index

MOST_COLUMNS = 200_000
Position = Annotated[int, Field(ge=0, lt=MOST_COLUMNS)]
Positions = Annotated[tuple[Position, ...], Field(max_length=MOST_COLUMNS)]
_Numbers = Annotated[tuple[float, ...], Field(max_length=4 * MOST_COLUMNS)]
Floats: TypeAlias = "npt.NDArray[np.float64]"
# standard deviations at which a scaled number is clipped: a single odd reading cannot decide alone
FARTHEST = 10.0
_FEW_ROWS = 64


@dataclass(frozen=True)
class Columns:
    """Names of the columns in the model's order, and the levels of the categorical ones."""

    names: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]

    @staticmethod
    def from_plan(plan: FeaturePlan) -> Columns:
        """Return the columns of a feature plan."""
        return Columns(plan.columns, plan.levels)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Return positions of the categorical columns."""
        return tuple(i for i, name in enumerate(self.names) if name in self.levels)

    def matrix(self, rows: pd.DataFrame) -> Floats:
        """Return rows as float64: categories as level numbers, NaN for missing ones.

        The columns of `rows` may come in any order, and there may be more of them. Raises UserError
        if some are missing.
        """
        is_small = len(rows) <= _FEW_ROWS  # of many rows there is no second copy in memory
        if is_small and not self.levels and rows.columns.equals(column_index(self.names)):
            block = rows.to_numpy(np.float64)
            return np.where(np.isfinite(block), block, np.nan)
        missing = [name for name in self.names if name not in rows.columns]
        if missing:
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise UserError(
                f"the model needs {len(missing)} of {len(self.names)} columns that these rows do "
                f"not have: {shown}; build the rows with the feature plan of the model"
            )
        out = np.empty((len(rows), len(self.names)))
        numbers = [i for i, name in enumerate(self.names) if name not in self.levels]
        if is_small:
            positions = rows.columns.get_indexer(pd.Index([self.names[i] for i in numbers]))
            block = rows.iloc[:, positions].to_numpy(np.float64)
            out[:, numbers] = np.where(np.isfinite(block), block, np.nan)
        else:
            for i in numbers:
                values = rows[self.names[i]].to_numpy(np.float64)
                out[:, i] = np.where(np.isfinite(values), values, np.nan)
        for i in self.categorical:
            codes = np.asarray(
                pd.Index(self.levels[self.names[i]]).get_indexer(pd.Index(rows[self.names[i]])),
                np.float64,
            )
            codes[codes < 0] = np.nan
            out[:, i] = codes
        return out

    def view(self, rows: pd.DataFrame) -> Floats:
        """Return the same, without a copy where the rows are already so in memory: then by column,
        and not to be written."""
        if not self.levels and rows.columns.equals(column_index(self.names)):
            block = rows.to_numpy(np.float64)
            if not any(np.isinf(column).any() for column in block.T):
                return block
        return self.matrix(rows)


@dataclass(frozen=True)
class Dense:
    """Fills, flags, expands and perhaps scales a matrix for linear estimators.

    Encoded columns, in order: every number with its median where missing; a flag for every number
    that was missing at training; one column per level of every category. `origin`: position of the
    column behind each encoded one. `mean`, `scale`: of each encoded column, which make numbers of
    mean 0 and deviation 1, and only centre flags and levels; both are empty for estimators that
    need no scale, like trees.
    """

    __pydantic_config__ = STORED
    numbers: Positions
    medians: _Numbers
    flagged: Positions
    # Position and number of levels of each.
    categories: Annotated[
        tuple[tuple[Position, Annotated[int, Field(ge=0, le=100_000)]], ...],
        Field(max_length=20_000),
    ]
    mean: _Numbers
    scale: _Numbers

    @staticmethod
    def fit(columns: Columns, matrix: Floats, scaled: bool) -> Dense:
        """Learn medians, flags and, if `scaled`, scales from the training rows alone."""
        numbers = tuple(i for i, name in enumerate(columns.names) if name not in columns.levels)
        plain = Dense(
            numbers=numbers,
            medians=tuple(_median(matrix[:, i]) for i in numbers),
            flagged=tuple(i for i in numbers if np.isnan(matrix[:, i]).any()),
            categories=tuple(
                (i, len(columns.levels[columns.names[i]])) for i in columns.categorical
            ),
            mean=(),
            scale=(),
        )
        if not scaled:
            return plain
        raw = plain.encode(matrix)
        spread = raw.std(axis=0)
        spread[(spread < 1e-12) | (np.arange(raw.shape[1]) >= len(numbers))] = 1.0
        return Dense(
            **(
                vars(plain)
                | {"mean": tuple(raw.mean(axis=0).tolist()), "scale": tuple(spread.tolist())}
            )
        )

    @property
    def width(self) -> int:
        """Return the number of encoded columns."""
        return len(self.numbers) + len(self.flagged) + sum(count for _, count in self.categories)

    @property
    def origin(self) -> npt.NDArray[np.int64]:
        """Return position of the column behind each encoded one."""
        levels = [i for i, count in self.categories for _ in range(count)]
        return np.array([*self.numbers, *self.flagged, *levels], np.int64)

    def by_column(self, values: Floats, columns: int) -> Floats:
        """Add up one value per encoded column by the column behind it."""
        return np.asarray(np.bincount(self.origin, weights=values, minlength=columns), np.float64)

    def fill(self, matrix: Floats) -> Floats:
        """Return the matrix with every missing number at its median."""
        full = matrix.copy()
        full[:, self.numbers] = self._filled_numbers(matrix)
        return full

    def encode(self, matrix: Floats) -> Floats:
        """Fill, flag, expand, and scale if fitted so: zero is then the training mean."""
        flags = np.isnan(matrix[:, self.flagged]).astype(np.float64)
        levels = [
            (matrix[:, [i]] == np.arange(count)).astype(np.float64) for i, count in self.categories
        ]
        raw: Floats = np.hstack([self._filled_numbers(matrix), flags, *levels])
        if self.scale:
            raw -= self.mean
            raw /= self.scale
            np.clip(raw, -FARTHEST, FARTHEST, out=raw)
        return raw

    def _filled_numbers(self, matrix: Floats) -> Floats:
        part = matrix[:, self.numbers]
        np.copyto(part, np.asarray(self.medians), where=np.isnan(part))
        return part


@dataclass(frozen=True)
class ColumnPairs:
    """Products and differences of pairs of columns, which trees can only approximate.

    Expanded columns, in order: the matrix itself, the product of every pair, its first minus its
    second.
    """

    of: tuple[tuple[int, int], ...] = ()

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
        """Return the matrix with products and differences beside it; missing where either is."""
        return np.hstack([matrix, self.combine(matrix)]) if self.of else matrix

    def combine(self, matrix: Floats) -> Floats:
        """Return the products and differences alone."""
        left, right = (matrix[:, [pair[side] for pair in self.of]] for side in (0, 1))
        return np.hstack([left * right, left - right])

    def by_column(self, values: Floats, columns: int) -> Floats:
        """Return a value per column: each of a pair gets half of the pair's value."""
        shares = values[:columns].copy()
        for k, pair in enumerate(self.of):
            half = (values[columns + k] + values[columns + len(self.of) + k]) / 2
            for column in pair:
                shares[column] += half
        return shares


NO_PAIRS = ColumnPairs()


@dataclass(frozen=True)
class Encoding:
    """The encoding of a matrix for one estimator; without `dense` gaps stay as they are.

    Encoded columns, in order: those of `dense`, or the matrix itself; then those of the pairs.
    `columns`: positions of the only columns that are encoded, to which all other positions refer;
    None for all.
    """

    dense: Dense | None = None
    pairs: ColumnPairs = NO_PAIRS
    columns: tuple[int, ...] | None = None

    def encode(self, matrix: Floats) -> Floats:
        """Return the matrix in this encoding."""
        if self.columns is not None:
            matrix = matrix[:, self.columns]
        if self.dense is None:
            return self.pairs.expand(matrix)
        encoded = self.dense.encode(matrix)
        return (
            np.hstack([encoded, self.pairs.combine(self.dense.fill(matrix))])
            if self.pairs.of
            else encoded
        )

    def by_column(self, values: Floats, columns: int) -> Floats:
        """Add up one value per encoded column by the column behind it."""
        if self.columns is not None:
            spread = np.zeros(columns)
            spread[list(self.columns)] = replace(self, columns=None).by_column(
                values, len(self.columns)
            )
            return spread
        if self.dense is not None:
            plain = len(values) - 2 * len(self.pairs.of)
            values = np.concatenate([self.dense.by_column(values[:plain], columns), values[plain:]])
        return self.pairs.by_column(values, columns)

    def to_document(self) -> dict[str, Any]:
        """Return the encoding as plain JSON values."""
        dense = asdict(self.dense) if self.dense else None
        columns = None if self.columns is None else list(self.columns)
        return {"dense": dense, "pairs": [list(pair) for pair in self.pairs.of], "columns": columns}


def _median(values: Floats) -> float:
    present = values[~np.isnan(values)]
    return float(np.median(present)) if len(present) else 0.0
