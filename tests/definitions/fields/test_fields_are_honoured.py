"""Every field of a definition changes some outcome: a field that nothing reads fails here."""

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import EventType, Variable
from alerting.definitions.model import SEVERITIES, Costs, Problem
from alerting.detection.occurrences import Occurrences, no_occurrences
from alerting.detection.suppression import suppressed_intervals
from alerting.episodes.predictions import (
    AlarmEnd,
    PredictionRule,
    RiskSeries,
    alarm_end_of,
    predicted_episodes,
)
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.threshold.definition import ThresholdDefinition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.labels import FeedbackLabel
from alerting.learning.metrics.metrics import ProblemIntervals
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.operating_point import ObservedRows, choose_threshold
from alerting.learning.selection.promotion import compare
from alerting.ports import EventRow, ReadingRow, silent
from alerting.readings.history import to_millis
from alerting.recommendation.whatif import recommend
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate, plan_round
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.reports.issue import announce_reports, due_reports
from alerting.usecases.training.run import candidate_families
from alerting.usecases.training.train import prepare, train
from tests import small_models
from tests.builders import at, oven, too_hot
from tests.helpers.fields import leaves, once_per_change
from tests.helpers.learning.machine_time import time_of_trials
from tests.helpers.reports import store_report
from tests.humid_line import DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.models
DAGS = Path(__file__).parents[3] / "dags"


# --- threshold: a whole day in the life of an alert
# ---------------------------------------------------------------------

HOT = dict(
    enumerate([200.0] * 10 + [220.0] * 8 + [213.0] * 5 + [180.0] * 4 + [196.0] * 4 + [205.0] * 10)
)


@once_per_change
def day(**changes):
    """Return messages and stored results of an hour with a hot and a cold stretch, moist dough, and
    a stop."""
    mail = Mailbox("mail")
    pager = Mailbox("pager")
    platform = in_memory_platform(mail, pager)
    platform.assets.store_assets([day_oven("oven-1"), day_oven("oven-2")])
    document = (
        too_hot(stale_after="5m", **changes) if "stale_after" not in changes else too_hot(**changes)
    )
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": v, "moisture": 3.0 + 2 * (m % 40 > 22)})
        for m, v in HOT.items()
    ]
    rows += [
        ReadingRow("oven-1", at(m), {"temperature": 205.0, "moisture": 3.0})
        for m in range(48, 240, 4)
    ]
    rows += [ReadingRow("oven-2", at(m), {"temperature": 230.0, "moisture": 3.0}) for m in range(5)]
    add_readings(platform, rows, at(0))
    platform.assets.put_event_types([EventType(name="stop", duration="lasting")])
    add_events(platform, [EventRow("oven-1", "stop", at(34), at(36), "test")], at(0))
    apply(platform, [document], "engineer", at(-1), "test")
    for m in range(0, 240, 7):
        platform.clock.instant = at(m)
        evaluate(platform, None, at(m))
        deliver_due(platform, at(m))
        if m == 210:  # and a reading that comes half an hour late
            add_readings(platform, [ReadingRow("oven-1", at(182), {"temperature": 230.0})], at(m))
    kept = sorted(
        (e.asset, e.raised_at, e.closed_at, e.severity, e.severity_peak, e.title, e.outcome_record)
        for e in platform.episodes.find()
    )
    return (
        kept,
        [(m.key, m.subject, m.text) for m in (*mail.messages, *pager.messages)],
        plan_round(platform, timedelta(minutes=1), 2, platform.clock.now()).shards,
    )


def day_oven(name):
    temperature = Variable(unit="°C", title="Zone 2 temperature")
    attributes = {"low": 190.0, "high": 219.0, "mid": 212.0, "top": 300.0}
    return oven(temperature=temperature).model_copy(update={"name": name, "attributes": attributes})


def attribute(name):
    return {"attribute": name}


WIDE = {"low": 100, "high": 300}
BAND = {"low": 190, "high": 215}
LEVEL_PROOFS = {
    "above": [{"above": 215}, {"above": 212}],
    "above.attribute": [{"above": 215}, {"above": attribute("mid")}],
    "below": [{"below": 100}, {"below": 190}],
    "below.attribute": [{"below": 100}, {"below": attribute("low")}],
    "clear_above_at": [{"above": 215}, {"above": 215, "clear_above_at": 200}],
    "clear_above_at.attribute": [
        {"above": 215},
        {"above": 215, "clear_above_at": attribute("mid")},
    ],
    "clear_below_at": [{"below": 190}, {"below": 190, "clear_below_at": 200}],
    "clear_below_at.attribute": [
        {"below": 190},
        {"below": 190, "clear_below_at": attribute("high")},
    ],
}
BAND_PROOFS = {
    "low": [{"low": 100, "high": 203}, {"low": 190, "high": 203}],
    "low.attribute": [{"low": 100, "high": 203}, {"low": attribute("low"), "high": 203}],
    "high": [{"low": 190, "high": 300}, {"low": 190, "high": 215}],
    "high.attribute": [{"low": 190, "high": 300}, {"low": 190, "high": attribute("mid")}],
}
NO_LIMIT = {"above": None}


