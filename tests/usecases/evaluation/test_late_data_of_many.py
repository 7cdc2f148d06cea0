"""Late readings of many pairs: those that stay as they are move on together, and nobody can
tell."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.kinds.threshold import kind
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at
from tests.helpers.many_definitions import DEFINITIONS, OVENS, WALK, rows_of
from tests.helpers.stores import states_of
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.server
LATE = st.lists(st.sampled_from([0, 0, 0, 1, 2, 9]), min_size=25, max_size=25)


def outcome(rows, late, every, until):
    """Episodes with all that was said of them, and states, where each reading comes so many minutes
    late."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets(OVENS)
    apply(platform, DEFINITIONS, "engineer", at(0), "test")
    for minute in range(1, until, every):
        come = [
            r
            for r in rows
            if minute - every
            < (r.ts - at(0)).total_seconds() / 60 + late[int(r.ts.minute) % 25]
            <= minute
        ]
        add_readings(platform, come, at(minute))
        platform.clock.instant = at(minute)
        evaluate(platform, None, at(minute))
    names = [oven.name for oven in OVENS]
    states = {
        (d["name"], asset): replace(state, unknown_count=0)
        for d in DEFINITIONS
        for asset, state in states_of(platform, d["name"], names).items()
    }
    assert platform.arrivals.requests([d["name"] for d in DEFINITIONS]) == {}
    return sorted(
        (replace(e, version=0) for e in platform.episodes.find()), key=lambda e: e.id
    ), states


def one_by_one(*of):
    """The same, with every pair judged reading by reading."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kind, "limits_of", lambda definition, asset: None)
        return outcome(*of)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(WALK, min_size=6, max_size=6),
    st.sets(st.integers(1, 25), max_size=10),
    LATE,
    st.sampled_from([1, 2, 5]),
    st.sampled_from([0, 1]),
)
def test_late_readings_judged_together_or_one_by_one_leave_the_same_episodes_and_states(
    walks, stops, late, every, after_the_round
):
    shift = timedelta(milliseconds=after_the_round)
    rows = [replace(row, ts=row.ts + shift) for row in rows_of(walks, stops)]
    assert outcome(rows, late, every, 42) == one_by_one(rows, late, every, 42)
