"""A fan whose four variables follow one load; for a few hours its air flow no longer does, within
its usual range."""

import numpy as np

from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import ReadingRow
from tests.builders import at

ASSET = "fan-1"
DAY = 24 * 60
EVERY = 10
TRAINED = 20 * DAY
BROKEN = 22 * DAY + 360
REPAIRED = 22 * DAY + 660
END = 24 * DAY
LEVELS = {
    "speed": (40, 5, 0.2),
    "flow": (60, 8, 0.4),
    "current": (12, 2, 0.1),
    "temperature": (50, 3, 0.3),
}
"""Usual level, follows the load by, noise."""


def fan():
    return Asset(name=ASSET, variables={name: Variable(low=0, high=200) for name in LEVELS})


def rows(days=24, every=EVERY, seed=3, broken="flow", less=8.0):
    """Return readings in which one variable is less than the load leads to expect, from BROKEN to
    REPAIRED."""
    random = np.random.default_rng(seed)
    minutes = np.arange(0, days * DAY, every)
    load = np.sin(2 * np.pi * minutes / DAY) + 0.3 * random.normal(size=len(minutes))
    values = {
        name: usual + by * load + noise * random.normal(size=len(minutes))
        for name, (usual, by, noise) in LEVELS.items()
    }
    values[broken] = values[broken] - less * ((minutes >= BROKEN) & (minutes < REPAIRED))
    return [
        ReadingRow(ASSET, at(minute), {name: float(column[i]) for name, column in values.items()})
        for i, minute in enumerate(minutes.tolist())
    ]
