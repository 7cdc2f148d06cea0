"""What an estimate between results begins from (the last results, or the level alone) and which
windows it sees: chosen on the folds, the simplest where results are few."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.kinds.forecast.definition import ForecastDefinition
from alerting.kinds.forecast.forecasters import FORECASTERS
from alerting.kinds.forecast.kind import forecast_in
from alerting.kinds.forecast.model import MEDIAN
from alerting.kinds.forecast.training import (
    TRAINING,
    ForecastExperiment,
    calibrated,
    fit_rows,
    forecast_unseen,
)
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.dataset_rows import THINNED
from alerting.learning.data.findings import Finding
from alerting.learning.experiment.experiment import Found
from alerting.learning.experiment.trials import TimeUsed, Trial
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.point_in_time import build_features
from alerting.ports import silent
from alerting.readings.history import History, to_millis
from tests.builders import at

pytestmark = pytest.mark.models

STEP = 10  # minutes
DELAY = 60
VARIABLES = ("heat", "speed", "feed")
LINE = Asset(
    name="line-1",
    variables={name: Variable() for name in VARIABLES}
    | {"quality": Variable(delay=timedelta(minutes=DELAY))},
)


def line(results, memory_h, level, error, response_h, hours=6, seed=0):
    """Return the history of a line with a result every `hours`. `memory_h`: of a level of that
    deviation that nothing shows; `response_h`: of the quality to the process."""
    random = np.random.default_rng(seed)
    rows = (results + 1) * hours * 60 // STEP
    process = remembering(random, rows, np.array([1.0, 4.0, 8.0]))
    shown = remembering(random, rows, np.array([response_h]), process @ [2.0, -1.5, 1.0])[:, 0]
    quality = 50 + shown + level * remembering(random, rows, np.array([memory_h]))[:, 0]
    minutes = STEP * np.arange(rows)
    index = pd.DatetimeIndex([at(int(minute)) for minute in minutes]).as_unit("ms")
    readings = pd.DataFrame(process, index, list(VARIABLES))
    measured = quality + error * random.normal(size=rows)
    readings["quality"] = np.where((minutes % (60 * hours) == 0) & (minutes > 0), measured, np.nan)
    readings.index.name = "ts"
    return History(LINE, readings)


def remembering(random, rows, memory_h, moved=None):
    """Return processes (rows x memories): of unit variance, or the response to what moves them."""
    keep = np.exp(-STEP / 60 / memory_h)
    out = np.zeros((rows, len(memory_h)))
    for i in range(1, rows):
        fresh = np.sqrt(1 - keep**2) * random.normal(size=len(keep))
        out[i] = keep * out[i - 1] + (fresh if moved is None else (1 - keep) * moved[i])
    return out


DEFINITION = ForecastDefinition.model_validate(
    {
        "name": "quality",
        "kind": "forecast",
        "assets": ["line-1"],
        "variable": "quality",
        "horizon": "6h",
        "learning": {"candidates": ["ridge"]},
    }
)


def dataset_of(history, definition=DEFINITION):
    return build_dataset(definition, 1, [history], history.readings.index[-1].to_pydatetime())


def chosen(history):
    """Return the set that the training of a ridge chooses, and the losses of two experiments: of
    this set, and of the simplest one."""
    dataset = dataset_of(history)
    params = TRAINING.train(dataset, DEFINITION, "ridge", silent).params
    experiment = ForecastExperiment(dataset, DEFINITION, "ridge")
    ridge = FORECASTERS["ridge"]
    losses = []
    for one in (params, {**ridge.results[0], **ridge.begins[0]}):
        predicted = [
            experiment.predict(experiment.fit(one, fold), one, fold.test)
            for fold in experiment.folds
        ]
        losses.append(
            np.mean(
                [
                    experiment.loss(values, fold.test)
                    for values, fold in zip(predicted, experiment.folds, strict=True)
                ]
            )
        )
    return params, losses


@pytest.mark.parametrize(
    ("of", "results", "memory_h", "level", "error"),
    [("level", 4, 0.5, 1.0, 0.5), ("difference", 1, 200.0, 6.0, 0.05)],
)
def test_an_estimate_begins_from_what_the_memory_of_the_line_asks_for(
    of, results, memory_h, level, error
):
    params, (best, simplest) = chosen(line(300, memory_h, level, error, 1.0))
    assert (params["of"], params["results"]) == (of, results)
    assert best < 0.95 * simplest


def test_windows_fit_how_quickly_the_quality_follows():
    history = line(300, 0.5, 0.1, 0.1, 0.1)
    plan = dataset_of(history).plan
    assert [window // 60_000 for window in plan.windows_ms] == [50, 150, 350]
    params, (best, simplest) = chosen(history)
    assert params["windows"] in ("short", "last")
    assert best < simplest


@pytest.mark.parametrize(("results", "likely"), [(80, False), (400, True)])
def test_the_simplest_set_stays_unless_another_is_likely_better_and_surely_of_few_results(
    results, likely
):
    dataset = dataset_of(line(results, 60.0, 1.0, 1.0, 1.0))
    experiment = ForecastExperiment(dataset, DEFINITION, "ridge")
    sign = np.random.default_rng(2).choice([-1.0, 1.0], len(dataset.at))

    def predicted(error):
        """Return quantiles whose distance from the values alternates by row as `error` says."""
        apart = 1 + np.linspace(-1, 1, 7)
        return [
            dataset.future[fold.test][..., None] + apart * (1 + error * sign[fold.test, None, None])
            for fold in experiment.folds
        ]

    def is_better(error, lower):
        now = [quantiles - lower for quantiles in predicted(error)]
        return experiment.is_better(0.9, now, found)

    found = Found(best=Trial({}, 0.0, ()), loss=1.0, predicted=predicted(0.0))
    assert is_better(0.0, 0.1)
    assert not is_better(0.0, -0.1)
    assert is_better(0.5, 0.05) == likely


def test_every_begin_has_columns_that_are_known_in_time():
    history = line(60, 60.0, 1.0, 0.3, 1.0)
    plan = dataset_of(history).plan
    assert plan.results_over == (1, 2, 4)
    instant = at(30 * 6 * 60 + DELAY - 1)  # the result of 180 h is known a minute later
    rows = np.array([to_millis(instant) // plan.stride_ms * plan.stride_ms])
    values = history.readings["quality"].dropna()
    known = values[values.index + timedelta(minutes=DELAY) <= instant]
    features = build_features(plan, history, rows).iloc[0]
    for last, end in ((1, ".1"), (2, ".2"), (4, "")):
        name = f"quality.results{end}"
        assert features[name] == pytest.approx(known.iloc[-last:].mean())
    before = history.readings["heat"].shift(1)[known.index]
    for last, end in ((1, ".1"), (2, ".2"), (4, "")):
        expected = before.iloc[-last:].mean()
        assert features[f"heat.last.at_results{end}"] == pytest.approx(expected)


def test_a_plan_of_before_reads_the_same_columns():
    plan = replace(dataset_of(line(60, 60.0, 1.0, 0.3, 1.0)).plan, results_over=(4,))
    document = plan.to_document()
    assert "results_over" not in document
    assert FeaturePlan.from_document(document) == plan
    assert [name for name in plan.columns if ".results" in name] == ["quality.results"]


def test_intervals_are_calibrated_from_the_residuals_of_the_model_that_serves():
    """A fit of fewer rows follows them more closely: shifts from its narrower residuals would make
    the intervals of the whole fit too wide."""
    dataset = dataset_of(line(120, 60.0, 1.0, 1.0, 1.0))
    train = np.asarray(dataset.part == "train")
    candidate = TRAINING.train(dataset, DEFINITION, "ridge", silent)
    fitted = fit_rows(dataset, candidate, DEFINITION, train)
    [spread] = forecast_in(fitted).core.spread
    unseen = forecast_unseen(dataset, candidate, DEFINITION, train, fitted, has_alarm=False)
    widths = np.ptp(unseen.quantiles[:, 0], axis=1)
    assert widths == pytest.approx(np.ptp(spread))
    rows = np.flatnonzero(dataset.measured_in("validation") & dataset.has_future)
    validation = forecast_in(fitted).quantiles(dataset.matrix, rows)
    medians = np.concatenate([unseen.quantiles, validation])[:, 0, MEDIAN]
    values = np.concatenate([unseen.values, dataset.future[rows]])[:, 0]
    low, high = np.quantile(values - medians, [0.05, 0.95])
    served = forecast_in(calibrated(fitted, dataset, unseen)).quantiles(dataset.matrix[:1])
    assert np.ptp(served[0, 0]) == pytest.approx(high - low, rel=0.1)


def trained(dataset):
    families = ("persistence", "mean", "ridge")
    return [TRAINING.train(dataset, DEFINITION, family, silent) for family in families]


def test_values_without_an_alarm_have_the_intervals_of_values_alone():
    """A limit that is never crossed gives no alarm."""
    document = DEFINITION.model_dump(exclude={"variable"}, exclude_unset=True)
    document |= {"problem": {"variable": "quality", "above": 1000}}
    limited = ForecastDefinition.model_validate(document)
    dataset = dataset_of(line(120, 60.0, 1.0, 1.0, 1.0), limited)
    candidates = trained(dataset)
    plain, guarded = (
        TRAINING.choose(dataset, definition, candidates)[1].model
        for definition in (DEFINITION, limited)
    )
    assert not guarded.has_alarm
    assert forecast_in(guarded.estimator).shifts == forecast_in(plain.estimator).shifts


def test_a_refit_on_thinned_rows_learns_from_every_result():
    dataset = dataset_of(line(120, 60.0, 1.0, 1.0, 1.0))
    twin = TRAINING.choose(dataset, DEFINITION, trained(dataset))[1].model
    finding = Finding(THINNED, None, 7.0, "left out", "every 7. instant")
    thinned = replace(dataset, findings=(*dataset.findings, finding))
    learned, whole = (
        forecast_in(TRAINING.refit(one, twin, DEFINITION).refit.estimator)
        for one in (thinned, dataset)
    )
    assert learned == whole


def test_the_set_of_a_champion_of_before_is_tried_as_it_was(monkeypatch):
    tried = []
    ridge = FORECASTERS["ridge"]

    def fit(params, *rest):
        tried.append(params)
        return ridge.fit(params, *rest)

    monkeypatch.setitem(FORECASTERS, "ridge", replace(ridge, fit=fit))
    dataset = dataset_of(line(60, 60.0, 1.0, 0.3, 1.0))
    before = {"of": "difference", "penalty": 0.7}
    TRAINING.train(dataset, DEFINITION, "ridge", silent, before)
    assert {**before, "results": 4, "windows": "all"} in tried


def test_rows_without_a_result_are_thinned_and_make_no_stride_longer(monkeypatch):
    history = line(200, 60.0, 1.0, 1.0, 1.0)
    whole = dataset_of(history)
    monkeypatch.setattr("alerting.learning.data.dataset.MOST_ROWS", 500)
    monkeypatch.setattr("alerting.learning.features.planning.MOST_ROWS", 500)
    thinned = dataset_of(history)
    assert thinned.plan.stride_ms == whole.plan.stride_ms == STEP * 60_000
    assert thinned.has_future.sum() == whole.has_future.sum()
    assert thinned.observed == whole.observed
    assert len(thinned.at) <= 500 < len(whole.at)


def test_the_search_of_a_begin_and_that_of_a_set_share_one_ceiling():
    budget = DEFINITION.learning.time_budget.total_seconds()
    reads = count()

    def read_time():
        """Take an eighteenth of the budget for each trial: there are sixteen begins."""
        return TimeUsed(next(reads) * budget / 18, 0.0)

    dataset = dataset_of(line(60, 60.0, 1.0, 0.3, 1.0))
    candidate = TRAINING.train(dataset, DEFINITION, "ridge", silent, read_time=read_time)
    assert any("after 1 of 4 trials" in note for note in candidate.notes)
