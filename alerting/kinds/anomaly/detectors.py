"""Detectors: fitted to encoded rows of normal operation, they give each encoded row a raw score,
higher the less the row is like normal; and the threshold of that score from its values in normal
time: for a rate of false alarms, or for a share of time in alarm.

A detector is plain arrays of numbers. The same rows give the same bits, and a row's score has the
same bits whatever the other rows are. Scoring needs no library of models.

Peaks over a threshold: scores above a high quantile come in clusters, whose maxima follow a
generalized Pareto distribution (Pickands 1975; declustering by runs: Coles 2001, chapters 4 and 5).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Protocol
from warnings import catch_warnings, simplefilter

import numpy as np

from alerting.kinds.anomaly.normal_rows import Arrays, product, squared_length
from alerting.learning.experiment.folds import evenly
from alerting.readings.history import WEEK_MS, BoolArray, Floats, Millis, Positions


class Detector(Protocol):
    """A fitted detector of one family."""

    @property
    def family(self) -> str:
        """Return the name of its family."""

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
    shapes: ClassVar[str] = "ka a 2"

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
    shapes: ClassVar[str] = "k ka a 23"

    def parts(self) -> Iterator[tuple[Positions, Detector, float]]:
        """Yield the columns, the detector and the limit of levels, and of spreads."""
        for is_spread, limits in enumerate(self.limits):
            columns = np.flatnonzero(self.spreads == is_spread)
            used = self.components[columns].any(axis=0)
            components = np.ascontiguousarray(self.components[np.ix_(columns, used)])
            yield (
                columns,
                PrincipalComponents(components, self.inverse[used], limits[:2]),
                limits[2],
            )

    def score(self, rows: Floats) -> Floats:
        return largest_score(self, rows)


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
    shapes: ClassVar[str] = "n n n n n r 1"

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
        count = self.column.size
        tables = (self.column, self.left, self.right, self.roots)
        if not all((part == np.floor(part)).all() for part in tables):
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
    shapes: ClassVar[str] = "km m mb b bn n nk k k"
    clip_at: ClassVar[float] = 6.0  # usual deviations beyond which it has learned nothing

    def score(self, rows: Floats) -> Floats:
        off = (rows - self.copy(rows)) / np.sqrt(self.usual)
        return np.asarray(np.sqrt(squared_length(off) / rows.shape[1]))

    def expect(self, rows: Floats, columns: Sequence[int]) -> Floats:
        """Return rows in which some columns have the values that the other columns lead to
        expect: rounds of copies, from the values that they have."""
        repaired = rows.copy()
        for _ in range(_ROUNDS):
            repaired[:, columns] = self.copy(repaired)[:, columns]
        return repaired

    def hidden_layers(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield the weights and biases of the layers with ReLU."""
        weights = self.into, self.middle, self.out
        yield from zip(weights, (self.into_bias, self.middle_bias, self.out_bias), strict=True)

    def copy(self, rows: Floats) -> Floats:
        """Return the copy of each row."""
        hidden = np.clip(rows, -self.clip_at, self.clip_at)
        for weights, bias in self.hidden_layers():
            hidden = np.maximum(product(hidden, weights) + bias, 0.0)
        return product(hidden, self.back) + self.back_bias


@dataclass(frozen=True)
class BesideSpreads:
    """The larger of two scores, one of levels by any detector and one of spreads by principal
    components, each in units of the score that one normal row in a hundred exceeds.

    `is_spread` (k): 1 for a column that is a spread, else 0; `limits` (2): of levels, of spreads.
    """

    is_spread: Floats
    limits: Floats
    levels: Detector
    spreads: PrincipalComponents
    shapes: ClassVar[str] = "k 2"

    @property
    def family(self) -> str:
        return self.levels.family

    def parts(self) -> Iterator[tuple[Positions, Detector, float]]:
        """Yield the columns, the detector and the limit of levels, and of spreads."""
        yield np.flatnonzero(self.is_spread == 0), self.levels, self.limits[0]
        yield np.flatnonzero(self.is_spread == 1), self.spreads, self.limits[1]

    def score(self, rows: Floats) -> Floats:
        return largest_score(self, rows)

    def expect(self, rows: Floats, columns: Sequence[int]) -> Floats:
        """Return rows in which some levels have the values that the other levels lead to expect,
        if the detector of levels knows them."""
        if not isinstance(self.levels, Autoencoder):
            return rows
        levels = np.flatnonzero(self.is_spread == 0)
        repaired = rows.copy()
        places = np.flatnonzero(np.isin(levels, columns)).tolist()
        repaired[:, levels] = self.levels.expect(rows[:, levels], places)
        return repaired


def largest_score(detector: LevelsAndSpreads | BesideSpreads, rows: Floats) -> Floats:
    """Return the largest score of the parts of a detector, each in units of its limit."""
    levels, spreads = (
        part.score(rows[:, columns]) / limit for columns, part, limit in detector.parts()
    )
    return np.asarray(np.maximum(levels, spreads))


