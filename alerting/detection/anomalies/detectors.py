"""Fitted detectors: from encoded rows to a raw score, higher is less like normal. Each is plain
arrays of numbers.

Trainings fit the first two; the others are of models that were trained before. A row has the
same bits whatever the other rows are. No library of models is needed to score.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from alerting.detection.anomalies.normal_space import Arrays, Floats, product, squared_length

AT_ONCE = 2_000_000  # distances that are computed together


class Nearest(NamedTuple):
    """Positions of the nearest normal rows of each row, the nearest first, and their distances."""

    which: npt.NDArray[np.int64]
    distance: Floats


class Detector(Protocol):
    """A fitted detector of one family."""

    family: ClassVar[str]

    def score(self, rows: Floats) -> Floats:
        """Return how unlike normal each encoded row is, in the detector's own unit."""


@dataclass(frozen=True)
class PrincipalComponents:
    """Hotelling's T² inside a subspace and the squared error (SPE, Q) beside it, each in units of
    its limit, added up.

    `components` (k x a); `inverse` (a), of the variances; `limits`: of T² and SPE. Combined index:
    Yue and Qin 2001.
    """

    components: Floats
    inverse: Floats
    limits: Floats
    family: ClassVar[str] = "pca"

    def score(self, rows: Floats) -> Floats:
        inside = product(rows, self.components)
        beside = squared_length(rows - product(inside, np.ascontiguousarray(self.components.T)))
        index = (
            squared_length(inside * np.sqrt(self.inverse)) / self.limits[0]
            + beside / self.limits[1]
        )
        return np.asarray(np.sqrt(index))


@dataclass(frozen=True)
class LevelsAndSpreads:
    """The larger score of two principal components, of levels and of spreads, each in units of the
    score that one normal row in a hundred exceeds.

    `spreads` (k): 1 of a column that is a spread, else 0; `components` (k x a), each of one of
    both; `inverse` (a); `limits` (2 x 3): of T², SPE and score, of levels and of spreads. In one
    space the noise of spreads would hide a small break between levels.
    """

    spreads: Floats
    components: Floats
    inverse: Floats
    limits: Floats
    family: ClassVar[str] = "levels_and_spreads"

    def score(self, rows: Floats) -> Floats:
        found = np.zeros(len(rows))
        groups = (self.spreads == 0, self.spreads == 1)
        for columns, limits in zip(groups, self.limits, strict=True):
            own = self.components[columns].any(axis=0)
            components = np.ascontiguousarray(self.components[np.ix_(columns, own)])
            part = PrincipalComponents(components, self.inverse[own], limits[:2])
            found = np.maximum(found, part.score(rows[:, columns]) / limits[2])
        return found


@dataclass(frozen=True)
class Neighbours:
    """Mean distance to the nearest of some normal rows (k-nearest neighbours; Ramaswamy and others
    2000).

    `normal` (r x k); `nearest` (1): how many.
    """

    normal: Floats
    nearest: Floats
    family: ClassVar[str] = "nearest_neighbours"

    def score(self, rows: Floats) -> Floats:
        return _by_neighbours(
            rows, self.normal, self.nearest, lambda found: found.distance.mean(axis=1)
        )


@dataclass(frozen=True)
class LocalOutliers:
    """Local outlier factor (Breunig and others 2000): how much sparser a row lies than its
    neighbours among normal rows.

    `radius` (r): distance of each normal row to its k-th neighbour; `density` (r): its local
    density.
    """

    normal: Floats
    nearest: Floats
    radius: Floats
    density: Floats
    family: ClassVar[str] = "local_outliers"

    def score(self, rows: Floats) -> Floats:
        def factor(found: Nearest) -> Floats:
            own = np.maximum(found.distance, self.radius[found.which]).mean(axis=1)
            return np.asarray(self.density[found.which].mean(axis=1) * own)

        return _by_neighbours(rows, self.normal, self.nearest, factor)


