"""Export of a dataset as one plain table, for other tools."""

import numpy as np
import pandas as pd

from alerting.learning.data.dataset import Dataset

BESIDE = ("asset", "ts", "part", "label", "weight")


def export_table(dataset: Dataset) -> pd.DataFrame:
    """Return a table with one row per instant that is fitted on or measured.

    Columns: `asset`, `ts` (UTC), `part`, `label`, `weight`, then all features under their names.
    Part is train, validation, test, purged (too near to a border) or excluded (operators' feedback
    puts the label in doubt). Categories are text. Sorted by asset and time.
    """
    beside = {
        "asset": dataset.asset.astype(str),
        "ts": pd.to_datetime(dataset.at, unit="ms", utc=True),
        "part": dataset.part.astype(str),
        "label": dataset.label,
        "weight": dataset.weight,
    }
    features = {
        f"feature/{name}" if name in BESIDE else name: _plain(dataset.rows[name])
        for name in dataset.plan.columns
    }
    used = dataset.measured | ~np.isin(dataset.part, ("validation", "test"))
    return pd.DataFrame(beside | features)[used].reset_index(drop=True)


def _plain(values: pd.Series) -> pd.Series:
    return values.astype(object) if isinstance(values.dtype, pd.CategoricalDtype) else values
