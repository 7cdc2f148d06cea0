"""A training prints the same metrics for its test period as live evaluation of it: one rule at
every instant."""

from collections import Counter
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.assets import EventType, Variable
from alerting.ports import EventRow, ReadingRow
from alerting.readings.history import from_millis, millis
from alerting.usecases.backtest.metrics import events_of
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate_past
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.report_material.material import gather_material
from alerting.usecases.reports.make import make_report
from alerting.usecases.training.run import load_dataset
from alerting.usecases.training.train import train
from tests.builders import at, oven, too_moist
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.models
DAY = 24 * 60
EVERY = 5
MINUTES = 8 * DAY


def restless_line(starts, false_rises):
    """Humidity rises before each start of a problem, for long and beyond its end, and now and then
    without one."""
    random = np.random.default_rng(4)
    minutes = np.arange(0, MINUTES, EVERY)
    humidity = 40 + random.normal(0, 1, len(minutes))
    moisture = 3.5 + random.normal(0, 0.1, len(minutes))
    for start in starts:
        humidity[(minutes >= start - 25) & (minutes < start + 75)] += random.uniform(6, 15)
        moisture[(minutes >= start) & (minutes < start + 40)] += 1.6
    for start in random.integers(0, MINUTES, false_rises):
        humidity[(minutes >= start) & (minutes < start + 40)] += random.uniform(4, 12)
    moisture[(minutes > 7.6 * DAY) & (minutes < 7.63 * DAY)] = np.nan
    return minutes, humidity, moisture


def trained_line(starts, problem, false_rises=20, is_off=lambda minute: False, **changes):
    """A platform with one model, trained at the end of the line, and its proposal. `is_off`: in
    which minutes it sends nothing."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven(humidity=Variable(unit="%"))])
    platform.assets.put_event_types([EventType(name="failure", duration="instant")])
    rows = []
    for minute, humid, moist in zip(*restless_line(starts, false_rises), strict=True):
        if is_off(minute):
            continue
        values = {"humidity": float(humid)} | (
            {} if np.isnan(moist) else {"moisture": float(moist)}
        )
        rows.append(ReadingRow("oven-1", at(int(minute)), values))
    add_readings(platform, rows, at(0))
    add_events(
        platform,
        [EventRow("oven-1", "failure", at(int(start)), None, "test") for start in starts],
        at(0),
    )
    learning = {"trials": 1, "folds": 2, "candidates": ["logistic_regression"]}
    features = {"stride": "5m", "windows": ["15m"], "aggregations": ["last", "mean"]}
    point = {"false_alarms_per_week": 60, "max_time_in_alarm": 0.6}
    document = too_moist(
        problem=problem, learning=learning, features=features, operating_point=point
    )
    document |= {"periods": {"validation": 0.2, "test": 0.3}, **changes}
    apply(platform, [document], "engineer", at(0), "test")
    platform.clock.instant = at(MINUTES)
    return platform, train(platform, "too-moist", at(MINUTES))


SCATTERED = np.cumsum(
    np.random.default_rng(3).choice([150, 165, 200, 260, 370, 520], 60) + 10
).tolist()
CLOSE = sorted([*SCATTERED, *(s + 55 for s in SCATTERED[::5])])
MOIST = {"variable": "moisture", "above": 4.5}


@pytest.mark.parametrize(
    ("starts", "problem", "changes"),
    [
        (SCATTERED, MOIST | {"for": "10m", "recovery": "20m"}, {}),
        (CLOSE, MOIST | {"for": "5m"}, {"clear_at": 0.01, "longest_time": "45m"}),
        (CLOSE, MOIST | {"for": "10m", "recovery": "5m"}, {"clear_for": "25m"}),
        (CLOSE, {"event": "failure"}, {"clear_for": "5m", "longest_time": "3h"}),
        (CLOSE, {"event": "failure", "recovery": "1h"}, {}),
        (SCATTERED, MOIST, {"gap": "10m"}),
        (CLOSE, MOIST | {"clear": 3.6, "merge_within": "20m"}, {}),
        (CLOSE, {"event": "failure", "merge_within": "1h"}, {}),
    ],
)
def test_train_prints_for_its_test_period_what_live_evaluation_and_a_backtest_of_it_give(
    starts, problem, changes
):
    platform, result = trained_line([s for s in starts if s < MINUTES - 60], problem, **changes)
    dataset = load_dataset(platform.runs, result.run_id)
    test = dataset.at[dataset.part == "test"]
    start = from_millis(int(test.min()) - 1)
    end = from_millis(int(test.max()))
    evaluate_past(platform, "too-moist", start, end, model=str(result.challenger_version))
    scored = platform.scores.for_interval("too-moist", start, at(MINUTES))
    assert sorted(row["ts"] for row in scored) == [from_millis(int(t)) for t in test]
    live = [e for e in platform.episodes.find("too-moist") if not e.withdrawn]
    outcomes = Counter(e.outcome_record.outcome for e in live)
    printed = result.test
    too_late = sum(e.outcome_record.too_late for e in live)
    assert 0 < outcomes["false_alarm"] <= printed["n_false_alarms"]
    assert outcomes["hit"] + outcomes["false_alarm"] == printed["n_episodes"]
    assert too_late == printed["n_too_late"]
    report = make_report(platform, "too-moist", start, at(MINUTES), at(MINUTES)).metrics
    weeks = report["evaluated_s"] / 604_800
    assert round(report["false_alarms"]["value"] * weeks) == printed["n_false_alarms"]
    if printed["episode_precision"] is not None:
        shown = report["precision"]["with_avoided"]["value"]
        assert shown == pytest.approx(printed["episode_precision"])
    assert_backtest_counts_the_same(platform, start, printed)
    assert len(report["problems"]) == printed["n_events"]
    assert sum(p["episode"] is not None for p in report["problems"]) == printed["n_found"] > 0
    for name in ("ap", "roc_auc", "brier", "rows", "positives"):
        assert report["rows"][name] == printed[name]
    for name in ("ap", "brier"):
        assert report["rows"]["intervals"][name] == printed["intervals"][name]
        assert report["rows"][name] == printed[name]
    expected = dataset.problems[
        dataset.problems["uncounted"] & (millis(dataset.problems["start"]) > test.min())
    ]
    assert (
        len(report["problems_in_recovery"]) == len(printed["problems_in_recovery"]) == len(expected)
    )
    assert report["false_alarms"]["value"] == pytest.approx(
        printed["false_alarms_per_week"], rel=0.03
    )


def assert_backtest_counts_the_same(platform, start, printed):
    """Expect of a backtest's count of the live episodes what the training printed."""
    revision = platform.definitions.revisions("too-moist")[-1]
    events = events_of(gather_material(platform, revision, start, at(MINUTES), at(MINUTES)))
    for name in ("n_events", "n_found", "n_false_alarms", "n_too_late", "n_episodes"):
        assert getattr(events, name) == printed[name], name
    assert events.median_lead_time == printed["median_lead_time"]


