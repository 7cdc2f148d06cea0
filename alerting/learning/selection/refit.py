"""The refit of a model: its parameters fitted on all mature rows, and whether it is worse than its
twin."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from alerting.definitions.model import TrainedDefinition
from alerting.learning.data.dataset import Dataset
from alerting.learning.data.row_limit import THINNED
from alerting.learning.models.trained import (
    Estimator,
    TrainedModel,
    model_hash,
    sample_normal,
    take_levels,
)
from alerting.learning.selection.challenger import (
    fit_rows,
    ordinary_ranges,
    training_cutoff,
    usual_values,
)
from alerting.learning.selection.decision_table import PromotionDecision
from alerting.learning.selection.promotion import ActedWindow, IntervalsByAsset, compare
from alerting.readings.history import History


def refit(
    dataset: Dataset,
    twin: TrainedModel,
    definition: TrainedDefinition,
    fit: Callable[..., Estimator] = fit_rows,
) -> TrainedModel | None:
    """Return the twin with its parameters fitted on all mature rows of the dataset, which has the
    twin's plan, as its refit.

    `fit`: of the kind, with the arguments of `fit_rows`. Plan, calibration and threshold are the
    twin's. None if the dataset reaches no further than what the model has learned from.
    """
    every = next(
        (int(finding.value or 1) for finding in dataset.findings if finding.kind == THINNED), 1
    )
    rows = np.asarray(dataset.fit & (dataset.at // dataset.plan.stride_ms % every == 0), np.bool_)
    # a problem known at once ends the label of a row early
    cutoff = min(training_cutoff(dataset, rows), dataset.as_of)
    if cutoff <= (twin.refit or twin).training_cutoff:
        return None
    matrix = dataset.matrix
    estimator = fit(dataset, twin, definition, matrix, rows, dataset.label)
    ranges, usual_ranges = ordinary_ranges(dataset.plan, dataset.rows, rows)
    fitted = replace(
        twin,
        revision=dataset.revision,
        estimator=estimator,
        training_cutoff=cutoff,
        as_of=dataset.as_of,
        usual=usual_values(dataset.plan, dataset.rows, rows),
        ranges=ranges,
        usual_ranges=usual_ranges,
        hash=model_hash(
            estimator, twin.calibration, twin.threshold, twin.plan, has_alarm=twin.has_alarm
        ),
        refit=None,
        normal=sample_normal(
            dataset.plan,
            take_levels(dataset.plan, dataset.rows, rows),
            dataset.label[rows],
            definition.learning.seed,
        ),
        effects=dataset.effects,
    )
    return replace(twin, refit=fitted)


def compare_with_twin(
    definition: TrainedDefinition,
    twin: TrainedModel,
    histories: Sequence[History],
    excluded: Sequence[ActedWindow],
    as_of: datetime,
    suppressed: IntervalsByAsset,
) -> PromotionDecision | None:
    """Return the decision that a refit gives way to its twin; None while it is not worse beyond
    chance, or that is unknown.

    By the rules of `compare`, with the twin in the part of the challenger: enough problems since
    the refit's training cutoff, and the twin better in enough samples.
    """
    if twin.refit is None:
        return None
    found = compare(
        definition,
        twin,
        twin.refit,
        histories,
        excluded,
        as_of,
        definition.learning.seed,
        suppressed,
    )
    if not found.promote:
        return None
    counted = found.evidence["acted_left_out"]
    window = found.evidence["window"]
    evidence = {
        "window": window,
        "events": found.evidence["events"],
        "twin_ap": counted["challenger_ap"],
        "refit_ap": counted["champion_ap"],
        "share_better": counted["share_better"],
        "samples": counted["samples"],
    }
    reason = (
        f"The refit gives way to its twin, which serves from now on: since {window['start']} the "
        "twin's average precision is "
        f"{evidence['twin_ap']:.3f}, the refit's {evidence['refit_ap']:.3f}, over "
        f"{evidence['events']} problems; "
        f"the twin is better in {evidence['share_better']:.0%} of {evidence['samples']} samples "
        f"({definition.promotion.confidence:.0%} needed)."
    )
    return PromotionDecision(verdict="gave_way", reason=reason, evidence=evidence)
