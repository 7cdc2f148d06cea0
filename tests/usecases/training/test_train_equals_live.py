"""A training prints the same metrics for its test period as live evaluation of it: one rule at
every instant, ahead of a problem and of the unit just made (`horizon: 0s`)."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from alerting.definitions.asset_documents import EventType, Variable
from alerting.ports import EventRow, ReadingRow
from alerting.readings.history import from_millis, millis
from alerting.usecases.backtest.backtest import events_of
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.evaluation.rounds import evaluate_past
from alerting.usecases.explain import why
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.make_reports import make_report
from alerting.usecases.report_material import gather_material
from alerting.usecases.training.run_files import load_dataset, read_proposal
from alerting.usecases.training.training_steps import train
from tests.builders import at, oven, too_moist
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.learning.training import oven_platform, train_document
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.models
DAY = 24 * 60
EVERY = 5
MINUTES = 8 * DAY


def restless_line(starts):
    """Humidity rises before each start of a problem, for long and beyond its end, and now and then
    without one."""
    random = np.random.default_rng(4)
    minutes = np.arange(0, MINUTES, EVERY)
    humidity = 40 + random.normal(0, 1, len(minutes))
    moisture = 3.5 + random.normal(0, 0.1, len(minutes))
    for start in starts:
        humidity[(minutes >= start - 25) & (minutes < start + 75)] += random.uniform(6, 15)
        moisture[(minutes >= start) & (minutes < start + 40)] += 1.6
    for start in random.integers(0, MINUTES, 20):
        humidity[(minutes >= start) & (minutes < start + 40)] += random.uniform(4, 12)
    moisture[(minutes > 7.6 * DAY) & (minutes < 7.63 * DAY)] = np.nan
    return minutes, humidity, moisture


def trained_line(starts, problem, is_off=None, **changes):
    """A platform with one model, trained at the end of the line, and its proposal. `is_off`: the
    minutes in which it sends nothing."""
    line = restless_line(starts)
    sent = slice(None) if is_off is None else ~is_off(line[0])
    platform = oven_platform(tuple(values[sent] for values in line), MINUTES)
    platform.assets.put_event_types([EventType(name="failure", duration="instant")])
    add_events(
        platform,
        [EventRow("oven-1", "failure", at(start), None, "test") for start in starts],
        at(0),
    )
    document = too_moist(
        problem=problem,
        learning={"trials": 1, "folds": 2, "candidates": ["logistic_regression"]},
        features={"stride": "5m", "windows": ["15m"], "aggregations": ["last", "mean"]},
        operating_point={"false_alarms_per_week": 60, "max_time_in_alarm": 0.6},
        periods={"validation": 0.2, "test": 0.3},
    )
    return platform, train_document(platform, document | changes)


def evaluated_again(platform, result):
    """Evaluate the test period of a training as a past one; return the dataset, and start and end
    of the period."""
    dataset = load_dataset(platform.runs, result.run_id)
    test = dataset.at[dataset.part == "test"]
    start = from_millis(int(test.min()) - 1)
    end = from_millis(int(test.max()))
    name = result.definition
    evaluate_past(platform, name, start, end, model=str(result.challenger_version))
    scored = platform.scores.for_interval(name, start, end + timedelta(days=2))
    assert sorted(row["ts"] for row in scored) == [from_millis(int(t)) for t in test]
    return dataset, start, end


def outcomes_of(platform, name):
    episodes = [e for e in platform.episodes.find(name) if not e.withdrawn]
    return Counter(e.outcome_record.outcome for e in episodes), episodes


SCATTERED = np.cumsum(
    np.random.default_rng(3).choice([150, 165, 200, 260, 370, 520], 60) + 10
).tolist()
SCATTERED = [start for start in SCATTERED if start < MINUTES - 60]
CLOSE = sorted([*SCATTERED, *(s + 55 for s in SCATTERED[::5] if s + 55 < MINUTES - 60)])
MOIST = {"variable": "moisture", "above": 4.5}
OF_ROWS = ("ap", "roc_auc", "brier", "rows", "positives")


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
    platform, result = trained_line(starts, problem, **changes)
    printed = result.test
    dataset, start, _ = evaluated_again(platform, result)
    outcomes, live = outcomes_of(platform, "too-moist")
    report = make_report(platform, "too-moist", start, at(MINUTES), at(MINUTES)).metrics
    weeks = report["evaluated_s"] / 604_800
    intervals = report["rows"]["intervals"]
    found = sum(p["episode"] is not None for p in report["problems"])
    problems = dataset.problems
    after = millis(problems["start"]) > dataset.at[dataset.part == "test"].min()
    assert 0 < outcomes["false_alarm"] <= printed["n_false_alarms"]
    assert found > 0
    assert {
        "n_episodes": outcomes["hit"] + outcomes["false_alarm"],
        "n_too_late": sum(e.outcome_record.too_late for e in live),
        "n_false_alarms": round(report["false_alarms"]["value"] * weeks),
        "n_events": len(report["problems"]),
        "n_found": found,
        "in recovery": len(report["problems_in_recovery"]),
        "intervals": (intervals["ap"], intervals["brier"]),
        **{name: report["rows"][name] for name in OF_ROWS},
    } == {
        **{name: printed[name] for name in ("n_episodes", "n_too_late", "n_false_alarms")},
        **{name: printed[name] for name in ("n_events", "n_found", *OF_ROWS)},
        "in recovery": len(printed["problems_in_recovery"]),
        "intervals": (printed["intervals"]["ap"], printed["intervals"]["brier"]),
    }
    assert len(printed["problems_in_recovery"]) == (problems["uncounted"] & after).sum()
    assert report["false_alarms"]["value"] == pytest.approx(
        printed["false_alarms_per_week"], rel=0.03
    )
    if printed["episode_precision"] is not None:
        assert report["precision"]["with_avoided"]["value"] == pytest.approx(
            printed["episode_precision"]
        )
    assert_backtest_counts_the_same(platform, start, at(MINUTES), printed)


def assert_backtest_counts_the_same(platform, start, end, printed):
    """Expect of a backtest's count of the live episodes what the training printed."""
    revision = platform.definitions.revisions("too-moist")[-1]
    events = events_of(gather_material(platform, revision, start, end, end))
    names = ("n_events", "n_found", "n_false_alarms", "n_too_late", "n_episodes")
    assert {n: getattr(events, n) for n in names} == {n: printed[n] for n in names}
    names = ("median_lead_time", "false_alarms_per_week", "time_in_alarm")
    rates = {name: getattr(events, name) for name in names}
    assert rates == pytest.approx({name: printed[name] for name in names})


