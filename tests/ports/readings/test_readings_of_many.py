"""Port `Readings`: the readings of many assets by one query."""

from random import Random

import numpy as np

from alerting.ports import Wanted
from alerting.stores.database.documents import READINGS
from tests.builders import at


def test_readings_of_many_assets_at_once_equal_those_of_each(stores):
    """Whatever fields and types their documents have, and wherever these name the asset."""
    readings = stores.database[READINGS]
    random = Random(5)
    values = [1.5, -0.0, 7, None, "text"]
    for asset in ("a", "oven-1", "oven-10", "ovén-2", "empty"):
        kinds = values[: {"a": 2, "oven-1": 3, "oven-10": 4}.get(asset, 5)]
        for n in range(0 if asset == "empty" else 300):
            fields = {"asset": asset, "ts": at(n), "v": {"x": random.choice(kinds), "y": 2.0}}
            if asset == "oven-10" and n % 3 == 0:
                fields["q"] = {"y": random.choice(("bad", "uncertain"))}
            if asset == "a":
                fields = dict(reversed(fields.items()))
            readings.insert_one(fields)
    types = {"x": "number", "y": "number", "z": "number"}
    wanted = [Wanted(asset, types, at(20)) for asset in ("a", "oven-1", "oven-10", "ovén-2")]
    wanted.append(Wanted("empty", types, at(20)))
    found = stores.readings.load_many(wanted, at(280))
    assert {name: len(columns.ts) for name, columns in found.items()} == {
        "a": 260, "oven-1": 260, "oven-10": 260, "ovén-2": 260, "empty": 0,
    }  # fmt: skip
    for one in wanted:
        (alone,) = stores.readings.load_many([one], at(280)).values()
        together = found[one.asset]
        np.testing.assert_equal(
            (together.ts, together.values, vars(together.doubts)),
            (alone.ts, alone.values, vars(alone.doubts)),
        )
        assert together.faults == alone.faults
    assert set(found["ovén-2"].faults) == {"x"}
