"""Port `Readings`: the quality of samples."""

import numpy as np
import pytest

from alerting.definitions.assets import Variable
from alerting.ports import ReadingRow, Wanted
from alerting.readings.history import to_millis
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven

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


@pytest.mark.parametrize("before", [{}, {"temperature": "bad"}, {"temperature": "uncertain"}])
@pytest.mark.parametrize("after", [{}, {"temperature": "bad"}, {"temperature": "uncertain"}])
def test_a_quality_given_anew_replaces_the_old_one_and_given_again_changes_nothing(
    stores, before, after
):
    def sample(quality):
        return row(
            1, quality, **({} if quality == {"temperature": "bad"} else {"temperature": 200.0})
        )

    add_readings(stores, [sample(before), row(1, moisture=4.0)], LATER)
    assert add_readings(stores, [sample(after)], LATER) == int(before != after)
    assert add_readings(stores, [sample(after)], LATER) == 0
    history = load(stores)
    instant = [to_millis(at(1))]
    assert history.readings["temperature"].notna().tolist() == [after != {"temperature": "bad"}]
    assert history.readings["moisture"].tolist() == [4.0]
    assert told(history.doubts.bad) == (
        {"temperature": instant} if after == {"temperature": "bad"} else {}
    )
    assert told(history.doubts.uncertain) == (
        {"temperature": instant} if after == {"temperature": "uncertain"} else {}
    )


def test_of_two_rows_for_one_instant_the_later_says_the_quality(stores):
    add_readings(stores, [row(0, {"temperature": "bad"}), row(0, temperature=2.0)], LATER)
    add_readings(stores, [row(1, temperature=2.0), row(1, {"temperature": "bad"})], LATER)
    history = load(stores)
    assert history.readings["temperature"].isna().tolist() == [False, True]
    assert told(history.doubts.bad) == {"temperature": [to_millis(at(1))]}


def test_readings_of_good_quality_are_kept_as_they_were_before_there_was_any(real):
    add_readings(
        real, [row(0, temperature=2.0), row(1, {"temperature": "bad"}, moisture=1.0)], LATER
    )
    good, other = (
        real.database["readings"].find({}, {"_id": False, "arrived_at": False}).sort([("ts", 1)])
    )
    assert good == {"asset": "oven-1", "ts": at(0), "v": {"temperature": 2.0}}
    assert other == {
        "asset": "oven-1",
        "ts": at(1),
        "v": {"moisture": 1.0},
        "q": {"temperature": "bad"},
    }


def test_a_number_that_somebody_wrote_beside_a_bad_quality_is_no_value(real):
    document = {
        "asset": "oven-1",
        "ts": at(0),
        "v": {"temperature": 900.0},
        "q": {"temperature": "bad"},
        "arrived_at": at(0),
    }
    real.database["readings"].insert_one(document)
    assert load(real).readings["temperature"].isna().all()


def test_a_correction_of_the_quality_behind_the_evaluation_is_late(stores):
    add_readings(stores, [row(5, temperature=2.0)], at(5))
    stores.arrivals.extend_evaluated_until(at(10))
    add_readings(stores, [row(5, {"temperature": "bad"})], at(11))
    (arrival,) = stores.arrivals.unfinished().arrivals
    assert [(p.variables, p.first, p.rows) for p in arrival.parts] == [(("temperature",), at(5), 1)]
