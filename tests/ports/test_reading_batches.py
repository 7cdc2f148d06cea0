"""Port `Readings`: rows that come as a batch of columns are stored as the same rows one by one."""

from dataclasses import replace
from datetime import timedelta

import bson
import numpy as np
import pytest

from alerting.ports import ReadingBatch, ReadingRow, SampleColumn
from alerting.stores.readings import writes as batch_bson
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at

LATER = at(10_000)
DAY = timedelta(days=1)
HOURS = timedelta(minutes=100)
TYPES = {"temperature": np.float64, "running": np.bool_, "recipe": object, "pressure": np.float64}
FILL = {"temperature": np.nan, "running": False, "recipe": None, "pressure": np.nan}


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


@pytest.mark.parametrize("seed", range(2))
def test_a_batch_and_a_changed_one_are_stored_and_merged_as_their_rows_are(
    real, another_real, seed
):
    rows = [*mixed_rows(seed=seed), row(7, pressure=6.0)]  # two of one instant
    given = {"temperature": 3.0, "pressure": 1.0}
    again = changed_rows(rows, seed)
    for number, quality in ((5, {"pressure": "bad"}), (6, {"temperature": "uncertain"})):
        again[number] = replace(rows[number], values=given, quality={})
        rows[number] = replace(rows[number], values={"temperature": 3.0}, quality=quality)
    qualities = {number: rows[number].quality for number in (5, 6)}
    for minute, changed in ((0, batch(rows, qualities)), (1, batch(again))):
        expected = add_readings(another_real, [rows, again][minute], LATER + minute * DAY)
        assert 2 < expected <= len(rows) - minute
        assert add_readings(real, changed, LATER + minute * DAY) == expected
        assert stored(real) == stored(another_real)


def test_a_stored_value_of_another_type_is_replaced(real):
    rows = [row(0, temperature=1.0), row(1, temperature=2.0)]
    add_readings(real, batch(rows), LATER)
    real.database["readings"].update_one({"ts": at(0)}, {"$set": {"v.temperature": "hot"}})
    assert add_readings(real, batch(rows), at(9)) == 1
    assert [d["v"] for d in stored(real)] == [{"temperature": 1.0}, {"temperature": 2.0}]


def test_rows_that_another_import_inserts_meanwhile_are_merged(real, monkeypatch):
    add_readings(real, [row(1, temperature=7.0)], LATER)
    find = real.reading_writes.stored
    before = [{}]
    monkeypatch.setattr(
        real.reading_writes, "stored", lambda keys: before.pop() if before else find(keys)
    )
    assert add_readings(real, batch([row(0, pressure=1.0), row(1, pressure=2.0)]), LATER) == 2
    assert [d["v"] for d in stored(real)] == [
        {"pressure": 1.0},
        {"temperature": 7.0, "pressure": 2.0},
    ]


def test_very_long_texts_are_stored_row_by_row(real, monkeypatch):
    monkeypatch.setattr(batch_bson, "LARGEST", 10_000)
    rows = mixed_rows()
    assert batch_bson.batch_documents(batch(rows), LATER) is None
    assert add_readings(real, batch(rows), LATER) == len(rows)
    assert [d["v"] for d in stored(real) if d["asset"] == "oven-1"] == [
        dict(r.values) for r in rows if r.asset == "oven-1"
    ]


def test_the_arrival_record_of_a_batch_is_that_of_its_rows(real, another_real):
    found = []
    for stores, as_given in ((real, batch), (another_real, list)):
        for number, limit in enumerate((0, 107, 2000)):
            stores.arrivals.extend_evaluated_until(at(limit))
            rows = [replace(one, ts=one.ts + number * HOURS) for one in mixed_rows(20)]
            add_readings(stores, as_given(rows), LATER + number * DAY)
        found.append([(a.written, a.parts) for a in stores.arrivals.unfinished().arrivals])
    assert found[0] == found[1]
    assert len(found[0]) == 3
