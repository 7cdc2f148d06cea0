"""A model whose values serve without an alarm: folds, test and evidence."""

import numpy as np

from alerting.definitions.faults import TrainingRefused, UserError
from alerting.definitions.wording.language import translatable
from alerting.detection.problems import BoolArray
from alerting.kinds.forecast.definition import ForecastDefinition
from alerting.kinds.forecast.distribution import MEDIAN, Floats, covered, crps
from alerting.kinds.forecast.explain import forecast_in
from alerting.kinds.forecast.model import Positions
from alerting.kinds.forecast.verification import share_of_samples
from alerting.kinds.protocol.training import Challenger
from alerting.learning.data.dataset import Dataset
from alerting.learning.data.split import walk_forward_folds
from alerting.learning.features.encoding import Columns
from alerting.learning.metrics.bootstrap import time_blocks
from alerting.learning.models.calibration import Platt
from alerting.learning.models.estimator import Estimator
from alerting.learning.models.trained import TrainedModel, model_hash
from alerting.learning.search.candidates import Candidate, Fold, usable_folds
from alerting.learning.selection.challenger import (
    importance_by_source,
    ordinary_ranges,
    training_cutoff,
    usual_values,
)
from alerting.learning.selection.values import ValueEvidence, ValueTest

_NO_ALARM = Platt(1.0, 0.0)


def forecast_folds(dataset: Dataset, number: int) -> tuple[list[Fold], list[str], bool]:
    """Return the walk-forward folds, sentences on those left out, and whether they have problems.

    Those in which warnings can be judged, or, where no fold has any, those with values. Raises
    UserError if no fold has values on both sides.
    """
    try:
        folds, notes = usable_folds(dataset, number)
    except UserError:
        has_value = np.asarray(~np.isnan(dataset.future).all(axis=1))
        found = [
            Fold(place, train, test)
            for place, (train, test) in enumerate(walk_forward_folds(dataset, number), start=1)
            if has_value[train].any() and has_value[test].any()
        ]
        if not found:
            raise TrainingRefused(
                dataset.definition,
                translatable(
                    "no walk-forward fold has values to learn from and values to score; use a "
                    "longer history, or fewer learning.folds"
                ),
            ) from None
        return found, [], False
    return folds, notes, True


def value_challenger(
    dataset: Dataset,
    definition: ForecastDefinition,
    candidate: Candidate,
    estimator: Estimator,
    last: Estimator,
    matrix: Floats,
) -> Challenger:
    """Return the model without an alarm, tested beside `last`, the persistence of its value, on the
    rows of the test period. Both estimators are fitted and calibrated."""
    rows = np.flatnonzero(dataset.measured_in("test") & ~np.isnan(dataset.future).all(axis=1))
    test = _test_values(dataset, definition, estimator, last, matrix, rows)
    used = (dataset.part == "train") | (dataset.part == "validation")
    train: BoolArray = np.asarray(dataset.part == "train")
    ranges, usual_ranges = ordinary_ranges(dataset.plan, dataset.rows, train)
    model = TrainedModel(
        definition=definition.name,
        revision=dataset.revision,
        plan=dataset.plan,
        estimator=estimator,
        calibration=_NO_ALARM,
        threshold=1.0,
        training_cutoff=training_cutoff(dataset, used),
        as_of=dataset.as_of,
        horizon=definition.horizon,
        gap=definition.gap,
        usual=usual_values(dataset.plan, dataset.rows, train),
        ranges=ranges,
        usual_ranges=usual_ranges,
        hash=model_hash(estimator, _NO_ALARM, 1.0, dataset.plan, has_alarm=False),
        params=candidate.params,
        has_alarm=False,
    )
    evidence = ValueEvidence(test, importance_by_source(dataset.plan, estimator), candidate.notes)
    return Challenger(candidate, model, evidence)


def _test_values(
    dataset: Dataset,
    definition: ForecastDefinition,
    estimator: Estimator,
    last: Estimator,
    matrix: Floats,
    rows: Positions,
) -> ValueTest:
    """Compare both on these rows by CRPS, over paired blocks of time (Künsch 1989)."""
    name = str(definition.must_know)
    confidence = definition.promotion.confidence
    if not len(rows):
        none = np.nan
        return ValueTest(name, 0, none, none, none, none, none, None, confidence)
    future = dataset.future[rows]
    own, other = (forecast_in(one).quantiles(matrix, rows) for one in (estimator, last))
    losses = crps(own, future), crps(other, future)
    block = time_blocks(dataset.at[rows], dataset.asset[rows], dataset.gap_ms, dataset.horizon_ms)
    column = Columns.from_plan(dataset.plan).names.index(f"{name}.last")
    known = matrix[rows, column][:, None]
    return ValueTest(
        variable=name,
        values=int((~np.isnan(future)).sum()),
        crps=float(losses[0].mean()),
        last_crps=float(losses[1].mean()),
        error=float(np.nanmean(np.abs(future - own[..., MEDIAN]))),
        last_error=float(np.nanmean(np.abs(future - known))),
        coverage=float(np.nanmean(covered(own, future))),
        share_better=share_of_samples(losses[1] - losses[0], block),
        confidence=confidence,
    )
