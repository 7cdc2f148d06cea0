"""Logistic regression: weights of scaled columns."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from alerting.learning.features.encoding import Columns, Dense, Encoding, Floats
from alerting.learning.models.bounds import BoolArray, LinearBound
from alerting.learning.models.estimator import ALL_THREADS, Estimator
from alerting.learning.models.families.contract import (
    STRONGEST,
    LabelledRows,
    ModelFamily,
    Params,
)
from alerting.learning.models.families.sklearn_file import SKLEARN, dump_sklearn, load_sklearn
from alerting.learning.models.trained import ModelRefused

if TYPE_CHECKING:
    import optuna

MOST_STEPS = 50  # of Newton's method, which needs about ten
# encoded columns from which a matrix of columns by columns takes too much memory and time
WIDE = 2_000
FEW_COLUMNS = 12  # those of one or two variables


@dataclass(frozen=True)
class LinearModel:
    """A fitted linear model. `fitted`: anything with scikit-learn's `coef_` and `intercept_`."""

    fitted: Any
    margin_is_probability: ClassVar[bool] = False

    def margin(self, encoded: Floats, rounds: int | None = None) -> Floats:
        """Return the log-odds of each row."""
        # row by row, never a matrix product: the last bits of a product depend on the number of
        # rows scored together
        return np.asarray(
            (np.ascontiguousarray(encoded) * self.fitted.coef_[0]).sum(axis=1)
            + self.fitted.intercept_[0]
        )

    def contributions(self, encoded: Floats) -> tuple[Floats, float]:
        """Return weight times distance from the mean of each column, and the mean margin."""
        return encoded[0] * self.fitted.coef_[0], float(self.fitted.intercept_[0])

    def bound(self, row: Floats, free: BoolArray) -> LinearBound:
        """Return the minimum of the log-odds over boxes."""
        return self.formula

    @property
    def formula(self) -> LinearBound:
        """Return the weights and the intercept."""
        return LinearBound(
            np.asarray(self.fitted.coef_[0], np.float64), float(self.fitted.intercept_[0])
        )

    def importance(self) -> Floats:
        """Return the absolute weight of each encoded column."""
        return np.abs(np.asarray(self.fitted.coef_[0], np.float64))

    def fitted_bytes(self) -> Iterator[bytes]:
        """Return the weights and the intercept as bytes."""
        yield np.ascontiguousarray(self.fitted.coef_).tobytes()
        yield np.ascontiguousarray(self.fitted.intercept_).tobytes()

    def files(self) -> dict[str, bytes]:
        """Return one skops file."""
        return {SKLEARN: dump_sklearn(self.fitted)}


class Logistic(ModelFamily):
    """Logistic regression, L2: by Newton's method, or L-BFGS for thousands of columns."""

    name = "logistic_regression"
    packages = ("scikit-learn", "skops")
    defaults = {"C": 0.01, "class_weight": None, STRONGEST: 0}  # noqa: RUF012
    alternatives = (
        # one cause among many variables, and few problems: the other columns only add noise
        {"C": 0.001, STRONGEST: FEW_COLUMNS},
        {"class_weight": "balanced"},
    )

    def suggest(self, trial: "optuna.Trial") -> Params:
        """Suggest one parameter set of a search."""
        return {
            "C": trial.suggest_float("C", 1e-4, 10.0, log=True),
            "class_weight": trial.suggest_categorical("class_weight", [None, "balanced"]),
            STRONGEST: trial.suggest_categorical(STRONGEST, [0, FEW_COLUMNS]),
        }

    def fit(
        self,
        params: Mapping[str, Any],
        columns: Columns,
        rows: LabelledRows,
        seed: int,
        threads: int = ALL_THREADS,
    ) -> Estimator:
        """Fit on one thread: sums of several differ in the last bits."""
        encoding = Encoding(Dense.fit(columns, rows.matrix, scaled=True))
        encoded = encoding.encode(rows.matrix)
        wide = encoded.shape[1] > WIDE
        solver, steps = ("lbfgs", 500) if wide else ("newton-cholesky", MOST_STEPS)
        settings = {key: value for key, value in params.items() if key != STRONGEST}
        linear = LogisticRegression(**settings, solver=solver, max_iter=steps)
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            linear.fit(encoded, rows.label, rows.weight)
        return Estimator(self.name, LinearModel(linear), columns, encoding)

    def load(self, files: Mapping[str, bytes], width: int) -> LinearModel:
        """Read the weights."""
        return LinearModel(
            load_sklearn(files, LogisticRegression, lambda model: _check_linear(model, width))
        )


def _check_linear(model: LogisticRegression, width: int) -> None:
    fits = (
        model.coef_.shape == (1, width)
        and model.intercept_.shape == (1,)
        and np.array_equal(model.classes_, [0, 1])
    )
    if not fits or not (np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()):
        raise ModelRefused(f"{SKLEARN} holds a model that is not for {width} columns")


FAMILY = Logistic()
