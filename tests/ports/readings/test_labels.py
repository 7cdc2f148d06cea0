"""Port `IntervalLabels`: labels of times, in force or undone."""

from dataclasses import replace

import pytest
from pymongo.errors import WriteError

from alerting.adapters.mongo.indexes import LABELS
from alerting.readings.interval_labels import IntervalLabel
from tests.builders import at
from tests.helpers.stores import broken_in_memory


def label(number, asset="oven-1", start=0, end=10, made=20, **more):
    return IntervalLabel(
        f"{number:016x}",
        asset,
        ("temperature",),
        at(start),
        at(end),
        more.pop("kind", "bad"),
        "sensor exchanged",
        "anna",
        at(made),
        **more,
    )


def test_a_label_is_stored_and_undone_once_and_stays(stores):
    made = label(1)
    undone = made.undo("bea", at(30))
    assert [stores.labels.insert(one) for one in (made, label(1, end=99))] == [True, False]
    assert stores.labels.get(made.id) == made
    undoing = (undone, made.undo("carl", at(31)), label(2).undo("bea", at(30)))
    assert [stores.labels.store_undone(one) for one in undoing] == [True, False, False]
    assert stores.labels.get(made.id) == replace(made, undone_at=at(30), undone_by="bea")
    assert stores.labels.get("f" * 16) is None


def test_labels_in_force_at_an_instant_are_those_made_and_not_undone_by_then(stores):
    first = label(1, start=5, made=20)
    second = label(2, start=1, made=25)
    other = label(3, asset="oven-2", made=20)
    for one in (first, second, other):
        stores.labels.insert(one)
    undone = first.undo("bea", at(30))
    stores.labels.store_undone(undone)

    of_one = [stores.labels.in_force(["oven-1"], at(minute)) for minute in (19, 20, 29, 30)]
    assert of_one == [[], [undone], [second, undone], [second]]
    assert stores.labels.in_force(["oven-1", "oven-2"], None) == [other, second]
    assert stores.labels.in_force([], None) == []


def test_pages_of_labels_are_complete_also_of_those_made_at_one_instant(stores):
    made = [label(n, made=20 + n // 2) for n in range(5)]
    for one in made:
        stores.labels.insert(one)
    stores.labels.store_undone(made[4].undo("bea", at(50)))
    found = []
    before = None
    while page := stores.labels.newest_labels("oven-1", 2, before):
        found += page
        before = (page[-1].made_at, page[-1].id)
    assert [one.id for one in found] == [one.id for one in reversed(made)]
    assert stores.labels.newest_labels("oven-2", 2) == []


def test_the_server_refuses_a_malformed_label(real):
    real.labels.insert(label(1))
    documents = real.database[LABELS]
    valid = {**documents.find_one(), "_id": "a" * 16}
    for wrong in (
        {"kind": "ugly"},
        {"reason": ""},
        {"reason": "x" * 501},
        {"more": 1},
        {"variables": ["x"] * 2},
        {"start": "yesterday"},
    ):
        with pytest.raises(WriteError, match="validation"):
            documents.insert_one({**valid, **wrong})


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
