"""XGBoost: gradient boosted trees, an optional family (`pip install alerting[xgboost]`).

Fitted trees are written as the text of a LightGBM booster, which is scored like those of the family
`lightgbm`: no second format is read, and contributions are those of all boosted trees. XGBoost
compares 32-bit numbers with `<`, LightGBM 64-bit numbers with `<=`; limits are converted so that no
value changes sides.
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

from alerting.learning.features.encoding import Columns, Encoding, Floats
from alerting.learning.models.estimator import ALL_THREADS, Estimator
from alerting.learning.models.families.contract import LabelledRows, ModelFamily, Params
from alerting.learning.models.families.lightgbm import (
    MOST_ROUNDS,
    PATIENCE,
    ROUNDS_UNWATCHED,
    BoosterMean,
    StoredBoosterMean,
)

if TYPE_CHECKING:
    import optuna

_LEFT = 2  # bits of decision_type: missing values go left; missing is NaN
_NAN = 8  # bits of decision_type: missing values go left; missing is NaN
_FIELDS = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")


class XgBoost(ModelFamily):
    """Gradient boosted trees of `rounds` trees, on one thread: more change the last bits."""

    name = "xgboost"
    packages = ("lightgbm",)
    defaults = {  # noqa: RUF012
        "learning_rate": 0.05,
        "max_depth": 5,
        "min_child_weight": 5.0,
        "subsample": 0.8,
        "colsample_bytree": 0.7,
        "reg_lambda": 1.0,
        "gamma": 0.0,
    }
    alternatives = (
        # problems too few to learn by heart
        {"max_depth": 3, "colsample_bytree": 0.3, "reg_lambda": 10.0},
        {"max_depth": 8, "min_child_weight": 20.0},
    )

    def suggest(self, trial: "optuna.Trial") -> Params:
        """Suggest one parameter set of a search."""
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
            "max_depth": trial.suggest_int("max_depth", 2, 9),
            "min_child_weight": trial.suggest_float("min_child_weight", 0.5, 100.0, log=True),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 1.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 0.01, 100.0, log=True),
            "gamma": trial.suggest_float("gamma", 0.0, 5.0),
        }

    def fit(
        self,
        params: Mapping[str, Any],
        columns: Columns,
        rows: LabelledRows,
        seed: int,
        threads: int = ALL_THREADS,
    ) -> Estimator:
        """Fit one booster."""
        booster = _boost(params, rows, seed, int(params.get("rounds", ROUNDS_UNWATCHED)))
        return self._estimator(booster, columns, rows)

    def fit_with_validation(
        self,
        params: Mapping[str, Any],
        columns: Columns,
        rows: LabelledRows,
        validation: LabelledRows,
        seed: int,
    ) -> tuple[Estimator, Floats]:
        """Fit until the average precision on `validation` stops improving for 50 trees."""
        curve: dict[str, dict[str, list[float]]] = {}
        booster = _boost(
            params,
            rows,
            seed,
            MOST_ROUNDS,
            evals=[(_matrix(validation.matrix, validation), "validation")],
            evals_result=curve,
            early_stopping_rounds=PATIENCE,
        )
        return self._estimator(booster, columns, rows), np.asarray(
            curve["validation"]["aucpr"], np.float64
        )

    def load(self, files: Mapping[str, bytes], width: int) -> BoosterMean:
        """Read the booster at its first use."""
        return StoredBoosterMean(list(files.values()))

    def _estimator(
        self, booster: xgboost.Booster, columns: Columns, rows: LabelledRows
    ) -> Estimator:
        text = booster_text(booster, rows.matrix).encode()
        return Estimator(
            self.name,
            StoredBoosterMean([text]),
            columns,
            Encoding(),
        )


def booster_text(booster: xgboost.Booster, matrix: Floats) -> str:
    """Return a booster as LightGBM's text. `matrix`: the rows that count in each leaf."""
    learner = json.loads(booster.save_raw("json"))["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    prior = float(learner["learner_model_param"]["base_score"].strip("[]"))
    base = float(np.log(prior / (1 - prior)))
    reached = (
        booster.predict(_matrix(matrix), pred_leaf=True).reshape(len(matrix), -1).astype(np.int64)
    )
    blocks = [
        "\n".join(
            [f"Tree={number}", *_tree_lines(tree, reached[:, number], base if number == 0 else 0.0)]
        )
        + "\n\n\n"
        for number, tree in enumerate(trees)
    ]
    width = matrix.shape[1]
    header = {
        "version": "v4",
        "num_class": 1,
        "num_tree_per_iteration": 1,
        "label_index": 0,
        "max_feature_idx": width - 1,
        "objective": "binary sigmoid:1",
        "feature_names": " ".join(f"c{column}" for column in range(width)),
        "feature_infos": " ".join(["none"] * width),
        "tree_sizes": " ".join(str(len(block)) for block in blocks),
    }
    lines = "\n".join(f"{name}={value}" for name, value in header.items())
    return f"tree\n{lines}\n\n{''.join(blocks)}end of trees\n\npandas_categorical:null\n"


def _tree_lines(tree: Mapping[str, Any], reached: Any, base: float) -> Iterator[str]:
    """Yield a tree's lines. `reached`: each row's leaf; `base`: added to each leaf."""
    left, right = (np.asarray(tree[name], np.int64) for name in ("left_children", "right_children"))
    is_leaf = left < 0
    # inner 0, 1, …; leaves -1, -2, …
    number = np.where(is_leaf, ~(np.cumsum(is_leaf) - 1), np.cumsum(~is_leaf) - 1)
    count = np.bincount(reached, minlength=len(left))
    weight = np.asarray(tree["sum_hessian"], np.float64)
    for node in np.flatnonzero(~is_leaf)[::-1].tolist():  # children have higher numbers
        count[node] = count[left[node]] + count[right[node]]
    inner = ~is_leaf
    conditions = np.asarray(tree["split_conditions"], np.float32)
    yield f"num_leaves={int(is_leaf.sum())}"
    yield "num_cat=0"
    values = (
        tree["split_indices"],
        tree["loss_changes"],
        _limits(conditions),
        _NAN + _LEFT * np.asarray(tree["default_left"], np.int64),
        number[left],
        number[right],
    )
    for name, column in zip(_FIELDS, values, strict=True):
        yield _line(name, np.asarray(column)[inner])
    yield _line("leaf_value", np.asarray(conditions[is_leaf], np.float64) + base)
    yield _line("leaf_weight", weight[is_leaf])
    yield _line("leaf_count", count[is_leaf])
    yield _line("internal_value", np.asarray(tree["base_weights"], np.float64)[inner] + base)
    yield _line("internal_weight", weight[inner])
    yield _line("internal_count", count[inner])
    yield "is_linear=0"
    yield "shrinkage=1"


def _limits(conditions: Any) -> Floats:
    """Return the largest 64-bit numbers below each condition once rounded to 32 bits."""
    below = np.nextafter(conditions, np.float32(-np.inf))
    middle = (below.astype(np.float64) + conditions.astype(np.float64)) / 2
    return np.asarray(
        np.where(middle.astype(np.float32) < conditions, middle, np.nextafter(middle, -np.inf))
    )


def _line(name: str, values: Any) -> str:
    return f"{name}={' '.join(repr(value) for value in values.tolist())}"


def _matrix(matrix: Floats, rows: LabelledRows | None = None) -> xgboost.DMatrix:
    """Return the matrix as XGBoost takes it; what 32 bits cannot hold is refused."""
    most = np.finfo(np.float32).max
    label, weight = (None, None) if rows is None else (rows.label, rows.weight)
    return xgboost.DMatrix(np.clip(matrix, -most, most), label, weight=weight, nthread=1)


def _boost(
    params: Mapping[str, Any], rows: LabelledRows, seed: int, rounds: int, **watching: Any
) -> xgboost.Booster:
    settings = {
        "objective": "binary:logistic",
        "eval_metric": "aucpr",
        "tree_method": "hist",
        "seed": seed,
        "nthread": 1,
        "verbosity": 0,
        **{key: value for key, value in params.items() if key != "rounds"},
    }
    return xgboost.train(
        settings, _matrix(rows.matrix, rows), rounds, verbose_eval=False, **watching
    )


FAMILY = XgBoost()
