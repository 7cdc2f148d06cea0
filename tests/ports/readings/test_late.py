"""Ports `Arrivals` and `Checkpoints`, and the journal around writes of readings and events."""

from dataclasses import replace

import pytest

from alerting.definitions.asset_documents import EventType
from alerting.detection.carried_reading import Carried
from alerting.episodes.lifecycle import ConditionState, SeverityState
from alerting.ports import Checkpoint, EventRow, LatePart, ReadingRow
from alerting.usecases.ingestion.arrived_rows import (
    add_events,
    add_readings,
    remove_events,
    remove_readings,
)
from tests.builders import at
from tests.helpers.contracts import having, step, unit_step
from tests.helpers.stores import broken_in_memory


def rows(*minutes, asset="oven-1", **values):
    return [ReadingRow(asset, at(m), values or {"temperature": 200.0}) for m in minutes]


def came(stores):
    """What waits of each arrival: the assets, variables and events from an instant on."""
    return [
        (part.asset, part.first, part.last, part.rows, (*part.variables, *part.events))
        for arrival in stores.arrivals.unfinished().arrivals
        for part in arrival.parts
    ]


def late(first, last, rows, *names, asset="oven-1"):
    return (asset, at(first), at(last), rows, names)


def evaluated(minute):
    return step("arrivals.extend_evaluated_until", at(minute))


STOP = EventRow("oven-1", "stop", at(5), at(8), "test", {"reason": "jam"})
OTHER_STOP = replace(STOP, start=at(20), end=at(21))
WITHOUT = replace(STOP, attributes={})
LASTING = step("assets.put_event_types", [EventType(name="stop", duration="lasting")])
BATCH = [
    *rows(4, 9, 12),
    *rows(10, moisture=4.0),
    *rows(3, asset="oven-2"),
    *rows(11, asset="oven-3"),
]
TOUCHED = (
    LatePart("oven-1", at(4), at(10), 3, ("moisture", "temperature")),
    LatePart("oven-2", at(3), at(3), 1, ("temperature",)),
)
ARRIVAL = having(written=True, arrived_at=at(13), rows=4, parts=TOUCHED)
JOURNAL = {
    "before the first evaluation and ahead of the last one nothing is late": [
        step("arrivals.evaluated_until", gives=None),
        step(add_readings, rows(1, 2), at(3)),
        *map(evaluated, (5, 10, 7)),
        step("arrivals.evaluated_until", gives=at(10)),  # it only moves on
        step(add_readings, rows(11, 12), at(12)),
        step("arrivals.unfinished", gives=having(arrivals=[])),
        step("arrivals.arrived_since", at(0), gives=[]),
    ],
    "rows behind the evaluation are kept by asset, with what they touch": [
        evaluated(10),
        step(add_readings, BATCH, at(13)),
        step("arrivals.unfinished", gives=having(arrivals=[ARRIVAL])),
        step("arrivals.arrived_since", at(13), gives=[ARRIVAL]),
        step("arrivals.arrived_since", at(14), gives=[]),
    ],
    "what is there already is not late, and a correction is": [
        step(add_readings, rows(1, 2), at(3)),
        evaluated(10),
        step(add_readings, rows(1, 2), at(11)),
        step(came, gives=[]),
        step(add_readings, [*rows(1), *rows(2, temperature=201.0)], at(12)),
        step(add_readings, rows(1, moisture=4.0), at(13)),
        step(came, gives=[late(2, 2, 1, "temperature"), late(1, 1, 1, "moisture")]),
    ],
    "an event is late from its start, and its end from that end on": [
        LASTING,
        evaluated(10),
        step(add_events, [replace(WITHOUT, end=None)], at(11)),
        step(add_events, [WITHOUT], at(12)),
        step(add_events, [STOP], at(13)),
        step(add_events, [replace(WITHOUT, end=at(20))], at(14)),
        step(came, gives=[late(m, m, 1, "stop") for m in (5, 8, 8)]),
    ],
    "removed readings are late by their variables": [
        step(add_readings, [*rows(1, 2), *rows(20), *rows(2, moisture=4.0)], at(30)),
        evaluated(10),
        step(remove_readings, rows(1, temperature=7.0), at(31), gives=0),
        step(remove_readings, [*rows(2), *rows(20), *rows(3)], at(32), gives=2),
        step(remove_readings, [*rows(2), *rows(20)], at(33), gives=0),
        step(came, gives=[late(2, 2, 1, "temperature")]),
    ],
    "a removed event is late from its start on, and of another end or attribute it is another": [
        LASTING,
        step(add_events, [STOP, OTHER_STOP], at(9)),
        evaluated(10),
        step(remove_events, [replace(STOP, end=at(9))], at(11), gives=0),
        step(remove_events, [replace(STOP, attributes={"reason": "belt"})], at(11), gives=0),
        step(remove_events, [WITHOUT, OTHER_STOP], at(12), gives=2),
        step(remove_events, [STOP, OTHER_STOP], at(13), gives=0),
        step(came, gives=[late(5, 5, 1, "stop")]),
    ],
}


