"""Quantile regression by LightGBM: a booster for each quantile of the same rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from alerting.deferred import lightgbm
from alerting.learning.models.families.lightgbm import trees_text
from alerting.learning.models.trained import threads_for
from alerting.readings.history import Floats

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix, csr_matrix

PACKAGES = ("lightgbm",)
Positions = npt.NDArray[np.int32]


@dataclass(frozen=True)
class QuantileTrees:
    """Fitted boosters, in the order of the quantiles."""

    boosters: tuple[lightgbm.Booster, ...]

    @cached_property
    def columns(self) -> Positions:
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
        shares = np.asarray(
            self.boosters[number].predict(row, num_threads=1, pred_contrib=True), np.float64
        )[0]
        return shares[:-1], float(shares[-1])

    def importance(self, number: int) -> Floats:
        """Return the gain of each column for one quantile."""
        return np.asarray(self.boosters[number].feature_importance("gain"), np.float64)

    def files(self) -> dict[str, bytes]:
        """Return one text file for each booster."""
        return {
            f"model-{number}.txt": trees_text(booster).encode()
            for number, booster in enumerate(self.boosters)
        }


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
        tuple(lightgbm.train({**settings, "alpha": level}, data, rounds) for level in levels)
    )


class StoredQuantileTrees(QuantileTrees):
    """`QuantileTrees` from texts that LightGBM reads at the first use."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        object.__setattr__(self, "_texts", tuple(texts))

    @cached_property
    def boosters(self) -> tuple[lightgbm.Booster, ...]:
        """Return the boosters."""
        texts: tuple[bytes, ...] = self.__dict__["_texts"]
        return tuple(lightgbm.Booster(model_str=text.decode("ascii")) for text in texts)