def clear_inside(low=190, high=215):
    return {**NO_LIMIT, "outside": BAND, "clear_inside": {"low": low, "high": high}}


def clear_outside(value, low, high):
    return {
        **NO_LIMIT,
        "inside": {"low": value - 1, "high": value + 1},
        "clear_outside": {"low": low, "high": high},
    }


STOP = {"event": "stop"}


def suppressed(*states, **more):
    """From 203 on it is raised at minute 10 and told at 14, and again at 31 and 35, in the midst of
    the stop."""
    return {"above": 203, "suppression": {"when": states, **more}}


def window(**more):
    return suppressed(windows=[{"from": "00:00", "to": "00:20", **more}])


SUPPRESSION = {
    "when.variable": [
        suppressed({"variable": "moisture", "above": 1}),
        suppressed({"variable": "temperature", "above": 300}),
    ],
    "when.equals": [
        suppressed({"variable": "moisture", "equals": 3}),
        suppressed({"variable": "moisture", "equals": 4}),
    ],
    "when.above": [
        suppressed({"variable": "moisture", "above": 1}),
        suppressed({"variable": "moisture", "above": 9}),
    ],
    "when.below": [
        suppressed({"variable": "moisture", "below": 4}),
        suppressed({"variable": "moisture", "below": 1}),
    ],
    "when.for": [
        suppressed({"variable": "moisture", "below": 4}),
        suppressed({"variable": "moisture", "below": 4, "for": "20m"}),
    ],
    "when.stale_after": [
        suppressed({"variable": "moisture", "above": 1, "stale_after": t}) for t in ("30m", "1s")
    ],
    "when.event": [suppressed(STOP), {"above": 203}],
    "when.recovery": [suppressed(STOP), suppressed({**STOP, "recovery": "10h"})],
    "windows.days": [window(), window(days=["tue"])],
    "windows.from": [window(), window(**{"from": "00:15"})],
    "windows.to": [window(), window(to="00:12")],
    "timezone": [
        window(),
        suppressed(windows=[{"from": "00:00", "to": "00:20"}], timezone="Asia/Tokyo"),
    ],
    "still_notify": [suppressed(STOP), suppressed(STOP, still_notify=["medium"])],
}
MOIST = {"variable": "moisture", "above": 4.5}
THRESHOLD = {
    "name": [{}, {"name": "hotter"}],
    "title": [{}, {"title": "Oven too hot"}],
    "assets": [{}, {"assets": ["oven-*"]}],
    "state": [{}, {"state": "draft"}],
    "severity": [{}, {"severity": "critical"}],
    "guidance.cause": [{}, {"guidance": {"cause": "burner"}}],
    "guidance.consequence": [{}, {"guidance": {"consequence": "dark biscuits"}}],
    "guidance.action": [{}, {"guidance": {"action": "turn it down"}}],
    "schedule.every": [{}, {"schedule": {"every": "5m"}}],
    "notify.channels": [{}, {"notify": {"channels": ["pager"]}}],
    "notify.resolved": [{}, {"notify": {"resolved": False}}],
    **{f"suppression.{k}": pair for k, pair in SUPPRESSION.items()},
    "variable": [{}, {"variable": "moisture", "above": 4}],
    "above": [{}, {"above": 212}],
    "below": [{}, {"below": 190}],
    "clear_above_at": [{}, {"clear_above_at": 200}],
    "clear_below_at": [{"below": 190}, {"below": 190, "clear_below_at": 200}],
    "above.attribute": [{}, {"above": attribute("high")}],
    "below.attribute": [{}, {"below": attribute("low")}],
    "clear_above_at.attribute": [{}, {"clear_above_at": attribute("low")}],
    "clear_below_at.attribute": [{"below": 190},
    {"below": 190, "clear_below_at": attribute("mid")}],
    "equals": [{**NO_LIMIT, "equals": 220}, {**NO_LIMIT, "equals": 180}],
    "equals.attribute": [{**NO_LIMIT, "equals": 220}, {**NO_LIMIT, "equals": attribute("low")}],
    **{f"inside.{k}": [{**NO_LIMIT, "inside": band} for band in pair] for k,
    pair in BAND_PROOFS.items()},
    **{f"outside.{k}": [{**NO_LIMIT, "outside": band} for band in pair] for k,
    pair in BAND_PROOFS.items()},
    "clear_inside.low": [clear_inside(), clear_inside(low=200)],
    "clear_inside.low.attribute": [clear_inside(), clear_inside(low=attribute("mid"))],
    "clear_inside.high": [clear_inside(), clear_inside(high=212)],
    "clear_inside.high.attribute": [clear_inside(), clear_inside(high=attribute("mid"))],
    "clear_outside.low": [clear_outside(220, 219, 221), clear_outside(220, 200, 221)],
    "clear_outside.low.attribute": [clear_outside(220, 219, 221),
    clear_outside(220, attribute("low"), 221)],
    "clear_outside.high": [clear_outside(196, 195, 197), clear_outside(196, 195, 210)],
    "clear_outside.high.attribute": [clear_outside(196, 195, 197),
    clear_outside(196, 195, attribute("high"))],
    **{f"levels.{s}.{k}": [{**NO_LIMIT, "levels": {s: level}} for level in pair]
       for s in SEVERITIES for k, pair in LEVEL_PROOFS.items()},
    "rate_per": [{"above": 15, "rate_per": "1m"}, {"above": 15, "rate_per": "2m"}],
    "at_least.readings": [{"at_least": {"readings": 2, "of": 5}},
    {"at_least": {"readings": 4, "of": 5}}],
    "at_least.of": [{"at_least": {"readings": 2, "of": 2}}, {"at_least": {"readings": 2, "of": 7}}],
    "frozen_after": [{"for": "6m"}, {"for": "6m", "frozen_after": "6m30s", "no_data": "alert"}],
    "no_data": [{"above": 205}, {"above": 205, "no_data": "alert"}],
    "for": [{}, {"for": "3m"}],
    "clear_for": [{}, {"clear_for": "6m"}],
    "stale_after": [{"above": 204, "for": "13m"},
    {"above": 204, "for": "13m", "stale_after": "2m"}],
    "allowed_lateness": [{}, {"allowed_lateness": "0s"}],
    "problem.variable": [{"problem": MOIST},
    {"problem": {"variable": "temperature", "above": 4.5}}],
    "problem.above": [{"problem": MOIST}, {"problem": {**MOIST, "above": 6}}],
    "problem.below": [{"problem": MOIST}, {"problem": {**MOIST, "above": 6, "below": 3.5}}],
    "problem.equals": [{"problem": MOIST}, {"problem": {"variable": "moisture", "equals": 2}}],
    "problem.for": [{"problem": MOIST}, {"problem": {**MOIST, "for": "40m"}}],
    "problem.event": [{"problem": MOIST}, {"problem": {"event": "stop"}}],
    "horizon": [{"problem": MOIST}, {"problem": MOIST, "horizon": "5m"}],
    "gap": [{"problem": MOIST}, {"problem": MOIST, "gap": "20m"}],
}  # fmt: skip
OF_SEVERAL = dict.fromkeys(
    (f"problem.{field}" for field in leaves(Problem) if field.startswith(("any.", "all."))),
    "each does what it does in a threshold: tests/detection/test_problems.py",
)
THRESHOLD_ELSEWHERE = {
    **OF_SEVERAL,
    "kind": "it chooses the model",
    **dict.fromkeys(
        (field for field in leaves(ThresholdDefinition) if field.startswith(("any.", "all."))),
        "each does what it does alone: tests/detection/test_conditions.py",
    ),
    **dict.fromkeys(
        (
            field
            for field in leaves(ThresholdDefinition)
            if ".learned." in field and not field.startswith(("any.", "all."))
        ),
        "they take an estimate: tests/kinds/threshold/test_learned_limit_fields.py",
    ),
    "promotion.mode": "it takes two estimates: tests/kinds/threshold/test_learned_limit_fields.py",
    "suppression.while.definition": "it takes two definitions: tests/scenarios/test_suppression.py",
    "problem.recovery": "a matter of learning: see the classifier's",
    **dict.fromkeys(
        ("problem.clear", "problem.clear.difference", "problem.merge_within"),
        "it ends problems: see the classifier's, and tests/detection/test_problems.py",
    ),
    "problem.predict": "a matter of models: see the classifier's",
    "schedule.report": "see the classifier's",
    "schedule.report_recipients": "see the classifier's",
    "schedule.retrain": "see the classifier's",
    **dict.fromkeys(
        (f"costs.{field}" for field in leaves(Costs)),
        "sums of a report: see its test_month and test_money",
    ),
    "schedule.timezone": "see the classifier's",
    "owner": "its DAGs are shared; shown for classifiers",
    "tags": "its DAGs are shared; shown for classifiers",
}


