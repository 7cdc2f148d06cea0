"""A classifier's fields: what is learned, searched, chosen, promoted and scheduled."""

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from alerting.definitions.alert_definition import Costs
from alerting.definitions.fields.learning import OperatingPoint
from alerting.definitions.fields.modes import Mode
from alerting.detection.problem_occurrences import no_occurrences
from alerting.detection.suppressed_intervals import suppressed_intervals
from alerting.episodes.prediction_rule import (
    PredictionRule,
    RiskSeries,
    alarm_end_of,
    predicted_episodes,
)
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.row_labels import FeedbackLabel
from alerting.learning.selection.classifier_search import search_candidate
from alerting.learning.selection.promotion import compare
from alerting.ports import silent
from alerting.readings.history import to_millis
from tests import small_models
from tests.helpers.fields import leaves, once_per_change
from tests.helpers.kind_fields import threshold
from tests.helpers.learning.machine_time import time_of_trials

DAGS = Path(__file__).parents[3] / "dags"


@once_per_change
def learned(**changes):
    history = small_models.line(120)
    history = replace(
        history, asset=history.asset.model_copy(update={"attributes": {"model": "m1"}})
    )
    history = replace(history, events=stops(), event_types=())
    answers = [  # acted upon and prevented; called true though nobody acted
        FeedbackLabel("oven-1", minute(440), minute(470), minute(455), "true_alarm"),
        FeedbackLabel("oven-1", minute(720), minute(750), None, "true_alarm"),
    ]
    definition = small_models.definition(**changes)
    as_of = small_models.as_of(history)
    silent = definition.suppression
    spans = (
        {}
        if silent is None
        else {"oven-1": suppressed_intervals(silent, [history], small_models.START, as_of)}
    )
    dataset = build_dataset(definition, 1, [history], as_of, answers, spans)
    return dataset.hash, dataset.at.tolist(), dataset.part.tolist(), dataset.plan.columns


def minute(number):
    return to_millis(small_models.START) + number * 60_000


def stops():
    start = pd.date_range(small_models.START, periods=20, freq="6h", tz="UTC").as_unit("ms")
    return pd.DataFrame({"type": "stop", "start": start, "end": start + pd.Timedelta("20min")})


@once_per_change
def searched(**changes):
    definition = small_models.definition(learning={"trials": 2, "folds": 2, **changes})
    dataset = build_dataset(
        definition, 1, [small_models.line(120)], small_models.as_of(small_models.line(120))
    )
    candidate = search_candidate(
        dataset, definition, "random_forest", silent, None, time_of_trials(1)
    )
    return (
        candidate.params,
        candidate.trials,
        candidate.cut_short,
        candidate.metrics,
        len(candidate.tried[0].folds),
    )


def tried(**changes):
    return small_models.definition(learning=changes).families


@once_per_change
def alarm_ended(**changes):
    """When an alarm of a risk of .9, .8 for an hour and 0 ends without its problem."""
    definition = small_models.definition(horizon="30m", **changes)
    at = np.arange(0, 40, dtype=np.int64) * 300_000
    score = np.array([0.9] + [0.8] * 12 + [0.0] * 27)
    alarm_end = alarm_end_of(definition, timedelta(minutes=5))
    rule = PredictionRule(no_occurrences(), 1_800_000, 1_800_000, alarm_end)
    return predicted_episodes(RiskSeries(at, score, 0.9), rule)


@once_per_change
def promoted(**changes):
    history = small_models.line(120)
    dataset = small_models.dataset(120)
    wide = next(c for c in dataset.plan.columns if c.startswith("humidity"))
    models = [
        small_models.linear_model(dataset.plan, dataset.rows, {wide: weight})
        for weight in (2.0, -0.1)
    ]
    decision = compare(
        small_models.definition(promotion=changes),
        models[0],
        models[1],
        [history],
        [],
        small_models.as_of(history),
        0,
    )
    return decision.verdict, decision.reason, decision.evidence["statistics"]


