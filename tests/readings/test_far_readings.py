"""Readings far from all others, found among the first and the last instants of a long file."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alerting.readings.variable_series import describe_doubtful

pytestmark = pytest.mark.fast
MINUTE = 60_000
DAY = 1440 * MINUTE
START = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
NOW = datetime(2030, 1, 1, tzinfo=UTC)
LONG = START + MINUTE * np.arange(120_000)
OF_1970 = np.array([3 * DAY])


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (LONG, []),
        (np.append(OF_1970, LONG), ["1 reading lies 56 years before the others"]),
        (
            np.append(OF_1970 + MINUTE * np.arange(500), LONG),
            ["500 readings lie 56 years before the others"],
        ),
        (np.append(LONG, LONG[-1] + 400 * DAY), ["1 reading lies 400 days after the others"]),
        # half a year without readings in the middle: nothing is a stray
        (np.concatenate([LONG, LONG + 265 * DAY]), []),
    ],
)
def test_of_a_long_file_the_gap_between_its_ends_is_none(times, said):
    ends = np.concatenate([times[:1000], times[-1000:]])
    assert [*describe_doubtful(ends, NOW, len(times))] == said


@pytest.mark.parametrize(
    ("days_past", "ahead"), [(83, 484), (82, 1924), (1, 118_564), (0, 120_000)]
)
def test_of_a_long_file_all_readings_after_now_are_counted(days_past, ahead):
    ends = np.concatenate([LONG[:50_000], LONG[-50_000:]])
    now = datetime.fromtimestamp(START / 1000, UTC) + timedelta(days=days_past)
    said = [*describe_doubtful(ends, now - timedelta(minutes=5), len(LONG))]
    assert [text.split(" ")[0] for text in said] == [f"{ahead:,}"]
