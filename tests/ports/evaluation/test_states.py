"""Port `States`."""

from dataclasses import replace

import pytest

from alerting.definitions.alert_definition import shard_of
from alerting.detection.carried_reading import Carried
from alerting.episodes.evaluation_plan import ConditionTable
from alerting.episodes.lifecycle import ConditionState, SeverityState
from alerting.ports import Conflict
from alerting.readings.history import NO_TIME, to_millis
from alerting.stores.states import MongoStates
from tests.builders import at
from tests.helpers.contracts import step
from tests.helpers.stores import broken_in_memory, states_of

HOT = "too-hot", "oven-1"
COLD = "too-cold", "oven-2"
FULL = ConditionState(
    watermark=at(10),
    pending_since=at(8),
    raised_at=at(7),
    clearing_since=at(9),
    unknown_count=3,
    unknown_reason="no data",
    severity="high",
    levels=(
        SeverityState("high", met_since=at(7)),
        SeverityState("critical", pending_since=at(9)),
    ),
    carried=Carried(
        "temperature",
        at(9),
        float("inf"),
        2.5,
        ("high.above",),
        (0, 3, 4),
        at(6),
        memory=(1.0, 0.25),
    ),
)
FIRST = ConditionState(at(1), pending_since=at(0))
SECOND = ConditionState(at(2))
ALL = [COLD, ("too-cold", "oven-9"), HOT, ("never", "oven-1")]
WATERMARKS = [to_millis(at(2)), NO_TIME, to_millis(at(1)), NO_TIME]


def table(**states):
    """A table with a row for each definition on oven-1, None for one without a state."""
    filled = ConditionTable([(name, "oven-1") for name in states])
    for row, state in enumerate(states.values()):
        if state is not None:
            filled.write_state(row, state)
    return filled


def tables(key, *states):
    """Return a table of one target for each of these states."""
    made = [ConditionTable([key]) for _ in states]
    for filled, state in zip(made, states, strict=True):
        if state is not None:
            filled.write_state(0, state)
    return made


def move(states, key, before, after):
    """Advance one target from one state, or none, to another."""
    states.advance(*tables(key, before, after))


def advance(key, before, after, **gives):
    return step("states.advance", *tables(key, before, after), **gives)


CLAIMS = {
    "a target moves on only from the state in which it is": [
        advance(HOT, FIRST, SECOND, gives=Conflict),
        step("states.watermarks", [HOT], gives=[NO_TIME]),
        advance(HOT, None, FIRST),
        advance(HOT, None, SECOND, gives=Conflict),
        advance(HOT, FIRST, SECOND),
        advance(HOT, FIRST, replace(FIRST, watermark=at(3)), gives=Conflict),
        step("states.watermarks", [HOT], gives=[to_millis(at(2))]),
    ],
    "watermarks are read without the rest of the states": [
        advance(HOT, None, FIRST),
        advance(COLD, None, SECOND),
        step("states.watermarks", ALL, gives=WATERMARKS),
        step("states.watermarks", [], gives=[]),
    ],
}


def test_the_stores_of_states_keep_every_claim(broken):
    assert broken(CLAIMS) == {}


def test_a_state_comes_back_equal_and_every_write_but_no_read_changes_the_versions(stores):
    seen = [stores.states.versions()]
    for key, before, after in (
        (HOT, None, FULL),
        (("too-hot", "oven-2"), None, FIRST),
        (("too-hot", "oven-2"), FIRST, SECOND),
        (COLD, None, SECOND),
    ):
        move(stores.states, key, before, after)
        seen.append(stores.states.versions())
    assert len({*seen}) == 5
    found = states_of(stores, "too-hot", ["oven-1", "oven-2", "oven-3"])
    assert found == {"oven-1": FULL, "oven-2": SECOND}
    assert states_of(stores, "too-moist", ["oven-1"]) == {}
    assert stores.states.versions() == seen[-1]


