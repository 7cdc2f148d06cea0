"""Detectors of families that trainings fitted before, small: their champions serve on."""

from itertools import pairwise

import numpy as np

from alerting.kinds.anomaly.detectors import (
    Autoencoder,
    IsolationTrees,
    fit_components,
)

FAMILIES = ("autoencoder", "isolation_forest", "pca")


def former_detector(family, rows):
    """Return a detector of a family on encoded rows (n x k)."""
    if family == "pca":
        return fit_components(rows)
    random = np.random.default_rng(0)
    columns = rows.shape[1]
    if family == "isolation_forest":  # each tree: one cut of a column from either side
        nodes = [node for c in range(columns) for node in (c, -1, c, -1, -1)]
        first = np.repeat(np.arange(columns) * 5.0, 5)
        return IsolationTrees(
            column=np.array(nodes, np.float64),
            cut=np.tile([-2.5, 0, 2.5, 0, 0], columns),
            left=first + np.tile([1.0, 0, 3, 0, 0], columns),
            right=first + np.tile([2.0, 0, 4, 0, 0], columns),
            depth=np.tile([0.0, 1, 0, 8, 2], columns),
            roots=np.arange(columns) * 5.0,
            usual=np.array([8.0]),
        )
    sizes = (columns, columns, 2, columns, columns)
    weights = [random.normal(0, 0.4, (a, b)) for a, b in pairwise(sizes)]
    biases = [np.zeros(size) for size in sizes[1:]]
    parts = [part for pair in zip(weights, biases, strict=True) for part in pair]
    return Autoencoder(*parts, np.ones(columns))
