import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.alert_definition import OperatingPoint
from alerting.episodes.prediction_rule import AlarmEnd
from alerting.learning.selection.operating_point import (
    ThresholdChoice,
    choose_threshold,
    evaluate_threshold,
    lower_to_reach,
    observe_rows,
    predicted_episodes_at,
)
from alerting.readings.history import millis

MINUTE = 60_000
WEEK_S = 604_800.0
GAP = 0
HORIZON = 30 * MINUTE
COSTS = {"cost_of_miss": 10, "cost_of_false_alarm": 1}
HOLDING = AlarmEnd(None, 20 * MINUTE, 4 * HORIZON)
ROWS = 7 * 24 * 6  # one week, an instant every ten minutes


def week(*problems_at_row: int, assets="a"):
    """Assets watched for a week, with problems of the last one at the given rows."""
    at = np.tile(np.arange(ROWS, dtype=np.int64) * 10 * MINUTE, len(assets))
    start = pd.to_datetime(at[list(problems_at_row)] + 1, unit="ms", utc=True)
    instants = dict.fromkeys(("start", "last", "end", "known_at"), start)
    problems = pd.DataFrame({"asset": assets[-1], **instants})
    return observe_rows(
        at,
        np.repeat(list(assets), ROWS).astype(object),
        np.ones(len(at), bool),
        problems,
        occurrences(problems),
        True,
        dict.fromkeys(assets, WEEK_S),
        GAP,
        HORIZON,
        HOLDING,
    )


def occurrences(problems):
    """The same problems, which come and are over at once."""
    start = millis(problems["start"])
    known = dict.fromkeys(("start", "true_at", "known_at", "over_at", "recovered_at"), start)
    return pd.DataFrame({"asset": problems["asset"], **known})


def scores(**peaks: float):
    score = np.full(ROWS, 0.1)
    for row, value in peaks.items():
        score[int(row[1:])] = value
    return score


def middle_of_risks(low, high):
    """The middle of two risks in log-odds."""
    odds = (np.log(low / (1 - low)) + np.log(high / (1 - high))) / 2
    return pytest.approx(1 / (1 + np.exp(-odds)), rel=1e-6)


def wanted(false_alarms=3.0, time_in_alarm=0.2):
    return OperatingPoint(false_alarms_per_week=false_alarms, max_time_in_alarm=time_in_alarm)


def chosen(watched, score, goal=None):
    return choose_threshold(watched, score, goal or wanted(), seed=0)


THREE = week(101, 301, 501)
FALLING = scores(r100=0.9, r200=0.8, r300=0.7, r400=0.6, r500=0.5)


def test_the_most_problems_are_found_within_the_false_alarms():
    choice = chosen(THREE, FALLING, wanted(false_alarms=1))
    # 0.5 would find all three, with two false alarms
    assert choice.threshold == middle_of_risks(0.6, 0.7)
    assert choice.finds
    assert "2 of 3" in choice.reason
    thresholds = [point["threshold"] for point in choice.curve]
    assert thresholds == sorted(thresholds)
    (point,) = [point for point in choice.curve if point["chosen"]]
    assert point["threshold"] == choice.threshold
    low, high = point["intervals"]["event_recall"]
    assert low < point["event_recall"] < high
    json.dumps(choice.curve, allow_nan=False)


def test_of_thresholds_that_find_the_same_with_the_fewest_false_alarms_the_middle_is_taken():
    found = [
        chosen(week(*problems), scores(**peaks)).threshold
        for problems, peaks in (
            ([101], {"r100": 0.9, "r200": 0.8, "r300": 0.7}),
            ([101, 301], {"r100": 0.9, "r300": 0.8}),
            ([101], {"r100": 0.9999999965}),
            ([102], {"r99": 0.6, "r100": 0.7, "r101": 0.9}),
        )
    ]
    bounds = [(0.8, 0.9), (0.1, 0.8), (0.1, 0.9999999965), (0.1, 0.9)]
    assert found == [middle_of_risks(*pair) for pair in bounds]
    assert found[2] < 0.99998


def test_the_middle_is_not_taken_where_it_raises_more_false_alarms():
    rng = np.random.default_rng(43)  # among more scores than are weighed
    problems = sorted(rng.choice(ROWS - 10, 12, replace=False) + 5)
    score = rng.random(ROWS)
    budget = wanted(false_alarms=float(rng.integers(5, 60)), time_in_alarm=0.9)
    assert chosen(week(*problems), score, budget).threshold in score


def test_the_time_in_alarm_binds_on_its_own():
    # half of the time in alarm, if raised
    score = scores(**{f"r{row}": 0.5 for row in range(0, ROWS, 6)}, r100=0.9)
    choice = choose_threshold(
        week(101, 307), score, wanted(false_alarms=10_000, time_in_alarm=0.2), seed=0
    )
    assert choice.threshold == middle_of_risks(0.5, 0.9)


