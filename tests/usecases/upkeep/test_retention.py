"""Readings that stay although they are old: of what is open, of a dated training period, of an
import."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.upkeep import Retention
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.upkeep.retention import retain
from tests.builders import at, oven, too_moist
from tests.in_memory_platform import HandClock, platform_on

pytestmark = pytest.mark.models
DAYS = 200
DAY = 24 * 60


@pytest.fixture
def platform(real):
    made = platform_on(real, [], HandClock(at(DAYS * DAY)))
    made = replace(made, retention=Retention(readings=timedelta(days=50)))
    made.assets.store_assets([oven()])
    return made


def live(platform):
    for day in range(DAYS):
        add_readings(
            platform,
            [ReadingRow("oven-1", at(day * DAY), {"temperature": 200.0})],
            at(day * DAY + 1),
        )


def oldest(platform):
    retain(platform, at(DAYS * DAY))
    return (platform.readings.span("oven-1")[0] - at(0)) // timedelta(days=1)


def test_old_readings_go(platform):
    live(platform)
    assert oldest(platform) == DAYS - 50


def test_old_readings_of_an_asset_that_is_no_longer_defined_go_too(platform):
    live(platform)
    # as an engineer does in MongoDB: the platform itself deletes no asset
    platform.assets._assets.delete_many({})
    assert platform.assets.all() == []
    assert oldest(platform) == DAYS - 50


def test_readings_of_a_training_period_with_a_date_stay_while_its_definition_is_in_service(
    platform,
):
    live(platform)
    dated = too_moist(periods={"start": at(100 * DAY).isoformat()})
    apply(platform, [dated], "engineer", at(DAYS * DAY), "test")
    assert oldest(platform) == 100
    apply(platform, [dated | {"state": "retired"}], "engineer", at(DAYS * DAY), "test")
    assert oldest(platform) == DAYS - 50


def test_an_imported_history_stays_as_long_after_its_import(platform):
    rows = [ReadingRow("oven-1", at(day * DAY), {"temperature": 200.0}) for day in range(DAYS)]
    add_readings(platform, rows, at((DAYS - 10) * DAY))
    assert oldest(platform) == 0
