"""Learning from few results of a variable that is measured seldom: folds with as many results each,
and the columns that are compared with those at the last results."""

from itertools import pairwise
from typing import Any

import numpy as np

from alerting.learning.data.dataset import Dataset
from alerting.learning.features.plan import AT_RESULTS, RESULTS, FeaturePlan
from alerting.learning.selection.candidates import Fold

_FOLDS = 5


def result_folds(dataset: Dataset) -> list[Fold]:
    """Return folds of the training period with equally many values to score. Each is fitted on all
    values before and after it but those within the purge: results are too few for walk-forward
    folds."""
    train = np.flatnonzero(dataset.part == "train")
    at = dataset.at[train]
    has_value = ~np.isnan(dataset.future[train]).all(axis=1)
    instants = np.sort(at[has_value])
    starts = [block[0] for block in np.array_split(instants, _FOLDS) if len(block)]
    folds = []
    for place, (begin, end) in enumerate(pairwise([*starts, at[-1] + 1]), start=1):
        apart = (at < begin - dataset.purge_ms) | (at >= end + dataset.purge_ms)
        scored = (at >= begin) & (at < end)
        if (apart & has_value).any():
            folds.append(Fold(place, train[apart], train[scored]))
    return folds


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
