"""Trials that raise an exception: the training goes on with what is left, and says what failed;
with nothing left it is refused, and why."""

from dataclasses import replace

import pytest

from alerting.definitions.faults import TrainingRefused
from alerting.kinds.classifier import training as classifier
from alerting.kinds.forecast import training as forecast
from alerting.kinds.forecast.forecasters import FORECASTERS, LEVEL
from alerting.learning.models.families.contract import get_family
from alerting.reporting.definition.decision_text import decision_markdown, result_lines
from alerting.usecases.model_registry import load_model
from tests.builders import too_moist
from tests.helpers.learning.training import oven_platform, train_document

pytestmark = pytest.mark.models
LEARNING = {"trials": 2, "folds": 2, "candidates": ["random_forest", "logistic_regression"]}
FEATURES = {"stride": "5m", "windows": ["15m", "30m", "1h"]}
FAULT = "ValueError: Input X contains infinity"


def break_fits(monkeypatch, *families):
    def fail(*_):
        raise ValueError("Input X contains infinity")

    for family in families:
        monkeypatch.setattr(type(get_family(family)), "fit", fail)


def test_a_family_that_fails_is_left_out_with_its_reason_and_the_others_are_compared(monkeypatch):
    break_fits(monkeypatch, "random_forest")
    platform = oven_platform()
    result = train_document(platform, too_moist(learning=LEARNING, features=FEATURES))
    assert result.promote
    assert [one.family for one in result.leaderboard] == ["persistence", "logistic_regression"]
    sentence = f"random_forest is left out: 2 of 2 trials failed: {FAULT}"
    assert result.failures == (sentence,)
    assert sentence in result_lines(result)
    assert f"R{sentence[1:]}." in decision_markdown(result)


def test_a_training_of_which_every_family_fails_is_refused_with_the_reasons(monkeypatch):
    break_fits(monkeypatch, "random_forest", "logistic_regression", "persistence")
    platform = oven_platform()
    with pytest.raises(TrainingRefused) as refused:
        train_document(platform, too_moist(learning=LEARNING, features=FEATURES))
    assert refused.value.reason == (
        f"no model can be compared: persistence: 1 of 1 trial failed: {FAULT}; random_forest: 2 "
        f"of 2 trials failed: {FAULT}; logistic_regression: 2 of 2 trials failed: {FAULT}"
    )
    [training] = platform.trainings.for_definitions(["too-moist"])
    assert training.failure == refused.value.reason
    assert training.ended_at is not None


def test_a_forecaster_that_fails_is_left_out_and_a_failed_trial_of_another_is_said(monkeypatch):
    def fail(*_):
        raise ValueError("Input X contains infinity")

    def fail_with_levels(params, *rest):
        return fail() if params["of"] == LEVEL else ridge.fit(params, *rest)

    ridge = FORECASTERS["ridge"]
    smoothing = replace(FORECASTERS["smoothing"], fit=fail)
    monkeypatch.setitem(FORECASTERS, "smoothing", smoothing)
    monkeypatch.setitem(FORECASTERS, "ridge", replace(ridge, fit=fail_with_levels))
    learning = LEARNING | {"candidates": ["smoothing", "ridge"]}
    problem = {"variable": "moisture", "above": 4.5}
    document = too_moist(kind="forecast", problem=problem, learning=learning)
    result = train_document(oven_platform(), document)
    assert [one.family for one in result.leaderboard] == ["persistence", "mean", "ridge"]
    assert result.failures == (
        f"ridge: 1 of 2 trials failed: {FAULT}",
        f"smoothing is left out: 1 of 1 trial failed: {FAULT}",
    )


def break_final_fits(monkeypatch, *families):
    def fail(*_):
        raise ValueError("Input X contains infinity")

    for family in families:
        monkeypatch.setattr(type(get_family(family)), "fit_final", fail)


def test_a_family_whose_final_fit_fails_gives_way_to_the_next_with_its_reason(monkeypatch):
    break_final_fits(monkeypatch, "random_forest")
    platform = oven_platform()
    result = train_document(platform, too_moist(learning=LEARNING, features=FEATURES))
    assert result.promote
    definition = platform.definitions.newest_revision("too-moist").definition
    assert load_model(platform, definition, 1).family == "logistic_regression"
    assert result.failures == (f"random_forest is left out: its fit failed: {FAULT}",)


def test_a_training_whose_every_final_fit_fails_is_refused_with_the_reasons(monkeypatch):
    break_final_fits(monkeypatch, "random_forest", "logistic_regression")
    with pytest.raises(TrainingRefused, match="no model can be compared: ") as refused:
        train_document(oven_platform(), too_moist(learning=LEARNING, features=FEATURES))
    for family in ("random_forest", "logistic_regression"):
        assert f"{family}: its fit failed: {FAULT}" in refused.value.reason


def test_a_forecaster_whose_final_fit_fails_gives_way_to_the_next(monkeypatch):
    def fail(dataset, candidate, *rest):
        if candidate.family == "ridge":
            raise ValueError("Input X contains infinity")
        return fit_rows(dataset, candidate, *rest)

    fit_rows = forecast.fit_rows
    monkeypatch.setattr(forecast, "fit_rows", fail)
    learning = LEARNING | {"candidates": ["smoothing", "ridge"]}
    problem = {"variable": "moisture", "above": 4.5}
    result = train_document(
        oven_platform(), too_moist(kind="forecast", problem=problem, learning=learning)
    )
    assert result.failures == (f"ridge is left out: its fit failed: {FAULT}",)


def test_a_refit_that_fails_leaves_the_model_in_service_and_says_so(monkeypatch):
    def fail(*_):
        raise ValueError("Input X contains infinity")

    monkeypatch.setattr(classifier, "refit", fail)
    result = train_document(oven_platform(), too_moist(learning=LEARNING, features=FEATURES))
    assert result.promote
    said = f"It is not fitted again on all rows: its fit failed: {FAULT}."
    assert said in result.details
