"""Times in which evaluation was late, from the platform alerts that recorded it."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from alerting.ports import PlatformAlert
from alerting.usecases.alarm_load.late_times import late_times
from tests.builders import at

pytestmark = pytest.mark.fast

FIVE = timedelta(minutes=5)
ALERTS = [
    PlatformAlert("evaluation late", "evaluate__5m", (
        "too-hot not evaluated since "
        f"{at(60).isoformat()}; see"
    ), at(80), at(100)),
    PlatformAlert("evaluation late", "evaluate__5m", "too-hot was not evaluated", at(200)),
    PlatformAlert("evaluation late", "evaluate__1h", "no instant", at(90), at(110)),
    PlatformAlert("disk filling", "evaluate__5m", "full", at(300), at(400)),
]  # fmt: skip


def make_times(start, end, as_of, every=None):
    found = SimpleNamespace(
        open=lambda: [a for a in ALERTS if a.resolved_at is None],
        resolved_since=lambda since: [a for a in ALERTS if a.resolved_at and a.resolved_at > since],
    )
    return late_times(found, start, end, as_of, every)


def test_a_late_time_begins_where_the_last_evaluation_had_come():
    assert make_times(at(0), at(1000), at(500), FIVE) == ((at(60), at(100)), (at(200), at(500)))


def test_a_late_tick_of_a_plant_counts_for_its_cadence():
    late = PlatformAlert("evaluation late", "evaluate__5m__north", "not evaluated", at(3), at(9))
    other = PlatformAlert("evaluation late", "evaluate__5min", "not evaluated", at(20), at(30))
    found = SimpleNamespace(open=list, resolved_since=lambda _: [late, other])
    assert late_times(found, at(0), at(90), at(90), FIVE) == ((at(3), at(9)),)


def test_times_of_all_cadences_are_joined_and_cut_to_the_period():
    assert make_times(at(70), at(210), at(500)) == ((at(70), at(110)), (at(200), at(210)))


def test_what_was_found_after_the_report_is_unknown_to_it():
    assert make_times(at(0), at(1000), at(95), FIVE) == ((at(60), at(95)),)
    assert make_times(at(0), at(1000), at(70), FIVE) == ()
