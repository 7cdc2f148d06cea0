"""Port `Handovers`."""

from dataclasses import replace

from alerting.episodes.episode import ActorStamp
from alerting.kinds.validation import parse_definition
from alerting.operators.handovers import ShiftNote, new_handover
from alerting.operators.shift_summary import summarise_shift
from alerting.operators.shifts import Shift
from tests.builders import at, revision, too_hot
from tests.helpers.episodes import closed, episode


def handover(start=0, part="line-1"):
    return new_handover(part, Shift("night", at(start), at(start + 480)))


def test_a_signed_one_comes_back_equal(stores):
    shift = Shift("night", at(0), at(480))
    changed = revision(parse_definition(too_hot())).model_copy(update={"at": at(5)})
    summary = summarise_shift(
        shift, at(400), [episode(1), closed(episode(2, asset="oven-2"))], [], [], [changed]
    )
    one = replace(
        new_handover(None, shift),
        notes=(ShiftNote("belt squeaks", "ann", at(3), "oven-1", "e"),),
        left=ActorStamp("ann", at(470)),
        signed=summary,
    )
    assert stores.handovers.insert(one)
    assert stores.handovers.get(one.id) == one
    assert stores.handovers.get("nothing") is None


def test_it_is_inserted_once_and_only_the_next_version_replaces(stores):
    one = handover()
    assert stores.handovers.insert(one)
    assert not stores.handovers.insert(one)
    following = replace(one, taken=ActorStamp("ben", at(490)), version=2)
    assert stores.handovers.replace(following)
    assert not stores.handovers.replace(replace(following, taken=None))
    assert stores.handovers.get(one.id) == following


def test_they_are_found_by_time_and_part_newest_first(stores):
    made = [handover(0), handover(480), handover(960), handover(480, "line-2"), handover(0, None)]
    for one in made:
        assert stores.handovers.insert(one)
    newest = sorted(made, key=lambda one: (one.start, one.id), reverse=True)
    assert stores.handovers.find() == newest
    assert stores.handovers.find(start=at(480), end=at(960), parts=["line-1"]) == [made[1]]
    assert {one.part for one in stores.handovers.find(end=at(1), parts=("line-1", None))} == {
        "line-1",
        None,
    }
    assert stores.handovers.find(parts=[]) == []


def test_pages_follow_each_other_without_a_gap(stores):
    made = [handover(480 * n, part) for n in range(3) for part in ("line-1", "line-2")]
    for one in made:
        stores.handovers.insert(one)
    found = []
    while page := stores.handovers.find(
        limit=2, before=(found[-1].start, found[-1].id) if found else None
    ):
        found += page
    assert found == sorted(made, key=lambda one: (one.start, one.id), reverse=True)
