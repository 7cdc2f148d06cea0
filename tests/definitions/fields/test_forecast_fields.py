"""Every field of a forecast changes some outcome: a field that nothing reads fails here."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

from alerting.definitions.fields.common import CommonFields
from alerting.definitions.model import Costs, Problem
from alerting.detection.suppression import suppressed_intervals
from alerting.kinds.forecast import verification
from alerting.kinds.forecast.definition import ForecastDefinition
from alerting.kinds.forecast.training import TRAINING
from alerting.kinds.forecast.verification import compare_forecasts
from alerting.kinds.validation import parse_definition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.labels import FeedbackLabel
from alerting.learning.selection.decision_table import PromotionDecision
from alerting.ports import silent
from alerting.readings.history import to_millis
from alerting.usecases.registry.registration import load_model
from tests import small_models
from tests.builders import at
from tests.helpers.fields import leaves, once_per_change
from tests.helpers.filter_line import END, NAME, TRAINED, trained_platform
from tests.helpers.learning.machine_time import time_of_trials

pytestmark = pytest.mark.models
MINUTE = 60_000


def forecast(**changes):
    document = {
        "name": "too-moist",
        "kind": "forecast",
        "assets": ["oven-1"],
        "problem": {"variable": "moisture", "above": 5.0},
        "horizon": "30m",
        "features": {"stride": "10m", "windows": ["15m", "1h"], "aggregations": ["mean", "last"]},
    }
    return parse_definition(document | changes)


def history():
    line = small_models.line(120)
    start = pd.date_range(small_models.START, periods=20, freq="6h", tz="UTC").as_unit("ms")
    stops = pd.DataFrame({"type": "stop", "start": start, "end": start + pd.Timedelta("20min")})
    return replace(
        line,
        asset=line.asset.model_copy(update={"attributes": {"model": "m1"}}),
        events=stops,
        event_types=(),
    )


@once_per_change
def learned(**changes):
    """Return the dataset, its values ahead, and the candidates; the message of a refusal."""
    try:
        definition = forecast(**changes)
        line = history()
    except Exception as refusal:
        return str(refusal)
    begin = to_millis(small_models.START)
    as_of = small_models.as_of(line)
    answer = FeedbackLabel(
        "oven-1", begin + 440 * MINUTE, begin + 470 * MINUTE, begin + 455 * MINUTE, "true_alarm"
    )
    silent_when = definition.suppression
    spans = (
        {}
        if silent_when is None
        else {"oven-1": suppressed_intervals(silent_when, [line], small_models.START, as_of)}
    )
    data = build_dataset(definition, 1, [line], as_of, [answer], spans)
    values = data.future.tobytes(), definition.leads(None)
    return (
        data.hash,
        data.at.tolist(),
        data.part.tolist(),
        data.plan.columns,
        values,
        definition.families,
    )


@once_per_change
def searched(family="ridge", budget=timedelta(minutes=5), **changes):
    """Return the search of one forecaster."""
    definition = forecast(learning={"trials": 3, "folds": 2, "candidates": [family]} | changes)
    learning = definition.learning.model_copy(update={"time_budget": budget})
    definition = definition.model_copy(update={"learning": learning})
    data = build_dataset(definition, 1, [history()], small_models.as_of(history()))
    found = TRAINING.train(data, definition, family, silent, None, time_of_trials(1))
    return found.params, found.trials, found.metrics, found.chance.tolist(), found.loss.tobytes()


@once_per_change
def chosen(**changes):
    """Return what becomes of a training: whether it waits, the threshold, and whether it has no
    refit."""
    made, decided = trained_platform(**changes)
    version = decided.challenger_version
    if version is None:
        return decided.reason, decided.waiting
    model = load_model(made, made.definitions.newest_revision(NAME).definition, version)
    return decided.waiting, model.threshold, model.refit is None


FROM = {"from": "2026-01-02T00:00Z"}
LATER = {"from": "2026-01-04T00:00Z"}
LAST = {"from": "2026-01-05T00:00Z"}
STRIDE = {"stride": "10m", "windows": ["15m", "1h"], "aggregations": ["mean", "last"]}
DATASET = {
    "problem.variable": [{}, {"problem": {"variable": "humidity", "above": 9}}],
    "problem.above": [{}, {"problem": {"variable": "moisture", "above": 4.8}}],
    "problem.below": [{}, {"problem": {"variable": "moisture", "above": 5.0, "below": 3.9}}],
    "problem.predict": [
        {},
        {"problem": {"variable": "moisture", "above": 5.0, "predict": "state"}},
    ],
    "problem.recovery": [{}, {"problem": {"variable": "moisture", "above": 5.0, "recovery": "1h"}}],
    "problem.clear": [{}, {"problem": {"variable": "moisture", "above": 5.0, "clear": 3.9}}],
    "problem.clear.difference": [
        {"problem": {"variable": "moisture", "above": 5.0, "clear": {"difference": 0.1}}},
        {"problem": {"variable": "moisture", "above": 5.0, "clear": {"difference": 1.1}}},
    ],
    "problem.merge_within": [
        {},
        {"problem": {"variable": "moisture", "above": 5.0, "merge_within": "3h"}},
    ],
    "problem.for": [{}, {"problem": {"variable": "moisture", "above": 5.0, "for": "10m"}}],
    "problem.equals": [{}, {"problem": {"variable": "crew", "equals": "early"}}],
    "problem.event": [{}, {"problem": {"event": "stop"}}],
    "horizon": [{}, {"horizon": "40m"}],
    "gap": [{}, {"gap": "10m"}],
    "season": [{}, {"season": "6h"}],
    "include": [{}, {"include": ["moisture", "hum*"]}],
    "exclude": [{}, {"exclude": ["crew"]}],
    "features.windows": [{}, {"features": STRIDE | {"windows": ["30m"]}}],
    "features.aggregations": [{}, {"features": STRIDE | {"aggregations": ["last"]}}],
    "features.lags": [{}, {"features": STRIDE | {"lags": ["2h"]}}],
    "features.stride": [{}, {"features": STRIDE | {"stride": "15m"}}],
    "features.events": [{}, {"features": STRIDE | {"events": ["st*"]}}],
    "features.attributes": [{}, {"features": STRIDE | {"attributes": ["model"]}}],
    "periods.start": [{}, {"periods": {"start": "2026-01-02T00:00:00Z"}}],
    "periods.end": [{}, {"periods": {"end": "2026-01-05T00:00:00Z"}}],
    "periods.train": [{}, {"periods": {"train": "1d"}}],
    "periods.train.from": [{}, {"periods": {"train": FROM}}],
    "periods.train.to": [
        {"periods": {"train": FROM}},
        {"periods": {"train": FROM | {"to": "2026-01-03T00:00Z"}}},
    ],
    "periods.validation": [{}, {"periods": {"validation": 0.3}}],
    "periods.validation.from": [{}, {"periods": {"validation": LATER}}],
    "periods.validation.to": [
        {"periods": {"validation": LATER}},
        {"periods": {"validation": LATER | {"to": "2026-01-04T12:00Z"}}},
    ],
    "periods.test": [{}, {"periods": {"test": "30h"}}],
    "periods.test.from": [{}, {"periods": {"test": LAST}}],
    "periods.test.to": [
        {"periods": {"test": LAST}},
        {"periods": {"test": LAST | {"to": "2026-01-05T15:00Z"}}},
    ],
    "suppression.when.event": [{}, {"suppression": {"when": {"event": "stop"}}}],
    "learning.candidates": [{}, {"learning": {"candidates": ["ridge"]}}],
    "feedback.avoided": [{}, {"feedback": {"avoided": "weight"}}],
    "feedback.confirmed": [{}, {"feedback": {"confirmed": "positive"}}],
}
SEARCH = {
    "learning.trials": [{}, {"trials": 1}],
    "learning.folds": [{}, {"folds": 3}],
    "learning.seed": [{"trials": 6}, {"trials": 6, "seed": 1}],
    "learning.time_budget": [{}, {"budget": timedelta(milliseconds=1)}],
}
MODEL = {
    "periods.refit": [{}, {"periods": {"refit": "none"}}],
    "operating_point.max_time_in_alarm": [{}, {"operating_point": {"max_time_in_alarm": 0.001}}],
    "promotion.mode": [{}, {"promotion": {"mode": "approval"}}],
}
ELSEWHERE = {
    "kind": "it chooses the model",
    "variable": "a value without an alarm: tests/scenarios/values/test_value_between_samples.py",
    "feedback.weight": "has no effect without avoided: weight, which a forecast refuses",
    **dict.fromkeys(
        (f"costs.{field}" for field in leaves(Costs)),
        "sums of a report: see its test_month and test_money",
    ),
    **dict.fromkeys(
        (
            f"operating_point.{way}"
            for way in (
                "false_alarms_per_week",
                "cost_of_miss",
                "cost_of_false_alarm",
                "least_precision",
            )
        ),
        "the threshold is put by the function of classifiers: see theirs",
    ),
    **dict.fromkeys(
        (f"problem.{field}" for field in leaves(Problem) if field.startswith(("any.", "all."))),
        "a forecast refuses a problem of several variables: tests/kinds/test_validation.py",
    ),
    **dict.fromkeys(
        ("clear_at", "clear_for", "longest_time"),
        "one rule says when alarms of models end: see those of classifiers",
    ),
    "promotion.least_events": "the first comparison is that of classifiers: see theirs",
}


@pytest.mark.parametrize("field", DATASET)
def test_a_field_of_a_forecast_changes_what_is_learned(field):
    before, after = DATASET[field]
    assert learned(**before) != learned(**after)


@pytest.mark.parametrize("field", SEARCH)
def test_a_field_of_a_forecast_changes_its_search(field):
    before, after = SEARCH[field]
    assert searched(**before) != searched(**after)


@pytest.mark.parametrize("field", MODEL)
def test_a_field_of_a_forecast_changes_its_model_or_the_decision(field):
    before, after = MODEL[field]
    assert chosen(**before) != chosen(**after)


def test_the_confidence_of_a_forecast_changes_its_comparison(monkeypatch):
    made, _ = trained_platform()
    definition = made.definitions.newest_revision(NAME).definition
    asset = made.assets.all()[0]
    line = made.readings.load(asset, at(TRAINED - 3 * 24 * 60), at(END))
    warned = PromotionDecision(
        verdict="keep",
        reason="The champion stays: alike.",
        evidence={"acted_left_out": {"share_better": 0.5}},
    )
    monkeypatch.setattr(verification, "compare", lambda *_: warned)
    found = {"challenger": 1.0, "champion": 1.1, "share_better": 0.85}
    monkeypatch.setattr(verification, "_crps_of_both", lambda *_: found)

    def promoted(confidence):
        wanted = definition.promotion.model_copy(update={"confidence": confidence})
        changed = definition.model_copy(update={"promotion": wanted})
        both = SimpleNamespace(has_alarm=True), SimpleNamespace(has_alarm=True)
        return compare_forecasts(changed, *both, [line], [], at(END), 0, {}).promote

    assert (promoted(0.8), promoted(0.9)) == (True, False)


def test_no_field_is_without_a_proof():
    shared = {*leaves(CommonFields)}  # proved for thresholds: the same code
    advice = {field for field in leaves(ForecastDefinition) if field.startswith("recommendation.")}
    proved = {*DATASET, *SEARCH, *MODEL, *ELSEWHERE, "promotion.confidence"}
    assert sorted({*leaves(ForecastDefinition)} - proved - shared - advice) == []
