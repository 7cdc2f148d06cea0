"""Last values of open alarms whose assets or sensors are silent, and the queries they take."""

from dataclasses import replace

from alerting.definitions.assets import Asset, Variable
from alerting.kinds.validation import parse_definition
from alerting.ports import ReadingRow
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.present_values import present_values
from tests.builders import at, too_hot
from tests.helpers.console.api import episode
from tests.in_memory_platform import in_memory_platform

HEAT = {"temperature": Variable(unit="°C"), "speed": Variable()}


def test_the_limit_of_an_alarm_is_that_of_its_severity_though_another_is_nearer():
    platform = in_memory_platform()
    oven = Asset(name="oven", variables=HEAT)
    platform.assets.store_assets([oven])
    add_readings(platform, [ReadingRow("oven", at(2), {"temperature": 225.0})], at(2))
    levels = {"high": {"above": 215}, "critical": {"above": 230}}
    document = {k: v for k, v in too_hot(assets=["oven"], levels=levels).items() if k != "above"}
    hot = parse_definition(document)
    limits = {}
    for severity in ("high", "critical", "low"):
        alarm = replace(episode(2, "oven", "open"), severity=severity)
        found = present_values(platform.readings, [alarm], {hot.name: hot}, {"oven": oven}, at(3))
        limits[severity] = found[alarm.id].limit
    assert limits == {"high": 215, "critical": 230, "low": 230}
