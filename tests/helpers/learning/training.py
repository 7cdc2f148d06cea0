"""A line with a problem that a model can learn."""

import numpy as np

from alerting.definitions.asset_documents import Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.training.training_steps import train
from tests.builders import at, oven
from tests.in_memory_platform import Mailbox, in_memory_platform

MINUTES = 6 * 24 * 60


EVERY = 5


def moisture_after_humidity(seed=1):
    """Return minutes, humidity and moisture: the humidity rises occasionally, moisture leaves its
    limit 20 to 60 min later."""
    random = np.random.default_rng(seed)
    minutes = np.arange(0, MINUTES, EVERY)
    humidity = 40 + random.normal(0, 1, len(minutes))
    moisture = 3.5 + random.normal(0, 0.1, len(minutes))
    for start in range(150, MINUTES - 200, 190):
        rise = (minutes >= start) & (minutes < start + 60)
        humidity[rise] += 15
        late = (minutes >= start + 30) & (minutes < start + 75)
        moisture[late] += 1.6
    return minutes, humidity, moisture


def readings_of(line, after=0):
    """Return the readings of an oven from minutes, humidity and moisture; what is not a number is
    missing."""
    rows = []
    for minute, humid, moist in zip(*line, strict=True):
        values = {"humidity": float(humid), "moisture": float(moist)}
        known = {name: value for name, value in values.items() if not np.isnan(value)}
        rows.append(ReadingRow("oven-1", at(after + int(minute)), known))
    return rows


def oven_platform(line=None, until=MINUTES, **variables):
    """Return a platform with the readings of an oven, at this minute."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven(**{"humidity": Variable(unit="%"), **variables})])
    add_readings(platform, readings_of(line or moisture_after_humidity()), at(0))
    platform.clock.instant = at(until)
    return platform


def train_document(platform, document):
    """Apply a definition as of the first instant, train it now, and return the proposal."""
    apply(platform, [document], "engineer", at(0), "test")
    return train(platform, document["name"], platform.clock.now())