def test_an_entry_stands_before_the_rows_and_stays_when_the_writer_is_killed(stores, monkeypatch):
    stores.arrivals.extend_evaluated_until(at(10))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stores.reading_writes, "insert", killed)
    with pytest.raises(KeyboardInterrupt):
        add_readings(stores, rows(4, 20), at(13))
    (arrival,) = stores.arrivals.unfinished().arrivals
    assert (arrival.written, arrival.arrived_at, arrival.parts[0].last) == (False, at(13), at(20))
    stores.arrivals.mark_routed([(arrival, 1)], at(30))
    assert stores.arrivals.unfinished().arrivals == []
    (kept,) = stores.arrivals.arrived_since(at(0))
    assert (kept.routed_at, kept.too_late) == (at(30), 1)


def test_a_writer_that_finishes_meanwhile_is_looked_at_once_more(stores, monkeypatch):
    stores.arrivals.extend_evaluated_until(at(10))
    insert = stores.reading_writes.insert

    def slow(*new):
        (arrival,) = stores.arrivals.unfinished().arrivals
        stores.arrivals.mark_routed([(arrival, 0)], at(14))
        return insert(*new)

    monkeypatch.setattr(stores.reading_writes, "insert", slow)
    add_readings(stores, rows(4), at(13))
    (arrival,) = stores.arrivals.unfinished().arrivals
    assert arrival.written


def test_what_is_routed_is_forgotten_once_it_is_old_and_what_waits_never(stores):
    stores.arrivals.extend_evaluated_until(at(10))
    for minute in (11, 12, 13):
        add_readings(stores, rows(minute - 10), at(minute))
    first, second, third = stores.arrivals.unfinished().arrivals
    stores.arrivals.mark_routed([(first, 0), (third, 0)], at(14))
    assert stores.arrivals.forget(at(11)) == 0
    assert stores.arrivals.forget(at(13)) == 1
    assert [arrival.id for arrival in stores.arrivals.arrived_since(at(0))] == [second.id, third.id]
    stores.arrivals.mark_routed([(second, 0)], at(14))
    assert stores.arrivals.forget(at(14)) == 2
    assert stores.arrivals.arrived_since(at(0)) == []


KEYS = [("too-hot", f"oven-{number}") for number in range(5)]
FOREIGN = ("other", "oven-1")


def request(*requests):
    return step("arrivals.request_reprocessing", list(requests))


def requested(**starts):
    """The requests are those of these assets, by their number."""
    gives = {KEYS[int(name[1:])]: having(start=at(minute)) for name, minute in starts.items()}
    return step("arrivals.requests", ["too-hot"], gives=gives)


REQUESTS = {
    "a request keeps the earliest instant": [
        request({KEYS[0]: at(5), KEYS[1]: at(1)}, {FOREIGN: at(1)}),
        request({KEYS[0]: at(7)}),
        request(),
        request({}),
        requested(_0=5, _1=1),
        step("arrivals.requests", ["other"], gives={FOREIGN: having(start=at(1))}),
        unit_step("arrivals.remove_requests", []),
        requested(_0=5, _1=1),
        request({KEYS[0]: at(4)}),
        requested(_0=4, _1=1),
    ],
}


def remove_requests(stores, *requests):
    with stores.unit_of_work.begin() as unit:
        stores.arrivals.remove_requests(requests, unit)
    return sorted(stores.arrivals.requests(["too-hot"]))


