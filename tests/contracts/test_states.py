"""Port `States`."""

from dataclasses import replace

from alerting.detection.threshold import Carried
from alerting.episodes.lifecycle import LevelSpell, SpellState
from tests.builders import at


def test_a_state_comes_back_equal(stores):
    full = SpellState(
        watermark=at(10),
        pending_since=at(8),
        raised_at=at(7),
        clearing_since=at(9),
        unknown_count=3,
        unknown_reason="no data",
        severity="high",
        levels=(LevelSpell("high", held_since=at(7)), LevelSpell("critical", pending_since=at(9))),
        carried=Carried("temperature", at(9), float("inf"), 2.5, ("high.above",), (0, 3, 4), at(6)),
    )
    assert stores.states.advance("too-hot", "oven-1", None, full)
    assert stores.states.advance("too-hot", "oven-2", None, SpellState(at(5)))
    assert stores.states.load("too-hot", ["oven-1", "oven-2", "oven-3"]) == {"oven-1": full, "oven-2": SpellState(at(5))}
    assert stores.states.load("too-moist", ["oven-1"]) == {}


def test_only_one_of_two_begins(stores):
    assert stores.states.advance("too-hot", "oven-1", None, SpellState(at(1)))
    assert not stores.states.advance("too-hot", "oven-1", None, SpellState(at(2)))
    assert stores.states.load("too-hot", ["oven-1"])["oven-1"].watermark == at(1)


def test_only_one_of_two_moves_on_from_the_same_watermark(stores):
    first = SpellState(at(1), pending_since=at(0))
    stores.states.advance("too-hot", "oven-1", None, first)
    second = replace(first, watermark=at(2), pending_since=None)
    assert stores.states.advance("too-hot", "oven-1", first, second)
    assert not stores.states.advance("too-hot", "oven-1", first, replace(first, watermark=at(3)))
    assert stores.states.load("too-hot", ["oven-1"]) == {"oven-1": second}


def test_nothing_moves_on_from_a_state_that_is_not_there(stores):
    assert not stores.states.advance("too-hot", "oven-1", SpellState(at(1)), SpellState(at(2)))
    assert stores.states.load("too-hot", ["oven-1"]) == {}