def sends_nothing_at_night(minute):
    """At night, and for an hour at noon, within which an alarm may last."""
    return minute % DAY < 6 * 60 or 12 * 60 <= minute % DAY < 13 * 60


def test_rates_and_shares_of_time_leave_out_the_times_without_readings_as_the_training_does():
    starts = [s for s in SCATTERED if s < MINUTES - 60]
    problem = MOIST | {"for": "10m", "recovery": "20m"}
    platform, result = trained_line(starts, problem, is_off=sends_nothing_at_night, clear_for="2h")
    dataset = load_dataset(platform.runs, result.run_id)
    test = dataset.at[dataset.part == "test"]
    start = from_millis(int(test.min()) - 1)
    end = from_millis(int(test.max()))
    platform.clock.instant = after = end + timedelta(minutes=EVERY)
    evaluate_past(platform, "too-moist", start, end, model=str(result.challenger_version))
    report = make_report(platform, "too-moist", start, after, after).metrics
    printed = result.test
    nights_s = (end - start).total_seconds() / 4
    assert (end - start).total_seconds() - report["evaluated_s"] > nights_s
    assert printed["n_false_alarms"] > 0 < printed["n_events"]
    observed_s = dataset.observed["test"]["oven-1"]
    assert report["evaluated_s"] == pytest.approx(observed_s, abs=EVERY * 60)
    for shown, name in (("false_alarms", "false_alarms_per_week"), ("time_in_alarm",) * 2):
        assert report[shown]["value"] == pytest.approx(printed[name], rel=0.003)
    assert len(report["problems"]) == printed["n_events"]
    revision = platform.definitions.revisions("too-moist")[-1]
    events = events_of(gather_material(platform, revision, start, after, after))
    for name in ("false_alarms_per_week", "time_in_alarm", "n_events", "n_found"):
        assert getattr(events, name) == pytest.approx(printed[name]), name
