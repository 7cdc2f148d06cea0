"""The metrics of the platform, on a platform in memory."""

from datetime import timedelta

import pytest

from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.platform_health.metrics import (
    DefinitionLag,
    platform_metrics,
    read_inventory,
)
from tests.builders import at, oven, too_hot
from tests.helpers.stores import contents
from tests.in_memory_platform import Mailbox, in_memory_platform

MINUTE = timedelta(minutes=1)


def oven_named(name):
    return oven().model_copy(update={"name": name})


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven(), oven_named("oven-2")])
    apply(
        made,
        [too_hot(stale_after="10h", severity="high", assets=["oven-*"])],
        "engineer",
        at(0),
        "test",
    )
    add_readings(made, [ReadingRow("oven-1", at(5), {"temperature": 230})], at(5))
    return made


def measured(platform, minute):
    return platform_metrics(platform, read_inventory(platform), at(minute))


def test_a_platform_before_its_first_evaluation(platform):
    found = measured(platform, 8)
    assert (found.targets, found.never_evaluated, found.assets_without_readings) == (2, 2, 1)
    assert dict(found.open_episodes) == {"low": 0, "medium": 0, "high": 0, "critical": 0}
    assert found.reading_age == {"oven-1": 3 * MINUTE}
    assert found.lag == {"too-hot": DefinitionLag(8 * MINUTE, MINUTE)}


def test_open_episodes_lag_and_notifications_follow_evaluation_and_delivery(platform):
    platform.clock.instant = at(8)
    evaluate(platform, None, at(8))
    found = measured(platform, 30)
    assert dict(found.open_episodes) == {"low": 0, "medium": 0, "high": 1, "critical": 0}
    assert (found.never_evaluated, found.notifications["pending"], found.notifications["dead"]) == (
        0,
        1,
        0,
    )
    assert 22 * MINUTE <= found.lag["too-hot"].lag <= 23 * MINUTE
    assert found.overdue >= 20 * MINUTE
    assert found.delivery_overdue > 15 * MINUTE
    deliver_due(platform, at(30))
    assert measured(platform, 30).notifications == {"pending": 0, "postponed": 0, "dead": 0}


def test_definitions_are_counted_by_state_and_faulty_ones_beside(platform):
    apply(platform, [too_hot(name="draft-one", state="draft")], "engineer", at(1), "test")
    platform.definitions.mark_faulty("draft-one", ["severity: must be one of …"])
    assert measured(platform, 8).definitions == {"active": 1, "draft": 1, "retired": 0, "faulty": 1}


def test_late_readings_of_the_last_hour_are_counted(platform):
    platform.clock.instant = at(20)
    evaluate(platform, None, at(20))
    add_readings(platform, [ReadingRow("oven-1", at(10), {"temperature": 190})], at(21))
    found = measured(platform, 22)
    assert (found.late_rows, found.unrouted_arrivals) == (1, 1)
    assert measured(platform, 90).late_rows == 0


def test_measuring_writes_nothing(platform):
    before = contents(platform)
    measured(platform, 8)
    assert contents(platform) == before
