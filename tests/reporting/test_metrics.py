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


def figures(**changes):
    return compute_metrics(replace(good_material(), **changes))


def test_outcomes_are_those_of_the_episodes_raised_in_the_period():
    before = episode(-1, outcome="no")
    after = episode(24 * 28, outcome="no")
    f = figures(episodes=[*good_material().episodes, before, after])
    assert f.outcomes == {"hit": 7, "avoided": 1, "false_alarm": 2, "undetermined": 1}
    assert f.undetermined == {"the horizon is not over": 1}


def test_a_problem_that_was_found_while_it_lasted_says_after_which_time():
    late = episode(555.5, outcome="no")
    found = figures(episodes=[*good_material().episodes, late])
    assert (found_late(figures()), found_late(found)) == ([], [1800.0])
    assert "1 more was found while it lasted, typically after 30 min." in head_sentences(found)


def test_recall_is_the_one_that_judges_candidates():
    m = good_material()
    late = [episode(554.8, outcome="too_late"), episode(605.4, outcome="no")]
    m = replace(m, episodes=[*m.episodes, *late])
    condition_intervals = {
        "oven-1": [
            CountedEpisode(to_millis(e.raised_at), to_millis(e.closed_at)) for e in m.episodes
        ]
    }
    judged = event_metrics(
        condition_intervals,
        {"oven-1": problem_intervals(m.problems, onset=True)},
        duration_millis(m.definition.gap),
        duration_millis(m.definition.horizon),
        {"oven-1": (END - START).total_seconds()},
        seed=0,
    )
    f = compute_metrics(m)
    assert f.event_recall.value == judged.event_recall
    assert len(f.problems) == judged.n_events
    assert f.too_late == 1


def test_an_episode_that_was_raised_before_the_period_announces_a_problem_within_it():
    f = figures(problems=problems(1), episodes=[episode(-1, outcome="in_time")])
    assert [p.lead_s for p in f.problems] == [2 * 3600 - 60]
    assert f.outcomes["hit"] == 0


def test_lead_time_counts_from_the_decision_and_not_from_the_raise():
    slow = episode(38.5, outcome="in_time", late=timedelta(hours=1))
    f = figures(problems=problems(40.5), episodes=[slow])
    assert f.lead_times == (3600,)


def test_lead_time_of_a_historical_episode_counts_from_its_raise():
    f = figures(
        problems=problems(40.5),
        episodes=[episode(38.5, outcome="in_time", late=timedelta(days=9), backfilled=True)],
    )
    assert f.lead_times == (7200,)
    assert f.backfilled == 1
    assert f.verdicts.notified == 0


def test_of_two_episodes_before_a_problem_the_first_gives_the_lead_time():
    f = figures(
        problems=problems(40.5),
        episodes=[episode(39.5, outcome="in_time"), episode(37.5, outcome="in_time")],
    )
    assert f.lead_times == (3 * 3600 - 60,)


def test_an_announced_problem_that_people_learnt_of_afterwards_has_a_negative_lead_time():
    f = figures(
        problems=problems(40.5),
        episodes=[episode(38.5, outcome="in_time", late=timedelta(hours=5))],
    )
    assert f.lead_times == (-3 * 3600,)


def test_problems_at_times_when_nobody_could_warn_are_counted_apart():
    f = figures(evaluated={"oven-1": (START + 95 * H, END)})
    assert f.problems_unevaluated == 1
    assert len(f.problems) == 8
    assert figures(evaluated={}).problems_unevaluated == 9


def test_an_ongoing_problem_has_no_end():
    ongoing = problems(40.5)
    ongoing["end"] = pd.Series([pd.NaT], dtype="datetime64[ms, UTC]")
    assert figures(problems=ongoing).problems[0].end is None


def test_where_most_episodes_are_undetermined_precision_and_false_alarms_cannot_be_told():
    determined = [episode(h, outcome="no") for h in (10, 20, 30, 40, 50)]
    f = figures(episodes=[*determined, *(episode(h) for h in range(60, 120, 10))])
    assert (
        f.false_alarms.doubt == f.precision.with_avoided.doubt == "6 of 11 alarms are undetermined"
    )
    # each of the six may be one
    assert f.false_alarms.high == pytest.approx(poisson_interval(5 + 6)[1] / 4)
    assert f.false_alarms.low == pytest.approx(poisson_interval(5)[0] / 4)


