"""Metrics of a report: each rule alone. All together: test_month.py."""

import json
from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest

from alerting.episodes.counting import CountedEpisode
from alerting.learning.metrics.confidence import poisson_interval
from alerting.learning.metrics.metrics import event_metrics, problem_intervals
from alerting.readings.history import duration_millis, to_millis
from alerting.reporting.base.table import to_document
from alerting.reporting.definition.metrics import compute_metrics
from alerting.reporting.page.sentences import found_late, head_sentences
from tests.report_material import (
    CLASSIFIER,
    END,
    GOOD_PROBLEMS,
    START,
    THRESHOLD,
    H,
    episode,
    good_material,
    problems,
    threshold_material,
)

GOOD = good_material()


def figures(**changes):
    return compute_metrics(replace(GOOD, **changes))


def test_outcomes_are_those_of_the_episodes_raised_in_the_period():
    before = episode(-1, outcome="no")
    after = episode(24 * 28, outcome="no")
    f = figures(episodes=[*GOOD.episodes, before, after])
    assert f.outcomes == {"hit": 7, "avoided": 1, "false_alarm": 2, "undetermined": 1}
    assert f.undetermined == {"the horizon is not over": 1}
    assert [e.value for e in f.worst_false_alarms] == [0.93, 0.55]
    mixed = replace(GOOD, episodes=GOOD.episodes[::-1], problems=GOOD.problems.iloc[::-1])
    assert compute_metrics(mixed) == compute_metrics(GOOD)


def test_a_problem_that_was_found_while_it_lasted_says_after_which_time():
    late = episode(555.5, outcome="no")
    found = figures(episodes=[*GOOD.episodes, late])
    assert (found_late(figures()), found_late(found)) == ([], [1800.0])
    assert "1 more was found while it lasted, typically after 30 min." in head_sentences(found)


def test_recall_is_the_one_that_judges_candidates():
    late = [episode(554.8, outcome="too_late"), episode(605.4, outcome="no")]
    m = replace(GOOD, episodes=[*GOOD.episodes, *late])
    times = [CountedEpisode(to_millis(e.raised_at), to_millis(e.closed_at)) for e in m.episodes]
    judged = event_metrics(
        {"oven-1": times},
        {"oven-1": problem_intervals(m.problems, onset=True)},
        duration_millis(m.definition.gap),
        duration_millis(m.definition.horizon),
        {"oven-1": (END - START).total_seconds()},
        seed=0,
    )
    f = compute_metrics(m)
    assert (f.event_recall.value, len(f.problems)) == (judged.event_recall, judged.n_events)
    assert f.too_late == 1


def announcing(hour, problem=40.5, **changes):
    """Return figures of a problem and an episode raised at this hour."""
    return figures(
        problems=problems(problem), episodes=[episode(hour, outcome="in_time", **changes)]
    )


def test_lead_time_counts_from_the_first_decision_and_of_a_historical_episode_from_its_raise():
    of_past = announcing(38.5, late=timedelta(days=9), backfilled=True)
    assert (of_past.backfilled, of_past.verdicts.notified) == (1, 0)
    two = [episode(hour, outcome="in_time") for hour in (39.5, 37.5)]
    before_period = announcing(-1, problem=1)
    assert before_period.outcomes["hit"] == 0
    assert {
        "decided an hour late": announcing(38.5, late=timedelta(hours=1)).lead_times,
        "known afterwards": announcing(38.5, late=timedelta(hours=5)).lead_times,
        "historical": of_past.lead_times,
        "first of two": figures(problems=problems(40.5), episodes=two).lead_times,
        "raised before the period": before_period.lead_times,
    } == {
        "decided an hour late": (3600,),
        "known afterwards": (-3 * 3600,),
        "historical": (7200,),
        "first of two": (3 * 3600 - 60,),
        "raised before the period": (2 * 3600 - 60,),
    }


def test_problems_at_times_when_nobody_could_warn_are_counted_apart_and_an_ongoing_one_has_no_end():
    f = figures(evaluated={"oven-1": (START + 95 * H, END)})
    assert (f.problems_unevaluated, len(f.problems)) == (1, 8)
    assert figures(evaluated={}).problems_unevaluated == 9
    ongoing = problems(40.5)
    ongoing["end"] = pd.Series([pd.NaT], dtype="datetime64[ms, UTC]")
    assert figures(problems=ongoing).problems[0].end is None


