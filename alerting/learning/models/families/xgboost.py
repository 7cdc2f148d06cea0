"""XGBoost: gradient boosted trees, for which the extra `alerting[xgboost]` brings the library."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xgboost

from alerting.learning.features.plan import Columns, Encoding
from alerting.learning.models.families.contract import LabelledRows, ModelFamily, Params
from alerting.learning.models.families.lightgbm import (
    MOST_PAIRED,
    MOST_ROUNDS,
    PATIENCE,
    ROUNDS_UNWATCHED,
    informative_pairs,
)
from alerting.learning.models.trained import ALL_THREADS, Estimator
from alerting.readings.history import Floats

if TYPE_CHECKING:
    import optuna

MODEL = "model.ubj"
_MOST = np.finfo(np.float32).max
_ONE_THREAD = {"nthread": 1}  # more change the last bits of a fit


@dataclass(frozen=True)
class StoredBooster:
    """Fitted trees as UBJSON, which XGBoost reads at the first use."""

    data: bytes
    margin_is_probability: ClassVar[bool] = False

    @cached_property
    def booster(self) -> xgboost.Booster:
        """Return the booster."""
        return xgboost.Booster(_ONE_THREAD, model_file=bytearray(self.data))

    def margin(self, encoded: Floats, rounds: int | None = None) -> Floats:
        """Return the log-odds of each row; only from the first `rounds` trees, if given."""
        return np.asarray(
            self.booster.inplace_predict(
                _single(encoded), iteration_range=(0, rounds or 0), predict_type="margin"
            ),
            np.float64,
        )

    def contributions(self, encoded: Floats) -> tuple[Floats, float]:
        """Return each column's Tree SHAP value for the one row, and the expected margin, with what
        32 bits round off."""
        row = _matrix(encoded, self.booster.feature_types or [])
        shares = np.asarray(self.booster.predict(row, pred_contribs=True), np.float64)[0, :-1]
        return shares, float(self.margin(encoded)[0] - shares.sum())

    def importance(self) -> Floats:
        """Return the gain of each encoded column."""
        gains = self.booster.get_score(importance_type="total_gain")
        return np.array([gains.get(f"f{i}", 0.0) for i in range(self.booster.num_features())])

    def fitted_bytes(self) -> list[bytes]:
        """Return the bytes as they were read."""
        return [self.data]

    def files(self) -> dict[str, bytes]:
        """Return one file."""
        return {MODEL: self.data}


class XgBoost(ModelFamily):
    """Gradient boosted trees. `params["rounds"]` fixes the number of trees."""

    name = "xgboost"
    # the same library, without and with what only graphics cards need
    packages = tuple(p for p in ("xgboost-cpu", "xgboost") if any(distributions(name=p)))
    defaults = {  # noqa: RUF012
        "learning_rate": 0.05,
        "max_depth": 5,
        "min_child_weight": 5.0,
        "subsample": 0.8,
        "colsample_bytree": 0.7,
        "reg_lambda": 1.0,
        "gamma": 0.0,
        "pairs": 0,
    }
    alternatives = (
        {"pairs": MOST_PAIRED},
        # problems too few to learn by heart
        {"max_depth": 3, "colsample_bytree": 0.3, "reg_lambda": 10.0},
        {"max_depth": 8, "min_child_weight": 20.0},
    )

    def suggest(self, trial: "optuna.Trial") -> Params:
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
            "max_depth": trial.suggest_int("max_depth", 2, 9),
            "min_child_weight": trial.suggest_float("min_child_weight", 0.5, 100.0, log=True),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 1.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 0.01, 100.0, log=True),
            "gamma": trial.suggest_float("gamma", 0.0, 5.0),
            "pairs": trial.suggest_categorical("pairs", [0, MOST_PAIRED]),
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
        return self._fit(params, columns, rows, seed, int(params.get("rounds", ROUNDS_UNWATCHED)))

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
        fitted = self._fit(params, columns, rows, seed, MOST_ROUNDS, validation, curve)
        return fitted, np.asarray(curve["later"]["aucpr"], np.float64)

    def load(self, files: Mapping[str, bytes], width: int) -> StoredBooster:
        """Read the booster at its first use."""
        return StoredBooster(*files.values())

    def _fit(
        self,
        params: Mapping[str, Any],
        columns: Columns,
        rows: LabelledRows,
        seed: int,
        rounds: int,
        later: LabelledRows | None = None,
        curve: dict[str, Any] | None = None,
    ) -> Estimator:
        pairs = informative_pairs(params, columns, rows, seed, ALL_THREADS)

        def labelled(part: LabelledRows) -> xgboost.DMatrix:
            encoded = pairs.expand(part.matrix)
            types = ["c" if i in columns.categorical else "q" for i in range(encoded.shape[1])]
            return _matrix(encoded, types, label=part.label, weight=part.weight)

        settings = {
            "objective": "binary:logistic",
            "eval_metric": "aucpr",
            "tree_method": "hist",
            "seed": seed,
            "verbosity": 0,
            **_ONE_THREAD,
            **{key: value for key, value in params.items() if key not in ("rounds", "pairs")},
        }
        booster = xgboost.train(
            settings,
            labelled(rows),
            rounds,
            evals=[] if later is None else [(labelled(later), "later")],
            evals_result=curve,
            early_stopping_rounds=None if later is None else PATIENCE,
            verbose_eval=False,
        )
        fitted = StoredBooster(bytes(booster.save_raw()))
        return Estimator(self.name, fitted, columns, Encoding(pairs=pairs))


def _matrix(encoded: Floats, types: list[str], **rows: Any) -> xgboost.DMatrix:
    return xgboost.DMatrix(
        _single(encoded), feature_types=types, enable_categorical=True, **_ONE_THREAD, **rows
    )


def _single(encoded: Floats) -> Floats:
    """Return numbers as 32 bits hold them: the library refuses larger ones."""
    return np.clip(encoded, -_MOST, _MOST)


FAMILY = XgBoost()
