"""Sensors that report once an hour: one row an hour in training, one score an hour in
evaluation."""

from itertools import pairwise

import numpy as np
import pytest

from alerting.definitions.assets import Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate_past
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.training.run import load_dataset
from alerting.usecases.training.train import train
from tests.builders import at, oven, too_moist
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.models
HOURS = 2_400
PROBLEM_EVERY = 40
RISE_BEFORE = 5
PROBLEM_HOURS = 3


def hourly_line():
    """Return humidity and moisture of each hour: humidity rises five hours before moisture leaves
    its limit for three."""
    random = np.random.default_rng(7)
    hours = np.arange(HOURS)
    humidity = 40 + random.normal(0, 1, HOURS)
    moisture = 3.5 + random.normal(0, 0.1, HOURS)
    since = hours % PROBLEM_EVERY
    humidity[since >= PROBLEM_EVERY - RISE_BEFORE] += 12
    moisture[(since < PROBLEM_HOURS) & (hours >= PROBLEM_EVERY)] += 1.6
    return humidity, moisture


def test_hourly_sensors_are_trained_and_evaluated_once_an_hour():
    platform = in_memory_platform(Mailbox("mail"))
    humidity_and_moisture = hourly_line()
    platform.assets.store_assets([oven(humidity=Variable(unit="%"))])
    values = enumerate(zip(*humidity_and_moisture, strict=True))
    rows = [
        ReadingRow("oven-1", at(60 * hour), {"humidity": float(h), "moisture": float(m)})
        for hour, (h, m) in values
    ]
    add_readings(platform, rows, at(0))
    learning = {"trials": 1, "folds": 2, "candidates": ["logistic_regression"]}
    problem = {"variable": "moisture", "above": 4.5}
    point = {"false_alarms_per_week": 5}
    document = too_moist(problem=problem, horizon="3h", learning=learning, operating_point=point)
    apply(platform, [document], "engineer", at(0), "test")
    end = at(60 * HOURS)
    platform.clock.instant = end
    result = train(platform, "too-moist", end)
    dataset = load_dataset(platform.runs, result.run_id)

    # no finer than the readings: a sixth of the horizon would be 30 minutes
    assert dataset.plan.stride_ms == 3_600_000
    # no hour stands there twice
    assert set(np.diff(dataset.at)) <= {3_600_000 * n for n in range(1, 20)}
    assert len(dataset.at) <= HOURS
    problems = HOURS // PROBLEM_EVERY - 1
    # each of the three hours before a problem counts once
    assert dataset.label.sum() == 3 * problems
    assert dataset.counts["inside_problem"] == PROBLEM_HOURS * problems
    assert result.promote
    assert result.test["n_found"] == result.test["n_events"] > 5

    test = dataset.at[dataset.part == "test"]
    start = at((int(test.min()) - int(at(0).timestamp() * 1000)) / 60_000 - 60)
    last = end
    evaluate_past(platform, "too-moist", start, last, model=str(result.challenger_version))
    scored = sorted(row["ts"] for row in platform.scores.for_interval("too-moist", start, last))
    assert min(b - a for a, b in pairwise(scored)) == at(60) - at(0)
    episodes = [e for e in platform.episodes.find("too-moist") if not e.withdrawn]
    assert sum(e.outcome_record.outcome == "hit" for e in episodes) == result.test["n_found"]
