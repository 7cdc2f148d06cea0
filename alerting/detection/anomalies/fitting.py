"""Fit detectors to encoded rows of normal operation, with one seed and one thread: the same rows
give the same bits."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from alerting.detection.anomalies.detectors import (
    Autoencoder,
    Detector,
    IsolationTrees,
    LocalOutliers,
    Neighbours,
    PrincipalComponents,
    local_density,
)
from alerting.detection.anomalies.normal_space import Floats

Family = Literal["pca", "isolation_forest", "nearest_neighbours", "local_outliers", "autoencoder"]
_MOST_ROWS = 20_000
_MOST_NEIGHBOURS = 500
_MOST_COPIED = 3_000
_LIMIT = 0.99  # share of normal rows within the limits of T² and SPE
_EULER = 0.5772156649015329


class Setting(NamedTuple):
    """A family with its settings: one that is tried."""

    family: Family
    params: Mapping[str, Any]

    def describe(self) -> str:
        """Return it in short: `pca (variance 0.9)`."""
        shown = ", ".join(f"{name} {value:g}" for name, value in self.params.items())
        return f"{self.family} ({shown})" if shown else self.family


TRIED: tuple[Setting, ...] = (
    Setting("pca", {"variance": 0.7}),
    Setting("pca", {"variance": 0.9}),
    Setting("pca", {"variance": 0.99}),
    Setting("isolation_forest", {"trees": 100}),
    Setting("nearest_neighbours", {"neighbours": 5}),
    Setting("nearest_neighbours", {"neighbours": 20}),
    Setting("local_outliers", {"neighbours": 20}),
    Setting("autoencoder", {"width": 0.5}),
    Setting("autoencoder", {"width": 0.25}),
)


def fit_detector(setting: Setting, rows: Floats, seed: int) -> Detector:
    """Fit one setting to encoded rows (n x k), of which at most 20,000 count, evenly spread."""
    rows = _thin(rows, _MOST_ROWS)
    params = setting.params
    with threadpool_limits(1):
        if setting.family == "pca":
            return _fit_components(rows, params["variance"])
        if setting.family == "isolation_forest":
            return _fit_trees(rows, int(params["trees"]), seed)
        if setting.family == "autoencoder":
            return _fit_autoencoder(rows, params["width"], seed)
        normal = _thin(rows, _MOST_NEIGHBOURS)
        count = min(int(params["neighbours"]), len(normal) - 1)
        nearest = np.array([count], np.float64)
        if setting.family == "nearest_neighbours":
            return Neighbours(normal, nearest)
        return LocalOutliers(normal, nearest, *local_density(normal, count))


def _thin(rows: Floats, most: int) -> Floats:
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _fit_components(rows: Floats, variance: float) -> PrincipalComponents:
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    values = np.maximum(values[::-1], 1e-9)
    vectors = np.ascontiguousarray(vectors[:, ::-1])
    share = np.cumsum(values) / values.sum()
    count = min(int(np.searchsorted(share, variance)) + 1, max(rows.shape[1] - 1, 1))
    vectors = vectors[:, :count] * np.where(vectors[:, :count].sum(axis=0) < 0, -1.0, 1.0)
    inverse = 1.0 / values[:count]
    inside = rows @ vectors
    t2 = (inside**2 * inverse).sum(axis=1)
    spe = ((rows - inside @ vectors.T) ** 2).sum(axis=1)
    limits = np.maximum([np.quantile(t2, _LIMIT), np.quantile(spe, _LIMIT)], 1e-9)
    return PrincipalComponents(np.ascontiguousarray(vectors), inverse, limits)


def _fit_trees(rows: Floats, trees: int, seed: int) -> IsolationTrees:
    forest = IsolationForest(
        n_estimators=trees, max_samples=min(256, len(rows)), random_state=seed, n_jobs=1
    ).fit(rows)
    parts: dict[str, list[Floats]] = {
        name: [] for name in ("column", "cut", "left", "right", "depth")
    }
    roots = []
    offset = 0
    for estimator in forest.estimators_:
        tree = estimator.tree_
        leaf = tree.children_left < 0
        parts["column"].append(np.where(leaf, -1, tree.feature).astype(np.float64))
        parts["cut"].append(np.where(leaf, 0.0, tree.threshold))
        parts["left"].append(np.where(leaf, 0, tree.children_left + offset).astype(np.float64))
        parts["right"].append(np.where(leaf, 0, tree.children_right + offset).astype(np.float64))
        parts["depth"].append(_depths(tree) + _usual_path(tree.n_node_samples.astype(np.float64)))
        roots.append(offset)
        offset += tree.node_count
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    usual = _usual_path(np.array([float(forest.max_samples_)]))
    return IsolationTrees(
        **joined, roots=np.array(roots, np.float64), usual=np.maximum(usual, 1e-9)
    )


def _depths(tree: Any) -> Floats:
    depths = np.zeros(tree.node_count)
    for node in range(tree.node_count):  # a child has a higher number than its parent
        if tree.children_left[node] >= 0:
            depths[[tree.children_left[node], tree.children_right[node]]] = depths[node] + 1
    return depths


def _usual_path(samples: Floats) -> Floats:
    """Return the mean path length of an unsuccessful search in a random tree of so many samples."""
    larger = np.maximum(samples, 2.0)
    mean = 2.0 * (np.log(np.maximum(larger - 1.0, 1.0)) + _EULER) - 2.0 * (larger - 1.0) / larger
    return np.where(samples > 2, mean, np.where(samples == 2, 1.0, 0.0))


def _fit_autoencoder(rows: Floats, width: float, seed: int) -> Autoencoder:
    rows = np.clip(_thin(rows, _MOST_COPIED), -6.0, 6.0)
    columns = rows.shape[1]
    narrow = max(1, round(width * columns))
    wide = min(max(2 * narrow, columns), 64)
    network = MLPRegressor(
        hidden_layer_sizes=(wide, narrow, wide),
        alpha=1e-2,
        solver="lbfgs",
        max_iter=150,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # a fixed number of steps is the rule here
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(rows, rows if columns > 1 else rows[:, 0])
    (into, middle, out, back) = network.coefs_
    biases = network.intercepts_
    layers = {"into": into, "middle": middle, "out": out, "back": back}
    named = {f"{name}_bias": bias for name, bias in zip(layers, biases, strict=True)}
    plain = Autoencoder(
        **{name: np.asarray(a, np.float64) for name, a in (layers | named).items()},
        usual=np.ones(columns),
    )
    usual = np.maximum(((rows - plain.restore(rows)) ** 2).mean(axis=0), 1e-3)
    return Autoencoder(**vars(plain) | {"usual": usual})