def test_where_most_episodes_are_undetermined_precision_and_false_alarms_cannot_be_told():
    open_ones = [episode(h) for h in range(60, 120, 10)]
    f = figures(episodes=[*(episode(h, outcome="no") for h in (10, 20, 30, 40, 50)), *open_ones])
    doubt = "6 of 11 alarms are undetermined"
    assert f.false_alarms.doubt == f.precision.with_avoided.doubt == doubt
    # each of the six may be one
    assert f.false_alarms.high == pytest.approx(poisson_interval(5 + 6)[1] / 4)
    assert f.false_alarms.low == pytest.approx(poisson_interval(5)[0] / 4)
    none = figures(episodes=open_ones).false_alarms
    assert (none.value, none.doubt) == (None, "6 of 6 alarms are undetermined")
    assert figures(episodes=[]).false_alarms.value == 0


def test_an_episode_that_no_data_can_check_waits_for_an_operator_and_is_judged_by_word_alone():
    of_threshold, of_model = (
        replace(episode(60, definition=definition), outcome_record=None)
        for definition in (THRESHOLD, CLASSIFIER)
    )
    without_problem = compute_metrics(threshold_material([of_threshold]))
    assert without_problem.undetermined == {"no operator gave a verdict": 1}
    assert figures(episodes=[of_model]).undetermined == {"the outcome is not known yet": 1}
    right, wrong = (
        episode(hour, definition=THRESHOLD, said=[(verdict, False, "anna")])
        for hour, verdict in ((3, "true_alarm"), (30, "false_alarm"))
    )
    f = compute_metrics(threshold_material([right, wrong, episode(60, definition=THRESHOLD)]))
    assert f.outcomes == {"hit": 1, "avoided": 0, "false_alarm": 1, "undetermined": 1}
    assert (f.event_recall.value, f.rows, f.horizon_s) == (None, None, None)


def test_a_verdict_against_the_data_is_a_disagreement_unless_somebody_acted():
    said_right = episode(60, outcome="no", said=[("true_alarm", False, "anna")])
    said_wrong = episode(38.5, outcome="in_time", said=[("false_alarm", False, "anna")])
    avoided = episode(90, outcome="no", said=[("true_alarm", True, "ben")])
    split = episode(
        120, outcome="no", said=[("true_alarm", False, "anna"), ("false_alarm", False, "ben")]
    )
    verdicts = figures(episodes=[said_right, said_wrong, avoided, split]).verdicts
    assert verdicts.against_data.basis == "2 of 2 verdicts that data can check"
    assert verdicts.among_themselves == 1


def test_row_metrics_use_mature_rows_only():
    rows = figures().rows
    assert (rows.rows, rows.immature) == (24 * 28 - 1 - 5, 5)
    assert rows.positives == 4 * len(GOOD_PROBLEMS)
    assert rows.ap > 0.9
    assert rows.persistence_ap < 0.3
    assert (rows.ap_beside_persistence, rows.twin_ap) == (rows.ap, None)
    assert sum(b["rows"] for b in rows.calibration) == rows.rows
    assert all(b["low"] <= b["observed"] <= b["high"] for b in rows.calibration)


def test_where_there_is_no_ranking_it_is_said_why():
    scores = GOOD.scores
    doubts = {}
    for name, given in {
        "none": scores.assign(label=0.0),
        "all": scores.assign(label=1.0),
        "no score": scores.iloc[:0],
    }.items():
        rows = figures(scores=given).rows
        doubts[name] = (rows.ap, rows.roc_auc, rows.doubt)
    assert doubts == {
        "none": (None, None, "the problem followed none of 671 scores"),
        "all": (None, None, "the problem followed every one of 671 scores"),
        "no score": (None, None, "no score has a known label yet"),
    }
    assert (rows.rows, rows.brier) == (0, None)


def test_the_twin_in_shadow_stands_beside_the_refit_on_the_rows_of_both():
    scores = GOOD.scores
    shadow = (1 - scores["score"]).where(scores.index >= 100)
    rows = figures(scores=scores.assign(twin=shadow)).rows
    assert rows.twin_ap < 0.2
    assert rows.ap_beside_twin > 0.9
    assert rows.ap == figures().rows.ap


def test_the_document_is_json_with_every_figure():
    document = json.loads(json.dumps(to_document(figures()), allow_nan=False))
    assert document["event_recall"]["value"] == pytest.approx(7 / 9)
    assert document["start"] == "2026-01-05T00:00:00Z"
    assert document["models"][1]["run_id"] == "run-2"
    assert to_document({"a": float("nan")}) == {"a": None}
