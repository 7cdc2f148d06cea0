"""Detectors: fitted to encoded rows of normal operation, they give each encoded row a raw score,
higher the less the row is like normal; and the threshold of that score from its values in normal
time: for a rate of false alarms, or for a share of time in alarm.

A detector is plain arrays of numbers. The same rows give the same bits, and a row's score has the
same bits whatever the other rows are. Trainings fit the first two. Scoring needs no library of
models.

Peaks over a threshold: scores above a high quantile come in clusters, whose maxima follow a
generalized Pareto distribution (Pickands 1975; declustering by runs: Coles 2001, chapters 4 and 5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import numpy as np

from alerting.kinds.anomaly.normal_rows import Arrays, product, squared_length
from alerting.readings.history import BoolArray, Floats, Millis


class Detector(Protocol):
    """A fitted detector of one family."""

    family: ClassVar[str]

    def score(self, rows: Floats) -> Floats:
        """Return how unlike normal each encoded row is, in the detector's own unit."""


@dataclass(frozen=True)
class PrincipalComponents:
    """The sum of Hotelling's T² inside a subspace and the squared error outside of it (SPE, Q),
    each in units of its limit.

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
    """The larger of two scores of `PrincipalComponents`, one of levels and one of spreads, each in
    units of the score that one normal row in a hundred exceeds.

    `spreads` (k): 1 for a column that is a spread, else 0; `components` (k x a), each of levels or
    of spreads alone; `inverse` (a); `limits` (2 x 3): of T², SPE and score, for levels and for
    spreads. In one common space the noise of spreads would hide a small break between levels.
    """

    spreads: Floats
    components: Floats
    inverse: Floats
    limits: Floats
    family: ClassVar[str] = "levels_and_spreads"

    def score(self, rows: Floats) -> Floats:
        scores = np.zeros(len(rows))
        groups = (self.spreads == 0, self.spreads == 1)
        for columns, limits in zip(groups, self.limits, strict=True):
            used = self.components[columns].any(axis=0)
            components = np.ascontiguousarray(self.components[np.ix_(columns, used)])
            part = PrincipalComponents(components, self.inverse[used], limits[:2])
            scores = np.maximum(scores, part.score(rows[:, columns]) / limits[2])
        return scores


@dataclass(frozen=True)
class IsolationTrees:
    """Isolation forest (Liu and others 2008): how few random cuts separate a row. Nodes of all
    trees in one table.

    `column`: the column that a node cuts, -1 for a leaf; `cut`: values up to this go `left`,
    greater ones `right`; `depth`: path length of a leaf; `roots`: root node of each tree; `usual`
    (1): path length of a random search tree.
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
        column = self.column.astype(np.int64)
        lower = self.left.astype(np.int64)
        higher = self.right.astype(np.int64)
        every = np.arange(len(rows))
        total = np.zeros(len(rows))
        for root in self.roots.astype(np.int64).tolist():
            node = np.full(len(rows), root)
            while (inner := column[node] >= 0).any():
                goes_left = rows[every, np.maximum(column[node], 0)] <= self.cut[node]
                node = np.where(inner, np.where(goes_left, lower[node], higher[node]), node)
            total += self.depth[node]
        return np.asarray(1.0 - total / (len(self.roots) * self.usual[0]))

    def check(self, width: int) -> None:
        """Raise ValueError if a path through a tree would leave the table, use a column that a row
        does not have, or never end at a leaf."""
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
        detector.family: detector
        for detector in (
            PrincipalComponents,
            LevelsAndSpreads,
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
    """Return the detector of a family with these arrays. Raises ValueError for a family that no
    training fits any more, and TypeError if the arrays are not those of the family."""
    if family not in DETECTORS:
        raise ValueError(f"no {family} is trained any more; train the model again")
    return DETECTORS[family](**arrays)


_VARIANCE = 0.99  # share of it that the components of levels explain
_VARIANCE_OF_FEW = 0.9  # that of spreads, and of levels of which too few would stay beside them
_LEAST_BESIDE = 4  # columns, and a quarter of them
_LIMIT = 0.99  # share of normal rows within the limits of T², SPE and score


def fit_detector(rows: Floats, spreads: BoolArray) -> Detector:
    """Fit a detector to encoded rows (n x k). `spreads` (k): which columns are spreads."""
    if spreads.all() or not spreads.any():
        return fit_components(rows, are_spreads=bool(spreads.all()))
    groups = (~spreads, spreads)
    parts = [fit_components(rows[:, columns], are_spreads=columns is spreads) for columns in groups]
    inverse = np.concatenate([part.inverse for part in parts])
    components = np.zeros((len(spreads), len(inverse)))
    is_spread = np.repeat([False, True], [len(part.inverse) for part in parts])
    limits = []
    for columns, used, part in zip(groups, (~is_spread, is_spread), parts, strict=True):
        components[np.ix_(columns, used)] = part.components
        usual = max(float(np.quantile(part.score(rows[:, columns]), _LIMIT)), 1e-9)
        limits.append([*part.limits, usual])
    return LevelsAndSpreads(spreads.astype(np.float64), components, inverse, np.array(limits))


def count_components(variances: Floats, *, are_spreads: bool) -> int:
    """Return how many principal components, of these variances (k, falling), a detector keeps.

    They explain 99 % of the levels, so that a small break between variables that move together
    stands out of what little is left beside them; 90 % where fewer than a quarter of the columns,
    or than four, would be left beside, and of spreads, whose smallest components are chance.
    """
    share = np.cumsum(variances) / variances.sum()
    columns = len(variances)

    def needed(variance: float) -> int:
        return min(int(np.searchsorted(share, variance)) + 1, max(columns - 1, 1))

    beside = columns - needed(_VARIANCE)
    if are_spreads or beside < max(columns / 4, _LEAST_BESIDE):
        return needed(_VARIANCE_OF_FEW)
    return needed(_VARIANCE)


def fit_components(rows: Floats, *, are_spreads: bool = False) -> PrincipalComponents:
    """Fit a detector to encoded rows (n x k) of levels, or of spreads, in one thread."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - only a training needs it

    with threadpool_limits(1):
        values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
        values = np.maximum(values[::-1], 1e-9)
        vectors = np.ascontiguousarray(vectors[:, ::-1])
        count = count_components(values, are_spreads=are_spreads)
        vectors = vectors[:, :count] * np.where(vectors[:, :count].sum(axis=0) < 0, -1.0, 1.0)
        inverse = 1.0 / values[:count]
        inside = rows @ vectors
        t2 = (inside**2 * inverse).sum(axis=1)
        spe = ((rows - inside @ vectors.T) ** 2).sum(axis=1)
    limits = np.maximum([np.quantile(t2, _LIMIT), np.quantile(spe, _LIMIT)], 1e-9)
    return PrincipalComponents(np.ascontiguousarray(vectors), inverse, limits)


def describe_detector(detector: Detector) -> str:
    """Describe a fitted detector: `principal components of levels (12 of 20) and spreads (…)`."""
    if not isinstance(detector, LevelsAndSpreads):
        columns, count = arrays_of(detector)["components"].shape
        return f"principal components ({count} of {columns})"
    parts = []
    for is_spread in (False, True):
        of_part = detector.components[(detector.spreads == 1) == is_spread]
        parts.append(f"{int(of_part.any(axis=0).sum())} of {len(of_part)}")
    return f"principal components of levels ({parts[0]}) and of spreads ({parts[1]})"


WEEK_MS = 7 * 86_400_000
_HIGH = 0.95  # quantile from which scores count as peaks
_LEAST_PEAKS = 20  # for a distribution of their heights
_SHAPES = -0.5, 0.5
_BEYOND = 10.0  # times fewer than one in the normal time: further is no estimate
_MARGIN = 1.2


@dataclass(frozen=True)
class Threshold:
    """A threshold: its value, how it was determined, the normal time on which it rests (weeks), and
    the false alarms a week to expect. `not_reached`: why this is not the rate asked for."""

    value: float
    method: str
    weeks: float
    expected: float
    not_reached: str = ""


def threshold_for_rate(
    at: Millis, scores: Floats, stride_ms: int, apart_ms: int, hold_ms: int, per_week: float
) -> Threshold:
    """Return the threshold that normal scores exceed in `per_week` episodes a week.

    `at`: increasing, with gaps. High scores less than `apart_ms` apart are one episode, which must
    last for `hold_ms`.
    """
    from scipy.stats import genpareto  # noqa: PLC0415 - takes half a second to import; only trainings need it

    lasting = lasting_scores(at, scores, stride_ms, hold_ms)
    weeks = len(at) * stride_ms / WEEK_MS
    finite = lasting[np.isfinite(lasting)]
    if not len(finite):
        return Threshold(
            float(scores.max(initial=0.0)) * _MARGIN,
            "the largest score of too little normal time",
            weeks,
            0.0,
            f"about {per_week:g} a week asked, and no rate can be promised without a peak",
        )
    floor = float(np.quantile(finite, _HIGH))
    peaks = cluster_peaks(at, lasting, floor, apart_ms)
    if len(peaks) < _LEAST_PEAKS or per_week * weeks * _BEYOND < 1:
        value = float(finite.max()) + (_MARGIN - 1) * (
            float(finite.max()) - float(np.median(finite))
        )
        method = (
            f"the largest score and a fifth more: {weeks * 7:.2g} days of normal time with "
            f"{len(peaks)} peaks are too little to set {per_week:g} false alarms a week"
        )
        least = 1 / max(weeks, 1e-9)
        number = "1 peak" if len(peaks) == 1 else f"{len(peaks)} peaks"
        not_reached = (
            f"about {per_week:g} a week asked, {least:.2g} is the least that {number} can promise"
        )
        return Threshold(value, method, weeks, least, not_reached)
    rate = len(peaks) / weeks
    if rate <= per_week:
        return Threshold(floor, "the 95 % quantile: scores pass it seldom enough", weeks, rate)
    shape, _, size = genpareto.fit(peaks - floor, floc=0.0)
    if not _SHAPES[0] <= shape <= _SHAPES[1]:
        shape = float(np.clip(shape, *_SHAPES))
        size = float(np.mean(peaks - floor)) * (1 - shape)
    value = floor + float(genpareto.isf(per_week / rate, shape, 0.0, size))
    method = f"peaks over a threshold: generalized Pareto, shape {shape:.2g}, of {len(peaks)} peaks"
    return Threshold(value, method, weeks, per_week)


def threshold_for_share(at: Millis, scores: Floats, stride_ms: int, share: float) -> Threshold:
    """Return the threshold that this share of normal scores exceeds."""
    value = float(np.quantile(scores, 1 - share))
    return Threshold(
        value,
        f"the {1 - share:.4g} quantile of normal scores",
        len(at) * stride_ms / WEEK_MS,
        float("nan"),
    )


def lasting_scores(at: Millis, scores: Floats, stride_ms: int, hold_ms: int) -> Floats:
    """Return, for each instant, the greatest score that was reached without a break for `hold_ms`
    up to it; -inf where that is not known."""
    steps = -(-hold_ms // stride_ms)
    if not steps:
        return scores
    lasting = np.full(len(scores), -np.inf)
    if len(scores) > steps:
        windows = np.lib.stride_tricks.sliding_window_view(scores, steps + 1)
        whole = at[steps:] - at[:-steps] == steps * stride_ms
        lasting[steps:] = np.where(whole, windows.min(axis=1), -np.inf)
    return lasting


def cluster_peaks(at: Millis, scores: Floats, floor: float, apart_ms: int) -> Floats:
    """Return the largest score of each cluster of scores above `floor`; clusters are more than
    `apart_ms` apart."""
    above = np.flatnonzero(scores > floor)
    if not len(above):
        return np.empty(0)
    begins = np.concatenate([[0], np.flatnonzero(np.diff(at[above]) > apart_ms) + 1])
    return np.maximum.reduceat(scores[above], begins)
