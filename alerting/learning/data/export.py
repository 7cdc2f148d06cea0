"""Export of a dataset as one plain table, for other tools."""

import pandas as pd

from alerting.learning.data.dataset import Dataset

BESIDE = ("asset", "ts", "part", "label", "weight")


def export_table(dataset: Dataset) -> pd.DataFrame:
    """Return a table with one row per evaluated instant.

    Columns: `asset`, `ts` (UTC), `part`, `label`, `weight`, then all features under their names. Part is train, validation, test,
    purged (too near to a border) or excluded (operators' feedback puts the label in doubt). Categories are text. Sorted by asset
    and time.
    """
    beside = {
        "asset": dataset.asset.astype(str),
        "ts": pd.to_datetime(dataset.at, unit="ms", utc=True),
        "part": dataset.part.astype(str),
        "label": dataset.label,
        "weight": dataset.weight,
    }
    features = {f"feature/{name}" if name in BESIDE else name: _plain(dataset.rows[name]) for name in dataset.plan.columns}
    return pd.DataFrame(beside | features)


def _plain(values: pd.Series) -> pd.Series:
    return values.astype(object) if isinstance(values.dtype, pd.CategoricalDtype) else values
