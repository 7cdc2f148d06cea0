"""The trained model: a fitted estimator with its feature plan, calibration and threshold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.faults import UserError
from alerting.learning.features.encoding import Columns, Encoding
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.set_point_effects import SetPointEffects
from alerting.learning.models.calibration import Platt, sigmoid
from alerting.learning.models.normal import NormalSample

Floats: TypeAlias = "npt.NDArray[np.float64]"
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


class ModelRefused(UserError):
    """Model files are damaged, of another format, or name types that are not trusted."""


@dataclass(frozen=True)
class TrainedModel:
    """A model as it is registered and served.

    `definition`, `revision`: the definition of the model. `training_cutoff`: the last label instant
    that was used in any way; no instant at or before it may be evaluated. `usual`: by column, the
    median (or most frequent level) of the training rows, None where they are all missing. `ranges`:
    by number column, the lowest and highest ordinary value of the training rows; `usual_ranges`:
    the 10 and 90 % quantiles (empty in models of an earlier version). `params`: parameters of the
    family, from which the model can be fitted again. `refit`: the same
    parameters fitted on all mature rows, with this model's plan, calibration and threshold. It
    serves after its own training cutoff; this model is its twin, to which all printed figures
    belong. `normal`: a sample of the training rows without a problem; None of models trained before
    it was kept. `effects`: of set-points on the problem variable, None where they are not known.
    `has_alarm`: False of a model whose predicted values serve without a risk.
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

    @property
    def family(self) -> str:
        """Return the name of the model's family."""
        return self.estimator.family

    def serving(self, at: datetime) -> TrainedModel:
        """Return the model that scores an instant: the refit after its cutoff, else this."""
        return self if self.refit is None or at <= self.refit.training_cutoff else self.refit

    def score(self, rows: pd.DataFrame) -> Floats:
        """Return the calibrated probability of each row. Raises UserError without a column."""
        return self.score_matrix(self.estimator.columns.matrix(rows))

    def score_matrix(self, matrix: Floats) -> Floats:
        """Return the same for rows as `Columns.from_plan(self.plan)` makes them."""
        return self.calibration.probability(self.estimator.margin_of(matrix))


def model_hash(
    estimator: Estimator,
    calibration: Platt,
    threshold: float,
    plan: FeaturePlan,
    fitted: Iterable[bytes] | None = None,
    has_alarm: bool = True,
) -> str:
    """Hash what decides a score or verdict, with `fitted` (default: its own) values."""
    settings = {
        "members": [{"family": estimator.family, **estimator.encoding.to_document()}],
        "weights": [1.0],
        "calibration": asdict(calibration),
        "threshold": threshold,
        "plan": plan.to_document(),
        **({} if has_alarm else {"has_alarm": False}),  # as before where there is an alarm
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part in estimator.model.fitted_bytes() if fitted is None else fitted:
        digest.update(part)
    return digest.hexdigest()
