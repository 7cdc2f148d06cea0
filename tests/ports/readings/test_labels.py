"""Port `IntervalLabels`: labels of times, in force or undone."""

from dataclasses import replace

import pytest
from pymongo.errors import WriteError

from alerting.readings.interval_labels import IntervalLabel
from alerting.stores.database.documents import LABELS
from tests.builders import at
from tests.helpers.contracts import each, step


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


MADE = label(1)
UNDONE = MADE.undo("bea", at(30))
LATER = label(2, start=-1, made=25)
OTHER = label(3, asset="oven-2", start=-2, made=20)
AT_ONE_INSTANT = [label(n, made=20 + n // 2) for n in range(5)]
CLAIMS = {
    "a label is stored and undone once, and stays": [
        step("labels.insert", MADE, gives=True),
        step("labels.insert", label(1, end=99), gives=False),
        step("labels.get", MADE.id, gives=MADE),
        step("labels.store_undone", UNDONE, gives=True),
        step("labels.store_undone", MADE.undo("carl", at(31)), gives=False),
        step("labels.store_undone", label(2).undo("bea", at(30)), gives=False),
        step("labels.get", MADE.id, gives=replace(MADE, undone_at=at(30), undone_by="bea")),
        step("labels.get", "f" * 16, gives=None),
    ],
    "labels in force at an instant are those made and not undone by then": [
        *(step("labels.insert", one) for one in (MADE, LATER, OTHER)),
        step("labels.store_undone", UNDONE),
        *(
            step("labels.in_force", ["oven-1"], at(minute), gives=gives)
            for minute, gives in (
                (19, []),
                (20, [UNDONE]),
                (29, [LATER, UNDONE]),
                (30, [LATER]),
            )
        ),
        step("labels.in_force", ["oven-1", "oven-2"], None, gives=[OTHER, LATER]),
        step("labels.in_force", [], None, gives=[]),
    ],
    "pages of labels are complete, also of those made at one instant": [
        *(step("labels.insert", one) for one in AT_ONE_INSTANT),
        step("labels.store_undone", AT_ONE_INSTANT[4].undo("bea", at(50))),
        *(
            step("labels.newest_labels", "oven-1", 2, before, gives=each(id=ids))
            for before, ids in (
                (None, [AT_ONE_INSTANT[4].id, AT_ONE_INSTANT[3].id]),
                ((at(21), AT_ONE_INSTANT[3].id), [AT_ONE_INSTANT[2].id, AT_ONE_INSTANT[1].id]),
                ((at(20), AT_ONE_INSTANT[1].id), [AT_ONE_INSTANT[0].id]),
                ((at(20), AT_ONE_INSTANT[0].id), []),
            )
        ),
        step("labels.newest_labels", "oven-2", 2, gives=[]),
    ],
}


def test_the_stores_of_labels_keep_every_claim(broken):
    assert broken(CLAIMS) == {}


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
