"""Logistic regression: weights of scaled columns."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import skops.io
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from skops.io.exceptions import UntrustedTypesFoundException
from threadpoolctl import threadpool_limits

from alerting.learning.features.plan import Columns, Dense, Encoding
from alerting.learning.models.families.contract import (
    STRONGEST,
    LabelledRows,
    ModelFamily,
    Params,
)
from alerting.learning.models.trained import ALL_THREADS, Estimator, ModelRefused, WeightedSum
from alerting.readings.history import Floats

if TYPE_CHECKING:
    import optuna

SKLEARN = "model.skops"
# beyond skops' own; the types that a file itself asks for are never added
TRUSTED_TYPES: list[str] = []
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

    @property
    def formula(self) -> WeightedSum:
        """Return the weights and the intercept."""
        return WeightedSum(
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
        return {SKLEARN: bytes(skops.io.dumps(self.fitted))}


class Logistic(ModelFamily):
    """Logistic regression, L2: by Newton's method, or L-BFGS for thousands of columns."""

    name = "logistic_regression"
    packages = ("scikit-learn", "skops")
    defaults = {"C": 0.01, "class_weight": None, STRONGEST: 0}  # noqa: RUF012
    of_lives = {"C": 0.1}  # noqa: RUF012
    alternatives = (
        # one cause among many variables, and few problems: the other columns only add noise
        {"C": 0.001, STRONGEST: FEW_COLUMNS},
        {"class_weight": "balanced"},
    )

    def suggest(self, trial: "optuna.Trial") -> Params:
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
        """Read the weights, without running code from the file. Raises ModelRefused if it holds no
        such weights, or other things."""
        try:
            fitted = skops.io.loads(files.get(SKLEARN, b""), trusted=TRUSTED_TYPES)
        except UntrustedTypesFoundException as fault:
            raise ModelRefused(
                f"{SKLEARN} names untrusted types and was not loaded: {fault}"
            ) from fault
        except Exception as fault:  # a forged file can make it fail in any way
            raise ModelRefused(
                f"model files without a readable {SKLEARN}; train the model again"
            ) from fault
        if type(fitted) is not LogisticRegression or getattr(
            fitted, "coef_", np.empty(0)
        ).shape != (1, width):
            raise ModelRefused(f"{SKLEARN} holds no model for {width} columns")
        return LinearModel(fitted)


FAMILY = Logistic()
