"""Last values of open alarms whose assets or sensors are silent, and the queries they take."""

from collections import Counter
from dataclasses import replace

from alerting.definitions.assets import Asset, Variable
from alerting.kinds.validation import parse_definition
from alerting.ports import ReadingRow
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.present_values import present_values
from tests.builders import at, threshold, too_hot
from tests.helpers.console.api import episode
from tests.in_memory_platform import in_memory_platform

HEAT = {"temperature": Variable(unit="°C"), "speed": Variable()}
SILENT = [f"oven-{number}" for number in range(20)]
GOING = [f"dryer-{number}" for number in range(3)]


class CountedReadings:
    """Readings with the number of calls by method."""

    def __init__(self, readings):
        self._readings = readings
        self.calls = Counter()

    def __getattr__(self, name):
        self.calls[name] += 1
        return getattr(self._readings, name)


def test_last_values_of_a_plant_that_is_offline_take_as_many_queries_as_those_of_one_asset():
    platform = in_memory_platform()
    assets = {name: Asset(name=name, variables=HEAT) for name in [*SILENT, *GOING]}
    platform.assets.store_assets(assets.values())
    rows = [
        ReadingRow(name, at(minute), {"temperature": 60.0 + place})
        for place, name in enumerate(assets)
        for minute in (1, 2)
    ]
    going = [
        ReadingRow(name, at(minute), {"speed": 1.0}) for name in GOING for minute in (290, 300)
    ]
    add_readings(platform, [*rows, *going], at(300))
    hot = threshold(assets=list(assets))
    readings = CountedReadings(platform.readings)

    def shown(names):
        readings.calls.clear()
        episodes = [episode(2, name, "open") for name in names]
        found = present_values(readings, episodes, {hot.name: hot}, assets, at(300))
        return [(found[one.id].when, found[one.id].value, found[one.id].is_old) for one in episodes]

    one = shown(SILENT[:1])
    few = readings.calls.copy()
    assert one == [(at(2), 60.0, True)]
    assert shown(SILENT) == [(at(2), 60.0 + place, True) for place in range(20)]
    assert readings.calls == few
    assert shown([*SILENT, *GOING])[-3:] == [(at(2), 80.0 + place, True) for place in range(3)]
    assert readings.calls == few + Counter(newest_values=3)


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
