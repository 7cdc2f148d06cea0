"""Columns from raw batches equal those of decoded documents."""

from random import Random

import bson
import numpy as np
import pytest
from bson.codec_options import CodecOptions

from alerting.stores.readings.columns import readings_columns
from alerting.stores.readings.readings import uniform_columns
from tests.builders import at

NAMES = ("a", "b", "temperature")
TYPES = dict.fromkeys(NAMES, "number")


def encoded(documents):
    return b"".join(bson.encode(one) for one in documents)


def read_one_by_one(batch):
    documents = bson.decode_all(batch, CodecOptions(tz_aware=False))
    return readings_columns("oven-1", iter(documents), TYPES)


@pytest.mark.parametrize("seed", range(4))
def test_documents_with_the_same_fields_are_read_as_they_are_one_by_one(seed):
    random = Random(seed)
    for _ in range(5):
        own = random.sample([*NAMES, "other"], random.randrange(5))
        batch = encoded(
            {"ts": at(n), "v": {name: random.choice((1.5, -0.0, np.nan, 1e300)) for name in own}}
            for n in range(random.randrange(1, 50))
        )
        found = uniform_columns(batch, NAMES)
        expected = read_one_by_one(batch)
        np.testing.assert_equal((found.ts, found.values), (expected.ts, expected.values))
        assert (found.faults, found.doubts) == (expected.faults, expected.doubts)


def test_other_documents_are_left_to_be_read_one_by_one():
    first = {"ts": at(0), "v": {"a": 1.0}}
    others = [
        {"ts": at(1), "v": {"b": 1.0}},  # as long, another field
        {"ts": at(1), "v": {"a": 1.0, "b": 2.0}},
        {"ts": at(1), "v": {"a": 1}},
        {"ts": at(1), "v": {"a": True}},
        {"ts": at(1), "v": {"a": "1.5"}},
        {"ts": at(1), "v": {"a": None}},
        {"ts": at(1), "v": {"a": at(2)}},
        {"ts": 1.0, "v": {"a": 1.0}},
        {"ts": at(1), "q": {"a": "bad"}, "v": {}},
        {"ts": at(1), "v": {"a": 1.0}, "q": {"a": "uncertain"}},
        {"ts": at(1), "v": {"a": {"b": 1.0}}},
        {"ts": at(1)},
        {"v": {"a": 1.0}},
    ]
    batches = [b"", *(encoded([first, second]) for second in others)]
    assert [batch for batch in batches if uniform_columns(batch, NAMES) is not None] == []


def test_values_are_of_their_variable_in_whatever_order_and_number_type_they_are_stored():
    stored = {
        (1.0, 2.0, 3.0): {"temperature": 3.0, "a": 1.0, "b": 2.0},
        (1.0, 1.0, float(2**53 + 1)): {"a": 1, "b": True, "temperature": 2**53 + 1},
        (1e300, -0.0, 7.5): {"temperature": 7.5, "other": "x", "b": -0.0, "a": 1e300},
        (1.0, 2.0, np.nan): {"a": 1.0, "b": 2.0},
        (1.0, np.nan, 3.0): {"a": 1.0, "b": None, "temperature": 3},
        (float(2**70), 2.0, 3.0): {"a": 2**70, "b": 2, "temperature": 3},
    }
    documents = [{"ts": at(n), "v": values} for n, values in enumerate(stored.values())]
    found = readings_columns("oven-1", iter(documents), TYPES)
    assert {column.dtype.kind for column in found.values.values()} == {"f"}
    rows = np.column_stack([found.values[name] for name in NAMES])
    np.testing.assert_array_equal(rows, [*stored])
    assert found.faults == {}


def test_one_value_that_is_no_number_is_a_fault_of_its_variable_alone():
    full = {"ts": at(0), "v": {"a": 1.0, "b": 2.0, "temperature": 3.0}}
    for wrong in ("1.5", at(2), {"x": 1}, [1.0], [1.0, 2.0]):
        documents = [full, {"ts": at(1), "v": {**full["v"], "b": wrong}}]
        found = readings_columns("oven-1", iter(documents), TYPES)
        assert found.values.keys() == {"a", "temperature"}, wrong
        assert "at 2026-01-05T00:01:00+00:00" in found.faults["b"]
