"""Notes of a training on its learned limits."""

import json
from datetime import UTC, datetime

import pytest

from alerting.detection.learned_limits import GroupLimit, LimitTable
from alerting.kinds.threshold.model import FittedLimits

pytestmark = pytest.mark.fast

START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2024, 1, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([4.5, 4.1, 4.75], "3 groups of hour of day: 4.1 to 4.75"),
        (
            [4.5, None, 4.1],
            "2 groups of hour of day: 4.1 to 4.5; 1 more with fewer than 299 readings: the "
            "coarser limit is taken",
        ),
        ([4.5], "1 group of hour of day: 4.5"),
        (
            [None, None, None],
            "all 3 groups of hour of day have fewer than 299 readings: the coarser limit is taken",
        ),
        ([], "no reading with a known hour of day: the coarser limit is taken"),
        (
            [None],
            "the only group of hour of day has fewer than 299 readings: the coarser limit is taken",
        ),
    ],
)
def test_groups_are_counted_with_their_range_and_those_without_enough_readings(limits, expected):
    groups = {
        (): GroupLimit(1440, 4.6),
        **{(str(hour),): GroupLimit(60, limit) for hour, limit in enumerate(limits)},
    }
    table = LimitTable(0.99, ("hour_of_day",), START, END, groups)
    (said,) = FittedLimits({json.dumps(["force"]): table}, {}).describe("press-1")
    assert said == (
        "press-1: force, quantile 0.99 of 1440 readings, 2024-01-01 00:00 to 2024-01-29 00:00 UTC: "
        "4.6; " + expected
    )