def is_off_at_night(minute):
    """At night, and for an hour at noon, within which an alarm may last."""
    of_day = minute % DAY
    return (of_day < 6 * 60) | ((of_day >= 12 * 60) & (of_day < 13 * 60))


def test_rates_and_shares_of_time_leave_out_the_times_without_readings_as_the_training_does():
    problem = MOIST | {"for": "10m", "recovery": "20m"}
    platform, result = trained_line(SCATTERED, problem, is_off_at_night, clear_for="2h")
    after = from_millis(int(load_dataset(platform.runs, result.run_id).at.max())) + timedelta(
        minutes=EVERY
    )
    platform.clock.instant = after
    dataset, start, end = evaluated_again(platform, result)
    report = make_report(platform, "too-moist", start, after, after).metrics
    printed = result.test
    assert (end - start).total_seconds() - report["evaluated_s"] > (end - start).total_seconds() / 4
    assert printed["n_false_alarms"] > 0 < printed["n_events"]
    assert report["evaluated_s"] == pytest.approx(
        dataset.observed["test"]["oven-1"], abs=EVERY * 60
    )
    shown = report["false_alarms"]["value"], report["time_in_alarm"]["value"]
    expected = printed["false_alarms_per_week"], printed["time_in_alarm"]
    assert shown == pytest.approx(expected, rel=0.003)
    assert len(report["problems"]) == printed["n_events"]
    assert_backtest_counts_the_same(platform, start, after, printed)


UNITS = 2000
UNIT = "unit-bad"
BAD = {"variable": "quality", "equals": "reject"}


def trained_units(problem=BAD, step=1, delay="0s"):
    """Return a plant whose units are bad by their own torque and wear, whatever the unit before
    was, with a model of them; where `problem` is an event, nobody grades them."""
    random = np.random.default_rng(5)
    torque = random.normal(40, 10, UNITS)
    wear = np.arange(UNITS) % 200 / 2
    bad = torque + wear * 0.2 + random.normal(0, 2, UNITS) > 65
    variables = {
        "torque": Variable(unit="Nm", controllable=True, min=20, max=60),
        "wear": Variable(),
        "quality": Variable(type="category", delay=delay),
    }
    attack = EventType(name="attack", duration="lasting", delay=timedelta(hours=2))
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven(**variables)])
    platform.assets.put_event_types([attack])
    rows = []
    for number in range(UNITS):
        grade = {"quality": "reject" if bad[number] else "good"} if problem == BAD else {}
        values = {"torque": float(torque[number]), "wear": float(wear[number])} | grade
        rows.append(ReadingRow("oven-1", at(number * step), values))
    add_readings(platform, rows, at(0))
    if problem != BAD:
        times = [at(int(number) * step) for number in np.flatnonzero(bad)]
        lasting = timedelta(seconds=40)
        add_events(
            platform, [EventRow("oven-1", "attack", t, t + lasting, "test") for t in times], at(0)
        )
    document = {
        "name": UNIT,
        "kind": "classifier",
        "assets": ["oven-1"],
        "problem": problem,
        "horizon": "0s",
        "learning": {"trials": 1, "folds": 2, "candidates": ["lightgbm"]},
        "operating_point": {"least_precision": 0.6},
        "features": {"windows": ["10m"], "aggregations": ["last", "mean"]},
    }
    apply(platform, [document], "engineer", at(0), "test")
    platform.clock.instant = at(UNITS * step + 24 * 60)
    train(platform, UNIT, platform.clock.instant)
    return platform


