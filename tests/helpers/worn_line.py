"""A line whose tool wears: vibration rises until it breaks, or it is replaced as planned."""

import numpy as np

from alerting.definitions.asset_documents import EventType, Variable
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from tests.builders import at, oven, too_moist
from tests.helpers.learning.training import train_document
from tests.in_memory_platform import Mailbox, in_memory_platform

EVERY = 10
DOCUMENT = too_moist(
    problem={"event": "failure"},
    horizon="1h",
    remaining_life=True,
    replaced_by="replaced",
    replaced_every="4h",
    include=["vibration"],
    learning={"trials": 1, "folds": 2, "candidates": ["logistic_regression"]},
    features={"stride": "10m", "windows": ["30m"], "aggregations": ["last", "mean"]},
    operating_point={"false_alarms_per_week": 100, "max_time_in_alarm": 0.7},
)


def store_worn_asset(platform):
    platform.assets.store_assets([oven(vibration=Variable(unit="mm/s"))])
    platform.assets.put_event_types(
        [EventType(name=name, duration="instant") for name in ("failure", "replaced")]
    )


def worn_platform(lives=110, seed=1):
    """Return a platform with the readings of a line up to the end of this many lives, and that
    end (minutes). A ninth of them end with a planned replacement."""
    random = np.random.default_rng(seed)
    rows = []
    events = []
    minute = 0
    for number in range(lives):
        life = int(random.uniform(15, 45))
        stop = int(life * 0.7) if number % 9 == 4 else life
        for step in range(stop):
            wear = 10 * step / life + random.normal(0, 0.5)
            rows.append(ReadingRow("oven-1", at(minute), {"vibration": float(wear)}))
            minute += EVERY
        kind = "replaced" if stop < life else "failure"
        events.append(EventRow("oven-1", kind, at(minute), None, "test"))
    rows.append(ReadingRow("oven-1", at(minute), {"vibration": 0.0}))
    platform = in_memory_platform(Mailbox("mail"))
    store_worn_asset(platform)
    add_readings(platform, rows, at(0))
    add_events(platform, events, at(0))
    platform.clock.instant = at(minute)
    return platform, minute


def trained_worn_platform(lives=110):
    """Return the same platform with a model that was trained at its end."""
    platform, _ = worn_platform(lives)
    train_document(platform, DOCUMENT)
    return platform
