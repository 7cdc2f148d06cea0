"""Scores of rows of features, each by the detector of its asset."""

from __future__ import annotations

import numpy as np

from alerting.deferred import pd
from alerting.definitions.faults import UserError
from alerting.detection.categories import Labels, label_of
from alerting.kinds.anomaly.model import AnomalyModel, FittedDetector
from alerting.learning.features.encoding import Columns
from alerting.learning.models.trained import Floats

_ASSET = "asset"


def score_rows(model: AnomalyModel, rows: pd.DataFrame) -> Floats:
    """Return how unlike normal each row is: 0 is usual, from 1 on an anomaly, NaN where too little
    is known.

    The column `asset` names the asset of each row; it may be left out where the model has one. A
    model by a category needs a column of its name: the value in force throughout the windows of a
    row, empty or one never seen to compare it with all. Raises UserError if columns are missing, or
    an asset is not one of the model's.
    """
    names = sorted(model.by_asset)
    if _ASSET not in rows and len(names) > 1:
        raise UserError(
            f"the rows have no column {_ASSET!r}, and the model has learned of several: "
            f"{', '.join(names)}"
        )
    assets = (
        rows[_ASSET].to_numpy(object)
        if _ASSET in rows
        else np.full(len(rows), names[0], dtype=object)
    )
    if unknown := sorted({str(asset) for asset in assets} - set(names)):
        raise UserError(
            f"the model has learned nothing of {', '.join(unknown)}, only of {', '.join(names)}"
        )
    scores = np.full(len(rows), np.nan)
    for name in dict.fromkeys(assets.tolist()):
        fitted = model.by_asset[name]
        of_asset = assets == name
        matrix = Columns.from_plan(fitted.plan).matrix(rows[of_asset])
        scores[of_asset] = fitted.score(matrix, _categories(fitted, rows[of_asset]))
    return scores


def _categories(fitted: FittedDetector, rows: pd.DataFrame) -> Labels | None:
    if fitted.by is None:
        return None
    name = fitted.by.name
    known = fitted.by.spaces
    if name not in rows:
        raise UserError(
            f"the rows have no column {name!r}, by which the model compares them: add it, empty "
            "where it is not known"
        )
    labels = [None if pd.isna(value) else label_of(value) for value in rows[name].astype(object)]
    return np.array([label if label in known else None for label in labels], object)
