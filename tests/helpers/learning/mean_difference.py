"""A family of models in one file: the weight of a scaled column is the difference between its means
in both classes.

It imports no test, so that it can stand outside of the platform as an installed package.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from alerting.learning.features.plan import Columns, Dense, Encoding
from alerting.learning.models.families.contract import LabelledRows, ModelFamily
from alerting.learning.models.trained import Estimator, ModelRefused

FILE = "weights.json"


@dataclass(frozen=True)
class Weights:
    weights: np.ndarray
    intercept: float
    margin_is_probability: ClassVar[bool] = False

    def margin(self, encoded: np.ndarray, rounds: int | None = None) -> np.ndarray:
        return (encoded * self.weights).sum(axis=1) + self.intercept

    def contributions(self, encoded: np.ndarray) -> tuple[np.ndarray, float]:
        return encoded[0] * self.weights, self.intercept

    def importance(self) -> np.ndarray:
        return np.abs(self.weights)

    def fitted_bytes(self) -> Iterator[bytes]:
        yield np.array([*self.weights, self.intercept]).tobytes()

    def files(self) -> dict[str, bytes]:
        return {FILE: json.dumps([*self.weights.tolist(), self.intercept]).encode()}


class MeanDifference(ModelFamily):
    name = "mean_difference"
    defaults = {"strength": 1.0}  # noqa: RUF012
    alternatives = ({"strength": 0.3},)

    def suggest(self, trial: Any) -> dict[str, Any]:
        return {"strength": trial.suggest_float("strength", 0.1, 3.0)}

    def fit(
        self,
        params: Mapping[str, Any],
        columns: Columns,
        rows: LabelledRows,
        seed: int,
        threads: int = 0,
    ) -> Estimator:
        encoding = Encoding(Dense.fit(columns, rows.matrix, scaled=True))
        encoded = encoding.encode(rows.matrix)
        weight = np.ones(len(rows.label)) if rows.weight is None else rows.weight
        positive = rows.label == 1
        difference = np.average(encoded[positive], axis=0, weights=weight[positive]) - encoded[
            ~positive
        ].mean(axis=0)
        share = weight[positive].sum() / weight.sum()
        model = Weights(params["strength"] * difference, float(np.log(share / (1 - share))))
        return Estimator(self.name, model, columns, encoding)

    def load(self, files: Mapping[str, bytes], width: int) -> Weights:
        try:
            values = np.array(json.loads(files[FILE]), np.float64)
        except (KeyError, ValueError, TypeError, RecursionError) as fault:
            raise ModelRefused(f"{FILE} is damaged: {fault}") from fault
        if values.shape != (width + 1,) or not np.isfinite(values).all():
            raise ModelRefused(f"{FILE} is not of {width} columns")
        return Weights(values[:-1], float(values[-1]))


FAMILY = MeanDifference()
