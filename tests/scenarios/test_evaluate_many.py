"""Many definitions at once: pairs that stay as they are move on together, and nobody can tell,
however late readings come."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.kinds.threshold import kind
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, too_hot
from tests.helpers.many_definitions import DEFINITIONS, OVENS, WALK, rows_of
from tests.helpers.stores import states_of
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.server
END = 42
REVISED = 12
LOWER = too_hot(name="hot", assets=["oven-*"], stale_after="4m", above=208)
NAMES = [oven.name for oven in OVENS]


def outcome(rows, late, every):
    """Episodes with all that was said of them, and states, after evaluations every so many minutes,
    where each reading comes so many minutes late, and with a new revision in between."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets(OVENS)
    apply(platform, DEFINITIONS, "engineer", at(0), "test")
    arrivals = [(row, row.ts + timedelta(minutes=late[row.ts.minute % 25])) for row in rows]
    before = at(-1)
    is_revised = False
    for minute in [*range(1, END, every), END]:
        if minute > REVISED and not is_revised:
            is_revised = True
            platform.clock.instant = at(REVISED)
            apply(platform, [LOWER], "engineer", at(REVISED), "lower")
        add_readings(platform, [r for r, ts in arrivals if before < ts <= at(minute)], at(minute))
        platform.clock.instant = before = at(minute)
        evaluate(platform, None, at(minute))
    states = {
        (document["name"], asset): replace(state, unknown_count=0)
        for document in DEFINITIONS
        for asset, state in states_of(platform, document["name"], NAMES).items()
    }
    episodes = [replace(episode, version=0) for episode in platform.episodes.find()]
    return sorted(episodes, key=lambda e: e.id), states


def shown(episodes):
    """What does not depend on how often was evaluated."""
    return [
        (
            e.id,
            e.severity,
            e.raised_at,
            e.closed_at,
            [(t.kind, t.at, t.reason) for t in e.transitions],
        )
        for e in episodes
    ]


def one_by_one(*of):
    """The same, with every pair judged reading by reading."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kind, "limits_of", lambda definition, asset: None)
        return outcome(*of)


IN_TIME = [0] * 25
LATE = st.lists(st.sampled_from([0, 0, 0, 1, 2, 9]), min_size=25, max_size=25)
WALKS = st.lists(WALK, min_size=6, max_size=6)
STOPS = st.sets(st.integers(1, 25), max_size=10)


@settings(max_examples=4, deadline=None)
@given(WALKS, STOPS, LATE, st.sampled_from([1, 2, 5]), st.sampled_from([0, 1]))
def test_pairs_judged_together_or_one_by_one_in_any_chunks_leave_the_same_episodes_and_states(
    walks, stops, late, every, after_the_round
):
    shift = timedelta(milliseconds=after_the_round)
    rows = [replace(row, ts=row.ts + shift) for row in rows_of(walks, stops)]
    assert outcome(rows, late, every) == one_by_one(rows, late, every)
    often, states = outcome(rows, IN_TIME, every)
    at_once, states_at_once = one_by_one(rows, IN_TIME, END)
    assert (shown(often), states) == (shown(at_once), states_at_once)


def test_a_stored_value_that_is_none_holds_its_own_pair_back_and_no_other():
    platform = in_memory_platform()
    platform.assets.store_assets(OVENS)
    apply(platform, [too_hot(assets=["oven-*"])], "engineer", at(0), "test")
    rows = [ReadingRow(name, at(m), {"temperature": 200.0}) for name in NAMES for m in (1, 2, 12)]
    wrong = ReadingRow("oven-2", at(11), {"temperature": "hot"})
    add_readings(platform, [*rows, wrong], at(0))
    evaluate(platform, None, at(10))
    counts = evaluate(platform, None, at(13))
    assert list(counts.unknown) == ["too-hot on oven-2"]
    assert "correct the reading in collection `readings`" in counts.unknown["too-hot on oven-2"]
    states = states_of(platform, "too-hot", NAMES)
    assert [states[name].watermark for name in NAMES] == [at(13), at(10), at(13)]
    add_readings(platform, [ReadingRow("oven-2", at(11), {"temperature": 230.0})], at(13))
    assert evaluate(platform, None, at(14)).raised == 1
