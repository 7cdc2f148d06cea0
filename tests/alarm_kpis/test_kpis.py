from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.alarm_kpis.floods import count_by_period, find_floods
from alerting.alarm_kpis.kpis import bands, find_chattering, find_stale, kpis, most_frequent, spread
from alerting.alarm_kpis.metrics import Targets
from alerting.alarm_kpis.other_limits import noise, propose
from alerting.episodes.episode import ActorStamp, Transition
from tests.builders import at, history, threshold
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast

DAY = 24 * 60
MONTH = 30 * DAY
CHATTER = (3, timedelta(minutes=1))


def alarm(minute, lasts=5.0, **changes):
    ends = {} if lasts is None else {"condition": "closed", "closed_at": at(minute + lasts)}
    return episode(minute, **{**ends, **changes})


def figures(episodes, minutes=DAY, **targets):
    return kpis(episodes, at(0), at(minutes), Targets(**targets))


# --- rates
# --------------------------------------------------------------------------------------------------


def test_rates_are_alarms_over_the_whole_period():
    found = figures([alarm(m) for m in range(0, DAY, 60)])
    assert (found.alarms, found.per_hour, found.per_day) == (
        24,
        pytest.approx(1),
        pytest.approx(24),
    )
    assert found.per_ten_minutes == pytest.approx(1 / 6)


def test_a_period_begins_where_it_is_asked_for_and_its_end_is_outside():
    found = kpis([alarm(m) for m in (4.99, 5, 14.99, 15)], at(5), at(15))
    assert (found.alarms, found.busiest, found.busiest_at) == (2, 2, at(5))


def test_averages_do_not_hide_a_burst():
    found = figures([alarm(600 + i / 4) for i in range(36)])
    assert found.per_ten_minutes < 1
    assert (found.busiest, found.busiest_at) == (36, at(600))
    assert found.periods_above == pytest.approx(1 / 144)
    assert found.hours_above == pytest.approx(1 / 24)
    assert [(b.name, b.periods) for b in found.bands] == [
        ("acceptable", 143), ("manageable", 0), ("over-demanding", 0), ("unacceptable", 1),
    ]  # fmt: skip


@given(st.lists(st.integers(0, DAY * 60 - 1), max_size=200))
def test_every_period_is_in_one_band_and_every_alarm_in_one_period(seconds):
    counts = count_by_period([at(s / 60) for s in seconds], at(0), at(DAY))
    assert (len(counts), counts.sum()) == (144, len(seconds))
    assert sum(b.periods for b in bands(counts)) == 144
    assert sum(b.share for b in bands(counts)) == pytest.approx(1)


def test_what_nobody_was_told_or_was_found_later_is_not_counted():
    def with_transitions(minute, *kinds):
        return alarm(
            minute, transitions=tuple(Transition(k, at(minute), "platform", "") for k in kinds)
        )

    episodes = [
        with_transitions(1, "raised", "closed"),
        with_transitions(2, "raised", "muted", "closed"),  # shelved from the raise on
        with_transitions(3, "raised", "muted", "unmuted"),  # told when the shelf ended
        with_transitions(4, "raised", "acknowledged", "muted"),  # told before
        alarm(5, backfilled=True),
        alarm(6, withdrawn=True),
    ]
    assert (figures(episodes).alarms, figures(episodes).silent) == (3, 1)


# --- floods
# --------------------------------------------------------------------------------------------------


def test_a_flood_starts_above_ten_in_ten_minutes_and_ends_below_five():
    counts = np.array([1, 10, 11, 7, 5, 4, 20, 0])
    floods = find_floods(counts, at(0))
    assert [(f.start, f.end, f.alarms, f.peak) for f in floods] == [
        (at(20), at(50), 23, 11),
        (at(60), at(70), 20, 20),
    ]


def test_a_flood_that_still_goes_on_ends_with_the_period():
    assert [(f.start, f.end) for f in find_floods(np.array([0, 12, 6]), at(0))] == [
        (at(10), at(30))
    ]
    assert find_floods(np.array([], np.int64), at(0)) == ()


def test_where_a_flood_begins_is_a_setting():
    assert len(find_floods(np.array([0, 9, 0]), at(0), 8)) == 1


