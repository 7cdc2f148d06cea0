"""Port `Readings`: rows that come as a batch of columns are stored as the same rows one by one."""

from datetime import timedelta

import bson
import numpy as np
import pytest

from alerting.adapters.mongo.readings import batch_bson
from alerting.ports import ReadingBatch, ReadingRow, SampleColumn
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at

LATER = at(10_000)
TYPES = {"temperature": np.float64, "running": np.bool_, "recipe": object, "pressure": np.float64}
FILL = {"temperature": np.nan, "running": False, "recipe": None, "pressure": np.nan}


@pytest.fixture
def stores(real):
    """Databases alone: here people edit documents, or a second process works."""
    return real


def batch(rows, quality=None):
    """The rows as a batch of columns."""
    columns = {}
    for name, dtype in TYPES.items():
        values = np.array([row.values.get(name, FILL[name]) for row in rows], dtype=dtype)
        columns[name] = SampleColumn(values, np.array([name in row.values for row in rows]))
    assets = np.array([row.asset for row in rows], dtype=object)
    at_ms = np.array([int(row.ts.timestamp() * 1000) for row in rows], dtype=np.int64)
    return ReadingBatch(assets, at_ms, columns, quality or {})


def row(minute, asset="oven-1", **values):
    return ReadingRow(asset, at(minute), values)


def mixed_rows(count=200, seed=3):
    """Rows of two assets with numbers, booleans and texts, of which some are missing."""
    random = np.random.default_rng(seed)
    rows = []
    for minute in range(count):
        given = {
            "temperature": float(random.normal(200, 5)),
            "running": bool(random.random() < 0.5),
            "recipe": str(
                random.choice(["rye", "wheat, dark", "Mehrkorn süß ☕", "x" * 300, "a\0b"])
            ),
            "pressure": float(random.choice([0.0, -1e308, 5e-324, 7.0])),
        }
        values = {name: value for name, value in given.items() if random.random() < 0.7}
        rows.append(
            ReadingRow(
                ["oven-1", "the-other-oven"][minute % 2], at(minute), values or {"pressure": 1.0}
            )
        )
    return rows


def stored(stores):
    """All documents in order, without their ids."""
    return list(
        stores.database["readings"].find({}, {"_id": False}).sort([("asset", 1), ("ts", 1)])
    )


def test_a_batch_is_stored_as_its_rows_are(stores, another_real):
    rows = mixed_rows()
    others = another_real
    assert add_readings(stores, batch(rows), LATER) == len(rows)
    add_readings(others, rows, LATER)
    assert stored(stores) == stored(others)
    assert len({d["_id"] for d in stores.database["readings"].find()}) == len(rows)


def test_a_batch_is_merged_with_what_is_stored_and_within_itself(stores):
    add_readings(stores, [row(0, temperature=1.0), row(1, temperature=2.0)], LATER)
    rows = [
        row(0, pressure=5.0),
        row(1, temperature=2.0),
        row(2, temperature=3.0),
        row(2, pressure=6.0),
    ]
    assert add_readings(stores, batch(rows), LATER) == 3
    assert [d["v"] for d in stored(stores)] == [
        {"temperature": 1.0, "pressure": 5.0},
        {"temperature": 2.0},
        {"temperature": 3.0, "pressure": 6.0},
    ]


def test_the_bytes_of_a_batch_are_those_of_its_documents():
    rows = mixed_rows()
    made = batch_bson.batch_documents(batch(rows), LATER)
    assert [document.raw for document in made] == [
        bson.encode(
            {
                "_id": document["_id"],
                "asset": row.asset,
                "ts": row.ts,
                "v": dict(row.values),
                "arrived_at": LATER,
            }
        )
        for document, row in zip(made, rows, strict=True)
    ]


