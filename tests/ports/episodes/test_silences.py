"""Port `Silences`."""

from dataclasses import replace

from alerting.operators.silences import SilenceScope, new_silence
from tests.builders import at


def silence(start=0, end=60, part="oven-1", event=None):
    scope = SilenceScope(part=part, definition="too-hot", up_to="high")
    times = (at(start), at(end), event)
    return new_silence("maintenance", scope, *times, "belt", ("log",), "ann", "engineer", at(0))


def store(stores, *silences):
    for one in silences:
        assert stores.silences.insert(one)


def test_a_silence_comes_back_equal(stores):
    one = silence(event=("start", "oven-1"))
    store(stores, one)
    assert not stores.silences.insert(one)
    assert stores.silences.get(one.id) == one
    assert stores.silences.get("nothing") is None


def test_only_the_next_version_replaces(stores):
    one = silence()
    store(stores, one)
    over = one.ended(at(20), "eve", "done")
    assert stores.silences.replace(over)
    assert not stores.silences.replace(replace(over, ended_by="bob"))
    assert not stores.silences.replace(silence(part="oven-2").ended(at(20), "eve", "done"))
    assert stores.silences.get(one.id) == over


def test_those_without_an_end_are_found_by_begin(stores):
    late = silence(30, 90)
    early = silence(0, 60)
    over = silence(5, 60)
    store(stores, late, early, over)
    stores.silences.replace(over.ended(at(20), "eve", "done"))
    assert stores.silences.not_ended() == [early, late]


def test_those_of_a_time_are_found_newest_first(stores):
    first = silence(0, 30)
    second = silence(20, 60)
    third = silence(60, 90)
    store(stores, first, second, third)
    assert stores.silences.overlapping(at(30), at(60)) == [second]
    assert stores.silences.overlapping(at(29), at(61)) == [third, second, first]
    assert stores.silences.overlapping(None, at(100), limit=2) == [third, second]
