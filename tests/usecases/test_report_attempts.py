from datetime import timedelta
from types import SimpleNamespace

import pytest

from alerting.adapters.memory.operators import MemoryPlatformAlerts
from alerting.reporting.life.periods import Period
from alerting.usecases.reports.attempts import FAILED, Attempts
from alerting.usecases.reports.due import LOOK_BACK, DueReport
from tests.builders import at

pytestmark = pytest.mark.fast

DUE = DueReport("broken", Period("week", "2026-W02", at(0), at(7 * 1440)), None, "")
FIRST = 8 * 1440


@pytest.fixture
def platform():
    made = SimpleNamespace(platform_alerts=MemoryPlatformAlerts())
    Attempts(made, at(FIRST)).failed(DUE, ValueError("no such column"))
    return made


def test_a_report_that_fails_is_a_platform_alert_with_its_reason_until_it_is_made(platform):
    (alert,) = platform.platform_alerts.open()
    assert (alert.kind, alert.subject) == (FAILED, "broken, 2026-W02")
    assert alert.reason.startswith("ValueError: no such column; it is tried again")
    Attempts(platform, at(FIRST + 10)).succeeded(DUE)
    assert platform.platform_alerts.open() == []


def test_attempts_come_later_each_time_and_then_once_a_day(platform):
    tried = [
        n * 10 for n in range(1, 6 * 144) if not Attempts(platform, at(FIRST + n * 10)).waits(DUE)
    ]
    assert tried == [10, 20, 40, 80, 160, 320, 640, 1280, 2 * 1440, 3 * 1440, 4 * 1440, 5 * 1440]
    other = DueReport("fine", DUE.period, None, "")
    assert not Attempts(platform, at(FIRST + 30)).waits(other)


def test_runs_at_odd_minutes_try_as_often(platform):
    tried = [
        7 + n * 10 for n in range(30) if not Attempts(platform, at(FIRST + 7 + n * 10)).waits(DUE)
    ]
    assert tried == [17, 27, 47, 87, 167]


def test_the_failure_of_a_report_that_is_not_due_any_more_is_over(platform):
    Attempts(platform, at(FIRST) + LOOK_BACK).drop_old()
    assert len(platform.platform_alerts.open()) == 1
    Attempts(platform, at(FIRST) + LOOK_BACK + timedelta(minutes=1)).drop_old()
    assert platform.platform_alerts.open() == []
