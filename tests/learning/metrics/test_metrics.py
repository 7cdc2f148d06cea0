"""Confidence intervals, and the median that trainings and reports share."""

import json

import numpy as np
import pandas as pd
import pytest

from alerting.episodes.prediction_rule import CountedEpisode
from alerting.learning.score_metrics import (
    ProblemIntervals,
    count_warnable,
    event_metrics,
    occurred_after,
    problem_intervals,
    reliability,
    row_metrics,
    weighted_median,
)

GAP = 10
HORIZON = 100
WEEK_MS = 7 * 24 * 3_600_000


def onsets(*start: int) -> ProblemIntervals:
    at = np.array(start, np.int64)
    return ProblemIntervals(at, at, np.ones(len(at), np.bool_))


def judged(episodes, problems, observed_s=604_800.0):
    counted = [CountedEpisode(*episode) for episode in episodes]
    return event_metrics({"a": counted}, {"a": problems}, GAP, HORIZON, {"a": observed_s}, seed=1)


def test_ranking_figures_are_unknown_with_one_class_only_and_one_of_a_perfect_ranking():
    one_class = row_metrics(np.zeros(4, np.int8), np.linspace(0, 1, 4))
    assert (one_class["ap"], one_class["roc_auc"], one_class["prevalence"]) == (None, None, 0)
    figures = row_metrics(np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.2, 0.8, 0.9]))
    assert (figures["ap"], figures["brier"]) == (1, pytest.approx(0.025))


def test_an_onset_is_in_time_from_the_gap_to_the_end_of_the_horizon():
    expected = {
        1000: "no",  # at the raise: it was there already
        1001: "too_late",
        1009: "too_late",
        1010: "too_late",  # the gap is needed whole
        1011: "in_time",  # just after the gap
        1110: "in_time",  # at the very end of the horizon
        1111: "no",
    }
    found = {at: occurred_after(1000, onsets(at), GAP, HORIZON)[0] for at in expected}
    assert found == expected
    first = occurred_after(1000, onsets(1005, 1050), GAP, HORIZON)[0]
    assert first == "too_late", "the first problem after the raise decides, as its outcome does"


def test_a_problem_that_goes_on_at_the_raise_is_no_false_alarm_but_was_not_found_in_advance():
    spells = [
        ProblemIntervals(np.array([begin]), np.array([1300]), np.array([True]))
        for begin in (900, 1000)
    ]
    met = [judged([(1000, 1110)], spell) for spell in spells]
    assert [(m.n_false_alarms, m.n_found, m.n_events) for m in met] == [(0, 0, 1)] * 2
    assert met[1].median_lead_time is None


def test_recall_precision_lead_time_and_false_alarms_of_known_episodes():
    episodes = [(1000, 1050), (2000, 2110), (3000, 3005)]  # finds 1050; false; too late for 3005
    metrics = judged(episodes, onsets(1050, 3005, 5000))
    assert (metrics.n_events, metrics.n_too_late) == (3, 1)
    assert metrics.event_recall == pytest.approx(1 / 3)
    assert metrics.false_alarms_per_week == pytest.approx(1.0)
    assert metrics.episode_precision == pytest.approx(1 / 2)
    assert metrics.median_lead_time == pytest.approx(0.05)
    assert metrics.time_in_alarm == pytest.approx((0.05 + 0.11 + 0.005) / 604_800)


def test_an_alarm_that_is_always_on_is_a_row_of_false_alarms_and_not_one_perfect_episode():
    episodes = [(start, start + GAP + HORIZON) for start in range(0, 11_000, GAP + HORIZON)]
    metrics = judged(episodes, onsets(5_050), observed_s=11.0)
    assert (metrics.event_recall, metrics.n_false_alarms) == (1, 99)
    assert metrics.time_in_alarm == pytest.approx(1.0)


def test_the_window_of_an_alarm_reaches_from_its_last_high_score_and_its_lead_from_the_raise():
    metrics = judged([(1000, 1400, 1390)], onsets(1500))
    assert (metrics.n_found, metrics.n_false_alarms) == (1, 0)
    assert metrics.median_lead_time == pytest.approx(0.5)
    assert judged([(1000, 1400, 1390)], onsets(1501)).n_found == 0


def test_an_alarm_in_vain_is_a_false_alarm_for_each_window_and_a_chain_is_one_hit_at_most():
    chain = [(1000, 1250, 1200, 3, False), (1260, 1300, 1290, 1, True), (1310, 1330, 1320, 1, True)]
    found = judged(chain, onsets(1400))
    assert (found.n_found, found.n_false_alarms) == (1, 3)
    assert found.episode_precision == pytest.approx(1 / 4)
    assert judged(chain, onsets(5000)).n_false_alarms == 5


def test_false_alarms_are_per_asset_and_week_and_figures_of_nothing_are_none():
    episodes = {asset: [CountedEpisode(0, 110)] for asset in "ab"}
    observed = {"a": 604_800.0, "b": 604_800.0, "c": 604_800.0 * 2}
    metrics = event_metrics(episodes, {}, GAP, HORIZON, observed, seed=0)
    assert metrics.false_alarms_per_week == pytest.approx(0.5)
    none = event_metrics({}, {}, GAP, HORIZON, {}, seed=0)
    figures = (none.event_recall, none.false_alarms_per_week, none.median_lead_time)
    assert figures == (None, None, None)
    assert json.loads(json.dumps(none.to_document(), allow_nan=False))["n_events"] == 0


def test_problems_that_no_judged_instant_could_warn_of_are_not_counted():
    spans = count_warnable(onsets(1000, 2000), np.array([1895]), GAP, HORIZON)
    assert spans.counted.tolist() == [False, True]
    metrics = judged([(1895, 2000)], spans)
    assert (metrics.n_events, metrics.event_recall) == (1, 1)


def test_intervals_contain_the_figure_are_repeatable_and_narrow_with_more_events():
    def width(n):
        episodes = [(i * 1000, i * 1000 + 50) for i in range(0, n, 2)]
        metrics = judged(episodes, onsets(*(i * 1000 + 50 for i in range(n))))
        low, high = metrics.intervals["event_recall"]
        assert low <= 0.5 <= high
        assert metrics == judged(episodes, onsets(*(i * 1000 + 50 for i in range(n))))
        return high - low

    assert width(200) < width(20) / 2


def test_an_onset_has_no_duration_and_a_state_lasts_until_its_last_bad_sample():
    instants = pd.to_datetime([1000, 1060, 2000], unit="ms", utc=True)
    frame = pd.DataFrame({"start": instants[:1], "last": instants[1:2], "end": instants[2:]})
    assert problem_intervals(frame, onset=True).end.tolist() == [1000]
    assert problem_intervals(frame, onset=False).end.tolist() == [1060]


def test_reliability_describes_the_scores():
    score = np.linspace(0.005, 0.995, 100)
    bins = reliability((np.arange(100) >= 50).astype(np.int8), score)
    assert [one["observed"] for one in bins] == [0] * 5 + [1] * 5
    assert [one["rows"] for one in bins] == [10] * 10


def test_a_weight_counts_as_so_many_equal_values():
    values = np.array([3.0, 1.0, 2.0, 9.0])
    weights = np.array([[1, 1, 1, 1], [0, 2, 2, 0], [3, 0, 1, 0], [0, 0, 0, 0]])
    repeated = [np.median(np.repeat(values, row)) for row in weights[:3]]
    np.testing.assert_allclose(weighted_median(values, weights), [*repeated, np.nan])
