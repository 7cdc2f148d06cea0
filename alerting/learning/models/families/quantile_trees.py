"""Quantile regression by LightGBM: a booster for each quantile of the same rows."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from alerting.deferred import lightgbm
from alerting.learning.models.families.lightgbm import BoosterMean, Boosters
from alerting.learning.models.trained import threads_for
from alerting.readings.history import Floats

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix, csr_matrix

PACKAGES = ("lightgbm",)


class QuantileTrees(Boosters):
    """Boosters in the order of the quantiles."""

    @cached_property
    def columns(self) -> npt.NDArray[np.int32]:
        """Return the positions of the columns that any tree uses."""
        splits = [booster.feature_importance("split") for booster in self.boosters]
        return np.flatnonzero(np.any(splits, axis=0)).astype(np.int32)

    def predict(self, rows: "Floats | csr_matrix") -> Floats:
        """Return the quantiles of each row (rows x quantiles)."""
        threads = threads_for(rows)
        return np.column_stack(
            [b.predict(rows, num_threads=threads, raw_score=True) for b in self.boosters]
        )

    def contributions(self, row: Floats, number: int) -> tuple[Floats, float]:
        """Return each column's Tree SHAP value for one quantile, and the expected value."""
        return BoosterMean([self.boosters[number]]).contributions(row)

    def importance(self, number: int) -> Floats:
        """Return the gain of each column for one quantile."""
        return BoosterMean([self.boosters[number]]).importance()


def fit_quantiles(
    params: Mapping[str, Any],
    rows: "csc_matrix",
    target: Floats,
    categorical: Sequence[int],
    levels: Sequence[float],
    rounds: int,
    seed: int,
) -> QuantileTrees:
    """Fit a booster for each level, on one thread: the same arguments, the same trees."""
    data = lightgbm.Dataset(
        rows,
        target,
        categorical_feature=list(categorical),
        params={"verbosity": -1},
        feature_name=[f"c{i}" for i in range(rows.shape[1])],
        free_raw_data=False,
    )
    settings = {
        **params,
        "objective": "quantile",
        "verbosity": -1,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,
        "bagging_freq": 1,
        "bagging_fraction": 0.7,
    }
    return QuantileTrees(
        [lightgbm.train({**settings, "alpha": level}, data, rounds) for level in levels]
    )
