"""Scores of rows of features, each by the detector of its asset."""

import numpy as np
import pandas as pd

from alerting.definitions.faults import UserError
from alerting.kinds.anomaly.model import AnomalyModel
from alerting.learning.features.encoding import Columns
from alerting.learning.models.trained import Floats

_ASSET = "asset"


def score_rows(model: AnomalyModel, rows: pd.DataFrame) -> Floats:
    """Return how unlike normal each row is: 0 is usual, from 1 on an anomaly, NaN where too little is known.

    The column `asset` names the asset of each row; it may be left out where the model has one. Raises UserError if columns are
    missing, or an asset is not one of the model's.
    """
    names = sorted(model.by_asset)
    if _ASSET not in rows and len(names) > 1:
        raise UserError(f"the rows have no column {_ASSET!r}, and the model has learned of several: {', '.join(names)}")
    assets = rows[_ASSET].to_numpy(object) if _ASSET in rows else np.full(len(rows), names[0], dtype=object)
    if unknown := sorted({str(asset) for asset in assets} - set(names)):
        raise UserError(f"the model has learned nothing of {', '.join(unknown)}, only of {', '.join(names)}")
    scores = np.full(len(rows), np.nan)
    for name in dict.fromkeys(assets.tolist()):
        fitted, of_asset = model.by_asset[name], assets == name
        scores[of_asset] = fitted.score(Columns.from_plan(fitted.plan).matrix(rows[of_asset]))
    return scores