def units(*case):
    """Return a plant of units of its own for each test, and the proposal of its training."""
    platform = stored_platform(trained_units, *case)
    (decision,) = platform.decisions.for_definition(UNIT)
    return platform, read_proposal(platform.runs, decision.run_id)


@pytest.mark.parametrize(
    "case", [(), (BAD, 3), (BAD, 1, "3h"), ({"event": "attack"},)], ids=lambda case: str(len(case))
)
def test_train_prints_what_live_evaluation_of_its_units_gives(case):
    platform, result = units(*case)
    printed = result.test
    dataset, start, _ = evaluated_again(platform, result)
    end = platform.clock.now()
    assert not {c for c in dataset.plan.columns if c.startswith("quality")}
    assert dataset.plan.stride_ms == 60_000 * (3 if 3 in case else 1)
    assert (dataset.part == "test").sum() == UNITS // 5
    determine_due_outcomes(platform, end)
    outcomes, live = outcomes_of(platform, UNIT)
    report = make_report(platform, UNIT, start, end, end).metrics
    assert min(outcomes["hit"], printed["n_found"]) > 20
    assert printed["n_false_alarms"] > 0
    assert {
        "n_false_alarms": outcomes["false_alarm"],
        "n_episodes": outcomes["hit"] + outcomes["false_alarm"],
        "n_events": len(report["problems"]),
        "n_found": sum(p["episode"] is not None for p in report["problems"]),
        "n_too_late": 0,
        "median_lead_time": None,
        **{name: report["rows"][name] for name in OF_ROWS},
    } == {
        **{name: printed[name] for name in ("n_false_alarms", "n_episodes", "n_events", "n_found")},
        **{name: printed[name] for name in ("n_too_late", "median_lead_time", *OF_ROWS)},
    }
    assert len(live) == printed["n_episodes"]
    if "event" not in str(case):  # an attack goes on in two strides
        assert (printed["n_events"], printed["n_found"]) == (printed["positives"], outcomes["hit"])
    assert not [p for p in report["problems"] if p["lead_s"] is not None]
    assert report["time_in_alarm"]["value"] == pytest.approx(printed["time_in_alarm"], rel=0.01)


def test_an_episode_is_about_its_unit_alone_and_so_is_why():
    platform, result = units()
    evaluated_again(platform, result)
    episodes = sorted(platform.episodes.find(UNIT), key=lambda e: e.raised_at)
    assert all(e.valid_until == e.raised_at for e in episodes)
    assert {e.closed_at - e.raised_at for e in episodes} == {timedelta(minutes=1)}
    following = [b for a, b in pairwise(episodes) if b.raised_at == a.closed_at]
    assert following
    assert all(b.continues for b in following)
    sure = max(episodes, key=lambda e: e.evaluation.value)
    assert sure.evaluation.reason.startswith("The unit just made is probably bad (")
    assert {c.variable for c in sure.contributions} <= {"torque", "wear"}
    assert [change.variable for change in sure.recommendation.changes] == ["torque"]
    assert sure.recommendation.risk_after < sure.recommendation.risk_before
    end = platform.clock.now()
    worn = ReadingRow("oven-1", end + timedelta(minutes=5), {"torque": 90.0, "wear": 95.0})
    add_readings(platform, [worn], end)
    platform.clock.instant = end + timedelta(minutes=10)
    found = why(platform, UNIT, "oven-1", worn.ts)
    assert (found.verdict, found.model_version) == ("open", 1)
    none = why(platform, UNIT, "oven-1", end + timedelta(minutes=9))
    assert none.answer == "cannot tell: no unit was made in the last stride"


def test_a_grade_that_is_not_known_yet_leaves_the_outcome_open_and_no_unit_is_skipped_meanwhile():
    platform, result = units(BAD, 1, "3h")
    dataset = load_dataset(platform.runs, result.run_id)
    platform.clock.instant = last = from_millis(int(dataset.at[dataset.part == "test"].max()))
    evaluated_again(platform, result)
    determine_due_outcomes(platform, last)
    young = [e for e in platform.episodes.find(UNIT) if e.raised_at > last - timedelta(hours=3)]
    assert {e.outcome_record.outcome for e in young} == {"undetermined"}
    due = young[0]
    known_at = due.raised_at + timedelta(hours=3)
    assert timedelta(0) <= due.outcome_due_at - known_at <= timedelta(minutes=1)


def test_the_known_quality_of_earlier_units_is_no_rival_where_the_model_may_not_see_it():
    _, result = units()
    assert "persistence" not in {c.family for c in result.leaderboard}
    assert not [name for name in result.test if name.startswith("persistence")]
    assert [f for f in result.findings if f.kind == "unseen_problem"]