# --- chattering
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "cycles", "bursts"),
    [
        ((0, 0.2, 0.4), 3, 1),
        ((0, 0.2, 0.4, 0.6, 0.8, 1.0), 6, 1),  # one long burst
        ((0, 0.2, 0.4, 30, 30.2, 30.4), 6, 2),
        ((0, 0.5, 1.0), 0, 0),  # the third clears after the minute
        ((0, 0.2), 0, 0),
    ],
)
def test_three_raises_and_clears_within_a_minute_are_chattering(minutes, cycles, bursts):
    found = find_chattering([alarm(m, 0.1) for m in minutes])
    assert [(c.cycles, c.bursts) for c in found] == ([(cycles, bursts)] if cycles else [])


def test_chattering_is_told_apart_by_definition_and_asset_and_needs_clears():
    episodes = [
        alarm(0, 0.1),
        alarm(0.2, 0.1, asset="oven-2"),
        alarm(0.4, 0.1, definition="too-moist"),
    ]
    assert find_chattering(episodes) == ()
    assert find_chattering([alarm(0, 0.1), alarm(0.2, 0.1), alarm(0.4, None)]) == ()


def noisy(minutes=20, seed=0, level=214.9, jumps=0.5):
    """One reading a second about a limit of 215."""
    values = level + np.random.default_rng(seed).normal(0, jumps, minutes * 60)
    return history([s / 60 for s in range(1, minutes * 60 + 1)], temperature=values.tolist())


def test_what_is_proposed_really_ends_the_chattering_by_the_same_judging():
    line = noisy()
    proposals = propose(threshold(), line, at(0), at(20), *CHATTER)
    assert [list(p.change) for p in proposals] == [["clear_above_at"], ["for"]]
    for proposal in proposals:
        assert proposal.raises_after < proposal.raises_before / 5
        assert propose(threshold(**proposal.change), line, at(0), at(20), *CHATTER) == ()
        assert (
            f"raised {proposal.raises_after} times instead of {proposal.raises_before}"
            in proposal.message
        )
    assert "needs no action" in proposals[1].message
    assert 212 < proposals[0].change["clear_above_at"] < 215


def test_limits_on_both_sides_get_clear_limits_on_both_sides():
    changes = [p.change for p in propose(threshold(below=100), noisy(), at(0), at(20), *CHATTER)]
    assert set(changes[0]) == {"clear_above_at", "clear_below_at"}
    assert 100 < changes[0]["clear_below_at"] < 105


def test_nothing_is_proposed_where_nothing_chatters():
    assert propose(threshold(), noisy(level=200), at(0), at(20), *CHATTER) == ()
    assert propose(threshold(), history([]), at(0), at(20), *CHATTER) == ()


def test_noise_forgets_trend_and_jumps_and_never_says_none_for_coarse_values():
    random = np.random.default_rng(1)
    drift = np.linspace(0, 50, 2000) + random.normal(0, 0.5, 2000)
    drift[1000:] += 300
    assert noise(drift) == pytest.approx(0.5, rel=0.1)
    assert noise(np.array([1.0, 1, 1, 1, 1.5, 1, 1, 1])) == 0.5
    assert noise(np.full(10, 3.0)) == noise(np.array([])) == 0


# --- stale, top, priorities, times
# --------------------------------------------------------------------------------------


def test_an_alarm_active_for_more_than_a_day_is_stale_also_if_it_is_older_than_the_period():
    day = alarm(0, DAY)
    over = alarm(1, DAY + 1)
    old = alarm(-5 * DAY, None)
    before = alarm(-3 * DAY, DAY * 2)
    found = find_stale([day, over, old, before], at(0), at(3 * DAY))
    assert [(s.episode, s.still, s.active_for) for s in found] == [
        (old.id, True, timedelta(days=8)),
        (over.id, False, timedelta(days=1, minutes=1)),
    ]


def test_the_most_frequent_are_ranked_with_their_share():
    episodes = (
        [alarm(m) for m in range(6)]
        + [alarm(m, asset="oven-2") for m in range(3)]
        + [alarm(9, asset="oven-3")]
    )
    assert [(t.asset, t.alarms, t.share) for t in most_frequent(episodes, 2)] == [
        ("oven-1", 6, 0.6),
        ("oven-2", 3, 0.3),
    ]
    assert figures(episodes, top=2).top_share == pytest.approx(0.9)


