"""Rows of a source whose columns are known already are read as those that come first."""

from datetime import UTC

import pytest

from alerting.definitions.asset_documents import Variable
from alerting.definitions.sources import parse_source
from alerting.usecases.sources.records import read_readings
from tests.builders import at, oven
from tests.in_memory_platform import memory_platform

pytestmark = pytest.mark.fast

MQTT = parse_source({"name": "line", "kind": "mqtt", "url": {"env": "B"}, "topic": "line/#"})


VALUES = [
    {"a": 1, "b": 2.5},
    {"a": 10**400, "b": -(10**400)},
    {"a": 1e308, "b": 1e308},
    {"a": float("nan"), "b": 1.0},
    {"a": None, "b": 1.0},
    {"a": True, "b": 1.0},
    {"a": "x", "b": 1.0},
    {"b": 1.0, "a": 2.0},
    {"a": {"x": 1.0}},
]


KNOWN = {"a": 1.0, "b": 2.0}


def read(*rows, quality=None):
    """Return the last of some rows as it is read, and why it is refused."""
    platform = memory_platform()
    platform.assets.store_assets([oven(a=Variable(), b=Variable())])
    records = [
        {"ts": at(minute).isoformat(), "asset": "oven-1", "values": row}
        for minute, row in enumerate(rows, 1 - len(rows))
    ]
    source = MQTT.model_copy(update={"quality": quality})
    found = read_readings(platform.assets, source, records, UTC)
    reasons = [refused.reason for refused in found.refused if refused.line == len(rows)]
    return [row for row in found.readings if row.ts == at(0)], reasons


@pytest.mark.parametrize("quality", [None, "quality"])
def test_a_row_of_known_columns_is_read_as_the_first_one(quality):
    for row in VALUES:
        assert read(KNOWN, row, quality=quality) == read(row, quality=quality)
        assert read(row, KNOWN, quality=quality) == read(KNOWN, quality=quality)
    assert read({}, {}) == ([], ["has no value"])


@pytest.mark.parametrize("quality", [None, "quality"])
def test_a_number_of_its_own_after_nested_ones_of_its_title_keeps_its_variable(quality):
    nested = [{"a": {"x": 3.0}}] * 3
    [row], reasons = read({"a": 1.0}, *nested, {"a": 5.0}, quality=quality)
    assert (row.values, reasons) == ({"a": 5.0}, [])
    [row], reasons = read({"a": 5.0}, *nested, quality=quality)
    assert (row.values, reasons) == ({"a_x": 3.0}, [])


def test_a_quality_is_that_of_the_variable_of_its_column():
    source = parse_source({"name": "gate", "kind": "http", "asset": "oven-1"})
    rows = [{"ts": at(0), "mass [g]": 5, "quality": {"mass": "uncertain"}}]
    [row] = read_readings(memory_platform().assets, source, rows, UTC).readings
    assert (row.values, row.quality) == ({"mass": 5.0}, {"mass": "uncertain"})


def test_a_variable_that_a_quality_declares_has_the_unit_of_its_column():
    stated = {"quality": "q", "variables": {"T1": {"name": "temp", "unit": "°F"}}}
    source = parse_source({"name": "gate", "kind": "http", "asset": "oven-1", **stated})
    rows = [{"ts": at(0), "b": 1, "q": {"T1": "bad"}}, {"ts": at(1), "T1": 212}]
    read = read_readings(memory_platform().assets, source, rows, UTC)
    [asset] = read.assets
    assert (asset.variables["temp"].unit, read.readings[1].values) == ("°F", {"temp": 212.0})
