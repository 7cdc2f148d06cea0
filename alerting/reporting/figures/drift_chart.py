"""The days of a variable that moved, with what was to be expected of the last one."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from alerting.learning.metrics.drift_findings import DayLevel, MovedVariable

_MARGIN = 0.08  # of the height, above and below
_WIDTH = 94.0  # of 100, so that the last day and its range are whole


class DriftChart(NamedTuple):
    """Places in a square of 100 units: `path`, points of the line of days; `last`: the last day;
    `expected`, `low`, `high`: heights of what was expected and of how far chance leads; `since`,
    `learned`: where it began to lie apart, and where the training ended, None where that is not
    within the days."""

    path: str
    last: tuple[float, float]
    expected: float
    low: float
    high: float
    since: float | None
    learned: float | None
    lowest: float
    highest: float


def draw_drift(
    days: Sequence[DayLevel],
    moved: MovedVariable,
    since: datetime,
    learned: datetime | None,
) -> DriftChart | None:
    """Return the chart of a variable; None of fewer than two days."""
    if len(days) < 2:
        return None
    low = min(*(day.level for day in days), moved.expected - moved.limit)
    high = max(*(day.level for day in days), moved.expected + moved.limit)
    height = high - low or abs(high) or 1.0
    first = days[0].end
    width = (days[-1].end - first).total_seconds()

    def x(at: datetime) -> float:
        return round(_WIDTH * (at - first).total_seconds() / width, 1)

    def y(value: float) -> float:
        return round(100 * (1 + _MARGIN - (value - low) / height) / (1 + 2 * _MARGIN), 1)

    places = [(x(day.end), y(day.level)) for day in days]
    return DriftChart(
        path=" ".join(f"{a * 10:g},{b * 10:g}" for a, b in places),
        last=places[-1],
        expected=y(moved.expected),
        low=y(moved.expected - moved.limit),
        high=y(moved.expected + moved.limit),
        since=x(since) if first <= since <= days[-1].end else None,
        learned=x(learned) if learned and first <= learned <= days[-1].end else None,
        lowest=low,
        highest=high,
    )