def test_the_mix_of_severities_stands_beside_its_target():
    mix = figures(
        [alarm(1, severity="low"), alarm(2, severity="low"), alarm(3, severity="critical")]
    ).priorities
    assert [(p.severity, p.alarms, p.target) for p in mix] == [
        ("low", 2, 0.8), ("medium", 0, 0.15), ("high", 0, 0.05), ("critical", 1, 0.01),
    ]  # fmt: skip


def test_times_to_acknowledge_and_to_clear_are_durations_really_seen():
    episodes = [
        alarm(m, m + 1.0, acknowledged=ActorStamp("ann", at(m + 2)) if m < 5 else None)
        for m in range(10)
    ]
    found = figures([*episodes, alarm(20, None)])
    assert (found.to_acknowledge.median, found.to_acknowledge.missing) == (timedelta(minutes=2), 6)
    assert (found.to_clear.median, found.to_clear.p90) == (
        timedelta(minutes=5),
        timedelta(minutes=9),
    )
    assert (found.to_clear.longest, found.to_clear.missing) == (timedelta(minutes=10), 1)
    assert spread([None]).median is None


# --- against the targets
# ------------------------------------------------------------------------------------------------


def met(found):
    return {f.metric: f.met for f in found.findings}


def test_a_quiet_month_meets_the_targets_and_a_short_time_says_nothing_but_what_is_certain():
    quiet = [alarm(m, definition=f"d-{i % 500}") for i, m in enumerate(range(0, MONTH, 45))]
    assert set(met(figures(quiet, MONTH)).values()) == {True}
    assert set(met(figures(quiet[:30], DAY)).values()) == {None}
    burst = [alarm(m / 60, 0.01) for m in range(30)]
    assert {n for n, m in met(figures(burst, DAY)).items() if m is False} == {
        "chattering alarms",
        "most in 10 minutes",
    }


def test_every_target_changes_some_finding_or_figure():
    minutes = [*np.arange(0, 120, 0.15).tolist(), 121, 122]
    episodes = [
        alarm(m, 1500 if i % 7 == 0 else 0.1, definition=f"d-{i % 2}")
        for i, m in enumerate(minutes)
    ]
    episodes += [alarm(m, 0.1, definition="twice") for m in (500, 500.3)]
    changed = {
        "acceptable": 2, "manageable": 100, "most": 3, "most_periods_above": 0.5,
        "flood_starts_above": 1000,
        "flood_ends_below": 1, "most_time_in_flood": 0.9, "per_hour": 1, "hour_above": 1,
        "most_hours_above": 0.9, "per_day": 1,
        "chatter_cycles": 2, "chatter_within": timedelta(seconds=1),
        "stale_after": timedelta(days=40), "most_stale": 1000,
        "top": 1, "top_share": 1.0, "low_share": 0.1, "medium_share": 0.1, "high_share": 0.1,
        "critical_share": 0.1,
    }  # fmt: skip
    assert set(changed) == set(Targets.__dataclass_fields__)
    base = figures(episodes, MONTH)
    for name, value in changed.items():
        assert figures(episodes, MONTH, **{name: value}) != base, name


def test_no_alarms_at_all_are_figures_of_zero():
    found = figures([], MONTH)
    assert (found.alarms, found.busiest, found.busiest_at, found.top, found.floods) == (
        0,
        0,
        None,
        (),
        (),
    )
    assert {f.met for f in found.findings} == {None}


@pytest.mark.parametrize(
    "limits",
    [
        {"levels": {"medium": {"above": 215}, "high": {"above": 216}}},
        {"outside": {"low": 100, "high": 215}},
        {"inside": {"low": 215, "high": 300}},
        {"equals": 215.0},
    ],
)
def test_limits_of_another_form_get_delays_only(limits):
    changes = [
        p.change for p in propose(threshold(above=None, **limits), noisy(), at(0), at(20), *CHATTER)
    ]
    assert all(list(change) == ["for"] for change in changes)
    assert changes or "equals" in limits
