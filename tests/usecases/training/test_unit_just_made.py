"""The unit just made: `horizon: 0s`, from training over live evaluation and outcome to the
report."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from alerting.definitions.assets import EventType, Variable
from alerting.ports import EventRow, ReadingRow
from alerting.readings.history import from_millis
from alerting.usecases.definitions.sync import apply
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.evaluation.evaluate import evaluate_past
from alerting.usecases.explain.explain import why
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.reports.make import make_report
from alerting.usecases.training.run import load_dataset
from alerting.usecases.training.train import train
from tests.builders import at, oven
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.models
UNITS = 2000
NAME = "unit-bad"
BAD = {"variable": "quality", "equals": "reject"}


def units(step=1):
    """Minute, torque and wear of each unit, and whether it is bad: torque of its own, whatever the
    unit before it was."""
    random = np.random.default_rng(5)
    minutes = np.arange(UNITS) * step
    torque = random.normal(40, 10, UNITS)
    wear = np.arange(UNITS) % 200 / 2
    bad = torque + wear * 0.2 + random.normal(0, 2, UNITS) > 65
    return minutes, torque, wear, bad


def trained(problem=BAD, step=1, delay="0s", grades=True, **changes):
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets(
        [
            oven(
                torque=Variable(unit="Nm", controllable=True, min=20, max=60),
                wear=Variable(),
                quality=Variable(type="category", delay=delay),
            )
        ]
    )
    attack = EventType(name="attack", duration="lasting", delay=timedelta(hours=2))
    platform.assets.put_event_types([attack])
    rows = []
    events = []
    for minute, torque, wear, bad in zip(*units(step), strict=True):
        values = {"torque": float(torque), "wear": float(wear)}
        values |= {"quality": "reject" if bad else "good"} if grades else {}
        rows.append(ReadingRow("oven-1", at(int(minute)), values))
        if bad and not grades:
            events.append(
                EventRow(
                    "oven-1",
                    "attack",
                    at(int(minute)),
                    at(int(minute)) + timedelta(seconds=40),
                    "test",
                )
            )
    add_readings(platform, rows, at(0))
    add_events(platform, events, at(0))
    document = {
        "name": NAME,
        "kind": "classifier",
        "assets": ["oven-1"],
        "problem": problem,
        "horizon": "0s",
        "learning": {"trials": 1, "folds": 2, "candidates": ["lightgbm"]},
        "operating_point": {"least_precision": 0.6},
        "features": {"windows": ["10m"], "aggregations": ["last", "mean"]},
        **changes,
    }
    apply(platform, [document], "engineer", at(0), "test")
    end = at(UNITS * step + 24 * 60)
    platform.clock.instant = end
    return platform, train(platform, NAME, end), end


@pytest.mark.parametrize(
    "case", [{}, {"step": 3}, {"delay": "3h"}, {"problem": {"event": "attack"}, "grades": False}]
)
def test_train_prints_what_live_evaluation_of_its_units_gives(case):
    platform, result, end = trained(**case)
    dataset = load_dataset(platform.runs, result.run_id)
    assert not {c for c in dataset.plan.columns if c.startswith("quality")}
    assert dataset.plan.stride_ms == 60_000 * case.get("step", 1)
    test = dataset.at[dataset.part == "test"]
    assert len(test) == UNITS // 5
    start = from_millis(int(test.min()) - 1)
    last = from_millis(int(test.max()))
    evaluate_past(platform, NAME, start, last, model=str(result.challenger_version))
    determine_due_outcomes(platform, end)
    scored = platform.scores.for_interval(NAME, start, end)
    assert sorted(row["ts"] for row in scored) == [from_millis(int(t)) for t in test]
    live = [e for e in platform.episodes.find(NAME) if not e.withdrawn]
    outcomes = Counter(e.outcome_record.outcome for e in live)
    printed = result.test
    assert outcomes["hit"] > 20
    assert outcomes["false_alarm"] == printed["n_false_alarms"] > 0
    assert outcomes["hit"] + outcomes["false_alarm"] == printed["n_episodes"] == len(live)
    assert printed["n_too_late"] == 0
    assert printed["median_lead_time"] is None
    report = make_report(platform, NAME, start, end, end).metrics
    assert len(report["problems"]) == printed["n_events"]
    assert sum(p["episode"] is not None for p in report["problems"]) == printed["n_found"] > 20
    if "grades" not in case:  # an attack goes on in two strides
        assert (printed["n_events"], printed["n_found"]) == (printed["positives"], outcomes["hit"])
    assert not [p for p in report["problems"] if p["lead_s"] is not None]
    for name in ("ap", "roc_auc", "brier", "rows", "positives"):
        assert report["rows"][name] == printed[name]
    assert report["time_in_alarm"]["value"] == pytest.approx(printed["time_in_alarm"], rel=0.01)


def test_an_episode_is_about_its_unit_alone():
    platform, result, end = trained()
    dataset = load_dataset(platform.runs, result.run_id)
    test = dataset.at[dataset.part == "test"]
    evaluate_past(
        platform, NAME, from_millis(int(test.min()) - 1), end, model=str(result.challenger_version)
    )
    episodes = sorted(platform.episodes.find(NAME), key=lambda e: e.raised_at)
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


def test_why_speaks_of_the_unit_and_says_where_there_was_none():
    platform, _, end = trained()
    worn = ReadingRow("oven-1", end + timedelta(minutes=5), {"torque": 90.0, "wear": 95.0})
    add_readings(platform, [worn], end)
    platform.clock.instant = end + timedelta(minutes=10)
    found = why(platform, NAME, "oven-1", worn.ts)
    assert (found.verdict, found.model_version) == ("open", 1)
    none = why(platform, NAME, "oven-1", end + timedelta(minutes=9))
    assert none.answer == "cannot tell: no unit was made in the last stride"


def test_a_grade_that_is_not_known_yet_leaves_the_outcome_open_and_no_unit_is_skipped_meanwhile():
    platform, result, _ = trained(delay="3h")
    dataset = load_dataset(platform.runs, result.run_id)
    test = dataset.at[dataset.part == "test"]
    start = from_millis(int(test.min()) - 1)
    last = from_millis(int(test.max()))
    platform.clock.instant = last
    evaluate_past(platform, NAME, start, last, model=str(result.challenger_version))
    determine_due_outcomes(platform, last)
    young = [e for e in platform.episodes.find(NAME) if e.raised_at > last - timedelta(hours=3)]
    assert young
    assert {e.outcome_record.outcome for e in young} == {"undetermined"}
    due = young[0]
    known_at = due.raised_at + timedelta(hours=3)
    assert timedelta(0) <= due.outcome_due_at - known_at <= timedelta(minutes=1)


def test_the_known_quality_of_earlier_units_is_no_rival_where_the_model_may_not_see_it():
    _, result, _ = trained()
    assert "persistence" not in {c.family for c in result.leaderboard}
    assert not [name for name in result.test if name.startswith("persistence")]
    assert [f for f in result.findings if f.kind == "unseen_problem"]
