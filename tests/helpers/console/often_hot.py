"""A line that gets too hot for ten minutes of every two hours, for previews and alarm budgets."""

from dataclasses import replace

from alerting.definitions.platform_limits import AlarmBudget
from alerting.ports import ReadingRow
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven
from tests.in_memory_platform import in_memory_platform

DAYS = 3


def often_hot(**budget):
    """Return a platform of three days, at the end of the third, without a definition."""
    made = replace(in_memory_platform(), budget=AlarmBudget(mode="refuse", days=DAYS, **budget))
    made.assets.store_assets([oven()])
    minutes = range(0, DAYS * 24 * 60, 5)
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": 230.0 if m % 120 < 10 else 200.0})
        for m in minutes
    ]
    add_readings(made, rows, at(0))
    made.clock.instant = at(DAYS * 24 * 60)
    return made
