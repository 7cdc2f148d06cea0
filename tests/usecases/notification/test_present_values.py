"""Last values of open alarms."""

from dataclasses import replace

from alerting.ports import ReadingRow
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.episode_values import present_values
from tests.builders import at, oven, threshold
from tests.helpers.console.api import episode
from tests.in_memory_platform import in_memory_platform


def test_the_limit_of_an_alarm_is_that_of_its_severity_though_another_is_nearer():
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    add_readings(platform, [ReadingRow("oven-1", at(2), {"temperature": 225.0})], at(2))
    hot = threshold(above=None, levels={"high": {"above": 215}, "critical": {"above": 230}})
    limits = {}
    for severity in ("high", "critical", "low"):
        alarm = replace(episode(2, "oven-1", "open"), severity=severity)
        known = ({hot.name: hot}, {"oven-1": oven()}, at(3))
        limits[severity] = present_values(platform.readings, [alarm], *known)[alarm.id].limit
    assert limits == {"high": 215, "critical": 230, "low": 230}
