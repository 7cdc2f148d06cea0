"""A line on which moisture follows humidity, in good and bad data, and a definition that learns it
in seconds."""

from typing import Any

import numpy as np

from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import ReadingRow
from tests.builders import at, too_moist

ASSET = "humid-oven"
NAME = "too-moist"
DAY = 24 * 60
EVERY = 10


def humid_oven() -> Asset:
    return Asset(
        name=ASSET,
        variables={name: Variable(unit="%") for name in ("moisture", "humidity", "dough")},
    )


def learned_quickly(**changes: Any) -> dict[str, Any]:
    """Return a definition whose training takes seconds."""
    features = {"stride": "10m", "windows": ["15m", "30m", "1h"]}
    learning = {"trials": 1, "folds": 2, "candidates": ["logistic_regression"]}
    return too_moist(assets=[ASSET], learning=learning, features=features, **changes)


def line(
    sensor_from: float = 0.0,
    broken: tuple[float, float] = (0.0, 0.0),
    few_from: float = 99.0,
    days: int = 12,
) -> list[ReadingRow]:
    """Return a line whose moisture leaves its limit 30 minutes after the air gets humid. Instants
    in days.

    The humidity sensor is installed at `sensor_from` and reads wrong values during `broken`; the
    dough shows half of the causes. Only three problems occur after `few_from`.
    """
    random = np.random.default_rng(7)
    minutes = np.arange(0, days * DAY, EVERY)
    humidity = 40 + random.normal(0, 1, len(minutes))
    dough = 50 + random.normal(0, 1, len(minutes))
    moisture = 3.5 + random.normal(0, 0.1, len(minutes))
    starts = [s for s in range(150, days * DAY - 200, 190) if s < few_from * DAY]
    starts += [int(few_from * DAY) + 700 * n for n in (1, 2, 3)] if few_from < days else []
    for number, start in enumerate(starts):
        humidity[(minutes >= start) & (minutes < start + 60)] += 15
        dough[(minutes >= start) & (minutes < start + 60)] += 6 * (number % 2)
        moisture[(minutes >= start + 30) & (minutes < start + 75)] += 1.6
    lying = (minutes >= broken[0] * DAY) & (minutes < broken[1] * DAY)
    humidity[lying] = random.permutation(humidity[lying])
    rows = []
    for m, h, d, w in zip(
        minutes.tolist(), humidity.tolist(), dough.tolist(), moisture.tolist(), strict=True
    ):
        values = {"dough": d, "moisture": w} | ({"humidity": h} if m >= sensor_from * DAY else {})
        rows.append(ReadingRow(ASSET, at(m), values))
    return rows