@pytest.mark.parametrize("field", THRESHOLD)
def test_a_field_of_a_threshold_changes_what_people_meet(field):
    before, after = THRESHOLD[field]
    assert day(**before) != day(**after)


# --- classifier: what is learned, searched, chosen, promoted, advised and scheduled
# --------------------------------------


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


@once_per_change
def tried(**changes):
    platform = in_memory_platform()
    line = small_models.line(120)
    platform.assets.store_assets([line.asset])
    moist = line.readings["moisture"]
    rows = [
        ReadingRow("oven-1", t.to_pydatetime(), {"moisture": float(v)}) for t, v in moist.items()
    ]
    add_readings(platform, rows, small_models.START)
    document = {
        "name": "m",
        "kind": "classifier",
        "assets": ["oven-1"],
        "problem": {"variable": "moisture", "above": 5.0},
        "horizon": "30m",
    }
    apply(platform, [{**document, "learning": changes}], "engineer", small_models.START, "test")
    return candidate_families(platform, prepare(platform, "m", small_models.as_of(line)))


@once_per_change
def served(**changes):
    platform = in_memory_platform()
    platform.assets.store_assets([humid_oven()])
    add_readings(platform, line(days=3), at(0))
    apply(platform, [learned_quickly(**changes)], "engineer", at(0), "test")
    platform.clock.instant = at(3 * DAY)
    return train(platform, NAME, at(3 * DAY)).promote, "refit_hash" in platform.models.version_tags(
        NAME, 1
    )