def test_when_nothing_is_found_within_budget_the_lowest_threshold_that_keeps_it_is_taken_and_said():
    # three false alarms before the problem is found
    score = scores(r200=0.9, r300=0.8, r400=0.7, r100=0.6)
    choice = chosen(week(101), score, wanted(false_alarms=2))
    assert not choice.finds
    assert choice.threshold == 0.8
    assert choice.reason.startswith(
        "with at most 2 false alarms a week, no threshold finds a problem in the validation "
        "period; "
    )


NO_MORE = "; no other finds more"
# problems, scores, goal, and the end of the reason: limits without which another threshold were
# taken, and no others
LIMITS = {
    "all are found": ([101], {"r100": 0.9, "r200": 0.6}, wanted(90), "% of the time in alarm"),
    "by false alarms": (
        [101, 501],
        {"r100": 0.9, "r200": 0.8, "r300": 0.7, "r500": 0.6},
        wanted(1),
        f"{NO_MORE} with at most 1 false alarm a week",
    ),
    "by time, not by 90 a week": (
        [101, 501],
        {"r100": 0.9} | {f"r{row}": 0.5 for row in range(400, 630)},
        wanted(90),
        f"{NO_MORE} with at most 20 % of the time in alarm",
    ),
    "by precision": (
        [101, 501],
        {"r100": 0.9, "r200": 0.8, "r300": 0.7, "r500": 0.6},
        OperatingPoint(least_precision=0.6),
        f"{NO_MORE} with at least 60 % right alarms",
    ),
}


@pytest.mark.parametrize("case", LIMITS)
def test_a_limit_that_decides_nothing_is_not_said(case):
    problems, peaks, goal, end = LIMITS[case]
    reason = chosen(week(*problems), scores(**peaks), goal).reason
    assert reason.endswith(end)
    assert "90" not in reason


def test_thousands_of_costs_have_commas():
    reason = chosen(THREE, FALLING, by_cost(2064, 3000)).reason
    assert "3 problems missed at 2,064 each" in reason
    assert "e+" not in reason


def test_a_budget_on_two_assets_is_said_and_kept_for_both_together():
    both = week(101, 801, assets="ba")
    falls = [0.95, 0.9, 0.85, 0.8, 0.6, 0.5]  # false alarms, all of them on the first asset
    false = scores(**{f"r{200 + 100 * i}": value for i, value in enumerate(falls)})
    score = np.append(false, scores(r100=0.7, r800=0.55))
    choice = chosen(both, score, wanted(false_alarms=2))
    met = evaluate_threshold(both, score, choice.threshold, seed=0)
    assert (met.n_found, met.n_false_alarms, met.n_assets) == (1, 4, 2)
    assert met.false_alarms_per_week == pytest.approx(4 / 2)
    assert choice.reason.endswith(
        "; no other finds more with at most 4 false alarms a week on all 2 assets together (2 on "
        "each)"
    )
    assert "4 false alarms (4 a week on all 2 assets), 20 % of the alarms right" in choice.reason


def test_without_any_problem_no_threshold_is_chosen_that_raises_an_alarm():
    goals = [wanted(2), OperatingPoint(least_precision=0.5), OperatingPoint(**COSTS)]
    score = scores(r200=0.9, r300=0.8, r400=0.7)
    choices = [chosen(week(), score, goal) for goal in goals]
    assert [(c.threshold > 0.9, c.finds) for c in choices] == [(True, False)] * 3
    assert {choice.reason for choice in choices} == {
        "no problem occurs in the validation period, so nothing shows which threshold finds one; "
        "one above all its scores was taken, which raises no alarm there"
    }


def test_a_problem_ends_its_episode_and_the_next_one_counts_anew():
    score = scores(r100=0.9, r102=0.1, r103=0.9)
    metrics = evaluate_threshold(week(101), score, 0.9, seed=0)
    assert (metrics.n_episodes, metrics.n_false_alarms) == (2, 1)


def test_an_alarm_of_which_no_data_show_whether_its_problem_came_counts_neither_way():
    known = np.ones(ROWS, bool)
    known[300:] = False
    seen = replace(week(101), measured=known)
    metrics = evaluate_threshold(seen, scores(r100=0.9, r200=0.9, r400=0.9), 0.9, seed=0)
    assert (metrics.n_found, metrics.n_false_alarms, metrics.n_episodes) == (1, 1, 2)


def test_every_asset_is_judged_on_its_own():
    score = np.tile(scores(r100=0.9), 2)
    metrics = evaluate_threshold(week(101, assets="ab"), score, 0.9, seed=0)
    assert (metrics.n_found, metrics.n_false_alarms) == (1, 1)
    assert metrics.false_alarms_per_week == 0.5


def by_cost(miss, false_alarm, time_in_alarm=0.2):
    return OperatingPoint(
        cost_of_miss=miss, cost_of_false_alarm=false_alarm, max_time_in_alarm=time_in_alarm
    )


