"""Rows of a source whose columns are known already are read as those that come first."""

from datetime import UTC

import pytest

from alerting.definitions.sources import parse_source
from alerting.usecases.sources.message_parts import RowRefused
from alerting.usecases.sources.records import RecordMapping

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


def read(mapping, values):
    faults = []
    row = {"ts": "2026-01-05T12:00:00Z", "asset": "oven-1", "values": values}
    try:
        return mapping.reading(row, faults), [str(fault) for fault in faults]
    except RowRefused as refusal:
        return str(refusal)


def test_a_row_of_known_columns_is_read_as_the_first_one():
    known = RecordMapping(MQTT, UTC)
    read(known, {"a": 1.0, "b": 2.0})
    assert [read(known, one) for one in VALUES] == [
        read(RecordMapping(MQTT, UTC), one) for one in VALUES
    ]