@dataclass(frozen=True)
class IsolationTrees:
    """Isolation forest (Liu and others 2008): how few random cuts separate a row. Nodes of all
    trees in one table.

    `column`: of a node's cut, -1 of a leaf; `cut`: values at most this go `left`, others `right`;
    `depth`: path length of a leaf; `roots`: of the trees; `usual` (1): path length of a random
    search tree.
    """

    column: Floats
    cut: Floats
    left: Floats
    right: Floats
    depth: Floats
    roots: Floats
    usual: Floats
    family: ClassVar[str] = "isolation_forest"

    def score(self, rows: Floats) -> Floats:
        column, left, right = (
            part.astype(np.int64) for part in (self.column, self.left, self.right)
        )
        every = np.arange(len(rows))
        total = np.zeros(len(rows))
        for root in self.roots.astype(np.int64).tolist():
            node = np.full(len(rows), root)
            while (inner := column[node] >= 0).any():
                goes_left = rows[every, np.maximum(column[node], 0)] <= self.cut[node]
                node = np.where(inner, np.where(goes_left, left[node], right[node]), node)
            total += self.depth[node]
        return np.asarray(1.0 - total / (len(self.roots) * self.usual[0]))

    def check(self, width: int) -> None:
        """Raise ValueError if a path would leave the table or the columns of a row, or would never
        end at a leaf."""
        count = len(self.column)
        tables = (self.column, self.left, self.right, self.roots)
        if any(len(part) != count for part in (self.cut, self.left, self.right, self.depth)):
            raise ValueError("the trees have tables of unequal length")
        if not all(np.isfinite(part).all() and (part == np.floor(part)).all() for part in tables):
            raise ValueError("a node of a tree is no whole number")
        inner = np.flatnonzero(self.column >= 0)
        children = np.stack([self.left[inner], self.right[inner]])
        if (children <= inner).any() or (children >= count).any() or (self.column >= width).any():
            raise ValueError(
                "a cut of a tree leads back, out of the tree, or to a column that is not there"
            )
        if not len(self.roots) or (self.roots < 0).any() or (self.roots >= count).any():
            raise ValueError("a root lies outside of the trees")


@dataclass(frozen=True)
class Autoencoder:
    """A small network that copies its input through a narrow layer: the error of the copy, in units
    of its usual error.

    Layers `into` (k x m), `middle` (m x b), `out` (b x m), `back` (m x k) with their biases; ReLU
    between them. `usual` (k): mean squared error of each column.
    """

    into: Floats
    into_bias: Floats
    middle: Floats
    middle_bias: Floats
    out: Floats
    out_bias: Floats
    back: Floats
    back_bias: Floats
    usual: Floats
    family: ClassVar[str] = "autoencoder"

    def score(self, rows: Floats) -> Floats:
        hidden = np.clip(rows, -_FAR, _FAR)
        for weights, bias in (
            (self.into, self.into_bias),
            (self.middle, self.middle_bias),
            (self.out, self.out_bias),
        ):
            hidden = np.maximum(product(hidden, weights) + bias, 0.0)
        off = (rows - (product(hidden, self.back) + self.back_bias)) / np.sqrt(self.usual)
        return np.asarray(np.sqrt(squared_length(off) / rows.shape[1]))


_FAR = 6.0  # usual deviations beyond which a network has learned nothing
DETECTORS: Mapping[str, Callable[..., Detector]] = MappingProxyType(
    {
        one.family: one
        for one in (
            PrincipalComponents,
            LevelsAndSpreads,
            Neighbours,
            LocalOutliers,
            IsolationTrees,
            Autoencoder,
        )
    }
)


def arrays_of(detector: Any) -> dict[str, Floats]:
    """Return the arrays of a detector by name."""
    return {
        field.name: np.asarray(getattr(detector, field.name), np.float64)
        for field in fields(detector)
    }


def detector_of(family: str, arrays: Arrays) -> Detector:
    """Return the detector of these arrays. Raises KeyError or TypeError if they are not those of
    the family."""
    return DETECTORS[family](**arrays)


def _by_neighbours(
    rows: Floats, normal: Floats, nearest: Floats, compute: Callable[[Nearest], Floats]
) -> Floats:
    """Return what `compute` makes of the neighbours of each row, of a bounded number of rows at
    once."""
    size = max(1, AT_ONCE // max(len(normal), 1))
    count = int(nearest[0])
    parts = (rows[first : first + size] for first in range(0, max(len(rows), 1), size))
    return np.concatenate([compute(_nearest(part, normal, count)) for part in parts])


def _nearest(rows: Floats, normal: Floats, count: int) -> Nearest:
    """Return the positions of the nearest normal rows of each row, the nearest first, and their
    distances."""
    squared = np.zeros((len(rows), len(normal)))
    for column in range(rows.shape[1]):
        squared += (rows[:, column, None] - normal[:, column]) ** 2
    which = np.argsort(squared, axis=1, kind="stable")[:, :count]
    return Nearest(which, np.sqrt(np.take_along_axis(squared, which, axis=1)))