_ROUNDS = 10
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
_PARTS = ("levels.", "spreads.")
_ABOVE_ZERO = ("inverse", "limits", "usual")


def arrays_of(detector: Any) -> dict[str, Floats]:
    """Return the arrays of a detector by name; those of its parts with the name of the part."""
    arrays = dict[str, Floats]()
    for field in fields(detector):
        value = getattr(detector, field.name)
        if is_dataclass(value):
            arrays |= {f"{field.name}.{name}": part for name, part in arrays_of(value).items()}
        else:
            arrays[field.name] = np.asarray(value, np.float64)
    return arrays


def detector_of(family: str, arrays: Arrays, width: int) -> Detector:
    """Return the detector of a family with these arrays, for rows of `width` columns. Raises
    ValueError for a family that no training fits any more, and for arrays that do not fit together,
    are not finite, or lead nowhere, and TypeError if they are not those of the family."""
    detector = _detector_of(family, arrays)
    if not all(np.isfinite(values).all() for values in arrays.values()):
        raise ValueError("a number of a detector is not finite")
    scales = (values for name, values in arrays.items() if name.split(".")[-1] in _ABOVE_ZERO)
    if not all((values > 0).all() for values in scales):
        raise ValueError("a variance or a limit of a detector is not above 0")
    _check(detector, width)
    return detector


def _check(detector: Any, width: int) -> None:
    """Raise ValueError if the arrays of a detector do not fit together and rows of `width` columns.
    Its `shapes` name the sizes of each array; a letter is one size, `k` the width."""
    sizes = {"k": width, "1": 1, "2": 2, "3": 3}
    for field, letters in zip(fields(detector), detector.shapes.split(), strict=False):
        shape = getattr(detector, field.name).shape
        sizes = dict(zip(letters, shape, strict=False)) | sizes
        if shape != tuple(sizes.get(letter) for letter in letters):
            raise ValueError(f"{field.name} of a detector, or of its trees, has the shape {shape}")
    if isinstance(detector, BesideSpreads):
        levels = int((detector.is_spread == 0).sum())
        _check(detector.levels, levels)
        _check(detector.spreads, width - levels)
    if isinstance(detector, IsolationTrees):
        detector.check(width)


def _detector_of(family: str, arrays: Arrays) -> Detector:
    if family not in DETECTORS:
        raise ValueError(f"no {family} is trained any more; train the model again")
    if "is_spread" in arrays:
        levels, spreads = (
            {
                name.removeprefix(part): values
                for name, values in arrays.items()
                if name.startswith(part)
            }
            for part in _PARTS
        )
        return BesideSpreads(
            arrays["is_spread"],
            arrays["limits"],
            _detector_of(family, levels),
            PrincipalComponents(**spreads),
        )
    return DETECTORS[family](**arrays)


_VARIANCE = 0.99  # share of it that the components of levels explain
_VARIANCE_OF_FEW = 0.9  # that of spreads, and of levels of which too few would stay beside them
_LEAST_BESIDE = 4  # columns, and a quarter of them
_LIMIT = 0.99  # share of normal rows within the limits of T², SPE and score
COMPONENTS = "pca"
_MOST_FITTED = 4_000  # rows to which a network is fitted
_VARIANCE_OF_CURVES = 0.95  # share of it that as many components as its narrow layer explain
_HIDDEN = 32  # units beside its narrow layer
_BATCH = 64
# rates of learning and their steps, so that the time of a fit depends on no number of rows
_STAGES = (0.01, 800), (0.003, 500), (0.001, 300)
_LEAST_ERROR = 1e-4  # squared usual deviations
_TREES = 50


def fit_detector(rows: Floats, spreads: BoolArray, family: str = COMPONENTS) -> Detector:
    """Fit a detector to encoded rows (n x k). `spreads` (k): which columns are spreads; `family`:
    that of the detector of levels."""
    if spreads.all():
        return fit_components(rows, are_spreads=True)
    if not spreads.any():
        return _FITS[family](rows)
    levels = _FITS[family](rows[:, ~spreads])
    beside = fit_components(rows[:, spreads], are_spreads=True)
    limits = [_usual_limit(levels, rows[:, ~spreads]), _usual_limit(beside, rows[:, spreads])]
    if not isinstance(levels, PrincipalComponents):
        return BesideSpreads(spreads.astype(np.float64), np.array(limits), levels, beside)
    counts = [len(part.inverse) for part in (levels, beside)]
    components = np.zeros((len(spreads), sum(counts)))
    components[~spreads, : counts[0]] = levels.components
    components[spreads, counts[0] :] = beside.components
    return LevelsAndSpreads(
        spreads.astype(np.float64),
        components,
        np.concatenate([levels.inverse, beside.inverse]),
        np.array([[*levels.limits, limits[0]], [*beside.limits, limits[1]]]),
    )


def _usual_limit(detector: Detector, rows: Floats) -> float:
    return max(float(np.quantile(detector.score(rows), _LIMIT)), 1e-9)


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
    """Fit a detector to encoded rows (n x k) of levels, or of spreads."""
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


