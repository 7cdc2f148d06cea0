"""A press whose force depends on its earlier values, and is higher for a day."""

import numpy as np

from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import ReadingRow
from tests.builders import at

ASSET = "press-1"
DAY = 24 * 60
EVERY = 10
TRAINED = 20 * DAY
SHIFTED = 22 * DAY
BACK = 23 * DAY
END = 25 * DAY


def press():
    return Asset(name=ASSET, variables={"force": Variable(unit="kN", low=0, high=500)})


def rows(shift=4.0, dependent=0.5, seed=3, days=25, every=EVERY):
    """Return readings that depend on those before them; the level is higher from day 22 to day
    23."""
    random = np.random.default_rng(seed)
    minutes = np.arange(0, days * DAY, every)
    noise = random.normal(0, 1, len(minutes))
    values = np.zeros(len(minutes))
    for i in range(1, len(minutes)):
        values[i] = dependent * values[i - 1] + noise[i]
    values[(minutes >= SHIFTED) & (minutes < BACK)] += shift
    return [
        ReadingRow(ASSET, at(m), {"force": 200 + v})
        for m, v in zip(minutes.tolist(), values.tolist(), strict=True)
    ]