def changed_rows(rows, seed):
    """The rows, of which some have another value, one more or one less, or come at other times."""
    random = np.random.default_rng(seed)
    changed = []
    for row in rows:
        values = dict(row.values)
        ts = row.ts
        kind = random.integers(12)
        if kind == 0:
            values["temperature"] = 1.0
        elif kind == 1:
            values["recipe"] = "another"
        elif kind == 2:
            values["running"] = not values.get("running", False)
        elif kind == 3 and len(values) > 1:
            values.popitem()
        elif kind == 4:
            ts += timedelta(seconds=30)
        changed.append(ReadingRow(row.asset, ts, values))
    return changed


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_batch_is_merged_as_its_rows_are(stores, another_real, seed):
    rows = mixed_rows(seed=seed)
    rows[5] = ReadingRow(rows[5].asset, rows[5].ts, {"temperature": 3.0}, {"pressure": "bad"})
    rows[6] = ReadingRow(
        rows[6].asset, rows[6].ts, {"temperature": 3.0}, {"temperature": "uncertain"}
    )
    again = changed_rows(rows, seed)
    again[5] = ReadingRow(rows[5].asset, rows[5].ts, {"temperature": 3.0, "pressure": 1.0})
    again[6] = ReadingRow(rows[6].asset, rows[6].ts, {"temperature": 3.0})
    others = another_real
    for each in (stores, others):
        add_readings(each, rows, LATER)
    day_after = LATER + timedelta(days=1)
    expected = add_readings(others, again, day_after)
    assert 2 < expected < len(rows)
    assert add_readings(stores, batch(again), day_after) == expected
    assert stored(stores) == stored(others)


def test_a_stored_value_of_another_type_is_replaced(stores):
    add_readings(stores, batch([row(0, temperature=1.0), row(1, temperature=2.0)]), LATER)
    stores.database["readings"].update_one({"ts": at(0)}, {"$set": {"v.temperature": "hot"}})
    assert (
        add_readings(stores, batch([row(0, temperature=1.0), row(1, temperature=2.0)]), at(9)) == 1
    )
    assert [d["v"] for d in stored(stores)] == [{"temperature": 1.0}, {"temperature": 2.0}]


def test_rows_that_another_import_inserts_meanwhile_are_merged(stores, monkeypatch):
    add_readings(stores, [row(1, temperature=7.0)], LATER)
    find = stores.reading_writes.stored
    before = [{}]
    monkeypatch.setattr(
        stores.reading_writes, "stored", lambda keys: before.pop() if before else find(keys)
    )
    assert add_readings(stores, batch([row(0, pressure=1.0), row(1, pressure=2.0)]), LATER) == 2
    assert [d["v"] for d in stored(stores)] == [
        {"pressure": 1.0},
        {"temperature": 7.0, "pressure": 2.0},
    ]


def test_the_quality_of_samples_is_stored(stores):
    add_readings(
        stores,
        batch([row(0, temperature=1.0), row(1, pressure=2.0)], {1: {"temperature": "bad"}}),
        LATER,
    )
    assert [(d["v"], d.get("q")) for d in stored(stores)] == [
        ({"temperature": 1.0}, None),
        ({"pressure": 2.0}, {"temperature": "bad"}),
    ]


def test_very_long_texts_are_stored_row_by_row(stores, monkeypatch):
    monkeypatch.setattr(batch_bson, "LARGEST", 10_000)
    rows = mixed_rows()
    assert batch_bson.batch_documents(batch(rows), LATER) is None
    assert add_readings(stores, batch(rows), LATER) == len(rows)
    assert [d["v"] for d in stored(stores) if d["asset"] == "oven-1"] == [
        dict(r.values) for r in rows if r.asset == "oven-1"
    ]


@pytest.mark.parametrize("limit", [0, 7, 1000])
def test_the_arrival_record_of_a_batch_is_that_of_its_rows(stores, another_real, limit):
    rows = mixed_rows(20)
    others = another_real
    for each in (stores, others):
        each.arrivals.extend_evaluated_until(at(limit))
    add_readings(stores, batch(rows), LATER)
    add_readings(others, rows, LATER)
    mine, theirs = (
        [(a.written, a.parts) for a in each.arrivals.unfinished().arrivals]
        for each in (stores, others)
    )
    assert mine == theirs
    assert bool(mine)
