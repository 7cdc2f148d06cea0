"""Learning from few results of a variable that is measured seldom: folds with as many results each,
and the columns that are compared with those at the last results."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from alerting.kinds.forecast.kind import forecast_in
from alerting.kinds.forecast.model import QUANTILES
from alerting.kinds.forecast.verification import ForecastsAndValues
from alerting.learning.data.dataset import Dataset
from alerting.learning.features.plan import AT_RESULTS, RESULTS, FeaturePlan
from alerting.learning.models.trained import Estimator
from alerting.learning.selection.candidates import Fold
from alerting.readings.history import BoolArray, Floats

CHOICE_FOLDS = 5
INTERVAL_FOLDS = 10  # fits on nearly all results, so that intervals are hardly too wide


def result_folds(dataset: Dataset, chosen: BoolArray, number: int = CHOICE_FOLDS) -> list[Fold]:
    """Return folds of the chosen rows with equally many values to score. Each is fitted on all
    values before and after it but those within the purge: results are too few for walk-forward
    folds."""
    train = np.flatnonzero(chosen)
    at = dataset.at[train]
    has_value = ~np.isnan(dataset.future[train]).all(axis=1)
    instants = np.sort(at[has_value])
    starts = sorted({block[0] for block in np.array_split(instants, number) if len(block)})
    folds = []
    for place, (begin, end) in enumerate(pairwise([*starts, at.max(initial=0) + 1]), start=1):
        apart = (at < begin - dataset.purge_ms) | (at >= end + dataset.purge_ms)
        scored = (at >= begin) & (at < end)
        scored &= dataset.label[train] == dataset.label_by_data[train]  # answers come to some only
        if (apart & has_value).any():
            folds.append(Fold(place, train[apart], train[scored]))
    return folds


def forecast_unseen(
    dataset: Dataset, chosen: BoolArray, matrix: Floats, fit: Callable[[BoolArray], Estimator]
) -> ForecastsAndValues:
    """Return the values of each fold of the chosen rows beside the forecasts of a fit without
    them."""
    parts = []
    for fold in result_folds(dataset, chosen, INTERVAL_FOLDS):
        used = np.zeros(len(dataset.at), np.bool_)
        used[fold.train] = True
        rows = fold.test[~np.isnan(dataset.future[fold.test]).all(axis=1)]
        quantiles = forecast_in(fit(used)).quantiles(matrix, rows)
        parts.append(ForecastsAndValues(quantiles, dataset.future[rows]))
    if not parts:
        values = dataset.future[:0]
        return ForecastsAndValues(np.empty((0, values.shape[1], len(QUANTILES))), values)
    return ForecastsAndValues(*map(np.concatenate, zip(*parts, strict=True)))


def compare_with_results(plan: FeaturePlan, names: tuple[str, ...]) -> dict[str, Any]:
    """Return anchor and pairs of columns of a task whose rows are compared with the last
    results."""
    if not plan.results_of:
        return {}
    anchor = names.index(f"{plan.results_of}{RESULTS}")
    pairs = [
        (names.index(name.removesuffix(AT_RESULTS)), position)
        for position, name in enumerate(names)
        if name.endswith(AT_RESULTS)
    ]
    results = [i for i, name in enumerate(names) if plan.source_of(name) == plan.results_of]
    pairs += [(position, anchor) for position in results if position != anchor]
    return {"anchor": anchor, "moved": tuple(pairs)}