def test_a_request_stays_when_late_data_were_added_after_it_was_read(stores):
    stores.arrivals.request_reprocessing([dict.fromkeys(KEYS[:3], at(5))])
    read = stores.arrivals.requests(["too-hot"])
    stores.arrivals.request_reprocessing([{KEYS[0]: at(6)}])
    assert remove_requests(stores, *read.values()) == KEYS[:1]
    assert stores.arrivals.requests(["too-hot"]) == {KEYS[0]: having(start=at(6))}


def test_a_request_stands_in_place_of_those_that_wait(stores):
    stores.arrivals.request_reprocessing([dict.fromkeys(KEYS[:3], at(5))])
    read = stores.arrivals.requests(["too-hot"])
    stores.arrivals.request_reprocessing([{KEYS[0]: at(4)}], [read[KEYS[0]]])
    found = stores.arrivals.requests(["too-hot"])
    starts = [(found[key].start, len(found[key].keys)) for key in KEYS[:3]]
    assert starts == [(at(4), 1), (at(5), 1), (at(5), 1)]
    assert remove_requests(stores, read[KEYS[0]]) == KEYS[:3], "an evaluator had read it before"


def test_requests_stored_together_are_removed_one_by_one_and_none_is_left(stores):
    stores.arrivals.request_reprocessing([dict.fromkeys(KEYS, at(5))])
    read = stores.arrivals.requests(["too-hot"])
    left = [
        (remove_requests(stores, *(read[key] for key in done)), stores.arrivals.unfinished())
        for done in (KEYS[1:3], KEYS[:1], KEYS[3:])  # as evaluators that have read the same
    ]
    assert left == [
        ([KEYS[0], *KEYS[3:]], having(has_requests=True)),
        (KEYS[3:], having(has_requests=True)),
        ([], having(has_requests=False)),
    ]


def checkpoint(minute, needed_from=0, asset="oven-1", **changes):
    return Checkpoint("too-hot", asset, ConditionState(at(minute), **changes), at(needed_from))


def save(*checkpoints):
    return unit_step("checkpoints.write", {}, list(checkpoints))


def before(minute, gives):
    return step("checkpoints.states_before", {HOT: at(minute)}, gives=gives)


HOT = ("too-hot", "oven-1")
OTHER = ("too-hot", "oven-2")
FULL = checkpoint(
    20,
    pending_since=at(8),
    severity="high",
    levels=(SeverityState("high", met_since=at(7)),),
    carried=Carried("temperature", at(9), float("inf"), 2.5, ("high.above",), (0, 3), at(6)),
)
CHECKPOINTS = {
    "the nearest states are found and come back equal": [
        save(checkpoint(10), FULL, checkpoint(30), checkpoint(25, asset="oven-2")),
        step(
            "checkpoints.states_before",
            {HOT: at(30), OTHER: at(26)},
            gives={HOT: FULL.state, OTHER: ConditionState(at(25))},
        ),
        step(
            "checkpoints.states_before",
            {HOT: at(2000), OTHER: at(25)},
            gives={HOT: ConditionState(at(30))},
        ),
        step("checkpoints.states_before", {HOT: at(10), FOREIGN: at(30)}, gives={}),
        step("checkpoints.states_before", {}, gives={}),
        step("checkpoints.state_after", *HOT, at(10), gives=ConditionState(at(10))),
        step("checkpoints.state_after", *HOT, at(31), gives=None),
        save(),
    ],
    "a state stays until the one after it serves as well": [
        save(checkpoint(10)),
        save(checkpoint(1000, needed_from=900)),
        before(900, {HOT: ConditionState(at(10))}),
        save(checkpoint(2000, needed_from=1001)),
        before(1000, {}),
        before(1001, {HOT: ConditionState(at(1000))}),
    ],
    "after late data the state before them is needed as long as nothing new is kept": [
        save(checkpoint(10)),
        save(checkpoint(20)),
        unit_step("checkpoints.write", {HOT: at(15)}, []),
        step("checkpoints.state_after", *HOT, at(11), gives=None),
        save(checkpoint(100, needed_from=50)),
        before(60, {HOT: ConditionState(at(10))}),
    ],
}


def test_the_stores_of_arrivals_requests_and_checkpoints_keep_every_claim(broken):
    assert broken(JOURNAL | REQUESTS | CHECKPOINTS) == {}


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
