"""Port `Readings`: the quality of samples."""

from itertools import product

import numpy as np

from alerting.definitions.assets import Variable
from alerting.ports import ReadingRow, Wanted
from alerting.readings.history import to_millis
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven
from tests.helpers.stores import broken_in_memory

LATER = at(10_000)
ASSET = oven(state=Variable(type="category"))


def row(minute, quality=None, **values):
    return ReadingRow("oven-1", at(minute), values, quality or {})


def load(stores):
    return stores.readings.load(ASSET, None, None)


def told(doubted):
    return {name: instants.tolist() for name, instants in doubted.items()}


def test_a_bad_sample_is_missing_and_known_to_be_bad_and_an_uncertain_one_is_there(stores):
    rows = [
        row(0, temperature=200.0, moisture=4.0),
        row(1, {"temperature": "bad", "moisture": "uncertain"}, moisture=5.0),
        row(2, {"state": "bad", "temperature": "bad"}),
    ]
    assert add_readings(stores, rows, LATER) == 3
    history = load(stores)
    assert history.readings["temperature"].tolist()[:1] == [200.0]
    assert history.readings["temperature"].isna().tolist() == [False, True, True]
    assert history.readings["moisture"].tolist()[:2] == [4.0, 5.0]
    one = to_millis(at(1))
    two = to_millis(at(2))
    assert told(history.doubts.bad) == {"temperature": [one, two], "state": [two]}
    assert told(history.doubts.uncertain) == {"moisture": [one]}
    assert told(stores.readings.load(ASSET, None, None, ["moisture"]).doubts.bad) == {}


def test_many_assets_at_once_tell_their_quality_too(stores):
    add_readings(stores, [row(1, temperature=1.0), row(2, {"temperature": "bad"})], LATER)
    found = stores.readings.load_many([Wanted("oven-1", {"temperature": "number"}, at(0))], at(5))[
        "oven-1"
    ]
    assert np.isnan(found.values["temperature"]).tolist() == [False, True]
    assert told(found.doubts.bad) == {"temperature": [to_millis(at(2))]}


def test_a_quality_given_anew_replaces_the_old_one_and_given_again_changes_nothing(stores):
    qualities = (None, "bad", "uncertain")
    steps = list(enumerate(product(qualities, qualities)))

    def samples(which):
        return [
            row(
                minute,
                {"temperature": of[which]} if of[which] else {},
                **({} if of[which] == "bad" else {"temperature": 200.0}),
            )
            for minute, of in steps
        ]

    add_readings(stores, [*samples(0), *(row(m, moisture=4.0) for m, _ in steps)], LATER)
    assert add_readings(stores, samples(1), LATER) == sum(old != new for _, (old, new) in steps)
    assert add_readings(stores, samples(1), LATER) == 0
    history = load(stores)
    given = [new for _, (_, new) in steps]
    instants = {of: [to_millis(at(m)) for m, _ in steps if given[m] == of] for of in qualities}
    assert history.readings["temperature"].notna().tolist() == [of != "bad" for of in given]
    assert history.readings["moisture"].tolist() == [4.0] * len(steps)
    assert told(history.doubts.bad) == {"temperature": instants["bad"]}
    assert told(history.doubts.uncertain) == {"temperature": instants["uncertain"]}


def test_of_two_rows_for_one_instant_the_later_says_the_quality(stores):
    add_readings(stores, [row(0, {"temperature": "bad"}), row(0, temperature=2.0)], LATER)
    add_readings(stores, [row(1, temperature=2.0), row(1, {"temperature": "bad"})], LATER)
    history = load(stores)
    assert history.readings["temperature"].isna().tolist() == [False, True]
    assert told(history.doubts.bad) == {"temperature": [to_millis(at(1))]}


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


def test_a_correction_of_the_quality_behind_the_evaluation_is_late(stores):
    add_readings(stores, [row(5, temperature=2.0)], at(5))
    stores.arrivals.extend_evaluated_until(at(10))
    add_readings(stores, [row(5, {"temperature": "bad"})], at(11))
    (arrival,) = stores.arrivals.unfinished().arrivals
    assert [(p.variables, p.first, p.rows) for p in arrival.parts] == [(("temperature",), at(5), 1)]


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
