"""The metrics of the platform, on a platform in memory."""

from datetime import timedelta

import pytest

from alerting.ports import ReadingRow
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.health.platform_health import DefinitionLag, read_inventory
from alerting.usecases.health.platform_metrics import platform_metrics
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from tests.builders import at
from tests.helpers.ovens import define, feed, oven_platform
from tests.helpers.stores import contents
from tests.in_memory_platform import Mailbox

MINUTE = timedelta(minutes=1)
NONE_OPEN = dict.fromkeys(("low", "medium", "high", "critical"), 0)


@pytest.fixture
def platform():
    made = oven_platform(Mailbox("mail"), count=2, severity="high")
    feed(made, 5, 230)
    return made


def measured(platform, minute):
    return platform_metrics(platform, read_inventory(platform), at(minute))


def evaluated(platform, minute):
    platform.clock.instant = at(minute)
    evaluate(platform, None, at(minute))


def test_a_platform_before_its_first_evaluation_and_measuring_writes_nothing(platform):
    before = contents(platform)
    found = measured(platform, 8)
    assert (found.targets, found.never_evaluated, found.assets_without_readings) == (2, 2, 1)
    assert dict(found.open_episodes) == NONE_OPEN
    assert found.reading_age == {"oven-1": 3 * MINUTE}
    assert found.lag == {"too-hot": DefinitionLag(8 * MINUTE, MINUTE)}
    assert contents(platform) == before


def test_open_episodes_lag_and_notifications_follow_evaluation_and_delivery(platform):
    evaluated(platform, 8)
    found = measured(platform, 30)
    assert dict(found.open_episodes) == NONE_OPEN | {"high": 1}
    assert found.never_evaluated == 0
    assert found.notifications == {"pending": 1, "postponed": 0, "dead": 0}
    assert 22 * MINUTE <= found.lag["too-hot"].lag <= 23 * MINUTE
    assert found.overdue >= 20 * MINUTE
    assert found.delivery_overdue > 15 * MINUTE
    deliver_due(platform, at(30))
    assert measured(platform, 30).notifications == {"pending": 0, "postponed": 0, "dead": 0}


def test_definitions_are_counted_by_state_and_faulty_ones_beside(platform):
    define(platform, 1, name="draft-one", state="draft")
    platform.definitions.mark_faulty("draft-one", ["severity: must be one of …"])
    assert measured(platform, 8).definitions == {"active": 1, "draft": 1, "retired": 0, "faulty": 1}


def test_late_readings_of_the_last_hour_are_counted(platform):
    evaluated(platform, 20)
    add_readings(platform, [ReadingRow("oven-1", at(10), {"temperature": 190})], at(21))
    found = measured(platform, 22)
    assert (found.late_rows, found.unrouted_arrivals) == (1, 1)
    assert measured(platform, 90).late_rows == 0
