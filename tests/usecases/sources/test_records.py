"""Rows of a source whose columns are known already are read as those that come first."""

from datetime import UTC

import pytest

from alerting.definitions.asset_documents import Variable
from alerting.definitions.sources import parse_source
from alerting.usecases.sources.records import read_readings
from tests.builders import oven
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
]


def read(*rows):
    """Return the last of some rows as it is read, and why it is refused."""
    platform = memory_platform()
    platform.assets.store_assets([oven(a=Variable(), b=Variable())])
    records = [{"ts": "2026-01-05T12:00:00Z", "asset": "oven-1", "values": row} for row in rows]
    found = read_readings(platform.assets, MQTT, records, UTC)
    reasons = [refused.reason for refused in found.refused if refused.line == len(rows)]
    return found.readings[len(rows) - 1 :], reasons


def test_a_row_of_known_columns_is_read_as_the_first_one():
    known = {"a": 1.0, "b": 2.0}
    assert [read(known, known, one) for one in VALUES] == [read(one) for one in VALUES]