def test_a_costly_miss_buys_false_alarms_and_a_cheap_one_does_not():
    # 0.5 finds all three with two false alarms
    costly = chosen(THREE, FALLING, by_cost(10, 1))
    assert costly.threshold == middle_of_risks(0.1, 0.5)
    thrifty = chosen(THREE, FALLING, by_cost(1, 1.5))
    assert thrifty.threshold == middle_of_risks(0.8, 0.9)
    assert thrifty.reason.endswith(
        "2 in the validation period, 2 of 3 problems missed at 1 each and 0 false alarms at 1.5 "
        "each"
    )
    silent = chosen(week(101), scores(r200=0.9, r300=0.8, r100=0.7), by_cost(1, 10))
    assert (silent.threshold > 0.9, silent.finds) == (True, False)
    assert silent.reason.startswith("no episode is raised")


def test_the_precision_that_is_wanted_is_kept():
    strict, lax = (chosen(THREE, FALLING, OperatingPoint(least_precision=p)) for p in (0.65, 0.6))
    assert strict.threshold == middle_of_risks(0.6, 0.7)
    assert lax.threshold == middle_of_risks(0.1, 0.5)
    assert "2 of 3" in strict.reason
    assert "67 % of the alarms right" in strict.reason


def test_whichever_way_is_given_a_score_that_is_always_high_is_never_chosen():
    """With a problem every two hours such a score finds all of them, and is right more often than
    not."""
    watched = week(*range(12, ROWS, 12))
    ways = [by_cost(1e9, 1e-9), OperatingPoint(least_precision=0.01), wanted(false_alarms=1e9)]
    tried = [(np.full(ROWS, high), way) for high in (0.2, 0.95) for way in ways]
    assert [way for score, way in tried if chosen(watched, score, way).threshold <= score[0]] == []
    assert evaluate_threshold(watched, np.full(ROWS, 0.2), 0.2, seed=0).event_recall == 1.0


def test_frequent_problems_may_be_announced_and_a_written_limit_stays():
    starts = [row + (row // 12) % 3 for row in range(8, ROWS - 12, 12)]  # every two hours
    score = scores(**{f"r{start - back}": 0.8 for start in starts for back in (1, 2, 3)})
    watched = week(*starts)
    choice = chosen(watched, score, OperatingPoint())
    (met,) = [point for point in choice.curve if point["chosen"]]
    assert (choice.finds, met["event_recall"]) == (True, 1.0)
    assert 0.2 < met["time_in_alarm"] < 0.3
    assert not chosen(watched, score, wanted(time_in_alarm=0.19)).finds
    always = chosen(watched, np.full(ROWS, 0.9), OperatingPoint())
    assert not always.finds
    assert "49 % of the time" in always.reason  # twice three rows of twelve, but at the ends


def test_a_risk_that_stays_until_the_problem_is_one_hit_with_its_lead_from_the_raise():
    score = scores(**{f"r{row}": 0.85 for row in range(91, 101)}, r90=0.9)
    met = evaluate_threshold(week(102), score, 0.9, seed=0)
    assert (met.n_episodes, met.n_found, met.n_false_alarms) == (1, 1, 0)
    assert met.median_lead_time == pytest.approx(7_200, abs=1)


def test_time_without_rows_within_an_alarm_is_no_time_in_alarm():
    """The rows of four hours are missing: the alarm before them lasts beyond their begin."""
    full = week(900)
    there = np.ones(ROWS, bool)
    there[102:126] = False
    rows = int(there.sum())
    kept = {name: getattr(full, name)[there] for name in ("at", "asset", "measured")}
    paused = replace(full, **kept, observed_s={"a": rows * 600.0})
    score = scores(r100=0.9, r101=0.9)
    (known,) = predicted_episodes_at(full, score, 0.5)["a"]
    (unknown,) = predicted_episodes_at(paused, score[there], 0.5)["a"]
    lengths = [episode.ended - episode.raised for episode in (known, unknown)]
    assert lengths == [40 * MINUTE, 20 * MINUTE]
    met = evaluate_threshold(paused, score[there], 0.5, seed=0)
    assert met.time_in_alarm == pytest.approx(2 / rows)


def test_a_threshold_above_what_the_model_reaches_is_lowered_until_it_raises_as_often():
    out_of_fold = np.array([0.1, 0.2, 0.8, 0.9])
    points = tuple({"threshold": t} for t in (0.2, 0.5, 0.95))
    choice = ThresholdChoice(0.5, True, "", points)
    lowered = lower_to_reach(choice, out_of_fold, np.array([0.3, 0.1, 0.4, 0.2]))
    assert lowered.threshold == 0.3
    assert [point["threshold"] for point in lowered.curve] == [0.2, 0.3, 0.95]
    assert lower_to_reach(choice, out_of_fold, np.array([0.1, 0.2, 0.9, 0.9])) == choice