def test_without_a_single_outcome_there_is_no_figure_of_false_alarms():
    f = figures(episodes=[episode(h) for h in range(60, 120, 10)])
    assert f.false_alarms.value is None
    assert f.false_alarms.doubt == "6 of 6 alarms are undetermined"
    assert figures(episodes=[]).false_alarms.value == 0


def test_an_episode_that_no_data_can_check_waits_for_an_operator():
    open_ones = [
        replace(episode(60, definition=definition), outcome_record=None)
        for definition in (THRESHOLD, CLASSIFIER)
    ]
    without_problem = compute_metrics(threshold_material(open_ones[:1]))
    assert without_problem.undetermined == {"no operator gave a verdict": 1}
    assert figures(episodes=open_ones[1:]).undetermined == {"the outcome is not known yet": 1}


def test_a_verdict_against_the_data_is_a_disagreement_unless_somebody_acted():
    said_right = episode(60, outcome="no", said=[("true_alarm", False, "anna")])
    said_wrong = episode(38.5, outcome="in_time", said=[("false_alarm", False, "anna")])
    avoided = episode(90, outcome="no", said=[("true_alarm", True, "ben")])
    split = episode(
        120, outcome="no", said=[("true_alarm", False, "anna"), ("false_alarm", False, "ben")]
    )
    f = figures(episodes=[said_right, said_wrong, avoided, split])
    assert f.verdicts.against_data.basis == "2 of 2 verdicts that data can check"
    assert f.verdicts.among_themselves == 1


def test_a_threshold_without_a_problem_is_judged_by_word_alone():
    f = compute_metrics(
        threshold_material(
            [
                episode(3, definition=THRESHOLD, said=[("true_alarm", False, "anna")]),
                episode(30, definition=THRESHOLD, said=[("false_alarm", False, "anna")]),
                episode(60, definition=THRESHOLD),
            ]
        )
    )
    assert f.outcomes == {"hit": 1, "avoided": 0, "false_alarm": 1, "undetermined": 1}
    assert f.event_recall.value is None
    assert f.rows is None
    assert f.horizon_s is None


def test_the_worst_false_alarms_are_those_furthest_beyond_their_threshold():
    assert [e.value for e in figures().worst_false_alarms] == [0.93, 0.55]


def test_row_metrics_use_mature_rows_only():
    rows = figures().rows
    assert rows.rows + rows.immature == 24 * 28 - 1
    assert rows.immature == 5
    assert rows.positives == 4 * len(GOOD_PROBLEMS)
    assert rows.ap > 0.9
    assert rows.persistence_ap < 0.3
    assert rows.ap_beside_persistence == rows.ap
    assert rows.twin_ap is None
    assert sum(b["rows"] for b in rows.calibration) == rows.rows
    assert all(b["low"] <= b["observed"] <= b["high"] for b in rows.calibration)


@pytest.mark.parametrize(
    ("label", "doubt"),
    [
        (0.0, "the problem followed none of 671 scores"),
        (1.0, "the problem followed every one of 671 scores"),
    ],
)
def test_one_class_only_gives_no_ranking_and_says_so(label, doubt):
    rows = figures(scores=good_material().scores.assign(label=label)).rows
    assert (rows.ap, rows.roc_auc) == (None, None)
    assert rows.doubt == doubt


def test_the_twin_in_shadow_stands_beside_the_refit_on_the_rows_of_both():
    scores = good_material().scores
    shadow = (1 - scores["score"]).where(scores.index >= 100)
    rows = figures(scores=scores.assign(twin=shadow)).rows
    assert rows.twin_ap < 0.2
    assert rows.ap_beside_twin > 0.9
    assert rows.ap == figures().rows.ap


def test_without_scores_there_is_nothing_to_rank():
    rows = figures(scores=good_material().scores.iloc[:0]).rows
    assert (rows.rows, rows.ap, rows.brier, rows.doubt) == (
        0,
        None,
        None,
        "no score has a known label yet",
    )


def test_the_document_is_json_with_every_figure():
    document = json.loads(json.dumps(to_document(figures()), allow_nan=False))
    assert document["event_recall"]["value"] == pytest.approx(7 / 9)
    assert document["start"] == "2026-01-05T00:00:00Z"
    assert document["models"][1]["run_id"] == "run-2"
    assert to_document({"a": float("nan")}) == {"a": None}


def test_the_same_material_in_another_order_gives_the_same_figures():
    m = good_material()
    shuffled = replace(m, episodes=m.episodes[::-1], problems=m.problems.iloc[::-1])
    assert compute_metrics(shuffled) == compute_metrics(m)
