"""Lower bounds of a margin over boxes of values, so that a search need not score them.

Trees: the sum over trees of the smallest leaf that a point of the box can reach. Linear models: the
exact minimum over the box. A box gives the lowest and highest value of each column; an unknown
value is the interval from -inf to inf.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from alerting.learning.features.encoding import FARTHEST, Encoding, Floats
from alerting.learning.models.calibration import sigmoid
from alerting.learning.models.estimator import Blend, Estimator

Ints = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
# instead of inf as a threshold: beyond it lie missing values alone
MOST = float(np.finfo(np.float64).max)
ROUNDING = 1e-9  # of a margin: sums in another order differ in their last bits
# bits of a LightGBM decision
CATEGORICAL = 1
DEFAULT_LEFT = 2
ZERO_IS_MISSING = 4
NAN_IS_MISSING = 8


@dataclass(frozen=True)
class Trees:
    """The nodes and leaves of all trees of a model, one tree after another.

    Of each inner node: `feature`, `threshold` (left: at most this), `decision` (bits as in
    LightGBM's model text). `parent`, `is_left`: of each inner node and then of each leaf, the inner
    node above it (-1 for a root), and the side. `value`: of each leaf, its addend to the margin;
    `first_leaf`: of each tree. `bits`, `bits_of`: the categories that go left, as bits, and the
    start and end in `bits` of each node. `single`: values are compared as 32-bit numbers.
    """

    feature: Ints
    threshold: Floats
    decision: Ints
    parent: Ints
    is_left: BoolArray
    value: Floats
    first_leaf: Ints
    bits: Ints
    bits_of: Ints
    single: bool = False

    @cached_property
    def conditions(self) -> tuple[Ints, Ints, BoolArray]:
        """Return the conditions on each path: the leaf, the node, and whether it goes left."""
        leaf = np.arange(len(self.value))
        below = leaf + len(self.feature)
        found = []
        while len(leaf):
            above = self.parent[below]
            there = above >= 0
            leaf = leaf[there]
            below = below[there]
            above = above[there]
            found.append((leaf, above, self.is_left[below]))
            below = above
        parts = [np.concatenate([f[i] for f in found]) for i in range(3)]
        return parts[0], parts[1], parts[2].astype(np.bool_)

    def goes_left(self, row: Floats) -> BoolArray:
        """Return where a row goes left, at each inner node."""
        value = row[self.feature]
        value = value.astype(np.float32).astype(np.float64) if self.single else value
        missing = np.isnan(value)
        if self.single:
            return np.asarray(value <= self.threshold)
        zero = (self.decision & 12) == ZERO_IS_MISSING
        left = np.where(
            (missing & ((self.decision & 12) != 0)) | (zero & (np.abs(value) <= 1e-35)),
            (self.decision & DEFAULT_LEFT) != 0,
            np.where(missing, 0.0, value) <= self.threshold,
        )
        categorical = np.flatnonzero(self.decision & CATEGORICAL)
        left[categorical] = self._chosen(categorical, value[categorical])
        return np.asarray(left, np.bool_)

    def _chosen(self, nodes: Ints, value: Floats) -> BoolArray:
        """Return whether each node's category goes left; a missing one does not."""
        code = np.where(np.isnan(value) | (value < 0), -1, value).astype(np.int64)
        word = self.bits_of[nodes, 0] + code // 32
        known = (code >= 0) & (word < self.bits_of[nodes, 1])
        chosen = (
            self.bits[np.where(known, word, 0)]
            if len(self.bits)
            else np.zeros(len(nodes), np.int64)
        )
        return np.asarray(known & ((chosen >> (code % 32)) & 1 == 1))


class BoxBound(Protocol):
    """Lower bounds of the margin over boxes."""

    def lower_bound(self, low: Floats, high: Floats) -> Floats:
        """Return a lower bound for each box (boxes x encoded columns)."""

    def restrict_to_box(self, low: Floats, high: Floats) -> "BoxBound":
        """Return the same bounds, quicker, for boxes inside of one box."""


@runtime_checkable
class Bounded(Protocol):
    """A fitted model that has lower bounds; one without them is searched without exclusion."""

    def bound(self, row: Floats, free: BoolArray) -> BoxBound:
        """Return the bounds over boxes in which only the `free` encoded columns differ."""


class TreesBound:
    """Bounds of trees where few columns are free: leaves that the others exclude are left out."""

    def __init__(self, trees: Trees, row: Floats, free: BoolArray) -> None:
        leaf, node, is_left = trees.conditions
        is_free = free[trees.feature[node]]
        excluded = np.zeros(len(trees.value), np.bool_)
        fixed = ~is_free
        excluded[leaf[fixed][trees.goes_left(row)[node[fixed]] != is_left[fixed]]] = True
        kept = np.flatnonzero(~excluded)
        position = np.full(len(trees.value), -1)
        position[kept] = np.arange(len(kept))
        numeric = (
            is_free
            & ~excluded[leaf]
            & (trees.decision[node] & (CATEGORICAL | ZERO_IS_MISSING) == 0)
        )
        leaf = position[leaf[numeric]]
        node = node[numeric]
        is_left = is_left[numeric]
        self._columns, column = np.unique(trees.feature[node], return_inverse=True)
        above = np.full((len(self._columns), len(kept)), -np.inf)
        most = np.full((len(self._columns), len(kept)), np.inf)
        np.maximum.at(above, (column[~is_left], leaf[~is_left]), trees.threshold[node[~is_left]])
        np.minimum.at(most, (column[is_left], leaf[is_left]), trees.threshold[node[is_left]])
        self._above = np.where(np.isposinf(above), MOST, above)
        self._most = most
        self._value = trees.value[kept]
        self._tree = np.searchsorted(trees.first_leaf, kept, side="right") - 1
        self._starts = np.flatnonzero(np.append(True, np.diff(self._tree) != 0)[: len(kept)])
        self._single = trees.single

    def lower_bound(self, low: Floats, high: Floats) -> Floats:
        """Return the sum over trees of the smallest leaf in reach of each box."""
        if not len(self._columns):
            return np.full(len(low), float(np.minimum.reduceat(self._value, self._starts).sum()))
        smallest = np.minimum.reduceat(
            np.where(self._reached(low, high), self._value, np.inf), self._starts, axis=1
        )
        return np.asarray(smallest.sum(axis=1))

    def restrict_to_box(self, low: Floats, high: Floats) -> "TreesBound":
        """Return the bounds of a box's leaves, and the columns that tell them apart."""
        kept = np.flatnonzero(self._reached(low[None, :], high[None, :])[0])
        above = self._above[:, kept]
        most = self._most[:, kept]
        low = self._rounded(low[self._columns])
        high = self._rounded(high[self._columns])
        tells = np.flatnonzero(((low[:, None] <= above) | (high[:, None] > most)).any(axis=1))
        part = copy(self)
        part._columns = self._columns[tells]
        part._above = above[tells]
        part._most = most[tells]
        part._value = self._value[kept]
        part._tree = self._tree[kept]
        part._starts = np.flatnonzero(np.append(True, np.diff(part._tree) != 0)[: len(kept)])
        return part

    def _rounded(self, values: Floats) -> Floats:
        return values.astype(np.float32).astype(np.float64) if self._single else values

    def _reached(self, low: Floats, high: Floats) -> BoolArray:
        low = self._rounded(low[:, self._columns])
        high = self._rounded(high[:, self._columns])
        reached = np.ones((len(low), len(self._value)), np.bool_)
        for k in range(len(self._columns)):
            reached &= high[:, k, None] > self._above[k]
            reached &= low[:, k, None] <= self._most[k]
        return reached


@dataclass(frozen=True)
class LinearBound:
    """The exact minimum of a linear model over a box."""

    weights: Floats
    intercept: float

    def lower_bound(self, low: Floats, high: Floats) -> Floats:
        """Return the minimum over each box."""
        return np.asarray(
            np.minimum(low * self.weights, high * self.weights).sum(axis=1) + self.intercept
        )

    def restrict_to_box(self, low: Floats, high: Floats) -> "LinearBound":
        """Return these bounds."""
        return self


class MarginBounds:
    """Lower bounds of a margin over boxes in which only some columns differ from a row."""

    def __init__(self, estimator: Estimator | Blend, row: Floats, free: BoolArray) -> None:
        self._estimator = estimator
        found = [_member_bound(member, row, free) for member in estimator.members]
        self._bounds = [bound for bound in found if bound is not None]

    @property
    def is_known(self) -> bool:
        """Return whether all families of the estimator have bounds."""
        return len(self._bounds) == len(self._estimator.members)

    def restrict_to_box(self, low: Floats, high: Floats) -> "MarginBounds":
        """Return the same bounds, quicker, for boxes inside of one box."""
        part = copy(self)
        low, high = _known_box(low[None, :], high[None, :])
        boxes = [encode_box(member.encoding, low, high) for member in self._estimator.members]
        part._bounds = [
            bound.restrict_to_box(a[0], b[0])
            for bound, (a, b) in zip(self._bounds, boxes, strict=self.is_known)
        ]
        return part

    def lower_bound(self, low: Floats, high: Floats) -> Floats:
        """Return a lower bound of the margin for each box (boxes x columns of the matrix)."""
        if not self.is_known:
            return np.full(len(low), -np.inf)
        members = self._estimator.members
        low, high = _known_box(low, high)
        boxes = [encode_box(member.encoding, low, high) for member in members]
        found = [
            bound.lower_bound(*box) - ROUNDING
            for bound, box in zip(self._bounds, boxes, strict=True)
        ]
        if isinstance(self._estimator, Estimator):
            return np.asarray(found[0], np.float64)
        shares = [
            m if e.model.margin_is_probability else sigmoid(m)
            for m, e in zip(found, members, strict=True)
        ]
        return np.asarray(
            sum(w * s for w, s in zip(self._estimator.weights, shares, strict=True)) - ROUNDING,
            np.float64,
        )


def _known_box(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the boxes with the interval of an unknown value where it is missing."""
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)


def _member_bound(member: Estimator, row: Floats, free: BoolArray) -> BoxBound | None:
    if not isinstance(member.model, Bounded):
        return None
    low = row.copy()
    high = row.copy()
    low[free] = -np.inf
    high[free] = np.inf
    first, last = encode_box(member.encoding, low[None, :], high[None, :])
    return member.model.bound(
        member.encoding.encode(row[None, :])[0],
        np.asarray(first[0] != last[0]) & ~np.asarray(np.isnan(first[0]) & np.isnan(last[0])),
    )


def encode_box(encoding: Encoding, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the boxes as encoded. A fixed missing value stays NaN without `dense`."""
    if encoding.columns is not None:
        low = low[:, encoding.columns]
        high = high[:, encoding.columns]
    dense = encoding.dense
    if dense is None:
        plain = low, high
    else:
        unknown = np.isinf(low) | np.isinf(high)
        flags = [
            unknown[:, dense.flagged] | np.isnan(part[:, dense.flagged]) for part in (low, high)
        ]
        flag_low = np.where(unknown[:, dense.flagged], 0.0, flags[0])
        low = dense.fill(low)
        high = dense.fill(high)
        levels = [_level_box(low[:, i], high[:, i], count) for i, count in dense.categories]
        ends = [
            np.hstack([part[:, dense.numbers], flag, *(level[side] for level in levels)])
            for side, (part, flag) in enumerate(
                ((low, flag_low), (high, flags[1].astype(np.float64)))
            )
        ]
        if dense.scale:
            ends = [
                np.clip((e - np.asarray(dense.mean)) / np.asarray(dense.scale), -FARTHEST, FARTHEST)
                for e in ends
            ]
        plain = ends[0], ends[1]
    if not encoding.pairs.of:
        return plain
    combined = _combine_box(low, high, encoding.pairs.of)
    return np.hstack([plain[0], combined[0]]), np.hstack([plain[1], combined[1]])


def _level_box(low: Floats, high: Floats, count: int) -> tuple[Floats, Floats]:
    """Return the one-hot columns of a category: exact where fixed, 0 to 1 where free."""
    fixed = (low == high) | np.isnan(low)
    chosen = (low[:, None] == np.arange(count)).astype(np.float64)
    return np.where(fixed[:, None], chosen, 0.0), np.where(fixed[:, None], chosen, 1.0)


def _combine_box(
    low: Floats, high: Floats, pairs: Sequence[tuple[int, int]]
) -> tuple[Floats, Floats]:
    """Return the intervals of products, then of differences, of pairs of columns."""
    a, b = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    with np.errstate(invalid="ignore"):
        corners = np.stack(
            [one[:, a] * other[:, b] for one in (low, high) for other in (low, high)]
        )
        ends = [corners.min(axis=0), corners.max(axis=0)]
        differences = [low[:, a] - high[:, b], high[:, a] - low[:, b]]
    free = (low != high) & ~(np.isnan(low) & np.isnan(high))
    unknown = free[:, a] | free[:, b]
    for end, part, infinite in (
        (0, ends, -np.inf),
        (1, ends, np.inf),
        (0, differences, -np.inf),
        (1, differences, np.inf),
    ):
        part[end] = np.where(unknown & np.isnan(part[end]), infinite, part[end])
    return np.hstack([ends[0], differences[0]]), np.hstack([ends[1], differences[1]])
