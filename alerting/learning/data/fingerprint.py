"""Hash of a dataset's content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.learning.features.plan import FeaturePlan


def dataset_hash(plan: FeaturePlan, rows: pd.DataFrame, *beside: npt.NDArray[Any]) -> str:
    """Return the SHA-256 over names and values, little-endian, with one NaN."""
    digest = hashlib.sha256(json.dumps(plan.to_document(), sort_keys=True).encode())
    for name in plan.columns:
        values = rows[name].cat.codes.to_numpy() if name in plan.levels else rows[name].to_numpy()
        digest.update(name.encode() + b"\0")
        digest.update(_bytes(values))
    for column in beside:
        digest.update(_bytes(column))
    return digest.hexdigest()


def _bytes(values: npt.NDArray[Any]) -> bytes | memoryview:
    if values.dtype == object:
        return "\0".join(values.tolist()).encode()
    if values.dtype == np.float64:
        one_nan = np.where(np.isnan(values), np.nan, values).astype("<f8", copy=False)
        return np.ascontiguousarray(one_nan).data
    return values.astype("<i8").tobytes()
