from datetime import UTC, date, datetime, timedelta

import pytest

from alerting.alarm_kpis.floods import ABOVE
from alerting.reporting.base.load import operator_load

pytestmark = pytest.mark.fast

START = datetime(2026, 1, 5, tzinfo=UTC)


def at(minutes):
    return START + timedelta(minutes=minutes)


def load(*minutes, days=7, lasts=5):
    return operator_load(
        [(at(m), at(m + lasts)) for m in minutes], START, START + timedelta(days=days), ABOVE
    )


def test_a_quiet_stretch_asks_nothing_of_anybody():
    quiet = load()
    assert (quiet.episodes, quiet.peak, quiet.peak_at, quiet.busiest_day, quiet.longest_s) == (
        0,
        0,
        None,
        None,
        None,
    )
    assert quiet.days_without == 7
    assert quiet.per_week.value == 0
    assert quiet.per_week.high > 0


def test_rates_are_of_all_assets_together_with_an_interval():
    busy = load(*range(0, 14 * 1440, 1440), days=14)
    assert (busy.episodes, busy.per_day, busy.per_week.value, busy.days_without) == (
        14,
        1.0,
        7.0,
        0,
    )
    assert busy.per_week.low < 7 < busy.per_week.high
    assert busy.per_week.unit == "per week"


def test_the_peak_lies_anywhere_not_only_on_the_clocks_tens():
    bunched = load(5, 13, 14.9, 15.0, 100, 1500)
    assert (bunched.peak, bunched.peak_at) == (3, at(5))
    assert (bunched.busiest_day, bunched.busiest_day_episodes) == (date(2026, 1, 5), 5)


@pytest.mark.parametrize(("count", "floods"), [(10, 0), (11, 1)])
def test_more_than_ten_in_ten_minutes_is_a_flood(count, floods):
    assert load(*(20 + i * 0.5 for i in range(count))).floods == floods


def test_the_longest_episode_is_told_in_seconds():
    assert (
        operator_load([(at(0), at(1)), (at(5), at(65))], START, at(1440), ABOVE).longest_s == 3600
    )
