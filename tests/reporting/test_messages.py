from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from alerting.reporting.base.messages import moment, number, percent, seconds

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),  # noqa: RUF001
        (0.0, "0"),
        (0.51234, "0.512"),
        (12.0, "12"),
        (999.6, "1\u202f000"),
        (671, "671"),
        (12345.6, "12\u202f346"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0 %"), (0.0331, "3.3 %"), (0.0999, "10 %"), (1.0, "100 %")],  # noqa: RUF001
)
def test_shares_are_percent(value, text):
    assert percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (7140, "1 h 59 min"),
        (7200, "2 h"),
        (-90, "-1 min 30 s"),
        (90_000, "1 d 1 h"),
        (86_460, "1 d"),
    ],
)
def test_lengths_of_time_have_two_units(value, text):
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "2026-07-05 22:30 UTC"),
        ("Europe/Berlin", "2026-07-06 00:30 CEST"),
        ("Asia/Kathmandu", "2026-07-06 04:15 UTC+0545"),
    ],
)
def test_an_instant_is_told_in_the_zone_of_the_plant_which_is_named(zone, text):
    assert moment(datetime(2026, 7, 5, 22, 30, tzinfo=UTC), ZoneInfo(zone)) == text
