"""The air filter of the demo line in memory, and the forecast of its pressure drop, learned in
seconds."""

from pathlib import Path

import yaml

from alerting.demo.disturbances import AIR_FILTER, air_filter
from alerting.demo.line import new_line, weigh
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply, check
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.training.training_steps import train
from tests.builders import at
from tests.in_memory_platform import in_memory_platform

NAME = "filter-clogging"
DAY = 24 * 60
DAYS = 30
TRAINED = 24 * DAY
END = DAYS * DAY
EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "demo" / "filter-clogging.yaml"


def document(**changes):
    """Return the example, with a search of seconds."""
    learning = {"trials": 1, "folds": 2, "candidates": ["boosted_trees"]}
    features = {"stride": "20m", "windows": ["1h", "3h"]}
    quick = {"learning": learning, "features": features, "schedule": {"retrain": None}}
    return yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) | quick | changes


def readings(days=DAYS):
    return [row for row in weigh(new_line(1, at(0), days), days * DAY) if row.asset == AIR_FILTER]


def filter_platform(rows=None, **changes):
    """Return a platform with the readings and the applied definition."""
    made = in_memory_platform()
    made.assets.store_assets([air_filter()])
    add_readings(made, readings() if rows is None else rows, at(0))
    check(made, [document(**changes)])
    apply(made, [document(**changes)], "engineer", at(0), "test")
    return made


def trained_platform(rows=None, **changes):
    """Return the platform and the decision of a training after TRAINED minutes."""
    made = filter_platform(rows, **changes)
    made.clock.instant = at(TRAINED)
    return made, train(made, NAME, at(TRAINED))