def dag(**changes):
    sys.path.insert(0, str(DAGS))
    from alerting_tasks.training_tasks import training_options

    options = training_options(small_models.definition(**changes), 1)
    timetable = options.pop("schedule")
    when = timetable and (timetable.expression, str(timetable.timezone))
    return when, options["default_args"]["owner"], options["tags"]


FROM_2ND, FROM_4TH, FROM_5TH = ({"from": f"2026-01-0{day}T00:00Z"} for day in (2, 4, 5))
PROOFS = {
    "problem.variable": (learned, {}, {"problem": {"variable": "humidity", "above": 9}}),
    "problem.above": (learned, {}, {"problem": {"variable": "moisture", "above": 4.8}}),
    "problem.below": (learned, {}, {"problem": {"variable": "moisture", "above": 5.0,
    "below": 3.9}}),
    "problem.equals": (learned, {}, {"problem": {"variable": "crew", "equals": "early"}}),
    "problem.for": (learned, {}, {"problem": {"variable": "moisture", "above": 5.0, "for": "10m"}}),
    "problem.clear": (learned, {}, {"problem": {"variable": "moisture", "above": 5.0,
    "clear": 3.9}}),
    "problem.clear.difference": (
        learned,
        {"problem": {"variable": "moisture", "above": 5.0, "clear": {"difference": 0.1}}},
        {"problem": {"variable": "moisture", "above": 5.0, "clear": {"difference": 1.1}}},
    ),
    "problem.merge_within": (learned, {}, {"problem": {"variable": "moisture", "above": 5.0,
    "merge_within": "3h"}}),
    "problem.event": (learned, {}, {"problem": {"event": "stop"}}),
    "remaining_life": (learned, {"problem": {"event": "stop"}},
    {"problem": {"event": "stop"}, "remaining_life": True}),
    "problem.predict": (learned, {}, {"problem": {"variable": "moisture", "above": 5.0,
    "predict": "state"}}),
    "problem.recovery": (learned, {}, {"problem": {"variable": "moisture", "above": 5.0,
    "recovery": "1h"}}),
    "horizon": (learned, {}, {"horizon": "40m"}),
    "gap": (learned, {}, {"gap": "10m"}),
    "include": (learned, {}, {"include": ["moisture", "hum*"]}),
    "exclude": (learned, {}, {"exclude": ["crew"]}),
    "features.windows": (learned, {}, {"features": {"stride": "10m", "windows": ["30m"]}}),
    "features.aggregations": (learned, {"features": {"stride": "10m"}},
    {"features": {"stride": "10m", "aggregations": ["max"]}}),
    "features.lags": (learned, {"features": {"windows": ["1h"]}},
    {"features": {"windows": ["1h"], "lags": ["2h"]}}),
    "features.stride": (learned, {"features": {}}, {"features": {"stride": "15m"}}),
    "features.events": (learned, {"features": {}}, {"features": {"events": ["st*"]}}),
    "features.attributes": (learned, {"features": {}}, {"features": {"attributes": ["model"]}}),
    "periods.start": (learned, {}, {"periods": {"start": "2026-01-02T00:00:00Z"}}),
    "periods.end": (learned, {}, {"periods": {"end": "2026-01-05T00:00:00Z"}}),
    "periods.train": (learned, {}, {"periods": {"train": "1d"}}),
    "periods.train.from": (learned, {}, {"periods": {"train": FROM_2ND}}),
    "periods.train.to": (
        learned,
        {"periods": {"train": FROM_2ND}},
        {"periods": {"train": FROM_2ND | {"to": "2026-01-03T00:00Z"}}},
    ),
    "periods.validation": (learned, {}, {"periods": {"validation": 0.3}}),
    "periods.validation.from": (learned, {}, {"periods": {"validation": FROM_4TH}}),
    "periods.validation.to": (
        learned,
        {"periods": {"validation": FROM_4TH}},
        {"periods": {"validation": FROM_4TH | {"to": "2026-01-04T12:00:00Z"}}},
    ),
    "periods.test": (learned, {}, {"periods": {"test": "30h"}}),
    "periods.test.from": (learned, {}, {"periods": {"test": FROM_5TH}}),
    "periods.test.to": (learned, {"periods": {"test": FROM_5TH}},
    {"periods": {"test": FROM_5TH | {"to": "2026-01-05T15:00Z"}}}),
    "learning.candidates": (tried, {}, {"candidates": ["lightgbm"]}),
    "learning.trials": (searched, {}, {"trials": 1}),
    "learning.time_budget": (searched, {}, {"time_budget": "1s"}),
    "learning.folds": (searched, {}, {"folds": 3}),
    "learning.seed": (searched, {}, {"seed": 1}),
    "clear_at": (alarm_ended, {}, {"clear_at": 0.5}),
    "clear_for": (alarm_ended, {"clear_at": 0.5}, {"clear_at": 0.5, "clear_for": "15m"}),
    "longest_time": (alarm_ended, {"clear_at": 0.5}, {"clear_at": 0.5, "longest_time": "30m"}),
    "suppression.when.event": (learned, {}, {"suppression": {"when": {"event": "stop"}}}),
    "feedback.avoided": (learned, {}, {"feedback": {"avoided": "positive"}}),
    "feedback.weight": (learned, {"feedback": {"avoided": "weight"}},
    {"feedback": {"avoided": "weight", "weight": 0.5}}),
    "feedback.confirmed": (learned, {}, {"feedback": {"confirmed": "positive"}}),
    "promotion.least_events": (promoted, {}, {"least_events": 1000}),
    "promotion.confidence": (promoted, {}, {"confidence": 0.99}),
    "schedule.retrain": (dag, {}, {"schedule": {"retrain": None}}),
    "schedule.timezone": (dag, {}, {"schedule": {"timezone": "Europe/Berlin"}}),
    "owner": (dag, {}, {"owner": "bakery"}),
    "tags": (dag, {}, {"tags": ["line-3"]}),
}  # fmt: skip
ELSEWHERE = {
    **threshold.OF_SEVERAL,
    **dict.fromkeys(
        (f"costs.{field}" for field in leaves(Costs)),
        "sums of a report: tests/reporting/definition/test_parts.py",
    ),
    "kind": "it chooses the model",
    **dict.fromkeys(
        (f"modes.{field}" for field in leaves(Mode)),
        "tests/definitions/test_modes.py and tests/usecases/training/test_modes.py",
    ),
    **dict.fromkeys(
        ("replaced_by", "replaced_every"), "tests/kinds/classifier/test_remaining_life.py"
    ),
    "periods.refit": "tests/usecases/training/promotion/test_with_learners.py",
    **dict.fromkeys(
        (f"operating_point.{field}" for field in leaves(OperatingPoint)),
        "tests/learning/selection/test_operating_point.py",
    ),
    "recommendation.max_changes": "tests/recommendation/test_search.py",
    "schedule.report": "tests/usecases/reports/test_life.py",
    "schedule.report_recipients": "tests/usecases/reports/test_life.py",
    "promotion.mode": "tests/dags: the DAG asks a person",
    **{
        f"recommendation.variables.{name}": "tests/recommendation/test_search.py"
        for name in (
            "controllable",
            "min",
            "max",
            "step",
            "max_change",
            "direction",
            "rate",
            "tolerance",
            "values",
            "cost",
        )
    },
    **{
        field: "the same code as for thresholds"
        for field in (*threshold.PROOFS, *threshold.ELSEWHERE)
        if field.startswith(("guidance", "notify", "suppression"))
    },
    **dict.fromkeys(
        ("name", "title", "assets", "state", "severity", "schedule.every"),
        "the same code as for thresholds",
    ),
    "blocks_production": "tests/usecases/episodes/test_production_blocks.py",
    "allowed_lateness": (
        "the same code as for thresholds; with a model: "
        "tests/usecases/evaluation/test_late_model.py"
    ),
}
