"""Three lines, each with a model that serves and has scored a few days: one for each kind with
scores."""

from functools import partial

import pytest

from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.training.training_steps import train
from tests.builders import at
from tests.helpers import fan_line, filter_line
from tests.helpers.learning.stored_platforms import stored_platform
from tests.humid_line import ASSET, DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform

CLASSIFIER = "classifier"
FORECAST = "forecast"
ANOMALY = "anomaly"


def evaluated(platform, trained, end):
    for minute in (*range(trained, end, 95), end):
        platform.clock.instant = at(minute)
        evaluate(platform, None, at(minute))
    return platform


def humid_line():
    made = in_memory_platform()
    made.assets.store_assets([humid_oven()])
    add_readings(made, line(days=9), at(0))
    apply(made, [learned_quickly()], "engineer", at(0), "test")
    made.clock.instant = at(8 * DAY)
    train(made, NAME, at(8 * DAY))
    return evaluated(made, 8 * DAY, 9 * DAY)


def filter_of_line():
    made, _ = filter_line.trained_platform(
        learning={"trials": 1, "folds": 2, "candidates": ["ridge"]}
    )
    return evaluated(made, filter_line.TRAINED, filter_line.TRAINED + DAY)


def fan_of_line():
    made = in_memory_platform()
    made.assets.store_assets([fan_line.fan()])
    add_readings(made, fan_line.rows(), at(0))
    document = {
        "name": "unlike",
        "kind": "anomaly",
        "assets": [fan_line.ASSET],
        "windows": ["40m"],
    }
    apply(made, [document | {"schedule": {"retrain": None}}], "engineer", at(0), "test")
    made.clock.instant = at(fan_line.TRAINED)
    train(made, "unlike", at(fan_line.TRAINED))
    return evaluated(made, fan_line.TRAINED, fan_line.END)


MAKE = {
    CLASSIFIER: (partial(stored_platform, humid_line), NAME, ASSET),
    FORECAST: (partial(stored_platform, filter_of_line), filter_line.NAME, filter_line.AIR_FILTER),
    ANOMALY: (partial(stored_platform, fan_of_line), "unlike", fan_line.ASSET),
}


@pytest.fixture(scope="session", params=MAKE)
def served(request):
    make, name, asset = MAKE[request.param]
    platform = make()
    stored = list(platform.scores.for_interval(name, at(0), at(100 * DAY)))
    assert len(stored) > 30
    return request.param, platform, name, asset, stored