@once_per_change
def chosen(**changes):
    instants = np.arange(0, 7 * 86_400_000, 600_000, dtype=np.int64)
    start = instants[50::100] + 600_000
    spans = ProblemIntervals(start, start + 1, np.ones(len(start), bool))
    score = np.random.default_rng(0).random(len(instants))
    score[49::100] += 0.6
    rule = PredictionRule(
        Occurrences(start, start, start, start + 1, start + 1),
        1_800_000,
        1_800_000,
        AlarmEnd(None, 1_200_000, 7_200_000),
    )
    asset = np.full(len(instants), "a", object)
    measured = np.ones(len(instants), bool)
    watched = ObservedRows(
        instants, asset, measured, {"a": spans}, {"a": rule}, {"a": 7 * 86_400.0}, 0, 1_800_000
    )
    wanted = small_models.definition(operating_point=changes).operating_point
    return choose_threshold(watched, score, wanted, 0).threshold


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
    return decision.verdict, decision.reason


def advised(max_changes):
    history = small_models.line(60)
    dataset = small_models.dataset(60)
    weights = {
        c: 1.0
        for c in dataset.plan.columns
        if c.startswith(("setpoint", "belt")) and "std" not in c
    }
    model = small_models.linear_model(
        dataset.plan, dataset.rows, weights, intercept=2.0, threshold=0.3
    )
    return recommend(model, history, small_models.as_of(history) - timedelta(hours=7), max_changes)


def dag(**changes):
    sys.path.insert(0, str(DAGS))
    from alerting_tasks.training import training_options

    options = training_options(small_models.definition(**changes), 1)
    timetable = options.pop("schedule")
    when = timetable and (timetable.expression, str(timetable.timezone))
    return when, options["default_args"]["owner"], options["tags"]


def reported(**changes):
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot(schedule=changes)], "engineer", at(0), "test")
    period = due_reports(platform, at(60 * 24 * 40))[0].period.name
    store_report(platform, period=period, announced=False)
    announce_reports(platform, at(60 * 24 * 40))
    return period, [n.channel for n in platform.notifications.waiting()]


