"""The folds of a forecast; and learning from few results of a variable that is measured seldom:
folds with as many results each, the columns that are compared with those at the last results, and
the alarm that its problems cannot set."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from alerting.definitions.faults import TrainingRefused, UserError
from alerting.definitions.wording.language import translatable
from alerting.kinds.forecast.definition import ForecastDefinition
from alerting.kinds.forecast.forecasters import Anchor
from alerting.learning.data.dataset import Dataset
from alerting.learning.experiment.folds import Fold, cut_by_results, folds_among
from alerting.learning.features.plan import AT_RESULTS, Column, FeaturePlan, over_results
from alerting.learning.selection.candidates import usable_folds, walk_forward_folds
from alerting.learning.selection.choice import LEAST_PROBLEMS, ChanceTest
from alerting.learning.selection.decision_rules import Objection, explain
from alerting.readings.history import BoolArray

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
    has_value = dataset.has_future
    if dataset.plan.results_of:
        values = result_folds(dataset, np.asarray(dataset.part == "train"), CHOICE_FOLDS)
    else:
        values = warnings or [
            fold
            for fold in walk_forward_folds(dataset, number)
            if has_value[fold.train].any() and has_value[fold.test].any()
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


def result_folds(dataset: Dataset, chosen: BoolArray, number: int) -> list[Fold]:
    """Return folds of the chosen rows with equally many values to score (`cut_by_results`), whose
    rows alone are scored; but none whose label an answer states, because answers come to some."""
    rows = np.flatnonzero(chosen)
    is_scored = dataset.has_future & (dataset.label == dataset.label_by_data)
    folds = cut_by_results(dataset.at[rows], dataset.has_future[rows], dataset.purge_ms, number)
    return [replace(f, test=f.test[is_scored[f.test]]) for f in folds_among(rows, folds)]


def compare_with_results(plan: FeaturePlan, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what an estimate between results may begin from, by the number of results, and the
    columns that it may see, by the choice of its windows; empty for any other value."""
    if not plan.results_of:
        return {}
    of_anchor = over_results(plan.results_over[-1], AT_RESULTS)
    process = [c for c in plan.of_process.layout if f"{c.name}{of_anchor}" in names]
    results = [i for i, c in enumerate(plan.layout) if c.source == plan.results_of]
    anchors = {}
    for count in plan.results_over:
        anchor = names.index(f"{plan.results_of}{over_results(count)}")
        suffix = over_results(count, AT_RESULTS)
        pairs = [(names.index(c.name), names.index(f"{c.name}{suffix}")) for c in process]
        pairs += [(position, anchor) for position in results if position != anchor]
        anchors[count] = Anchor(anchor, tuple(pairs))
    half = plan.windows_ms[(len(plan.windows_ms) - 1) // 2]
    unseen: dict[str, Callable[[Column], bool]] = {
        "all": lambda _: False,
        "long": lambda column: column.aggregation == "last" or (column.window_ms or 0) <= half,
        "short": lambda column: column.aggregation != "last" and (column.window_ms or 0) > half,
        "last": lambda column: column.aggregation != "last",
    }
    beside = [c.name for c in plan.layout if c.aggregation in ("results", "at_results")]
    windows = {}
    for choice, is_unseen in unseen.items():
        left_out = {*beside, *(c.name for c in process if is_unseen(c))}
        windows[choice] = tuple(i for i, name in enumerate(names) if name not in left_out)
    return {"anchors": anchors, "windows": windows}


@dataclass(frozen=True)
class NoThreshold(ChanceTest):
    """The test of warnings that exceed chance, while the `problems` of the validation period set no
    threshold: they are too few, or it finds none of them. It is not passed."""

    @property
    def passed(self) -> bool:
        return False

    @property
    def objection(self) -> Objection:
        return "too_few_for_threshold" if self.problems < LEAST_PROBLEMS else "threshold_finds_none"

    @property
    def message(self) -> str:
        return explain(self.objection, **self.values)


def without_threshold(chance: ChanceTest, problems: int) -> NoThreshold:
    """Return the test with the number of problems in the validation period, not passed."""
    return NoThreshold(chance.ap, chance.bound, chance.trials, problems, share=chance.share)
