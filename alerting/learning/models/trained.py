"""The trained model: a fitted estimator with its feature plan, calibration and threshold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from alerting.deferred import np, npt, pd
from alerting.definitions.faults import UserError
from alerting.learning.features.moving_together import group_columns
from alerting.learning.features.plan import Columns, Encoding, FeaturePlan, Stored, median_of
from alerting.learning.features.set_point_effects import SetPointEffects, round_stored
from alerting.readings.history import Floats

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

    from alerting.learning.models.life_model import LifeModel
    from alerting.learning.models.mode_model import ModeModel


NEAREST = 5
MOST_NORMAL_ROWS = 2_000
MOST_NORMAL_VALUES = 100_000


@dataclass(frozen=True, eq=False)
class NormalSample:
    """A sample of normal training rows. `columns`: of levels; `scale`: their deviations.

    `rows`: (rows x columns), in deviations from the median, NaN where missing; `centre`: the
    median. `distances`: of each sampled row to the others, increasing. `asset`: number of each
    row's asset; all 0 of a sample that was stored without, whose missing values are 0, too.
    """

    columns: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    rows: Floats
    distances: Floats
    asset: npt.NDArray[np.int64]

    def distance(self, values: Floats) -> Floats:
        """Return each row's mean distance to the five nearest normal rows; missing values count as
        the median."""
        nearest, _ = self._tree.query(self._scaled(values), min(NEAREST, len(self.rows)), p=1)
        return np.asarray(nearest.mean(axis=1), np.float64)

    def unusual(self, distance: Floats) -> Floats:
        """Return the share of the sampled rows that lie nearer to the other sampled rows than this
        distance."""
        return np.asarray(
            np.searchsorted(self.distances, distance, side="left") / max(len(self.distances), 1)
        )

    def limit(self, share: float) -> float:
        """Return the distance within which this share of the sampled rows lies."""
        return float(np.quantile(self.distances, share))

    @cached_property
    def _tree(self) -> cKDTree:
        return _tree_of(np.nan_to_num(self.rows))

    def _scaled(self, values: Floats) -> Floats:
        scaled = (values - np.asarray(self.centre)) / np.asarray(self.scale)
        return np.where(np.isnan(scaled), 0.0, scaled)


def _tree_of(rows: Floats) -> cKDTree:
    from scipy.spatial import cKDTree  # noqa: PLC0415 - commands that score nothing load no library of models

    return cKDTree(rows)


def sample_normal(
    plan: FeaturePlan,
    rows: pd.DataFrame,
    is_normal: npt.NDArray[np.bool_],
    asset: npt.NDArray[np.object_],
    seed: int,
) -> NormalSample | None:
    """Draw at most 2,000 normal rows and 100,000 values, by the seed; None if there are too few.
    `asset`: of each row, of which those of an asset are by time."""
    columns = level_columns(plan)
    normal = np.flatnonzero(is_normal)
    most = min(MOST_NORMAL_ROWS, MOST_NORMAL_VALUES // max(len(columns), 1))
    if not columns or min(len(normal), most) <= NEAREST:
        return None
    if len(normal) > most:
        normal = np.sort(np.random.default_rng(seed).choice(normal, most, replace=False))
    values = rows[list(columns)].iloc[normal].to_numpy(np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    measured = [column[~np.isnan(column)] for column in values.T]
    centre = [round_stored(median_of(column)) for column in values.T]
    scale = [
        round_stored(_deviation(column, middle))
        for column, middle in zip(measured, centre, strict=True)
    ]
    scaled = np.vectorize(round_stored, otypes=[np.float64])((values - centre) / scale)
    filled = np.nan_to_num(scaled)
    nearest, _ = _tree_of(filled).query(filled, NEAREST + 1, p=1)  # the nearest is the row itself
    return NormalSample(
        columns,
        tuple(centre),
        tuple(scale),
        scaled,
        np.array([round_stored(d) for d in np.sort(nearest[:, 1:].mean(axis=1))]),
        np.unique(asset[normal].astype(str), return_inverse=True)[1],
    )


def level_columns(plan: FeaturePlan) -> tuple[str, ...]:
    """Return the level column of each number: its last value, else its shortest mean."""
    levels: dict[str, str] = {}
    for aggregation in ("last", "mean"):
        for column in plan.layout:
            if (
                column.kind == "variable"
                and column.aggregation == aggregation
                and column.name not in plan.levels
            ):
                levels.setdefault(column.source, column.name)
    return tuple(levels[number.name] for number in plan.numbers if number.name in levels)


def _deviation(values: Floats, middle: float) -> float:
    """Return the median absolute deviation of each column; the mean absolute deviation if that is
    0, and 1 if all values are equal."""
    off = np.abs(values - middle)
    return (
        next((d for d in (float(np.median(off)), float(off.mean())) if d > 0), 1.0)
        if len(off)
        else 1.0
    )


@dataclass(frozen=True)
class Platt(Stored):
    """p = 1 / (1 + exp(-(slope * margin + intercept))), with slope > 0."""

    slope: float
    intercept: float

    def probability(self, margin: Floats) -> Floats:
        """Return the calibrated probability of each margin."""
        return sigmoid(self.slope * margin + self.intercept)

    def slope_between(self, base: float, margin: float) -> float:
        """Return the change of the probability per unit of margin, or its limit."""
        score, usual = map(float, self.probability(np.array([margin, base])))
        # the limit of the ratio: the sigmoid's own slope
        at_base = self.slope * usual * (1 - usual)
        return (score - usual) / (margin - base) if abs(margin - base) > 1e-9 else at_base


def sigmoid(z: Floats) -> Floats:
    """Return the logistic function of each entry, without overflow."""
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


def fit_platt(
    margin: Floats,
    label: npt.NDArray[np.int8],
    weight: Floats | None = None,
    iterations: int = 100,
    problems: int | None = None,
) -> Platt:
    """Fit by Newton's method with Platt's smoothed targets (Platt 1999; Lin, Lin and Weng 2007).

    Smoothing keeps both numbers finite when classes separate, and with one class only. If higher
    margins do not mean more problems here, the slope stays at 1 / spread of the margins and only
    the intercept is fitted: the model decides the order. `weight`: of each row; all count alike
    without. `problems`: number of problems to which the positive rows belong, so that they count as
    so many observations; None: each row is one observation.
    """
    rows = int(label.sum())
    positives = rows if problems is None else min(problems, rows)
    negatives = (len(label) - rows) * (positives / rows if rows else 1)
    target = np.where(label == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    weight = np.ones(len(label)) if weight is None else weight
    centre = float(np.mean(margin))
    scale = float(np.std(margin)) or 1.0
    z = (margin - centre) / scale
    slope, intercept = _newton(z, target, weight, iterations)
    if slope <= 1e-6:
        slope = 1.0
        intercept = _newton_intercept(z, target, weight, iterations)
    return Platt(slope / scale, intercept - slope * centre / scale)


def _newton(z: Floats, target: Floats, weight: Floats, iterations: int) -> tuple[float, float]:
    mean = float(np.average(target, weights=weight))
    theta = np.array([0.0, float(np.log(mean / (1 - mean)))])
    design = np.column_stack([z, np.ones_like(z)])
    loss = _loss(design @ theta, target, weight)
    for _ in range(iterations):
        p = sigmoid(design @ theta)
        gradient = design.T @ (weight * (p - target))
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        length = 1.0
        new = _loss(design @ (theta - step), target, weight)
        while new > loss and length > 1e-6:
            length /= 2
            new = _loss(design @ (theta - length * step), target, weight)
        if loss - new < 1e-12 * max(1.0, abs(loss)):
            break
        theta = theta - length * step
        loss = new
    return float(theta[0]), float(theta[1])


def _newton_intercept(z: Floats, target: Floats, weight: Floats, iterations: int) -> float:
    intercept = 0.0
    for _ in range(iterations):
        p = sigmoid(z + intercept)
        step = float((weight * (p - target)).sum() / max((weight * p * (1 - p)).sum(), 1e-9))
        intercept -= float(np.clip(step, -2, 2))
        if abs(step) < 1e-10:
            break
    return intercept


def _loss(z: Floats, target: Floats, weight: Floats) -> float:
    return float(np.sum(weight * (np.logaddexp(0.0, z) - target * z)))


# Values of a matrix up to which one thread is fastest: several wait for each other, on cores that
# others use too.
SMALL = 5_000_000
ALL_THREADS = 0
AT_ONCE = 8_000_000  # values that are encoded together, so that memory does not grow with all rows


# Bits of the decision of a node, as in LightGBM's model text
CATEGORICAL = 1
DEFAULT_LEFT = 2
ZERO_IS_MISSING = 4
NAN_IS_MISSING = 8


class Trees(NamedTuple):
    """The trees of a model, whose margin is the sum over the trees.

    Of all inner nodes: `feature`, `threshold` (left: at most this), `decision` (bits). Of each
    tree: `left_child`, `right_child` of its nodes (a leaf is the complement of its number), and
    `value` of its leaves. `categories`: of each node with a category, those that go left, as bits.
    `single`: values are compared as 32-bit numbers.
    """

    feature: npt.NDArray[np.int64]
    threshold: Floats
    decision: npt.NDArray[np.int64]
    left_child: Sequence[npt.NDArray[np.int64]]
    right_child: Sequence[npt.NDArray[np.int64]]
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

    def fitted_bytes(self) -> Iterable[bytes]:
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
            return np.concatenate(
                [self.margin_of(matrix[i : i + step], rounds) for i in range(0, len(matrix), step)]
            )
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
    """Return the threads for a matrix of rows and columns: one for a small one, otherwise all
    (0)."""
    return 1 if matrix.size <= SMALL else ALL_THREADS


class ModelRefused(UserError):
    """Model files are damaged, of another format, or name types that are not trusted."""


@dataclass(frozen=True)
class TrainedModel:
    """A model as it is registered and served.

    `definition`, `revision`: the definition of the model. `training_cutoff`: the last label instant
    that was used in any way; no instant at or before it may be evaluated. `usual`: by column, the
    median (or most frequent level) of the training rows, None where they are all missing. `ranges`:
    by number column, the lowest and highest ordinary value of the training rows; `usual_ranges`:
    the 10 and 90 % quantiles. `params`: parameters of the
    family, from which the model can be fitted again. `refit`: the same parameters fitted on all
    mature rows, with this model's plan, calibration and threshold. It
    serves after its own training cutoff; this model is its twin, to which all printed figures
    belong. `normal`: a sample of the training rows without a problem; None if they are too
    few. `effects`: of set-points on the problem variable, None where they are not known.
    `has_alarm`: False of a model whose predicted values serve without a risk. `modes`: which of the
    named problems it is; none without modes, and if none is told from chance. `life`: the model of
    the remaining life, None without one.
    """

    definition: str
    revision: int
    plan: FeaturePlan
    estimator: Estimator
    calibration: Platt
    threshold: float
    training_cutoff: datetime
    as_of: datetime
    horizon: timedelta
    gap: timedelta
    usual: Mapping[str, float | str | None]
    ranges: Mapping[str, tuple[float, float]]
    hash: str
    params: Mapping[str, Any] = field(default_factory=dict)
    refit: TrainedModel | None = None
    usual_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    normal: NormalSample | None = field(default=None, compare=False)
    effects: SetPointEffects | None = field(default=None, compare=False)
    has_alarm: bool = True
    modes: tuple[ModeModel, ...] = field(default=(), compare=False)
    life: LifeModel | None = field(default=None, compare=False)

    @property
    def family(self) -> str:
        """Return the name of the model's family."""
        return self.estimator.family

    @cached_property
    def together(self) -> tuple[Mapping[str, Floats], ...]:
        """Return the groups of variables that move together in normal operation: by variable, its
        values in the normal rows, less their median, NaN where missing."""
        if self.normal is None:
            return ()
        names = [self.plan.source_of(column) for column in self.normal.columns]
        values = (self.normal.rows * self.normal.scale).T
        groups = group_columns(self.normal.rows, self.normal.asset)
        return tuple({names[i]: values[i] for i in group} for group in groups)

    @cached_property
    def reasons(self) -> tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]:
        """Return the positions of the columns of each reason, and its variables if it has several:
        those that move together are one."""
        groups = {("variable", name): tuple(group) for group in self.together for name in group}
        positions: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for position, column in enumerate(self.plan.layout):
            names = groups.get((column.kind, column.source), (column.source,))
            positions.setdefault((column.kind, names), []).append(position)
        return tuple(
            (tuple(of_reason), names if len(names) > 1 else ())
            for (_, names), of_reason in positions.items()
        )

    def serving(self, at: datetime) -> TrainedModel:
        """Return the model that scores an instant: the refit after its cutoff, else this."""
        return self if self.refit is None or at <= self.refit.training_cutoff else self.refit

    def score(self, rows: pd.DataFrame) -> Floats:
        """Return the calibrated probability of each row. Raises UserError without a column."""
        return self.score_matrix(self.estimator.columns.matrix(rows))

    def score_matrix(self, matrix: Floats) -> Floats:
        """Return the same for rows as `Columns.from_plan(self.plan)` makes them."""
        return self.calibration.probability(self.estimator.margin_of(matrix))


def hash_with(before: str, settings: object, estimators: Iterable[Estimator]) -> str:
    """Return the hash of a model with further estimators, whose use these settings decide."""
    digest = hashlib.sha256(json.dumps([before, settings]).encode())
    for estimator in estimators:
        digest.update(json.dumps(estimator.encoding.to_document(), sort_keys=True).encode())
        for part in estimator.model.fitted_bytes():
            digest.update(part)
    return digest.hexdigest()


def model_hash(
    estimator: Estimator,
    calibration: Platt,
    threshold: float,
    plan: FeaturePlan,
    has_alarm: bool = True,
) -> str:
    """Hash what decides a score or verdict."""
    settings = {
        "members": [{"family": estimator.family, **estimator.encoding.to_document()}],
        "weights": [1.0],
        "calibration": asdict(calibration),
        "threshold": threshold,
        "plan": plan.to_document(),
        **({} if has_alarm else {"has_alarm": False}),  # as before where there is an alarm
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part in estimator.model.fitted_bytes():
        digest.update(part)
    return digest.hexdigest()
