"""The folds of a forecast; and learning from few results of a variable that is measured seldom:
folds with as many results each, the columns that are compared with those at the last results, and
the alarm that its problems cannot set."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from alerting.definitions.faults import TrainingRefused, UserError
from alerting.definitions.wording.language import translatable
from alerting.kinds.forecast.definition import ForecastDefinition
from alerting.kinds.forecast.kind import forecast_in
from alerting.kinds.forecast.model import QUANTILES
from alerting.kinds.forecast.verification import ForecastsAndValues
from alerting.learning.data.dataset import Dataset
from alerting.learning.data.dataset_rows import walk_forward_folds
from alerting.learning.features.plan import AT_RESULTS, RESULTS, FeaturePlan
from alerting.learning.models.trained import Estimator
from alerting.learning.selection.candidates import Fold, usable_folds
from alerting.learning.selection.choice import LEAST_PROBLEMS, ChanceTest
from alerting.readings.history import BoolArray, Floats

CHOICE_FOLDS = 5
INTERVAL_FOLDS = 10  # fits on nearly all results, so that intervals are hardly too wide


class ForecastFolds(NamedTuple):
    """The folds by whose values a candidate is chosen, and those in which its warnings are tested:
    walk-forward, and empty where none has problems. `notes`: on the folds left out."""

    values: list[Fold]
    warnings: list[Fold]
    notes: list[str]


def forecast_folds(dataset: Dataset, definition: ForecastDefinition) -> ForecastFolds:
    """Return the folds of a training: the walk-forward folds in which warnings can be tested, or,
    if there are none, those with values. A value that is estimated between its results is chosen by
    the folds of `result_folds`.

    Raises UserError if no fold has values on both sides.
    """
    number = definition.learning.folds
    warnings = list[Fold]()
    notes = list[str]()
    if definition.has_alarm:
        with suppress(UserError):
            warnings, notes = usable_folds(dataset, number)
    if dataset.plan.results_of:
        values = result_folds(dataset, np.asarray(dataset.part == "train"))
    else:
        has_value = np.asarray(~np.isnan(dataset.future).all(axis=1))
        values = warnings or [
            Fold(place, train, test)
            for place, (train, test) in enumerate(walk_forward_folds(dataset, number), start=1)
            if has_value[train].any() and has_value[test].any()
        ]
    if not values:
        raise TrainingRefused(
            dataset.definition,
            translatable(
                "no walk-forward fold has values to learn from and values to score; use a longer "
                "history, or fewer learning.folds"
            ),
        )
    return ForecastFolds(values, warnings, notes)


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


@dataclass(frozen=True)
class NoThreshold(ChanceTest):
    """The test of warnings that exceed chance, while the `problems` of the validation period set no
    threshold: they are too few, or it finds none of them. It is not passed."""

    @property
    def passed(self) -> bool:
        return False

    @property
    def message(self) -> str:
        if self.problems < LEAST_PROBLEMS:
            return (
                f"Too few problems to set a threshold: {self.problems} in the validation period, "
                f"{LEAST_PROBLEMS} are needed."
            )
        return f"Its threshold finds none of the {self.problems} problems in the validation period."

    @property
    def reason(self) -> str:
        return self.message


def without_threshold(chance: ChanceTest, problems: int) -> NoThreshold:
    """Return the test with the number of problems in the validation period, not passed."""
    return NoThreshold(chance.ap, chance.bound, chance.trials, problems, share=chance.share)
