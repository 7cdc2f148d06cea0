"""Columns from raw batches equal those of decoded documents."""

from random import Random

import bson
import numpy as np
import pytest
from bson.codec_options import CodecOptions

from alerting.adapters.mongo.readings.raw_rows import uniform_columns
from alerting.adapters.samples.columns import readings_columns
from tests.builders import at

NAMES = ("a", "b", "temperature")
TYPES = dict.fromkeys(NAMES, "number")


def encoded(documents):
    return b"".join(bson.encode(one) for one in documents)


def read_one_by_one(batch):
    documents = bson.decode_all(batch, CodecOptions(tz_aware=False))
    return readings_columns("oven-1", iter(documents), TYPES)


@pytest.mark.parametrize("seed", range(20))
def test_documents_with_the_same_fields_are_read_as_they_are_one_by_one(seed):
    random = Random(seed)
    own = random.sample([*NAMES, "other"], random.randrange(5))
    batch = encoded(
        {"ts": at(n), "v": {name: random.choice((1.5, -0.0, float("nan"), 1e300)) for name in own}}
        for n in range(random.randrange(1, 50))
    )
    found = uniform_columns(batch, NAMES)
    expected = read_one_by_one(batch)
    assert np.array_equal(found.ts, expected.ts)
    for name in NAMES:
        assert np.array_equal(found.values[name], expected.values[name], equal_nan=True)
    assert (found.faults, found.doubts) == (expected.faults, expected.doubts)


@pytest.mark.parametrize(
    "second",
    [
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
    ],
)
def test_other_documents_are_left_to_be_read_one_by_one(second):
    first = {"ts": at(0), "v": {"a": 1.0}}
    assert uniform_columns(encoded([first, second]), NAMES) is None


def test_an_empty_batch_is_left_too():
    assert uniform_columns(b"", NAMES) is None
