"""A line with asset states that suppress notifications."""

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.ovens import run
from tests.in_memory_platform import in_memory_platform

__all__ = ["STOPPED", "feed", "plant", "run"]
STOPPED = {"when": {"variable": "line_state", "equals": "stopped"}}


def plant(*channels, suppression=STOPPED, **changes):
    """Return a plant with oven-1 of line-1, which reports whether the line runs."""
    platform = in_memory_platform(*channels)
    line = Asset(name="line-1", variables={"line_state": Variable(type="category")})
    platform.assets.store_assets([oven().model_copy(update={"parent": "line-1"}), line])
    platform.assets.put_event_types([EventType(name="maintenance", duration="lasting")])
    apply(
        platform,
        [too_hot(suppression=suppression, stale_after="10h", **changes)],
        "engineer",
        at(-1),
        "test",
    )
    return platform


def feed(platform, minute, value=None, line=None):
    rows = [] if value is None else [ReadingRow("oven-1", at(minute), {"temperature": value})]
    rows += [] if line is None else [ReadingRow("line-1", at(minute), {"line_state": line})]
    add_readings(platform, rows, at(minute))
