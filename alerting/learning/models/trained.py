"""The trained model: a fitted estimator with its feature plan, calibration and threshold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.faults import UserError
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.set_point_effects import SetPointEffects
from alerting.learning.models.calibration import Platt
from alerting.learning.models.estimator import Estimator
from alerting.learning.models.normal import NormalSample

Floats: TypeAlias = "npt.NDArray[np.float64]"


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
