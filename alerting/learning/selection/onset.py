"""Whether there is anything to forecast: the candidates against chance on rows at which the problem
is not there yet, and the alert at the limit that is proposed where there is nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import yaml

from alerting.definitions.durations import format_duration
from alerting.definitions.fields.names import NAME_LENGTH
from alerting.definitions.model import TrainedDefinition
from alerting.detection.occurrences import Occurrences
from alerting.detection.problems import BoolArray
from alerting.learning.data.dataset import Dataset
from alerting.learning.metrics.metrics import row_metrics
from alerting.learning.search.candidates import Candidate, Fold, usable_folds
from alerting.learning.search.chance import ShiftedLabels

_SUFFIX = "-at-limit"
_SAME_FIELDS = ("assets", "severity", "owner", "tags", "guidance", "suppression", "notify")
_OF_CONDITION = ("variable", "above", "below", "equals", "any", "all")


@dataclass(frozen=True)
class OnsetTest:
    """Test of the candidates on the rows at which the problem is not there yet.

    `ap`: the best average precision out of fold there; `bound`: the quantile of the maximum over
    the candidates on shifted labels; `problems`: in these rows. `alert`: the definition of a
    threshold, as YAML, for a problem by values; else empty.
    """

    ap: float
    bound: float
    problems: int
    alert: str = ""

    @property
    def passed(self) -> bool:
        """Return whether something can be forecast."""
        return self.ap > self.bound

    @property
    def message(self) -> str:
        """Describe the failed test in a sentence."""
        return (
            "There is nothing to forecast here: on the rows at which the problem is not there yet, "
            f"the best average precision out of fold, {self.ap:.3f}, does not exceed what chance "
            f"reaches in 1 of 40 cases, {self.bound:.3f}."
        )


def find_present(dataset: Dataset) -> BoolArray:
    """Return at which rows the problem's condition is known to hold: its variable is beyond its
    limit, or a problem is under way."""
    present = np.zeros(len(dataset.at), np.bool_)
    for name, own in dataset.occurrences.groupby("asset", sort=False):
        rows = np.flatnonzero(dataset.asset == name)
        present[rows] = Occurrences.from_columns(own.sort_values("start")).hold_at(dataset.at[rows])
    return present


def evaluate_onset(
    dataset: Dataset,
    definition: TrainedDefinition,
    candidates: Sequence[Candidate],
    least_problems: int,
    quantile: float,
) -> OnsetTest | None:
    """Test the candidates on the rows of the folds at which the problem is not there yet; None
    where these are all rows, or hold too few problems to tell, and of the unit just made."""
    folds, _ = usable_folds(dataset, definition.learning.folds)
    present = find_present(dataset)
    if definition.is_of_unit or not any(present[fold.test].any() for fold in folds):
        return None
    ahead = [replace(fold, test=fold.test[~present[fold.test]]) for fold in folds]
    ahead = [fold for fold in ahead if _has_both_classes(dataset, fold)]
    shifted = ShiftedLabels(dataset, ahead, definition.learning.seed)
    if shifted.problems < least_problems:
        return None
    chance = [shifted.evaluate([one.oof[rows] for rows in shifted.rows]) for one in candidates]
    return OnsetTest(
        ap=max(_mean_average_precision(dataset, shifted, one) for one in candidates),
        bound=float(np.quantile(np.max(chance, axis=0), quantile)),
        problems=shifted.problems,
        alert=threshold_alert(definition),
    )


def _has_both_classes(dataset: Dataset, fold: Fold) -> bool:
    label = dataset.label[fold.test]
    return bool(0 < label.sum() < len(label))


def _mean_average_precision(dataset: Dataset, shifted: ShiftedLabels, one: Candidate) -> float:
    found = [row_metrics(dataset.label[rows], one.oof[rows])["ap"] for rows in shifted.rows]
    return float(np.mean([ap or 0.0 for ap in found]))


def threshold_alert(definition: TrainedDefinition) -> str:
    """Return the definition of a threshold that raises where the problem of a trained definition
    begins, as YAML; empty for a problem by events."""
    problem = definition.problem
    if problem.event is not None:
        return ""
    written = definition.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, include=set(_SAME_FIELDS)
    )
    of_problem = problem.model_dump(mode="json", by_alias=True, exclude_none=True)
    document: dict[str, Any] = {
        "name": definition.name[: NAME_LENGTH - len(_SUFFIX)] + _SUFFIX,
        "kind": "threshold",
        **written,
        **{name: of_problem[name] for name in _OF_CONDITION if name in of_problem},
    }
    if problem.clear is not None and problem.above is not None:
        document["clear_above_at"] = problem.clear_limits.above
    if problem.clear is not None and problem.below is not None:
        document["clear_below_at"] = problem.clear_limits.below
    if problem.hold:
        document["for"] = format_duration(problem.hold)
    if problem.merge_within:
        document["clear_for"] = format_duration(problem.merge_within)
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 20))
