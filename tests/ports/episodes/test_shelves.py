"""Port `Shelves`."""

from dataclasses import replace

from alerting.operators.shelves import new_shelf, record_end
from tests.builders import at
from tests.helpers.episodes import episode


def shelf(start=0, end=60, asset="oven-1", kind="shelved", before=0):
    return new_shelf(
        "too-hot",
        asset,
        kind,
        at(start),
        None if end is None else at(end),
        "cleaning",
        "ann",
        before,
    )


def test_a_shelf_comes_back_equal(stores):
    one = shelf()
    assert stores.shelves.insert(one)
    assert stores.shelves.get(one.id) == one
    assert stores.shelves.get("nothing") is None


def test_one_of_a_kind_is_in_force_per_definition_and_asset(stores):
    assert stores.shelves.insert(shelf())
    assert not stores.shelves.insert(shelf(5))
    assert stores.shelves.insert(shelf(5, None, kind="out_of_service"))
    assert stores.shelves.insert(shelf(5, asset="oven-2"))


def test_one_that_ended_stays_and_makes_room(stores):
    first = shelf()
    second = shelf(30, 90, before=1)
    stores.shelves.insert(first)
    assert stores.shelves.replace(replace(record_end(first, at(20), "eve", "done"), version=2))
    assert stores.shelves.insert(second)
    assert stores.shelves.in_force() == [second]
    assert [s.ended_by for s in stores.shelves.for_target("too-hot", "oven-1")] == ["eve", None]


def test_only_the_next_version_replaces(stores):
    one = shelf()
    stores.shelves.insert(one)
    assert stores.shelves.replace(replace(one, reason="second", version=2))
    assert not stores.shelves.replace(replace(one, reason="too late", version=2))
    assert stores.shelves.get(one.id).reason == "second"


def test_what_is_in_force_is_found_by_pair_without_end_first_then_by_end(stores):
    late = shelf(0, 90, "oven-2")
    early = shelf(0, 30)
    endless = shelf(0, None, kind="out_of_service")
    for one in (late, early, endless):
        stores.shelves.insert(one)
    assert stores.shelves.in_force() == [endless, early, late]
    assert stores.shelves.in_force("too-hot", "oven-2") == [late]
    assert stores.shelves.in_force("other") == []


def test_episodes_to_be_announced_after_muting_are_found_oldest_first(stores):
    owing = episode(9, asset="oven-2", muted_by="s1")
    older = episode(3, muted_by="s2")
    for one in (owing, older, episode(5, asset="oven-3")):
        stores.episodes.insert(one)
    assert stores.episodes.muted() == [older, owing]
