"""A line whose problem comes of warm water at high speed together, and whose pressure and current
follow the speed."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from alerting.definitions.asset_documents import Asset, Variable
from alerting.learning.data.dataset import Dataset, build_dataset
from alerting.learning.models.trained import TrainedModel
from alerting.learning.selection.challenger import finish_challenger
from alerting.readings.history import History
from tests import small_models
from tests.helpers.learning.trained import chosen

VARIABLES = {
    "pressure": Variable(title="Melt pressure", unit="bar"),
    "water": Variable(title="Cooling water", unit="°C", controllable=True, min=10, max=26),
    "speed": Variable(title="Screw speed", unit="1/min", controllable=True, min=60, max=100),
    "current": Variable(title="Motor current", unit="A"),
    "moisture": Variable(unit="%"),
}


def line(hours: int = 400, seed: int = 0) -> History:
    """Return readings each five minutes: moisture follows water times speed half an hour later."""
    random = np.random.default_rng(seed)
    n = hours * 12
    speed = np.repeat(random.choice([70.0, 75.0, 80.0, 85.0, 90.0], n // 40 + 1), 40)[:n]
    water = np.repeat(random.uniform(14, 24, n // 30 + 1), 30)[:n] + random.normal(0, 0.1, n)
    cause = np.roll((water - 14) * (speed - 65) / 100, 6)
    readings = {
        "pressure": np.round(2.5 * speed + random.normal(0, 1, n), 1),
        "water": np.round(water, 2),
        "speed": speed,
        "current": np.round(0.8 * speed + random.normal(0, 0.6, n), 1),
        "moisture": 2 + 2 * cause + random.normal(0, 0.05, n),
    }
    index = pd.date_range(small_models.START, periods=n, freq="5min", tz="UTC", name="ts")
    return History(
        Asset(name="oven-1", variables=VARIABLES), pd.DataFrame(readings, index.as_unit("ms"))
    )


def definition() -> Any:
    return small_models.definition(problem={"variable": "moisture", "above": 5.0}, gap="0m")


@cache
def dataset() -> Dataset:
    """Return the dataset of the line; no test alters it."""
    history = line()
    return build_dataset(definition(), 1, [history], small_models.as_of(history))


@cache
def model() -> TrainedModel:
    """Return a model of the line; no test alters it."""
    return finish_challenger(dataset(), chosen("lightgbm"), definition())[0]
