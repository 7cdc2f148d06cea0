"""Port `States`."""

from dataclasses import replace

from alerting.adapters.mongo.evaluation.states import MongoStates
from alerting.detection.carried import Carried
from alerting.episodes.lifecycle import ConditionState, SeverityState
from alerting.episodes.state_table import ConditionTable, shard_of
from alerting.readings.instants import NO_TIME
from tests.builders import at


def test_a_state_comes_back_equal(stores):
    full = ConditionState(
        watermark=at(10),
        pending_since=at(8),
        raised_at=at(7),
        clearing_since=at(9),
        unknown_count=3,
        unknown_reason="no data",
        severity="high",
        levels=(SeverityState("high", met_since=at(7)), SeverityState("critical", pending_since=at(9))),
        carried=Carried("temperature", at(9), float("inf"), 2.5, ("high.above",), (0, 3, 4), at(6)),
    )
    assert stores.states.advance("too-hot", "oven-1", None, full)
    assert stores.states.advance("too-hot", "oven-2", None, ConditionState(at(5)))
    assert stores.states.load("too-hot", ["oven-1", "oven-2", "oven-3"]) == {"oven-1": full, "oven-2": ConditionState(at(5))}
    assert stores.states.load("too-moist", ["oven-1"]) == {}


def test_only_one_of_two_begins(stores):
    assert stores.states.advance("too-hot", "oven-1", None, ConditionState(at(1)))
    assert not stores.states.advance("too-hot", "oven-1", None, ConditionState(at(2)))
    assert stores.states.load("too-hot", ["oven-1"])["oven-1"].watermark == at(1)


def test_only_one_of_two_moves_on_from_the_same_watermark(stores):
    first = ConditionState(at(1), pending_since=at(0))
    stores.states.advance("too-hot", "oven-1", None, first)
    second = replace(first, watermark=at(2), pending_since=None)
    assert stores.states.advance("too-hot", "oven-1", first, second)
    assert not stores.states.advance("too-hot", "oven-1", first, replace(first, watermark=at(3)))
    assert stores.states.load("too-hot", ["oven-1"]) == {"oven-1": second}


def test_nothing_moves_on_from_a_state_that_is_not_there(stores):
    assert not stores.states.advance("too-hot", "oven-1", ConditionState(at(1)), ConditionState(at(2)))
    assert stores.states.load("too-hot", ["oven-1"]) == {}


def table(**states):
    """A table with a row for each definition on oven-1, None for one without a state."""
    filled = ConditionTable([(name, "oven-1") for name in states])
    for row, state in enumerate(states.values()):
        if state is not None:
            filled.put(row, state)
    return filled


def neighbours():
    """Two definitions whose states are kept in one document."""
    first = "too-hot"
    return first, next(name for name in (f"other-{i}" for i in range(1000)) if shard_of(name) == shard_of(first))


def test_many_begin_and_move_on_together_and_each_says_whether_it_did(stores):
    nothing = table(a=None, b=None, c=None)
    assert stores.states.load_many(nothing.keys).state(0) is None
    assert stores.states.advance("b", "oven-1", None, ConditionState(at(9)))
    begun = table(a=ConditionState(at(1)), b=ConditionState(at(1)), c=ConditionState(at(1), raised_at=at(0), severity="high"))
    assert stores.states.advance_many(nothing, begun).tolist() == [True, False, True]
    found = stores.states.load_many([("c", "oven-1"), ("b", "oven-1"), ("a", "oven-2")])
    assert [found.state(row) for row in range(3)] == [begun.state(2), ConditionState(at(9)), None]


def test_where_pairs_stood_one_step_earlier_is_kept_until_a_state_is_put_in_their_place(stores):
    begun = table(
        a=ConditionState(at(1), carried=Carried("temperature", at(1), 200.5, same_since=at(0))), b=ConditionState(at(1))
    )
    assert stores.states.advance_many(table(a=None, b=None), begun).all()
    before = stores.states.load_many(begun.keys)
    after = before.take([0, 1])
    after.watermark, after.earlier = after.watermark + 60_000, before.carried_state()
    assert stores.states.advance_many(before, after).all()
    found = stores.states.load_many(begun.keys)
    found.restore_earlier([0])
    assert [found.state(0), found.state(1)] == [begun.state(0), ConditionState(at(2))]
    full = ConditionState(at(1), raised_at=at(0), severity="high", levels=(SeverityState("critical", pending_since=at(1)),))
    found.put(1, ConditionState(at(2)), earlier=full)
    assert stores.states.advance_many(after, found).all()
    again = stores.states.load_many(found.keys)
    again.restore_earlier([1])
    assert again.state(1) == full
    found.put(1, ConditionState(at(2)))
    assert [int(w) for w in found.earlier.watermark] == [int(before.watermark[0]), NO_TIME]


def test_of_two_evaluators_of_one_document_both_keep_what_only_they_moved_on(stores):
    mine, yours = neighbours()
    stores.states.advance_many(
        table(**{mine: None, yours: None}), table(**{mine: ConditionState(at(1)), yours: ConditionState(at(1))})
    )
    before = stores.states.load_many([(mine, "oven-1"), (yours, "oven-1")])
    other = MongoStates(stores.database)
    assert other.advance(yours, "oven-1", ConditionState(at(1)), ConditionState(at(3), pending_since=at(2)))
    after = table(**{mine: ConditionState(at(2)), yours: ConditionState(at(2))})
    assert stores.states.advance_many(before, after).tolist() == [True, False]
    kept = stores.states.load_many(before.keys)
    assert [kept.state(0), kept.state(1)] == [ConditionState(at(2)), ConditionState(at(3), pending_since=at(2))]


def test_who_writes_between_our_look_and_our_write_is_not_overwritten(stores):
    mine, yours = neighbours()
    stores.states.advance(mine, "oven-1", None, ConditionState(at(1)))
    hurried = Hurried(stores.database, lambda: MongoStates(stores.database).advance(yours, "oven-1", None, ConditionState(at(7))))
    assert hurried.advance(mine, "oven-1", ConditionState(at(1)), ConditionState(at(2)))
    assert stores.states.load(mine, ["oven-1"]) == {"oven-1": ConditionState(at(2))}
    assert stores.states.load(yours, ["oven-1"]) == {"oven-1": ConditionState(at(7))}


class Hurried(MongoStates):
    """States that somebody else writes to once, just before the first write of ours."""

    def __init__(self, database, somebody):
        super().__init__(database)
        self._somebody = [somebody]

    def _write(self, shard, version, changed):
        while self._somebody:
            assert self._somebody.pop()()
        return super()._write(shard, version, changed)


def test_a_definition_that_comes_moves_no_state_of_its_neighbours(stores):
    mine, yours = neighbours()
    state = ConditionState(
        at(5), raised_at=at(4), severity="medium", carried=Carried("temperature", at(5), 230.0, same_since=at(3))
    )
    stores.states.advance(mine, "oven-1", None, state)
    for name in (yours, "oven", "z"):
        stores.states.advance(name, "oven-1", None, ConditionState(at(1)))
    assert stores.states.load(mine, ["oven-1"]) == {"oven-1": state}
