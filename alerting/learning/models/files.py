"""The files of a trained model.

Reading them never runs code from them: LightGBM's native text, scikit-learn through skops with a fixed list of trusted
types, everything else as JSON. Each file is checked before a library reads it, so that a forged file takes no more memory
than its size.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from alerting.learning.features.encoding import ColumnPairs, Columns, Dense
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.calibration import Platt
from alerting.learning.models.estimator import Blend, Estimator
from alerting.learning.models.families.lightgbm import BoosterMean
from alerting.learning.models.families.registry import get_family
from alerting.learning.models.metadata import FORMAT, META, EstimatorMeta, ModelMeta, read_meta
from alerting.learning.models.trained import ModelRefused, TrainedModel, model_hash
from alerting.readings.history import duration_millis


def model_files(model: TrainedModel) -> dict[str, bytes]:
    """Return the model as files by name; equal models give equal hashes, though skops files may differ in bytes."""
    meta = {
        "format": FORMAT,
        "definition": model.definition,
        "revision": model.revision,
        "plan": model.plan.to_document(),
        **_describe(model.estimator),
        "calibration": asdict(model.calibration),
        "threshold": model.threshold,
        "training_cutoff": model.training_cutoff.isoformat(),
        "as_of": model.as_of.isoformat(),
        "horizon_ms": duration_millis(model.horizon),
        "gap_ms": duration_millis(model.gap),
        "usual": dict(model.usual),
        "ranges": {name: list(bounds) for name, bounds in model.ranges.items()},
        "hash": model.hash,
    }
    files = {META: json.dumps(meta, indent=1, sort_keys=True, allow_nan=False).encode()}
    return files | _fitted_files(model.estimator)


def _describe(estimator: Estimator | Blend) -> dict[str, Any]:
    """Describe an estimator, or each member of a blend, for META."""
    if isinstance(estimator, Blend):
        members = [_describe(member) for member in estimator.members]
        return {"family": estimator.family, "weights": list(estimator.weights), "members": members}
    dense = estimator.dense.to_document() if estimator.dense else None
    boosters = len(estimator.model.boosters) if isinstance(estimator.model, BoosterMean) else 0
    return {"family": estimator.family, "dense": dense, "pairs": estimator.pairs.to_document(), "boosters": boosters}


def _fitted_files(estimator: Estimator | Blend) -> dict[str, bytes]:
    """Return the fitted model as files; the files of a blend's members have the member's number before the name."""
    if isinstance(estimator, Blend):
        members = enumerate(estimator.members)
        return {f"{n}-{name}": data for n, member in members for name, data in member.model.files().items()}
    return dict(estimator.model.files())


def model_from_files(files: Mapping[str, bytes]) -> TrainedModel:
    """Read the model that `model_files` wrote, with bit-identical scores.

    Raises ModelRefused if files are missing or damaged, the format is unknown, a type is not trusted, or a hash does not match.
    """
    meta = read_meta(files.get(META, b""))
    plan = FeaturePlan.from_document(meta.plan.model_dump())
    _check_columns(meta, plan)
    model = TrainedModel(
        definition=meta.definition,
        revision=meta.revision,
        family=meta.family,
        plan=plan,
        estimator=_estimator(files, meta, plan),
        calibration=Platt(meta.calibration.slope, meta.calibration.intercept),
        threshold=meta.threshold,
        training_cutoff=_utc(meta.training_cutoff),
        as_of=_utc(meta.as_of),
        horizon=timedelta(milliseconds=meta.horizon_ms),
        gap=timedelta(milliseconds=meta.gap_ms),
        usual=meta.usual,
        ranges=meta.ranges,
        hash=meta.hash,
    )
    if model_hash(model.estimator, model.calibration, model.threshold, plan) != model.hash:
        raise ModelRefused(f"the model files of {model.definition!r} do not fit their hash: they were changed or damaged")
    _check_score(model)
    return model


def _check_score(model: TrainedModel) -> None:
    """Check that a row without any known value has a probability, so that a model that cannot score is found before it serves."""
    numbers = {name: np.full(1, np.nan) for name in model.plan.columns if name not in model.plan.levels}
    categories = {name: pd.Categorical([None], categories=list(levels)) for name, levels in model.plan.levels.items()}
    score = model.score(pd.DataFrame(numbers | categories))
    if score.shape != (1,) or not 0 <= score[0] <= 1:
        raise ModelRefused(f"the model files of {model.definition!r} make a model that cannot score")


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


def _check_columns(meta: ModelMeta, plan: FeaturePlan) -> None:
    columns_known = set(plan.columns)
    if (
        len(columns_known) != len(plan.columns)
        or not columns_known
        or not (columns_known >= set(meta.usual) and columns_known >= set(meta.ranges))
    ):
        raise ModelRefused(f"{META} names columns that its plan does not have")
    for estimator in meta.estimators():
        estimator.check(plan)


def _estimator(files: Mapping[str, bytes], meta: ModelMeta, plan: FeaturePlan) -> Estimator | Blend:
    if meta.family == "blend":
        members = [_member(files, member, plan, f"{n}-") for n, member in enumerate(meta.members)]
        return Blend(tuple(members), meta.weights)
    return _member(files, meta.estimators()[0], plan, "")


def _member(files: Mapping[str, bytes], meta: EstimatorMeta, plan: FeaturePlan, prefix: str) -> Estimator:
    dense = Dense.from_document(meta.dense.model_dump()) if meta.dense else None
    columns = Columns.from_plan(plan)
    model = get_family(meta.family).load(files, prefix, meta, meta.width(len(columns.names)))
    return Estimator(meta.family, model, columns, dense, ColumnPairs(meta.pairs))