def fit_autoencoder(rows: Floats) -> Autoencoder:
    """Fit a network to encoded rows (n x k > 1): its narrow layer has as many units
    as principal components explain 95 % of the variance, but fewer than columns."""
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - only a training needs it
    from sklearn.neural_network import MLPRegressor  # noqa: PLC0415 - only a training needs it

    rows = rows[evenly(np.arange(len(rows)), _MOST_FITTED)]
    rows = np.clip(rows, -Autoencoder.clip_at, Autoencoder.clip_at)
    share = np.cumsum(np.linalg.eigvalsh(rows.T @ rows)[::-1])
    needed = int(np.searchsorted(share, _VARIANCE_OF_CURVES * share[-1])) + 1
    network = MLPRegressor(
        hidden_layer_sizes=(_HIDDEN, min(max(needed, 2), rows.shape[1] - 1), _HIDDEN),
        batch_size=min(_BATCH, len(rows)),
        random_state=0,
        n_iter_no_change=_BATCH * sum(steps for _, steps in _STAGES),
        warm_start=True,
    )
    with catch_warnings():
        simplefilter("ignore", ConvergenceWarning)  # the number of steps ends each stage
        for rate, steps in _STAGES:
            epochs = -(-steps * _BATCH // len(rows))
            network.set_params(learning_rate_init=rate, max_iter=epochs).fit(rows, rows)
    layers = [
        np.ascontiguousarray(part, np.float64)
        for pair in zip(network.coefs_, network.intercepts_, strict=True)
        for part in pair
    ]
    names = [field.name for field in fields(Autoencoder)]
    fitted = Autoencoder(**dict(zip(names, [*layers, np.ones(rows.shape[1])], strict=True)))
    usual = np.mean((rows - fitted.copy(rows)) ** 2, axis=0)
    return replace(fitted, usual=np.maximum(usual, _LEAST_ERROR))


def fit_trees(rows: Floats) -> IsolationTrees:
    """Fit trees to encoded rows (n x k), each to a few hundred of them."""
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - only a training needs it

    forest = IsolationForest(n_estimators=_TREES, random_state=0, n_jobs=1).fit(rows)
    trees = [estimator.tree_ for estimator in forest.estimators_]
    counts = [tree.node_count for tree in trees]
    roots = np.cumsum([0, *counts[:-1]])
    column, cut, lower, higher, count = (
        np.concatenate([np.asarray(getattr(tree, name), np.float64) for tree in trees])
        for name in ("feature", "threshold", "children_left", "children_right", "n_node_samples")
    )
    is_leaf = lower < 0
    first = np.repeat(roots, counts)
    level = np.concatenate([tree.compute_node_depths() for tree in trees]) - 1.0
    return IsolationTrees(
        column=np.where(is_leaf, -1.0, column),
        cut=np.where(is_leaf, 0.0, cut),
        left=np.where(is_leaf, 0.0, first + lower),
        right=np.where(is_leaf, 0.0, first + higher),
        depth=np.where(is_leaf, level + _usual_path(count), 0.0),
        roots=roots.astype(np.float64),
        usual=_usual_path(np.array([float(forest.max_samples_)])),
    )


def _usual_path(count: Floats) -> Floats:
    """Return the mean path length of a random search tree of so many rows."""
    many = np.maximum(count, 3.0)
    path = 2.0 * (np.log(many - 1.0) + np.euler_gamma) - 2.0 * (many - 1.0) / many
    return np.where(count > 2, path, np.maximum(count - 1.0, 0.0))


_FITS: Mapping[str, Callable[[Floats], Detector]] = MappingProxyType(
    {
        COMPONENTS: fit_components,
        Autoencoder.family: fit_autoencoder,
        IsolationTrees.family: fit_trees,
    }
)


def describe_detector(detector: Detector) -> str:
    """Describe a fitted detector: `principal components of levels (12 of 20) and spreads (…)`."""
    if isinstance(detector, BesideSpreads):
        spreads = describe_detector(detector.spreads)
        return f"{describe_detector(detector.levels)} of levels, {spreads} of spreads"
    if isinstance(detector, IsolationTrees):
        return f"isolation trees ({len(detector.roots)})"
    if isinstance(detector, Autoencoder):
        units = len(detector.middle_bias)
        return f"autoencoder ({len(detector.usual)} columns through {units} units)"
    if not isinstance(detector, LevelsAndSpreads):
        columns, count = arrays_of(detector)["components"].shape
        return f"principal components ({count} of {columns})"
    parts = []
    for is_spread in (False, True):
        of_part = detector.components[(detector.spreads == 1) == is_spread]
        parts.append(f"{int(of_part.any(axis=0).sum())} of {len(of_part)}")
    return f"principal components of levels ({parts[0]}) and of spreads ({parts[1]})"


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
    """Return the threshold that this share of normal scores exceeds. `at`: the instant (ms) of each
    score."""
    return Threshold(
        float(np.quantile(scores, 1 - share)),
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
