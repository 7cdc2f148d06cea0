"""Port `Definitions`."""

import pytest
from pymongo.errors import WriteError

from alerting.definitions.faults import DefinitionRefused
from tests.builders import at, revision, threshold, too_hot, too_moist


def test_documents_come_back_as_people_wrote_them_sorted_by_name(stores):
    stores.definitions.store_document(too_moist())
    stores.definitions.store_document(too_hot())
    assert stores.definitions.documents() == [too_hot(), too_moist()]


def test_putting_a_name_again_replaces_its_document_whole(stores):
    stores.definitions.store_document(too_hot(title="Zone 2 is too hot"))
    stores.definitions.store_document(too_hot(above=220))
    assert stores.definitions.documents() == [too_hot(above=220)]


def test_a_faulty_mark_stands_beside_the_document_until_it_is_taken_away(stores):
    stores.definitions.store_document(too_hot())
    stores.definitions.mark_faulty("too-hot", ["variable: is not known"])
    assert stores.definitions.documents() == [too_hot(_faults=["variable: is not known"])]
    assert stores.definitions.faulty() == {"too-hot": ["variable: is not known"]}
    stores.definitions.mark_faulty("too-hot", [])
    assert stores.definitions.documents() == [too_hot()]
    assert stores.definitions.faulty() == {}


def test_a_revision_comes_back_equal_and_its_number_is_taken_once(stores):
    first = revision(threshold(), at(0))
    assert stores.definitions.add_revision(first)
    assert not stores.definitions.add_revision(revision(threshold(above=230), at(1)))
    assert stores.definitions.revisions("too-hot") == [first]


def test_latest_gives_the_newest_revision_of_every_definition_by_name(stores):
    first = revision(threshold(), at(0))
    second = revision(threshold(above=220), at(1), before=first)
    other = revision(threshold(name="a-first"), at(2))
    for kept in (second, first, other):
        stores.definitions.add_revision(kept)
    assert stores.definitions.latest_revisions() == [other, second]
    assert stores.definitions.revisions("too-hot") == [first, second]


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
}


@pytest.mark.server
@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED.keys())
def test_a_document_that_the_server_refuses_is_refused_and_not_stored(real, document):
    with pytest.raises(DefinitionRefused, match="the validator of the database refuses it"):
        real.definitions.store_document(document)
    assert real.definitions.documents() == []


@pytest.mark.server
def test_the_server_refuses_an_edit_that_makes_a_document_malformed(real):
    real.definitions.store_document(too_hot())
    with pytest.raises(WriteError):
        real.database["alert_definitions"].update_one({"name": "too-hot"}, {"$set": {"abvoe": 3}})


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
]


@pytest.mark.server
@pytest.mark.parametrize("changes", THRESHOLDS, ids="-".join)
def test_the_server_takes_every_way_to_write_a_threshold(real, changes):
    real.definitions.store_document(too_hot(**changes))
    assert real.definitions.documents() == [too_hot(**changes)]
    kept = revision(threshold(**changes), at(0))
    real.definitions.add_revision(kept)
    assert real.definitions.revisions("too-hot") == [kept]


@pytest.mark.server
@pytest.mark.parametrize(
    "changes",
    [{"levels": {"medium": {"abov": 1}}}, {"above": {"atribute": "x"}}, {"no_data": "normal"}],
)
def test_the_server_refuses_a_malformed_threshold(real, changes):
    with pytest.raises(DefinitionRefused):
        real.definitions.store_document(too_hot(**changes))


@pytest.mark.server
def test_the_server_takes_dates_and_the_numbers_of_every_shell(real):
    periods = {"start": at(0), "end": "2026-02-01T00:00:00Z"}
    document = too_moist(
        periods=periods, learning={"trials": 8.0, "folds": 3}, features={"stride": None}
    )
    real.database["alert_definitions"].insert_one(dict(document))
    assert real.definitions.documents() == [document]


SUPPRESSION = {
    "when": [
        {"variable": "line_state", "equals": "stopped", "stale_after": "24h"},
        {"event": "cleaning", "recovery": "15m"},
    ],
    "windows": [{"days": ["sat", "sun"], "from": "22:00", "to": "06:00"}],
    "timezone": "Europe/Berlin",
    "still_notify": ["critical"],
}


def test_suppression_is_kept_as_it_is_written_in_the_document_and_in_the_revision(stores):
    stores.definitions.store_document(too_hot(suppression=SUPPRESSION))
    assert stores.definitions.documents() == [too_hot(suppression=SUPPRESSION)]
    kept = revision(threshold(suppression=SUPPRESSION), at(0))
    stores.definitions.add_revision(kept)
    assert stores.definitions.revisions("too-hot") == [kept]


@pytest.mark.parametrize(
    "suppression",
    [
        {"when": [{"variabel": "line_state"}]},
        {"when": [{"variable": "speed", "below": "slow"}]},
        {"windows": [{"from": "22:00", "to": "6 o'clock"}]},
        {"windows": [{"from": "22:00", "to": "06:00", "days": ["samstag"]}]},
        {"windows": [], "still_notify": ["worst"]},
    ],
)
def test_the_server_refuses_malformed_suppression(real, suppression):
    with pytest.raises(DefinitionRefused):
        real.definitions.store_document(too_hot(suppression=suppression))


def test_the_newest_revisions_can_be_asked_for_by_a_field_that_they_have(stores):
    quiet = {"when": [{"variable": "running", "equals": "no"}]}
    first = revision(threshold(name="had", suppression=quiet))
    for made in (first, revision(threshold(name="had"), at(1), first)):
        stores.definitions.add_revision(made)
    stores.definitions.add_revision(revision(threshold(name="has", suppression=quiet)))
    stores.definitions.add_revision(revision(threshold(name="never")))
    assert [r.name for r in stores.definitions.latest_revisions("suppression")] == ["has"]
    assert [r.name for r in stores.definitions.latest_revisions()] == ["had", "has", "never"]
