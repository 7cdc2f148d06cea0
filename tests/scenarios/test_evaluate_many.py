"""Many definitions at once: pairs that stay as they are move on together, and nobody can tell."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.kinds.threshold import kind
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import (
    evaluate,
)
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, too_hot
from tests.helpers.many_definitions import DEFINITIONS, OVENS, WALK, rows_of
from tests.helpers.stores import states_of
from tests.in_memory_platform import in_memory_platform


def plant(rows):
    """A platform over these rows."""
    platform = in_memory_platform()
    platform.assets.store_assets(OVENS)
    apply(platform, DEFINITIONS, "engineer", at(0), "test")
    add_readings(platform, rows, at(0))
    return platform


def one_by_one(rows, instants, revised_at):
    """The same, with every pair judged reading by reading."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kind, "limits_of", lambda definition, asset: None)
        return outcome(rows, instants, revised_at)


def outcome(rows, instants, revised_at):
    """Episodes and states after evaluations at these instants, with a new revision in between."""
    platform = plant(rows)
    for _, instant in pairwise([0, *instants]):
        if instant > revised_at and len(platform.definitions.revisions("hot")) == 1:
            platform.clock.instant = at(revised_at)
            apply(
                platform,
                [too_hot(name="hot", assets=["oven-*"], stale_after="4m", above=208)],
                "x",
                at(revised_at),
                "lower",
            )
        platform.clock.instant = at(instant)
        evaluate(platform, None, at(instant))
    episodes = sorted(platform.episodes.find(), key=lambda e: e.id)
    found = [
        (
            e.id,
            e.severity,
            e.raised_at,
            e.closed_at,
            [(t.kind, t.at, t.reason) for t in e.transitions],
        )
        for e in episodes
    ]
    keys = [(definition["name"], oven.name) for definition in DEFINITIONS for oven in OVENS]
    table = platform.states.load_many(keys)
    states = [
        state and replace(state, unknown_count=0) for state in map(table.state, range(len(keys)))
    ]
    return found, states


@settings(max_examples=4, deadline=None)
@given(
    st.lists(WALK, min_size=6, max_size=6),
    st.sets(st.integers(1, 25), max_size=10),
    st.sampled_from([1, 2, 3, 7]),
)
def test_evaluations_in_any_chunks_leave_the_episodes_and_states_of_a_single_one(
    walks, stops, step
):
    rows = rows_of(walks, stops)
    end = 36
    at_once = one_by_one(rows, [end], revised_at=12)
    assert outcome(rows, [end], revised_at=12) == at_once
    assert outcome(rows, [*range(step, end, step), end], revised_at=12) == at_once


def test_a_stored_value_that_is_none_holds_its_own_pair_back_and_no_other():
    platform = in_memory_platform()
    platform.assets.store_assets(OVENS)
    apply(platform, [too_hot(assets=["oven-*"])], "engineer", at(0), "test")
    readings = [
        ReadingRow(oven.name, at(m), {"temperature": 200.0}) for oven in OVENS for m in (1, 2, 12)
    ]
    add_readings(platform, readings, at(0))
    add_readings(platform, [ReadingRow("oven-2", at(11), {"temperature": "hot"})], at(0))
    evaluate(platform, None, at(10))
    counts = evaluate(platform, None, at(13))
    assert list(counts.unknown) == ["too-hot on oven-2"]
    assert "correct the reading in collection `readings`" in counts.unknown["too-hot on oven-2"]
    states = states_of(platform, "too-hot", [oven.name for oven in OVENS])
    assert [states[oven.name].watermark for oven in OVENS] == [at(13), at(10), at(13)]
    add_readings(platform, [ReadingRow("oven-2", at(11), {"temperature": 230.0})], at(13))
    assert evaluate(platform, None, at(14)).raised == 1
