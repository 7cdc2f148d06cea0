"""Loader of a registered model for MLflow itself: `mlflow.pyfunc.load_model` and `mlflow models serve`.

The registry names this module as the loader of every model, so that no pickled file is needed: it reads the same files as the
platform, with the same checks. It cannot compare their hashes with those in the platform's database.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import yaml

from alerting.definitions.faults import UserError
from alerting.kinds.anomaly.model import AnomalyModel
from alerting.kinds.registry import trained_kind_named
from alerting.learning.features.encoding import Columns
from alerting.learning.models.trained import ModelRefused, TrainedModel

FLAVOR, DESCRIPTION = "alerting", "MLmodel"
ASSET = "asset"
_OLDEST = "classifier"  # the kind of models that were registered before their kind was named


class ServedModel:
    """A model of a problem as MLflow serves it: its refit where it has one.

    `model`: the whole model, with its threshold and feature plan.
    """

    def __init__(self, model: TrainedModel) -> None:
        self.model = model

    def predict(self, data: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return the probability of the problem for each row of features; an unknown feature is empty.

        Raises UserError if columns are missing.
        """
        return pd.DataFrame({"probability": (self.model.refit or self.model).score(data)}, index=data.index)


class ServedDetectors:
    """The detectors of an anomaly model as MLflow serves them. `model`: all of them, by asset."""

    def __init__(self, model: AnomalyModel) -> None:
        self.model = model

    def predict(self, data: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return how unlike normal each row of features is: 0 is usual, from 1 on an anomaly; empty where too little is known.

        The column `asset` names the asset of each row; it may be left out where the model has one. Raises UserError if columns
        are missing, or an asset is not one of the model's.
        """
        names = sorted(self.model.detectors)
        if ASSET not in data and len(names) > 1:
            raise UserError(f"the rows have no column {ASSET!r}, and the model has learned of several: {', '.join(names)}")
        assets = data[ASSET].to_numpy(object) if ASSET in data else np.full(len(data), names[0], dtype=object)
        if unknown := sorted({str(asset) for asset in assets} - set(names)):
            raise UserError(f"the model has learned nothing of {', '.join(unknown)}, only of {', '.join(names)}")
        scores = np.full(len(data), np.nan)
        for name in dict.fromkeys(assets.tolist()):
            fitted, rows = self.model.detectors[name], assets == name
            scores[rows] = fitted.score(Columns.from_plan(fitted.plan).matrix(data[rows]))
        return pd.DataFrame({"score": scores}, index=data.index)


def _load_pyfunc(data_path: str) -> ServedModel | ServedDetectors:
    """Return the model in a folder, under the name that MLflow requires. Raises ModelRefused if files are damaged."""
    files = {path.name: path.read_bytes() for path in Path(data_path).iterdir() if path.is_file()}
    kind = _kind(files.get(DESCRIPTION, b""))
    model: object = trained_kind_named(kind).load(files)
    if isinstance(model, AnomalyModel):
        return ServedDetectors(model)
    if not isinstance(model, TrainedModel):
        raise ModelRefused(f"a model of kind {kind} has no score of a row of features alone; see it with: alerting why")
    return ServedModel(model)


def _kind(description: bytes) -> str:
    """Return the kind that the description of a model names, one of those that are installed."""
    try:
        found = cast("dict[str, Any]", yaml.safe_load(description) or {})
        return str(found["flavors"][FLAVOR]["kind"])
    except (KeyError, TypeError):
        return _OLDEST
    except yaml.YAMLError as fault:
        raise ModelRefused(f"{DESCRIPTION} cannot be read: it was changed or damaged") from fault
