"""A line whose humid air, and later a cold oven, is followed by moisture beyond its limit."""

from dataclasses import replace
from datetime import timedelta

import numpy as np

from alerting.definitions.asset_documents import Variable
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, history, oven, too_moist
from tests.frame_readings import FrameReadings
from tests.in_memory_platform import in_memory_platform
from tests.small_models import rows_of

DAY = 24 * 60
DAYS = 13
START = 4 * DAY
END = 13 * DAY
DOCUMENT = too_moist(
    learning={"trials": 1, "folds": 2, "candidates": ["logistic_regression", "lightgbm"]},
    features={"stride": "5m", "windows": ["15m", "30m", "1h"]},
    periods={"validation": 0.15, "test": 0.15},
    operating_point={"false_alarms_per_week": 50, "max_time_in_alarm": 0.5},
    promotion={"least_events": 1, "confidence": 0.51},
)
LINEAR = {**DOCUMENT, "learning": {**DOCUMENT["learning"], "candidates": ["logistic_regression"]}}
"""The same with one family, where which one wins does not matter."""


def line(seed=1):
    """Humid air is followed by moisture that leaves its limit half an hour later; from the fifth
    day on a cold oven is, too."""
    random = np.random.default_rng(seed)
    minutes = np.arange(0, DAYS * DAY, 5)
    humidity = 40 + random.normal(0, 1, len(minutes))
    temperature = 210 + random.normal(0, 1, len(minutes))
    moisture = 3.5 + random.normal(0, 0.1, len(minutes))
    for start in range(150, DAYS * DAY - 200, 190):
        cold = start > 4 * DAY and random.random() < 0.5
        cause = temperature if cold else humidity
        cause[(minutes >= start) & (minutes < start + 60)] += -15 if cold else 15
        if random.random() < 0.8:
            moisture[(minutes >= start + 30) & (minutes < start + 75)] += 1.6
    return history(
        minutes.tolist(),
        asset=asset(),
        humidity=humidity,
        temperature=temperature,
        moisture=moisture,
    )


def asset():
    return oven(
        humidity=Variable(unit="%", title="Air humidity", controllable=True, min=30, max=60, step=1)
    )


HISTORY = line()


def plant():
    """A plant with latency: the first rows of a segment belong to the model that its training
    replaces."""
    platform = replace(
        in_memory_platform(),
        readings=FrameReadings(HISTORY),
        latency=timedelta(seconds=10),
    )
    platform.assets.store_assets([asset()])
    platform.clock.instant = at(END)
    return platform


def stored_line():
    """Return a platform of the same line whose readings are stored."""
    platform = in_memory_platform()
    platform.assets.store_assets([asset()])
    add_readings(platform, rows_of(HISTORY.readings), at(0))
    platform.clock.instant = at(END)
    return platform
