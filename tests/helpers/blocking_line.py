"""A line whose laboratory measures moisture every half hour and knows it ten minutes later; ten
pieces a minute, and lots. Its alert blocks production."""

from datetime import timedelta

from alerting.definitions.asset_documents import parse_asset
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from tests.builders import at
from tests.in_memory_platform import Mailbox, in_memory_platform

BAD = (120, 150)
END = 300
SEEN = 135
"""A minute at which the first bad sample is known, and the second one is not taken yet."""
ASSET = {
    "name": "oven-1",
    "variables": {
        "moisture": {"type": "number", "unit": "%", "sampling": "30m", "delay": "10m"},
        "pieces": {"type": "number", "counter": True, "counts": "units", "sampling": "1m"},
        "lot": {"type": "category", "names": "lots"},
    },
}
DOCUMENT = {
    "name": "too-moist",
    "kind": "threshold",
    "assets": ["oven-1"],
    "variable": "moisture",
    "above": 4.5,
    "stale_after": "2h",
    "blocks_production": True,
    "schedule": {"every": "5m"},
    "notify": {"channels": ["mail"]},
}
LOTS = {0: "L1", 100: "L2", 140: "L3"}


def blocking_line(**changes):
    """Return the platform of the line before its first reading."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([parse_asset(ASSET)])
    apply(platform, [{**DOCUMENT, **changes}], "engineer", at(0), "test")
    return platform


def readings_of(minute):
    """Return the readings that arrive at a minute."""
    values = {"pieces": 10.0 * minute}
    if minute in LOTS:
        values["lot"] = LOTS[minute]
    rows = [ReadingRow("oven-1", at(minute), values)]
    sampled = minute - 10
    if sampled >= 0 and sampled % 30 == 0:
        moisture = 5.0 if sampled in BAD else 4.0
        rows.append(ReadingRow("oven-1", at(sampled), {"moisture": moisture}))
    return rows


def live(platform, start=0, end=END, every=5):
    """Let readings arrive minute by minute, with a round of evaluation every few minutes."""
    for minute in range(start, end + 1):
        add_readings(platform, readings_of(minute), at(minute))
        if (minute - start) % every == 0 or minute == end:
            platform.clock.instant = at(minute)
            evaluate(platform, None, at(minute))
            deliver_due(platform, at(minute) + timedelta(seconds=1))
    return platform
