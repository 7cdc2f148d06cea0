"""Cases at the very edge of what a threshold says: turns at one instant, values on their limits,
gaps that just close."""

from itertools import pairwise

import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, too_hot
from tests.in_memory_platform import in_memory_platform

LEVELS = {"low": {"above": 205}, "high": {"above": 215}, "critical": {"above": 230}}


def episodes_of(values, instants, late=(), variable=None, **changes):
    """All episodes after evaluations at these minutes. `values` by minute; `late`: (arrives,
    minute, value)."""
    platform = in_memory_platform()
    platform.assets.store_assets(
        [Asset(name="oven-1", variables={"temperature": variable or Variable()})]
    )
    apply(platform, [too_hot(**changes)], "engineer", at(0), "test")
    deliveries = [*((0, minute, value) for minute, value in values.items()), *late]
    for before, minute in pairwise([-1, *instants]):
        rows = [
            ReadingRow("oven-1", at(m), {"temperature": v})
            for arrives, m, v in deliveries
            if before < arrives <= minute
        ]
        add_readings(platform, rows, at(minute))
        platform.clock.instant = at(minute)
        evaluate(platform, None, at(minute))
    return sorted(
        (e for e in platform.episodes.find() if not e.withdrawn), key=lambda e: e.raised_at
    )


def evaluated(values, instants, **changes):
    """The transitions of all episodes after evaluations at these minutes; `values` by minute."""
    episodes = episodes_of(values, instants, **changes)
    return [(t.kind, t.at, t.reason.split(":")[0]) for e in episodes for t in e.transitions]


CHUNKS = [[14], [10, 14], [9, 14], [9, 11, 14], range(1, 15), [8, 9, 10, 11, 12]]


@pytest.mark.parametrize("instants", CHUNKS)
def test_the_severity_falls_step_by_step_to_its_end_whenever_evaluation_looks(instants):
    values = {1: 240.0, 4: 220.0, 6: 200.0}
    steps = evaluated(
        values, instants, above=None, levels=LEVELS, clear_for="5m", stale_after="30m"
    )
    assert [(kind, t) for kind, t, _ in steps] == [
        ("raised", at(1)),
        ("severity", at(9)),
        ("closed", at(11)),
    ]
    assert steps[1][2] == "critical → high"


@pytest.mark.parametrize("instants", CHUNKS)
def test_worse_severities_that_end_with_the_episode_are_no_steps_of_it(instants):
    steps = evaluated(
        {1: 240.0, 6: 200.0}, instants, above=None, levels=LEVELS, clear_for="5m", stale_after="30m"
    )
    assert [(kind, t) for kind, t, _ in steps] == [("raised", at(1)), ("closed", at(11))]


@pytest.mark.parametrize("seconds", [1, 3, 7, 30, 60, 90, 420, 600])
@pytest.mark.parametrize(
    ("before", "after", "rate"),
    [(10, 13, 3), (0.1, 0.4, 0.3), (1000.1, 1000.3, 0.2), (21.7, 21.4, -0.3)],
)
def test_a_rate_exactly_on_its_limit_is_not_beyond_it(seconds, before, after, rate):
    values = {1: before, 1 + seconds / 60: after}
    changes = {"rate_per": f"{seconds}s", "stale_after": "10m"}
    assert evaluated(values, [20], above=rate, **changes) == []
    assert evaluated(values, [20], above=None, below=rate, **changes) == []
    inside = evaluated(values, [20], above=None, inside={"low": rate, "high": rate + 5}, **changes)
    assert [(kind, t) for kind, t, _ in inside] == [("raised", at(1 + seconds / 60))]


def test_a_rate_over_a_longer_time_than_its_own_is_still_exact():
    changes = {"rate_per": "7m", "stale_after": "30m", "above": 0.7}
    assert evaluated({1: 0.2, 11: 1.2}, [20], **changes) == []
    assert [k for k, _, _ in evaluated({1: 0.2, 11: 1.2000001}, [20], **changes)] == ["raised"]


def test_a_frozen_value_counts_as_missing_also_before_there_is_a_rate():
    changes = {
        "rate_per": "30m",
        "frozen_after": "5m",
        "no_data": "alert",
        "stale_after": "1h",
        "above": 3,
    }
    steps = evaluated(dict.fromkeys(range(1, 15), 20.0), [14], **changes)
    assert [(kind, t) for kind, t, _ in steps] == [("raised", at(6))]


def test_the_rate_of_a_frozen_value_does_not_bring_it_back_from_its_limit():
    """It rose by 9 in five minutes, and then stood still: while it is frozen, nothing is known of
    its rate."""
    values = {1: 1.0, 6: 10.0, 8: 10.0, 12: 10.0, 16: 10.0, 17: 14.0, 18: 14.0, 21: 17.0}
    changes = {
        "rate_per": "5m",
        "above": 8,
        "clear_above_at": 1,
        "frozen_after": "3m",
        "stale_after": "10m",
    }
    steps = evaluated(values, [30], **changes)
    assert [(kind, t) for kind, t, _ in steps] == [("raised", at(6))]
    assert evaluated(values, range(1, 31), **changes) == steps


LATE_LEVELS = {"above": None, "levels": LEVELS, "clear_for": "0s", "stale_after": "1h"}


def test_a_worst_severity_that_late_data_refute_is_not_kept():
    [episode] = episodes_of(
        {1: 210.0}, [10, 45, 60], late=[(40, 40, 240.0), (50, 40, 220.0)], **LATE_LEVELS
    )
    assert (episode.condition, episode.severity, episode.severity_peak) == ("open", "high", "high")


def test_an_episode_that_late_data_let_go_on_ends_with_its_last_severity():
    late = [(30, 3, 210.0), (30, 12, 240.0), (30, 25, 210.0), (30, 28, 200.0)]
    [episode] = episodes_of({5: 210.0, 12: 200.0}, [20, 30], late=late, **LATE_LEVELS)
    assert (episode.closed_at, episode.severity, episode.severity_peak) == (
        at(28),
        "low",
        "critical",
    )


def test_an_episode_that_late_data_lengthened_and_then_cut_in_two_is_two_episodes():
    """It was raised at 22, then found to have begun at 14; a value that came later still was normal
    from 15 to 22."""
    late = [(30, 14, 210.0), (35, 15, 200.0)]
    first, second = episodes_of(
        {1: 200.0, 22: 210.0}, [25, 30, 35], late=late, above=205, stale_after="1h"
    )
    assert [(e.condition_started_at or e.raised_at, e.closed_at) for e in (first, second)] == [
        (at(14), at(15)),
        (at(22), None),
    ]