FROM_2ND, FROM_4TH, FROM_5TH = ({"from": f"2026-01-0{day}T00:00Z"} for day in (2, 4, 5))
CLASSIFIER = {
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
    "periods.refit": (served, {}, {"periods": {"refit": "none"}}),
    "learning.candidates": (tried, {}, {"candidates": ["lightgbm"]}),
    "learning.trials": (searched, {}, {"trials": 1}),
    "learning.time_budget": (searched, {}, {"time_budget": "1s"}),
    "learning.folds": (searched, {}, {"folds": 3}),
    "learning.seed": (searched, {}, {"seed": 1}),
    "clear_at": (alarm_ended, {}, {"clear_at": 0.5}),
    "clear_for": (alarm_ended, {"clear_at": 0.5}, {"clear_at": 0.5, "clear_for": "15m"}),
    "longest_time": (alarm_ended, {"clear_at": 0.5}, {"clear_at": 0.5, "longest_time": "30m"}),
    "operating_point.false_alarms_per_week": (chosen, {"false_alarms_per_week": 1},
    {"false_alarms_per_week": 100}),
    "operating_point.max_time_in_alarm": (
        chosen,
        {"false_alarms_per_week": 1000, "max_time_in_alarm": 1},
        {"false_alarms_per_week": 1000, "max_time_in_alarm": 0.03},
    ),
    "suppression.when.event": (learned, {}, {"suppression": {"when": {"event": "stop"}}}),
    "feedback.avoided": (learned, {}, {"feedback": {"avoided": "positive"}}),
    "feedback.weight": (learned, {"feedback": {"avoided": "weight"}},
    {"feedback": {"avoided": "weight", "weight": 0.5}}),
    "feedback.confirmed": (learned, {}, {"feedback": {"confirmed": "positive"}}),
    "operating_point.cost_of_miss": (
        chosen,
        {"cost_of_miss": 1, "cost_of_false_alarm": 1, "max_time_in_alarm": 1},
        {"cost_of_miss": 500, "cost_of_false_alarm": 1, "max_time_in_alarm": 1},
    ),
    "operating_point.cost_of_false_alarm": (
        chosen,
        {"cost_of_miss": 500, "cost_of_false_alarm": 1, "max_time_in_alarm": 1},
        {"cost_of_miss": 500, "cost_of_false_alarm": 500, "max_time_in_alarm": 1},
    ),
    "operating_point.least_precision": (
        chosen,
        {"least_precision": 0.2, "max_time_in_alarm": 1},
        {"least_precision": 1.0, "max_time_in_alarm": 1},
    ),
    "promotion.least_events": (promoted, {}, {"least_events": 1000}),
    "promotion.confidence": (promoted, {}, {"confidence": 0.99}),
    "recommendation.max_changes": (advised, {"max_changes": 1}, {"max_changes": 2}),
    "schedule.retrain": (dag, {}, {"schedule": {"retrain": None}}),
    "schedule.timezone": (dag, {}, {"schedule": {"timezone": "Europe/Berlin"}}),
    "schedule.report": (reported, {}, {"report": "month"}),
    "schedule.report_recipients": (reported, {}, {"report_recipients": ["mail"]}),
    "owner": (dag, {}, {"owner": "bakery"}),
    "tags": (dag, {}, {"tags": ["line-3"]}),
}  # fmt: skip
CLASSIFIER_ELSEWHERE = {
    **OF_SEVERAL,
    **dict.fromkeys(
        (f"costs.{field}" for field in leaves(Costs)),
        "sums of a report: tests/reporting/definition/test_parts.py",
    ),
    "kind": "it chooses the model",
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
        for field in (*THRESHOLD, *THRESHOLD_ELSEWHERE)
        if field.startswith(("guidance", "notify", "suppression"))
    },
    **dict.fromkeys(
        ("name", "title", "assets", "state", "severity", "schedule.every"),
        "the same code as for thresholds",
    ),
    "allowed_lateness": (
        "the same code as for thresholds; with a model: "
        "tests/usecases/evaluation/test_late_model.py"
    ),
}


@pytest.mark.parametrize("field", CLASSIFIER)
def test_a_field_of_a_classifier_changes_an_outcome(field):
    outcome, before, after = CLASSIFIER[field]
    assert outcome(**before) != outcome(**after)


def test_the_holding_time_of_a_variable_changes_what_is_learned():
    history = small_models.line(120)
    crew = history.readings["crew"]
    history = replace(
        history, readings=history.readings.assign(crew=crew.where(crew != crew.shift()))
    )

    def learned_with(**holds):
        variables = history.asset.variables | {"crew": Variable(type="category", **holds)}
        asset = history.asset.model_copy(update={"variables": variables})
        return build_dataset(
            small_models.definition(),
            1,
            [replace(history, asset=asset)],
            small_models.as_of(history),
        ).rows["crew.last"]

    assert learned_with().notna().all(), (
        "found from the data: reported every eight hours, when it changes"
    )
    assert learned_with(carry_forward="4h").notna().mean() == pytest.approx(0.5, abs=0.02)


# --- and none is left out
# -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "proved", "elsewhere"),
    [
        (ThresholdDefinition, set(THRESHOLD), THRESHOLD_ELSEWHERE),
        (ClassifierDefinition, set(CLASSIFIER), CLASSIFIER_ELSEWHERE),
    ],
)
def test_no_field_is_without_a_proof(model, proved, elsewhere):
    assert sorted(leaves(model)) == sorted({*proved, *elsewhere})
