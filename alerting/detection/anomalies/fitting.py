"""Fit a detector to encoded rows of normal operation: the same rows give the same
bits."""

import numpy as np
from threadpoolctl import threadpool_limits

from alerting.detection.anomalies.detectors import (
    Detector,
    LevelsAndSpreads,
    PrincipalComponents,
)
from alerting.detection.anomalies.normal_space import Floats
from alerting.detection.problems import BoolArray

VARIANCE = 0.9  # share of it that the components explain
_LIMIT = 0.99  # share of normal rows within the limits of T², SPE and score


def fit_detector(rows: Floats, spreads: BoolArray) -> Detector:
    """Fit a detector to encoded rows (n x k), of which some columns are spreads (k)."""
    if spreads.all() or not spreads.any():
        return fit_components(rows)
    groups = (~spreads, spreads)
    parts = [fit_components(rows[:, columns]) for columns in groups]
    inverse = np.concatenate([part.inverse for part in parts])
    components = np.zeros((len(spreads), len(inverse)))
    of = np.repeat([False, True], [len(part.inverse) for part in parts])
    limits = []
    for columns, own, part in zip(groups, (~of, of), parts, strict=True):
        components[np.ix_(columns, own)] = part.components
        usual = max(float(np.quantile(part.score(rows[:, columns]), _LIMIT)), 1e-9)
        limits.append([*part.limits, usual])
    return LevelsAndSpreads(spreads.astype(np.float64), components, inverse, np.array(limits))


def fit_components(rows: Floats) -> PrincipalComponents:
    """Fit a detector to encoded rows (n x k), in one thread."""
    with threadpool_limits(1):
        values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
        values = np.maximum(values[::-1], 1e-9)
        vectors = np.ascontiguousarray(vectors[:, ::-1])
        share = np.cumsum(values) / values.sum()
        count = min(int(np.searchsorted(share, VARIANCE)) + 1, max(rows.shape[1] - 1, 1))
        vectors = vectors[:, :count] * np.where(vectors[:, :count].sum(axis=0) < 0, -1.0, 1.0)
        inverse = 1.0 / values[:count]
        inside = rows @ vectors
        t2 = (inside**2 * inverse).sum(axis=1)
        spe = ((rows - inside @ vectors.T) ** 2).sum(axis=1)
    limits = np.maximum([np.quantile(t2, _LIMIT), np.quantile(spe, _LIMIT)], 1e-9)
    return PrincipalComponents(np.ascontiguousarray(vectors), inverse, limits)
