"""The model whose values serve without an alarm, beside the last known value and the mean."""

from collections.abc import Sequence

import numpy as np

from alerting.kinds.forecast.definition import ForecastDefinition
from alerting.kinds.forecast.kind import forecast_in
from alerting.kinds.forecast.model import HIGHEST, LOWEST, MEDIAN, Floats, covered, crps
from alerting.kinds.forecast.verification import share_of_samples
from alerting.kinds.training_protocol import Challenger
from alerting.learning.data.dataset import Dataset
from alerting.learning.features.plan import Columns
from alerting.learning.models.trained import Estimator, Platt, TrainedModel, model_hash
from alerting.learning.predicted_and_measured import (
    LEAST_SAMPLES,
    explained_share,
    is_constant,
)
from alerting.learning.selection.candidates import Candidate
from alerting.learning.selection.challenger import (
    importance_by_source,
    ordinary_ranges,
    training_cutoff,
    usual_values,
)
from alerting.learning.selection.choice import name_family
from alerting.learning.selection.value_test import ValueEvidence, ValueTest
from alerting.readings.history import BoolArray

_NO_ALARM = Platt(1.0, 0.0)


def value_challenger(
    dataset: Dataset,
    definition: ForecastDefinition,
    candidate: Candidate,
    estimator: Estimator,
    baselines: Sequence[Estimator],
    matrix: Floats,
    tests: int = 1,
) -> Challenger:
    """Return the model without an alarm, compared on the test period with the last known value and
    the mean (`baselines`). All estimators are fitted and calibrated. `tests`: number of models that
    were tested on this period, with this one; each further one must be better in more samples."""
    test = _test_values(dataset, definition, estimator, baselines, matrix, tests)
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
    evidence = ValueEvidence(
        test,
        importance_by_source(dataset.plan, estimator),
        candidate.notes,
        candidate.statistics,
    )
    return Challenger(candidate, model, evidence)


def fails_value_test(challenger: Challenger) -> bool:
    """Return whether the unseen values are enough to tell, and the predicted ones not better."""
    test = challenger.evidence.test if isinstance(challenger.evidence, ValueEvidence) else None
    return test is not None and test.least_share is not None and not test.passed


def _test_values(
    dataset: Dataset,
    definition: ForecastDefinition,
    estimator: Estimator,
    baselines: Sequence[Estimator],
    matrix: Floats,
    tests: int,
) -> ValueTest:
    """Compare the forecaster with the last known value and the mean on the test period by CRPS,
    over paired blocks of time (Künsch 1989)."""
    rows = np.flatnonzero(dataset.measured_in("test") & dataset.has_future)
    future = dataset.future[rows]
    quantiles = forecast_in(estimator).quantiles(matrix, rows)
    median = quantiles[..., MEDIAN]
    losses = [crps(forecast_in(baseline).quantiles(matrix, rows), future) for baseline in baselines]
    loss = crps(quantiles, future)
    block = dataset.time_blocks(rows)
    column = Columns.from_plan(dataset.plan).names.index(f"{definition.must_know}.last")
    mean = forecast_in(baselines[1]).quantiles(matrix, rows)[..., MEDIAN]
    is_known = ~np.isnan(future)
    own_mean = np.nanmean(future, axis=0) if len(rows) else future
    gain = np.nanmean((future - own_mean) ** 2 - (future - median) ** 2, axis=1)
    shares = [share_of_samples(more, block) for more in (*(b - loss for b in losses), gain)]
    return ValueTest(
        variable=str(definition.must_know),
        values=len(rows),
        crps=_figure(loss),
        last_crps=_figure(losses[0]),
        error=_figure(np.abs(future - median)),
        last_error=_figure(np.abs(future - matrix[rows, column][:, None])),
        coverage=_figure(covered(quantiles, future)),
        share_better=shares[0],
        confidence=1 - (1 - definition.promotion.confidence) / tests,
        mean_crps=_figure(losses[1]),
        mean_error=_figure(np.abs(future - mean)),
        better_than_mean=shares[1],
        explained=explained_share(
            future[is_known], median[is_known], np.broadcast_to(own_mean, future.shape)[is_known]
        ),
        share_explained=shares[2] if len(rows) >= LEAST_SAMPLES else None,
        is_constant=is_constant(future[is_known], median[is_known]),
        width=_figure(quantiles[..., HIGHEST] - quantiles[..., LOWEST]),
        all_values=int(dataset.has_future.sum()),
        title=name_family(estimator.family),
    )


def _figure(values: Floats) -> float:
    return mean_of(values) if values.size else float("nan")


def mean_of(values: Floats) -> float:
    """Return the mean of the values that are not missing, in their unit; 0 without any."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else 0.0
