"""Port `Readings`: the quality of samples."""

from itertools import product
from unittest.mock import ANY

import numpy as np

from alerting.definitions.asset_documents import Variable
from alerting.ports import LatePart, ReadingRow, Wanted, WantedHistory
from alerting.readings.history import to_millis
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven
from tests.helpers.contracts import having, step

LATER = at(10_000)
ASSET = oven(state=Variable(type="category"))


def row(minute, quality=None, **values):
    return ReadingRow("oven-1", at(minute), values, quality or {})


def load(stores):
    return stores.readings.load(WantedHistory(ASSET, None, None))


def told(doubted):
    return {name: instants.tolist() for name, instants in doubted.items()}


def doubts(stores, variables=None):
    """What is told of loaded samples: bad ones, uncertain ones, and the instants without a
    temperature."""
    history = stores.readings.load(WantedHistory(ASSET, None, None, variables))
    known = history.readings.get("temperature", history.readings["moisture"]).notna().tolist()
    return told(history.doubts.bad), told(history.doubts.uncertain), known


def bad_at(*minutes):
    return {"temperature": [to_millis(at(minute)) for minute in minutes]}


def wanted_many(stores):
    wanted = [Wanted("oven-1", {"temperature": "number"}, at(0))]
    found = stores.readings.load_many(wanted, at(5))["oven-1"]
    return np.isnan(found.values["temperature"]).tolist(), told(found.doubts.bad)


def sample(quality):
    """A sample of a temperature beside a moisture."""
    values = {"moisture": 4.0} | ({} if quality == "bad" else {"temperature": 200.0})
    return row(1, {} if quality == "good" else {"temperature": quality}, **values)


def moistures(stores):
    return load(stores).readings["moisture"].dropna().tolist()


BAD = {"temperature": "bad"}
FIRST = row(0, temperature=200.0, moisture=4.0)
SECOND = row(1, {"temperature": "bad", "moisture": "uncertain"}, moisture=5.0)
THIRD = row(2, {"state": "bad", "temperature": "bad"})
CLAIMS = {
    "a bad sample is missing and known to be bad, and an uncertain one is there": [
        step(add_readings, [FIRST, SECOND, THIRD], LATER, gives=3),
        step(
            doubts,
            gives=(
                {**bad_at(1, 2), "state": [to_millis(at(2))]},
                {"moisture": [to_millis(at(1))]},
                [True, False, False],
            ),
        ),
        step(doubts, ["moisture"], gives=({}, {"moisture": [to_millis(at(1))]}, ANY)),
    ],
    **{
        f"a quality {after} given anew replaces {before}, and given again changes nothing": [
            step(add_readings, [sample(before), row(2, temperature=1.0)], LATER),
            step(add_readings, [sample(after)], LATER, gives=int(before != after)),
            step(add_readings, [sample(after)], LATER, gives=0),
            step(
                doubts,
                gives=(
                    bad_at(1) if after == "bad" else {},
                    bad_at(1) if after == "uncertain" else {},
                    [after != "bad", True],
                ),
            ),
            step(moistures, gives=[4.0]),
        ]
        for before, after in product(("good", "bad", "uncertain"), repeat=2)
    },
    "many assets at once tell their quality too": [
        step(add_readings, [row(1, temperature=1.0), row(2, BAD)], LATER),
        step(wanted_many, gives=([False, True], bad_at(2))),
    ],
    "of two rows for one instant the later says the quality": [
        step(add_readings, [row(0, BAD), row(0, temperature=2.0)], LATER),
        step(add_readings, [row(1, temperature=2.0), row(1, BAD)], LATER),
        step(doubts, gives=(bad_at(1), {}, [True, False])),
    ],
    "a correction of the quality behind the evaluation is late": [
        step(add_readings, [row(5, temperature=2.0)], at(5)),
        step("arrivals.extend_evaluated_until", at(10)),
        step(add_readings, [row(5, BAD)], at(11)),
        step(
            "arrivals.arrived_since",
            at(11),
            gives=[having(parts=(LatePart("oven-1", at(5), at(5), 1, ("temperature",)),))],
        ),
    ],
}


def test_the_stores_of_readings_keep_every_claim_on_quality(broken):
    assert broken(CLAIMS) == {}


def test_readings_of_good_quality_are_kept_as_they_were_before_there_was_any(real):
    bad = {"temperature": "bad"}
    add_readings(real, [row(0, temperature=2.0), row(1, bad, moisture=1.0)], LATER)
    readings = real.database["readings"]
    stored = readings.find({}, {"_id": False, "arrived_at": False}).sort([("ts", 1)])
    assert list(stored) == [
        {"asset": "oven-1", "ts": at(0), "v": {"temperature": 2.0}},
        {"asset": "oven-1", "ts": at(1), "v": {"moisture": 1.0}, "q": bad},
    ]
    readings.update_one({"ts": at(1)}, {"$set": {"v.temperature": 900.0}})
    numbers = load(real).readings["temperature"]
    assert numbers.isna().tolist() == [False, True], "a number beside a bad quality is no value"
