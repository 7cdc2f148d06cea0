"""A dataset built from a small history."""

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pandas as pd

from alerting.definitions.asset_documents import Asset, Variable
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import build_dataset
from alerting.readings.history import History

START = datetime(2026, 1, 1, tzinfo=UTC)


HOURS = 600


AS_OF = START + timedelta(hours=HOURS - 1)


def hourly(seed, hours=HOURS):
    """Return a slow wave with noise and occasional peaks above 2, a recipe, a ghost and a dead
    sensor."""
    random = np.random.default_rng(seed)
    index = pd.date_range(START, periods=hours, freq="h", name="ts", unit="ms")
    x = np.sin(np.arange(hours) / 7.0 + seed) * 2 + random.normal(0, 0.3, hours)
    recipe = np.array(["rye", "oat"], dtype=object)[np.arange(hours) // 50 % 2]
    return pd.DataFrame({"x": x, "recipe": recipe, "ghost": 4.0, "dead": np.nan}, index=index)


def oven(name="oven-1", seed=0, **more):
    variables = {
        "x": Variable(),
        "recipe": Variable(type="category"),
        "ghost": Variable(),
        "dead": Variable(),
        **more,
    }
    return History(
        Asset(name=name, attributes={"line": name[-1]}, variables=variables), hourly(seed)
    )


def definition(**more):
    base = {
        "name": "too-high",
        "kind": "classifier",
        "assets": ["oven-*"],
        "problem": {"variable": "x", "above": 2},
        "horizon": "3h",
        "features": {"stride": "1h", "windows": ["3h", "6h"], "attributes": ["line"]},
    }
    return ClassifierDefinition.model_validate(base | more)


@cache
def plain():
    """Return the dataset of the definition and both ovens as they are; no test changes it."""
    return built(definition())


def built(definition_=None, histories=None, as_of=AS_OF):
    return build_dataset(
        definition_ or definition(), 3, histories or [oven(), oven("oven-2", 1)], as_of
    )
