"""The model families: what they try, how they are fitted, and how a fitted one says its margin.

A margin is a number that rises with the risk: log-odds for LightGBM and logistic regression, the mean vote of the trees
(a probability) for the random forest. Calibration turns it into a probability.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from alerting.definitions.model import Family
from alerting.learning.encoding import Columns, Dense, Floats

Labels = npt.NDArray[np.int8]
Params = dict[str, Any]
MOST_ROUNDS = 400
PATIENCE = 40
LEAST_ROUNDS = 20
SMALL = 500_000  # values in a matrix up to which waking more threads costs more than they save
ROUNDS_UNWATCHED = 100  # where no later stretch with both classes exists to stop on


@dataclass(frozen=True)
class Estimator:
    """A fitted model of one family. `model`: a lightgbm.Booster, LogisticRegression or RandomForestClassifier."""

    family: Family
    model: Any
    columns: Columns
    dense: Dense | None  # None for LightGBM, which knows missing values and categories itself

    def margin(self, rows: pd.DataFrame) -> Floats:
        """Margin of each row. Raises Refused when rows lack columns."""
        return self.margin_of(self.columns.matrix(rows))

    def margin_of(self, matrix: Floats) -> Floats:
        """Margin of each row of a matrix made by `columns`."""
        if not len(matrix):
            return np.empty(0)
        if self.family == "lightgbm":
            return np.asarray(self.model.predict(matrix, raw_score=True, num_threads=threads_for(matrix)), np.float64)
        encoded = self.encode(matrix)
        if self.family == "logistic_regression":
            # row by row, never a matrix product: that one's last bits depend on how many rows are scored together
            return np.asarray((np.ascontiguousarray(encoded) * self.model.coef_[0]).sum(axis=1) + self.model.intercept_[0])
        return np.asarray(self.model.predict_proba(encoded)[:, 1], np.float64)

    def encode(self, matrix: Floats) -> Floats:
        """What a scikit-learn model sees of a matrix."""
        if self.dense is None:
            return matrix
        return self.dense.scaled(matrix) if self.family == "logistic_regression" else self.dense.expand(matrix)


def default_params(family: Family) -> Params:
    """The proven default of a family: the first trial of every search."""
    return dict(_DEFAULTS[family])


def suggest_params(family: Family, trial: optuna.Trial) -> Params:
    """One parameter set of a family."""
    return _SUGGEST[family](trial)


def fit_estimator(
    family: Family,
    params: Mapping[str, Any],
    columns: Columns,
    matrix: Floats,
    label: Labels,
    seed: int,
    watched: tuple[Floats, Labels] | None = None,
    weight: Floats | None = None,
) -> Estimator:
    """Fit one family on the rows of a matrix made by `columns`; both classes must be present. `weight`: how much each row counts.

    `params["rounds"]` fixes LightGBM's trees; without it they stop once the average precision on `watched` (a later stretch
    with both classes) no longer improves. The same arguments give the same model, whatever the number of threads.
    """
    if family == "lightgbm":
        return Estimator(family, _fit_lightgbm(params, columns, matrix, label, seed, watched, weight), columns, None)
    dense = Dense.fit(columns, matrix)
    if family == "random_forest":
        forest = RandomForestClassifier(**params, random_state=seed, n_jobs=-1).fit(dense.expand(matrix), label, weight)
        forest.set_params(n_jobs=1)  # threads would add up the votes in any order, and the last bits would differ
        return Estimator(family, forest, columns, dense)
    with threadpool_limits(limits=1):  # sums of several threads differ in the last bits
        linear = LogisticRegression(**params, max_iter=300).fit(dense.scaled(matrix), label, weight)
    return Estimator(family, linear, columns, dense)


def threads_for(matrix: Floats) -> int:
    """Threads for LightGBM: one for a small matrix, otherwise all (0). The result is the same."""
    return 1 if matrix.size <= SMALL else 0


def rounds_of(estimator: Estimator) -> int:
    """How many trees a LightGBM model settled on."""
    return int(estimator.model.best_iteration if estimator.model.best_iteration > 0 else estimator.model.current_iteration())


def importance(estimator: Estimator) -> Floats:
    """Share of each column in what the model learned (gain, impurity or absolute weight); adds up to 1 unless all are 0."""
    if estimator.family == "lightgbm":
        raw = np.asarray(estimator.model.feature_importance("gain"), np.float64)
    else:
        model = estimator.model
        weight = np.abs(model.coef_[0]) if estimator.family == "logistic_regression" else model.feature_importances_
        assert estimator.dense is not None  # noqa: S101 - every scikit-learn estimator has one
        raw = estimator.dense.by_column(weight, len(estimator.columns.names))
    total = raw.sum()
    return raw / total if total > 0 else raw


def _fit_lightgbm(
    params: Mapping[str, Any],
    columns: Columns,
    matrix: Floats,
    label: Labels,
    seed: int,
    watched: tuple[Floats, Labels] | None,
    weight: Floats | None,
) -> lightgbm.Booster:
    settings = {
        "objective": "binary",
        "metric": "average_precision",
        "verbosity": -1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads_for(matrix),
        "bagging_freq": 1,
        **{key: value for key, value in params.items() if key != "rounds"},
    }
    data = lightgbm.Dataset(
        matrix,
        label,
        weight=weight,
        categorical_feature=list(columns.categorical),
        params={"verbosity": -1},
        feature_name=_safe_names(columns),
    )
    if "rounds" in params or watched is None:
        return lightgbm.train(settings, data, int(params.get("rounds", ROUNDS_UNWATCHED)))
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    return lightgbm.train(settings, data, MOST_ROUNDS, valid_sets=[data.create_valid(watched[0], watched[1])], callbacks=[stop])


def _safe_names(columns: Columns) -> list[str]:
    """LightGBM's text format knows neither spaces nor colons in names; the real names are kept beside it."""
    return [f"c{i}" for i in range(len(columns.names))]


def _suggest_lightgbm(trial: optuna.Trial) -> Params:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 7, 63, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 10, 200, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.4, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "lambda_l2": trial.suggest_float("lambda_l2", 0.01, 30.0, log=True),
    }


def _suggest_forest(trial: optuna.Trial) -> Params:
    return {
        "n_estimators": 100,
        "max_samples": 0.7,
        "max_depth": trial.suggest_int("max_depth", 6, 16),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 50, log=True),
        "max_features": trial.suggest_categorical("max_features", ["sqrt", 0.2]),
        "class_weight": trial.suggest_categorical("class_weight", [None, "balanced"]),
    }


def _suggest_logistic(trial: optuna.Trial) -> Params:
    return {
        "C": trial.suggest_float("C", 1e-4, 10.0, log=True),
        "class_weight": trial.suggest_categorical("class_weight", [None, "balanced"]),
    }


_SUGGEST: Mapping[Family, Callable[[optuna.Trial], Params]] = {
    "lightgbm": _suggest_lightgbm,
    "random_forest": _suggest_forest,
    "logistic_regression": _suggest_logistic,
}
_DEFAULTS: Mapping[Family, Params] = {
    "lightgbm": {
        "learning_rate": 0.05,
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.8,
        "lambda_l2": 1.0,
    },
    "random_forest": {
        "n_estimators": 100,
        "max_samples": 0.7,
        "max_depth": 12,
        "min_samples_leaf": 5,
        "max_features": "sqrt",
        "class_weight": None,
    },
    "logistic_regression": {"C": 0.01, "class_weight": None},
}
