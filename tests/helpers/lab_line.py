"""A line whose quality a laboratory measures each hour, and knows 50 minutes later."""

from functools import cache

import numpy as np

from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.training.training_steps import train
from tests.builders import at
from tests.in_memory_platform import in_memory_platform

ASSET = "roaster-1"
NAME = "quality-between-samples"
HOUR = 60
DAY = 24 * HOUR
TRAINED = 36 * DAY
END = 40 * DAY


def roaster():
    number = {"type": "number", "sampling": "20m"}
    return Asset(
        name=ASSET,
        variables={
            "heat": Variable(**number),
            "quality": Variable(type="number", unit="points", sampling="1h", delay="50m"),
        },
    )


@cache
def rows(days=40):
    """Return the heat every 20 minutes; the quality follows it within the hour."""
    random = np.random.default_rng(7)
    steps = days * 72
    heat = np.zeros(steps)
    for step in range(1, steps):
        heat[step] = 0.9 * heat[step - 1] + random.normal()
    found = []
    for step in range(steps):
        values = {"heat": 200 + float(heat[step])}
        if step % 3 == 0 and step:
            quality = 100 + 4 * heat[step - 3 : step].mean() + random.normal(0, 1.5)
            values["quality"] = float(quality)
        found.append(ReadingRow(ASSET, at(20 * step), values))
    return found


def document(**changes):
    """Return a forecast of the quality alone, with a search of seconds."""
    return {
        "name": NAME,
        "kind": "forecast",
        "assets": [ASSET],
        "variable": "quality",
        "horizon": "1h",
        "features": {"stride": "20m", "windows": ["1h", "3h"]},
        "learning": {"trials": 1, "folds": 2, "candidates": ["ridge"]},
        "schedule": {"retrain": None},
    } | changes


def lab_platform(**changes):
    """Return a platform with the readings and the applied definition."""
    made = in_memory_platform()
    made.assets.store_assets([roaster()])
    add_readings(made, rows(), at(0))
    apply(made, [document(**changes)], "engineer", at(0), "test")
    made.clock.instant = at(TRAINED)
    return made


def trained_platform(**changes):
    """Return the platform and the proposal of a training after TRAINED minutes."""
    made = lab_platform(**changes)
    return made, train(made, NAME, at(TRAINED))


def evaluate_until(made, end=END):
    """Evaluate each three hours until an instant (minutes)."""
    for minute in (*range(TRAINED, end, 3 * HOUR), end):
        made.clock.instant = at(minute)
        evaluate(made, None, at(minute))
    return made