def watermarks_of(states, before):
    """Return the minutes of the watermarks, as the shards are read again."""
    read = states.load_many(before.keys).watermark
    return [(int(one) - to_millis(at(0))) // 60_000 for one in read]


def stored_definitions(real):
    """Return the definitions of each document of states, by the end of its id."""
    shards = real.database["evaluation_shards"].find()
    return {one["_id"][2:]: one["definition"] for one in shards if one["definition"]}


def neighbours():
    """Two definitions whose states are kept in one document."""
    first = "too-hot"
    return first, next(
        name for name in (f"other-{i}" for i in range(1000)) if shard_of(name) == shard_of(first)
    )


def test_targets_of_one_shard_begin_and_move_on_together_or_not_at_all(real):
    mine, yours = neighbours()
    nothing = table(**{mine: None, yours: None})
    assert real.states.load_many(nothing.keys).state(0) is None
    raised = ConditionState(at(1), raised_at=at(0), severity="high")
    begun = table(**{mine: ConditionState(at(1)), yours: raised})
    real.states.advance(nothing, begun)
    found = real.states.load_many([(yours, "oven-1"), (mine, "oven-2"), (mine, "oven-1")])
    assert [found.state(row) for row in range(3)] == [raised, None, begun.state(0)]
    move(MongoStates(real.database), (yours, "oven-1"), raised, ConditionState(at(9)))
    with pytest.raises(Conflict):
        real.states.advance(
            begun, table(**{mine: ConditionState(at(2)), yours: ConditionState(at(2))})
        )
    assert watermarks_of(real.states, begun) == [1, 9]


def test_where_pairs_stood_one_step_earlier_is_kept_until_a_state_is_put_in_their_place(stores):
    a, b = neighbours()
    first = ConditionState(at(1), carried=Carried("temperature", at(1), 200.5, same_since=at(0)))
    begun = table(**{a: first, b: ConditionState(at(1))})
    stores.states.advance(table(**{a: None, b: None}), begun)
    before = stores.states.load_many(begun.keys)
    after = before.take([0, 1])
    after.watermark = after.watermark + 60_000
    after.earlier = before.carried_state()
    stores.states.advance(before, after)
    found = stores.states.load_many(begun.keys)
    found.restore_earlier([0])
    assert [found.state(0), found.state(1)] == [begun.state(0), ConditionState(at(2))]
    full = ConditionState(
        at(1),
        raised_at=at(0),
        severity="high",
        levels=(SeverityState("critical", pending_since=at(1)),),
    )
    found.write_state(1, ConditionState(at(2)), earlier=full)
    stores.states.advance(after, found)
    again = stores.states.load_many(found.keys)
    again.restore_earlier([1])
    assert again.state(1) == full
    found.write_state(1, ConditionState(at(2)))
    assert [int(w) for w in found.earlier.watermark] == [int(before.watermark[0]), NO_TIME]


def test_two_cadences_do_not_wait_for_each_other(real):
    """An evaluator of each has read its targets; both write, and neither reads again."""
    mine, yours = neighbours()
    minutely = MongoStates(real.database)
    hourly = MongoStates(real.database)
    my_begin = minutely.load_many([(mine, "oven-1")])
    your_begin = hourly.load_many([(yours, "oven-1")])
    first = table(**{mine: ConditionState(at(1))})
    minutely.advance(my_begin, first, every=60_000)
    hourly.advance(your_begin, table(**{yours: ConditionState(at(2))}), every=3_600_000)
    minutely.advance(first, table(**{mine: ConditionState(at(3))}), every=60_000)
    assert watermarks_of(real.states, table(**{mine: None, yours: None})) == [3, 2]


def begin_both(real, states):
    """Begin two neighbours that are evaluated each minute; return their table."""
    mine, yours = neighbours()
    begun = table(**{mine: ConditionState(at(1), raised_at=at(0)), yours: ConditionState(at(1))})
    states.advance(table(**{mine: None, yours: None}), begun, every=60_000)
    return begun


def advance_in_unit(real, states, before, after, every):
    assert states.moves(before.keys, every)
    with real.unit_of_work.begin() as unit:
        states.advance(before, after, unit, every)


def test_a_changed_cadence_moves_the_state_in_one_unit_of_work(real):
    """Its neighbours stay. An evaluator of the old cadence that has read before writes nothing."""
    mine, yours = neighbours()
    old = MongoStates(real.database)
    new = MongoStates(real.database)
    begun = begin_both(real, old)
    before = new.load_many([(mine, "oven-1")])
    after = table(**{mine: ConditionState(at(2), raised_at=at(0), severity="high")})
    advance_in_unit(real, new, before, after, 3_600_000)
    assert not new.moves(before.keys, 3_600_000)
    assert stored_definitions(real) == {"-60000": [yours], "-3600000": [mine]}
    third = table(**{mine: ConditionState(at(3)), yours: ConditionState(at(3))})
    with pytest.raises(Conflict):
        old.advance(begun, third, every=60_000)
    assert watermarks_of(old, begun) == [2, 1]
    assert states_of(real, mine, ["oven-1"]) == {"oven-1": after.state(0)}


def test_another_number_of_parts_moves_the_states_as_they_advance(real):
    """Definitions of one sixteenth then have documents of their own, and a single process that
    advances both writes both."""
    mine, yours = neighbours()
    begun = begin_both(real, MongoStates(real.database))
    divided = MongoStates(real.database, parts=1000)
    before = divided.load_many(begun.keys)
    last = {mine: ConditionState(at(2)), yours: ConditionState(at(3))}
    advance_in_unit(real, divided, before, table(**last), 60_000)
    assert not divided.moves(before.keys, 60_000)
    assert sorted(stored_definitions(real).values()) == sorted([[mine], [yours]])
    readers = {name: MongoStates(real.database, parts=1000) for name in last}
    for name, states in readers.items():
        states.load_many([(name, "oven-1")])
    for name, states in readers.items():
        states.advance(
            table(**{name: last[name]}), table(**{name: ConditionState(at(4))}), every=60_000
        )
    assert watermarks_of(MongoStates(real.database), begun) == [4, 4]


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
