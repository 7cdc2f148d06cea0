"""Ports `Definitions` and `DerivedFeatureStore`."""

from datetime import timedelta

import pytest
from pymongo.errors import WriteError

from alerting.definitions.faults import DefinitionRefused
from alerting.learning.features.planning import DerivedFeatures
from tests.builders import at, revision, threshold, too_hot, too_moist
from tests.helpers.stores import broken_in_memory

SUPPRESSION = {
    "when": [
        {"variable": "line_state", "equals": "stopped", "stale_after": "24h"},
        {"event": "cleaning", "recovery": "15m"},
    ],
    "windows": [{"days": ["sat", "sun"], "from": "22:00", "to": "06:00"}],
    "timezone": "Europe/Berlin",
    "still_notify": ["critical"],
}
MALFORMED = (
    {"when": [{"variabel": "line_state"}]},
    {"when": [{"variable": "speed", "below": "slow"}]},
    {"windows": [{"from": "22:00", "to": "6 o'clock"}]},
    {"windows": [{"from": "22:00", "to": "06:00", "days": ["samstag"]}]},
    {"windows": [], "still_notify": ["worst"]},
)
REFUSED = {
    "unknown field": too_hot(abvoe=3),
    "missing field": {k: v for k, v in too_hot().items() if k != "variable"},
    "text for a number": too_hot(above="hot"),
    "unknown field deep down": too_moist(problem={"variable": "moisture", "abvoe": 1}),
    "not a duration": too_moist(horizon="half an hour"),
    "a third kind": too_hot(kind="oracle"),
    "no name": {k: v for k, v in too_hot().items() if k != "name"},
    "out of bounds": too_moist(learning={"trials": 0}),
    "on the excluded bound": too_moist(periods={"test": 0}),
    "half a fold": too_moist(learning={"folds": 2.5}),
    "a limit misspelt in a level": too_hot(levels={"medium": {"abov": 1}}),
    "a limit that names nothing": too_hot(above={"atribute": "x"}),
    "an unknown way without data": too_hot(no_data="normal"),
    **{f"suppression {number}": too_hot(suppression=one) for number, one in enumerate(MALFORMED)},
}
THRESHOLDS = [
    {"above": {"attribute": "max"}, "clear_above_at": 3},
    {"above": None, "inside": {"low": 1, "high": {"attribute": "max"}}},
    {"above": None, "equals": True},
    {"above": None, "equals": "stopped"},
    {"above": None, "equals": {"attribute": "recipe"}},
    {
        "above": None,
        "levels": {"medium": {"above": 215}, "critical": {"above": 230, "clear_above_at": 225}},
    },
    {
        "at_least": {"readings": 3, "of": 5},
        "rate_per": "1m",
        "no_data": "alert",
        "frozen_after": "1h",
    },
    {"suppression": SUPPRESSION},
]
MINUTES = DerivedFeatures(
    timedelta(minutes=1), (timedelta(minutes=15), timedelta(hours=1)), "the finest sampling is 1m"
)
HOURS = DerivedFeatures(timedelta(hours=1), (timedelta(hours=3),), "the finest sampling is 1h")


def test_documents_come_back_as_people_wrote_them_sorted_and_replaced_by_name(stores):
    for document in (too_moist(), too_hot(title="Zone 2 is too hot"), too_hot(above=220)):
        stores.definitions.store_document(document)
    assert stores.definitions.documents() == [too_hot(above=220), too_moist()]


def test_a_faulty_mark_stands_beside_the_document_until_it_is_taken_away(stores):
    stores.definitions.store_document(too_hot())
    stores.definitions.mark_faulty("too-hot", ["variable: is not known"])
    assert stores.definitions.documents() == [too_hot(_faults=["variable: is not known"])]
    assert stores.definitions.faulty() == {"too-hot": ["variable: is not known"]}
    stores.definitions.mark_faulty("too-hot", [])
    assert stores.definitions.documents() == [too_hot()]
    assert stores.definitions.faulty() == {}


def test_revisions_come_back_equal_each_number_is_taken_once_and_the_latest_are_found_by_name(
    stores,
):
    first = revision(threshold(), at(0))
    second = revision(threshold(above=220), at(1), before=first)
    other = revision(threshold(name="a-first"), at(2))
    taken = revision(threshold(above=230), at(1))
    added = [stores.definitions.add_revision(one) for one in (second, first, other, taken)]
    assert added == [True, True, True, False]
    assert stores.definitions.latest_revisions() == [other, second]
    assert stores.definitions.revisions("too-hot") == [first, second]


def test_the_newest_revisions_can_be_asked_for_by_a_field_that_they_have(stores):
    quiet = {"when": [{"variable": "running", "equals": "no"}]}
    first = revision(threshold(name="had", suppression=quiet))
    for made in (
        first,
        revision(threshold(name="had"), at(1), first),
        revision(threshold(name="has", suppression=quiet)),
        revision(threshold(name="never")),
    ):
        stores.definitions.add_revision(made)
    assert [r.name for r in stores.definitions.latest_revisions("suppression")] == ["has"]
    assert [r.name for r in stores.definitions.latest_revisions()] == ["had", "has", "never"]


def test_every_way_to_write_a_threshold_is_taken_as_a_document_and_as_a_revision(stores):
    for number, changes in enumerate(THRESHOLDS):
        stores.definitions.store_document(too_hot(name=f"hot-{number}", **changes))
        stores.definitions.add_revision(revision(threshold(name=f"hot-{number}", **changes), at(0)))
    ways = [(f"hot-{number}", changes) for number, changes in enumerate(THRESHOLDS)]
    assert stores.definitions.documents() == [too_hot(name=name, **of) for name, of in ways]
    kept = [stores.definitions.revisions(name) for name, _ in ways]
    assert kept == [[revision(threshold(name=name, **of), at(0))] for name, of in ways]


def test_a_document_that_the_server_refuses_is_refused_and_not_stored(real):
    refused = {}
    for what, document in REFUSED.items():
        try:
            real.definitions.store_document(document)
        except DefinitionRefused as error:
            refused[what] = "the validator of the database refuses it" in str(error)
    assert refused == dict.fromkeys(REFUSED, True)
    assert real.definitions.documents() == []
    real.definitions.store_document(too_hot())
    with pytest.raises(WriteError):
        real.database["alert_definitions"].update_one({"name": "too-hot"}, {"$set": {"abvoe": 3}})


def test_the_server_takes_dates_and_the_numbers_of_every_shell(real):
    periods = {"start": at(0), "end": "2026-02-01T00:00:00Z"}
    document = too_moist(
        periods=periods, learning={"trials": 8.0, "folds": 3}, features={"stride": None}
    )
    real.database["alert_definitions"].insert_one(dict(document))
    assert real.definitions.documents() == [document]


def test_each_question_of_each_definition_keeps_the_derived_values_that_were_first_stored(stores):
    features = stores.derived_features
    assert features.get("too-moist", "q1") is None
    fixed = [features.fix("too-moist", *of) for of in (("q1", MINUTES), ("q1", HOURS))]
    assert [*fixed, features.fix("too-moist", "q2", HOURS)] == [MINUTES, MINUTES, HOURS]
    found = [features.get(*of) for of in (("too-moist", "q1"), ("too-dry", "q1"))]
    assert found == [MINUTES, None]


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
