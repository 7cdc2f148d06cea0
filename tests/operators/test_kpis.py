"""Metrics of alarms after ISA-18.2 and EEMUA 191, floods, and advice on other limits."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.fields.names_and_times import find_gaps, intersection, length, merge
from alerting.definitions.wording.language import ENGLISH
from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.episodes.episode import Transition
from alerting.episodes.lifecycle import Step
from alerting.operators.alarm_load import (
    count_by_period,
    find_floods,
    noise,
    notification_instants,
    quieten,
)
from alerting.operators.kpis import Targets, find_chattering, find_stale, kpis, most_frequent
from alerting.reporting.definition.operators_and_money import spread
from tests.builders import at, history, threshold
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast

DAY = 24 * 60
MONTH = 30 * DAY


def alarm(minute, lasts=5.0, **changes):
    ends = {} if lasts is None else {"condition": "closed", "closed_at": at(minute + lasts)}
    return episode(minute, **{**ends, **changes})


def times(*minutes):
    return [(at(a), at(b)) for a, b in minutes]


def figures(episodes, minutes=DAY, *evaluated, **targets):
    return kpis(
        episodes, at(0), at(minutes), Targets(**targets), times(*evaluated) if evaluated else None
    )


def met(found):
    return {f.metric: f.met for f in found.findings}


def test_rates_are_alarms_over_the_period_whose_end_is_outside():
    found = figures([alarm(m) for m in range(0, DAY, 60)])
    assert (found.alarms, found.per_day) == (24, pytest.approx(24))
    assert found.per_ten_minutes == pytest.approx(1 / 6)
    found = kpis([alarm(m) for m in (4.99, 5, 14.99, 15)], at(5), at(15))
    assert (found.alarms, found.busiest, found.busiest_at) == (2, 2, at(5))


def test_averages_do_not_hide_a_burst():
    found = figures([alarm(600 + i / 4) for i in range(36)])
    assert found.per_ten_minutes < 1
    assert (found.busiest, found.busiest_at) == (36, at(600))
    assert (found.distribution[0], found.distribution[-1], len(found.distribution)) == (143, 1, 12)


@given(st.lists(st.integers(0, DAY * 60 - 1), max_size=200))
def test_every_alarm_is_in_one_period(seconds):
    counts = count_by_period([at(s / 60) for s in seconds], at(0), at(DAY))
    assert (len(counts), counts.sum()) == (144, len(seconds))


def test_what_nobody_was_told_or_was_found_later_is_not_counted():
    def with_transitions(minute, *kinds):
        made = tuple(Transition(k, at(minute), "platform", "") for k in kinds)
        return alarm(minute, transitions=made)

    episodes = [
        with_transitions(1, "raised", "closed"),
        with_transitions(2, "raised", "muted", "closed"),  # from the raise on
        with_transitions(3, "raised", "muted", "unmuted"),  # told when the mute ended
        with_transitions(4, "raised", "acknowledged", "muted"),  # told before
        alarm(5, backfilled=True),
        alarm(6, withdrawn=True),
    ]
    assert (figures(episodes).alarms, figures(episodes).silent) == (3, 1)


def test_rates_and_shares_are_of_the_evaluated_times_also_with_a_gap():
    alarms = [alarm(DAY + m / 10, 1) for m in range(11)]
    found = figures(alarms, 4 * DAY, (DAY, 2 * DAY), (3 * DAY, 4 * DAY))
    assert (found.alarms, found.per_day) == (11, pytest.approx(5.5))
    assert found.observed == timedelta(days=2)
    assert found.time_in_flood == pytest.approx(1 / 288)
    assert ENGLISH.translate(found.observation).startswith("observed 2 d of 4 d, since 2026-01-06")
    assert (figures([]).observation, figures([], DAY, (0, 0)).per_day) == ("", None)


def test_a_rate_is_not_known_before_its_own_time_was_evaluated():
    table = [((20, 27), None, None), ((0, 23 * 60), 3 / 138, None), ((0, DAY), 3 / 144, 3.0)]
    found = [figures([alarm(m) for m in (25, 26, 27)], DAY, times) for times, *_ in table]
    assert [one.alarms for one in found] == [3, 3, 3]
    known = [(one.per_ten_minutes or 0, one.per_day or 0) for one in found]
    assert known == [(pytest.approx(few or 0), pytest.approx(day or 0)) for _, few, day in table]
    lost = figures([alarm(30)], 60, (40, 60))  # an alarm is never lost from the counts
    assert (lost.alarms, lost.busiest, sum(lost.distribution)) == (1, 1, 3)


def test_a_flood_starts_above_a_setting_and_ends_below_half_of_it():
    table = [
        ([1, 10, 11, 7, 5, 4, 20, 0], 10, [(20, 50, 23, 11), (60, 70, 20, 20)]),
        ([0, 12, 6], 10, [(10, 30, 18, 12)]),  # it ends with the period
        ([], 10, []),
        ([0, 9, 0], 8, [(10, 20, 9, 9)]),
    ]
    found = [find_floods(np.array(counts, np.int64), at(0), above) for counts, above, _ in table]
    assert [[(f.start, f.end, f.alarms, f.peak) for f in floods] for floods in found] == [
        [(at(start), at(end), alarms, peak) for start, end, alarms, peak in floods]
        for *_, floods in table
    ]


def test_three_raises_and_clears_within_a_minute_are_chattering():
    table = {
        (0, 0.2, 0.4): [(3, 1)],
        (0, 0.2, 0.4, 0.6, 0.8, 1.0): [(6, 1)],  # one long burst
        (0, 0.2, 0.4, 30, 30.2, 30.4): [(6, 2)],
        (0, 0.5, 1.0): [],  # the third clears after the minute
        (0, 0.2): [],
    }
    found = {minutes: find_chattering([alarm(m, 0.1) for m in minutes]) for minutes in table}
    assert {m: [(c.cycles, c.bursts) for c in one] for m, one in found.items()} == table


def test_chattering_is_told_apart_by_definition_and_asset_and_needs_clears():
    other = [alarm(0.2, 0.1, asset="oven-2"), alarm(0.4, 0.1, definition="too-moist")]
    assert find_chattering([alarm(0, 0.1), *other]) == ()
    assert find_chattering([alarm(0, 0.1), alarm(0.2, 0.1), alarm(0.4, None)]) == ()


def test_an_alarm_active_for_more_than_a_day_is_stale_also_if_it_is_older_than_the_period():
    over = alarm(1, DAY + 1)
    old = alarm(-5 * DAY, None)
    found = find_stale([alarm(0, DAY), over, old, alarm(-3 * DAY, DAY * 2)], at(0), at(3 * DAY))
    assert [(s.episode, s.still, s.active_for) for s in found] == [
        (old.id, True, timedelta(days=8)),
        (over.id, False, timedelta(days=1, minutes=1)),
    ]


def test_the_most_frequent_are_ranked_with_their_share():
    episodes = [
        *(alarm(m) for m in range(6)),
        *(alarm(m, asset="oven-2") for m in range(3)),
        alarm(9, asset="oven-3"),
    ]
    found = most_frequent(episodes, 2)
    assert [(t.asset, t.alarms, t.share) for t in found] == [("oven-1", 6, 0.6), ("oven-2", 3, 0.3)]


def test_a_quiet_month_meets_the_targets_and_a_short_time_says_nothing_but_what_is_certain():
    quiet = [alarm(m, definition=f"d-{i % 500}") for i, m in enumerate(range(0, MONTH, 45))]
    assert {*met(figures(quiet, MONTH)).values()} == {True}
    assert {*met(figures(quiet[:30], DAY)).values()} == {None}
    burst = met(figures([alarm(m / 60, 0.01) for m in range(30)], DAY))
    assert {n for n, m in burst.items() if m is False} == {
        "chattering alarms",
        "most in 10 minutes",
    }


def test_the_targets_are_those_of_the_plant_and_the_position():
    burst = [alarm(m / 4, 0.01, definition=f"d-{m}") for m in range(40 * 50)]
    usual = met(figures(burst, MONTH))
    changed = {
        "most in 10 minutes": {"flood_above": 40},
        "time in flood": {"most_time_in_flood": 0.9},
        "alarms per day": {"per_day": 1},
    }
    others = {
        metric: met(figures(burst, MONTH, **given))[metric] for metric, given in changed.items()
    }
    assert [metric for metric, found in others.items() if found is usual[metric]] == []


def test_no_alarms_are_figures_of_zero_and_without_evaluated_times_none_is_known():
    found = figures([], MONTH)
    assert (found.alarms, found.busiest, found.busiest_at, found.top) == (0, 0, None, ())
    assert {f.met for f in found.findings} == {None}
    unknown = kpis([], at(0), at(MONTH), evaluated=[])
    assert {(f.value, f.met) for f in unknown.findings} == {(None, None)}


def test_durations_are_ones_that_were_really_seen():
    found = spread([*(timedelta(minutes=n) for n in range(1, 11)), None])
    assert (found.median, found.p90) == (timedelta(minutes=5), timedelta(minutes=9))
    assert (found.longest, found.missing) == (timedelta(minutes=10), 1)
    assert spread([None]).median is None


def test_intervals_become_one_and_what_lies_between_and_what_is_shared():
    assert merge(times((5, 9), (0, 2), (9, 12), (1, 3)), at(1), at(11)) == times((1, 3), (5, 11))
    assert merge(times((0, 2)), at(2), at(9)) == []
    assert find_gaps(times((1, 3), (5, 9)), at(0), at(9)) == times((0, 1), (3, 5))
    assert intersection(times((0, 4), (6, 9)), times((3, 7))) == times((3, 4), (6, 7))
    assert length(times((0, 4), (6, 9))) == timedelta(minutes=7)


# --- other limits


def noisy(minutes=20, seed=0, level=214.9, jumps=0.5):
    """One reading a second about a limit of 215."""
    values = level + np.random.default_rng(seed).normal(0, jumps, minutes * 60)
    return history([s / 60 for s in range(1, minutes * 60 + 1)], temperature=values.tolist())


def rare(steps):
    return sum(step.kind == "raised" for step in steps) <= 20


def test_what_is_proposed_really_makes_alarms_rare_by_the_same_judging():
    proposals = quieten(threshold(), noisy(), at(0), at(20), rare)
    assert [list(p.change) for p in proposals] == [["clear_above_at"], ["for"]]
    for proposal in proposals:
        assert proposal.raises_after <= 20 < proposal.raises_before
        again = threshold(**proposal.change)
        assert quieten(again, noisy(), at(0), at(20), rare) == ()
    assert "needs no action" in proposals[1].message
    assert 212 < proposals[0].change["clear_above_at"] < 215
    [first, *_] = quieten(threshold(below=100), noisy(), at(0), at(20), rare)
    assert {*first.change} == {"clear_above_at", "clear_below_at"}
    assert 100 < first.change["clear_below_at"] < 105


def test_limits_of_another_form_get_delays_only_and_rare_alarms_nothing():
    others = [
        {"levels": {"medium": {"above": 215}, "high": {"above": 216}}},
        {"outside": {"low": 100, "high": 215}},
        {"inside": {"low": 215, "high": 300}},
    ]
    found = [
        quieten(threshold(above=None, **limits), noisy(), at(0), at(20), rare) for limits in others
    ]
    assert [[list(p.change) for p in proposals] for proposals in found] == [[["for"]]] * 3
    quiet = (noisy(level=200), history([]))
    assert [quieten(threshold(), data, at(0), at(20), rare) for data in quiet] == [(), ()]


def test_noise_forgets_trend_and_jumps_and_never_says_none_for_coarse_values():
    random = np.random.default_rng(1)
    drift = np.linspace(0, 50, 2000) + random.normal(0, 0.5, 2000)
    drift[1000:] += 300
    assert noise(drift) == pytest.approx(0.5, rel=0.1)
    assert noise(np.array([1.0, 1, 1, 1, 1.5, 1, 1, 1])) == 0.5
    assert noise(np.full(10, 3.0)) == noise(np.array([])) == 0


def prediction(raised, happening, closed):
    ended = at(happening)
    return [
        Step("raised", at(raised), at(raised), ""),
        Step("happening", at(happening), at(raised), "", prediction_ended_at=ended),
        Step("closed", at(closed), at(raised), "", prediction_ended_at=ended),
    ]


def test_a_prediction_counts_for_whom_it_tells_while_it_is_not_muted():
    muted = [SuppressedInterval(at(0), at(20), "cleaning")]
    found = [
        notification_instants(prediction(5, 5, 30), [], (), at(60)),
        notification_instants(prediction(5, 10, 30), muted, (), at(60)),
        notification_instants(prediction(5, 25, 30), muted, (), at(60)),
    ]
    # raised while its problem is known; muted until its problem came; muted until later
    assert found == [[at(5)], [], [at(20)]]
