"""Metrics of a report: each rule alone; then a month made by hand, whose figures follow from plain
lists: March 2026 in Berlin, with the change to summer time; two ovens; a definition edited in
mid-month, and its new model promoted; a model refused; episodes that overlap; an answer that came
after the month; two reported misses, one of which the data show, too."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.alert_definition import Costs
from alerting.definitions.wording.language import ENGLISH, language, translatable
from alerting.episodes.episode import ActorStamp, RecommendationResult
from alerting.episodes.lifecycle import ReportedMiss
from alerting.episodes.prediction_rule import CountedEpisode
from alerting.kinds.registry import parse_definition
from alerting.learning.score_metrics import event_metrics, poisson_interval, problem_intervals
from alerting.readings.history import duration_millis, to_millis
from alerting.reporting.definition.conclusion import conclude, found_late, head_sentences
from alerting.reporting.definition.decision_reason import DecisionMade
from alerting.reporting.definition.operators_and_money import Amount
from alerting.reporting.definition.period_data import ModelInService
from alerting.reporting.definition.report_metrics import compute_metrics
from alerting.reporting.episode_details import key_metrics, tables
from alerting.reporting.estimates import to_document
from alerting.reporting.report_page import draw, render_page
from alerting.usecases.make_reports import with_misses
from tests import report_material
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


def test_episodes_after_the_period_and_the_order_of_the_material_change_nothing():
    after = episode(24 * 28, outcome="no")
    f = figures(episodes=[*GOOD.episodes[::-1], after], problems=GOOD.problems.iloc[::-1])
    assert f == compute_metrics(GOOD)
    assert f.undetermined == {"the horizon is not over": 1}
    assert [e.value for e in f.worst_false_alarms] == [0.93, 0.55]


def test_a_problem_that_was_found_while_it_lasted_says_after_which_time():
    found = figures(episodes=[*GOOD.episodes, episode(555.5, outcome="no")])
    assert (found_late(figures()), found_late(found)) == ([], [1800.0])
    assert "1 more was found while it lasted, typically after 30 min." in head_sentences(found)


def test_recall_is_the_one_that_judges_candidates():
    late = [episode(554.8, outcome="too_late"), episode(605.4, outcome="no")]
    m = replace(GOOD, episodes=[*GOOD.episodes, *late])
    judged = event_metrics(
        {
            "oven-1": [
                CountedEpisode(to_millis(e.raised_at), to_millis(e.closed_at)) for e in m.episodes
            ]
        },
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


def test_an_ongoing_problem_has_no_end_and_without_evaluation_all_are_counted_apart():
    ongoing = problems(40.5)
    ongoing["end"] = pd.Series([pd.NaT], dtype="datetime64[ms, UTC]")
    assert figures(problems=ongoing).problems[0].end is None
    assert figures(evaluated={}).problems_unevaluated == 9


def test_where_most_episodes_are_undetermined_precision_and_false_alarms_cannot_be_told():
    open_ones = [episode(h) for h in range(60, 120, 10)]
    f = figures(episodes=[*(episode(h, outcome="no") for h in (10, 20, 30, 40, 50)), *open_ones])
    assert (
        f.false_alarms.doubt == f.precision.with_avoided.doubt == "6 of 11 alarms are undetermined"
    )
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
    assert compute_metrics(threshold_material([of_threshold])).undetermined == {
        "no operator gave a verdict": 1
    }
    waiting = [
        replace(e, outcome_record=replace(e.outcome_record, known_at=at))
        for e, at in ((episode(61), MARCH), (episode(62), APRIL))
    ]
    assert figures(episodes=[of_model, *waiting]).undetermined == {
        "the outcome is not known yet": 3
    }
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
    rows = figures(scores=scores.assign(twin=(1 - scores["score"]).where(scores.index >= 100))).rows
    assert rows.twin_ap < 0.2
    assert rows.ap_beside_twin > 0.9
    assert rows.ap == figures().rows.ap


def test_the_document_is_json_with_every_figure():
    document = json.loads(json.dumps(to_document(figures()), allow_nan=False))
    assert document["event_recall"]["value"] == pytest.approx(7 / 9)
    assert document["start"] == "2026-01-05T00:00:00Z"
    assert document["models"][1]["run_id"] == "run-2"
    assert to_document({"a": float("nan")}) == {"a": None}


BERLIN = ZoneInfo("Europe/Berlin")
OF_PLANT = ENGLISH.with_clock(BERLIN, dated=True)
MARCH, APRIL = (datetime(2026, month, 1, tzinfo=BERLIN).astimezone(UTC) for month in (3, 4))
OFFSET = (MARCH - report_material.START) / H  # hours of the material count from its own start
DEFINITION = CLASSIFIER.model_copy(
    update={"costs": Costs(miss=900, miss_per_minute=150, false_alarm=50, intervention=20)}
)
ADVICE = RecommendationResult((), 0.8, 0.2, helps=True, message="lower zone 2 by 4 °C")
SAID = {
    "right": ("true_alarm", False, "anna"),
    "wrong": ("false_alarm", False, "anna"),
    "acted": (None, True, "anna"),
    "late": ("true_alarm", False, "ben"),
}
# asset, hour of the raise, observed, answer, minutes until it was acknowledged
ALERTS = [
    ("oven-1", -2.0, "in_time", None, None),  # raised in February, announces the problem at hour 1
    ("oven-1", 20.0, "in_time", "right", 2),
    ("oven-1", 20.5, "in_time", None, 8),  # overlaps the one before: the same problem
    ("oven-1", 99.8, "too_late", None, None),
    ("oven-1", 150.0, "no", "acted", 4),
    ("oven-1", 372.0, "no", "wrong", None),
    ("oven-1", 540.0, "no", None, None),
    ("oven-1", 700.0, "in_time", "late", 5),  # answered in April
    # after the change to summer time: noon, too, and 11:00 by the clock of winter
    (
        "oven-1",
        707.0,
        "no",
        "wrong",
        30,
    ),
    ("oven-2", 200.0, "in_time", None, None),
    ("oven-2", 400.0, "no", "right", 6),  # a hit by word
    ("oven-2", 742.0, None, None, None),  # the horizon ends in April
]
# asset, hour of the start, minutes; the last one is not over
PROBLEMS = [
    ("oven-1", 1.0, 10), ("oven-1", 22.0, 20), ("oven-1", 100.0, 30), ("oven-1", 702.5, 40),
    ("oven-2", 202.0, 15), ("oven-2", 202.5 + 30, 25), ("oven-2", 740.0, None),
]  # fmt: skip
# asset, hour of the problem that an operator reports; the first one is that of hour 100
MISSES = [("oven-1", 101.5), ("oven-1", 620.0)]
EDITED_H = 340  # the limit of the score becomes 0.5; it was 0.4
EVALUATED = {"oven-1": (MARCH, APRIL), "oven-2": (MARCH, APRIL - 24 * H)}
GAPS = {"oven-2": ((MARCH + 50 * H, MARCH + 60 * H),)}
AS_OF = APRIL + 24 * H


def alert(asset, hour, observed, answer, acknowledged):
    said = [] if answer is None else [SAID[answer]]
    made = report_material.episode(
        OFFSET + hour, asset=asset, outcome=observed, said=said, definition=DEFINITION
    )
    feedback = (
        tuple(replace(f, at=APRIL + 2 * H) for f in made.feedback)
        if answer == "late"
        else made.feedback
    )
    revision, threshold = (3, 0.4) if hour < EDITED_H else (4, 0.5)
    made = replace(
        made, revision=revision, evaluation=replace(made.evaluation, threshold=threshold)
    )
    stamp = (
        None
        if acknowledged is None
        else ActorStamp("anna", made.detected_at + timedelta(minutes=acknowledged))
    )
    return replace(
        made,
        feedback=feedback,
        acknowledged=stamp,
        recommendation=ADVICE if answer == "acted" else None,
    )


def month_problems():
    frames = [
        problems(OFFSET + hour, asset=asset, length=timedelta(minutes=minutes or 60)).assign(
            open=minutes is None, uncounted=False
        )
        for asset, hour, minutes in PROBLEMS
    ]
    frame = pd.concat(frames, ignore_index=True).assign(uncounted=False)
    frame.loc[frame["open"], "end"] = pd.NaT
    return frame.drop(columns="open")


def month_scores():
    frame = report_material.scores([h for a, h, _ in PROBLEMS if a == "oven-1"], hours=743)
    shifted = frame.assign(ts=frame["ts"] + (MARCH - report_material.START))
    return shifted.assign(model_version=np.where(shifted["ts"] < MARCH + 350 * H, 1, 2))


DECISIONS = (
    DecisionMade(MARCH - 100 * H, "promote", True, 1, None, "the first", "platform", "run-1",
    {"event_recall": 0.9}),
    DecisionMade(MARCH + 350 * H, "promote", True, 2, 1, "found 3 more", "platform", "run-2",
    {"event_recall": 0.99}),
    DecisionMade(MARCH + 500 * H, "cannot_tell", False, 3, 2, "no better on 12 events", "platform",
    "run-3", {}),
)  # fmt: skip


@pytest.fixture(scope="module")
def month():
    before = replace(
        report_material.good_material(), definition=DEFINITION, start=MARCH - 28 * 24 * H,
        end=MARCH, as_of=AS_OF,
        episodes=[alert("oven-1", -100, "no", "wrong", None)],
        problems=problems(OFFSET - 200, length=timedelta(minutes=50)),
        scores=report_material.scores(()).iloc[:0], models=(),
        evaluated={"oven-1": (MARCH - 28 * 24 * H, MARCH)},
    )  # fmt: skip
    reported = [
        ReportedMiss(DEFINITION.name, a, MARCH + h * H, "soft in the pack", "anna", APRIL + 3 * H)
        for a, h in MISSES
    ]
    log = SimpleNamespace(
        for_interval=lambda start, end, name: [
            m for m in reversed(reported) if start <= m.missed_at < end
        ]
    )
    whole = replace(
        before, revision=4, start=MARCH, end=APRIL, episodes=[alert(*a) for a in ALERTS],
        problems=month_problems(),
        scores=month_scores(), evaluated=EVALUATED, gaps=GAPS, previous=before, decisions=DECISIONS,
        models=(
            ModelInService(1, MARCH - 100 * H, MARCH + 350 * H, True, "run-1", "the first"),
            ModelInService(2, MARCH + 350 * H, None, False, "run-2", "found 3 more"),
        ),
    )  # fmt: skip
    return with_misses(SimpleNamespace(misses=log), whole)


@pytest.fixture(scope="module")
def metrics(month):
    return compute_metrics(month)


@pytest.fixture(scope="module")
def page(month, metrics):
    return render_page(
        metrics, conclude(metrics), draw(metrics, month, OF_PLANT), language=OF_PLANT
    )


def test_outcomes_of_the_alerts_raised_in_the_month(metrics):
    """Hits: in time, too late or right by word; the last alert waits for its horizon."""
    assert metrics.outcomes == {"hit": 6, "avoided": 1, "false_alarm": 3, "undetermined": 1}
    assert metrics.precision.with_avoided.value == pytest.approx(7 / 10)
    assert metrics.precision.without_avoided.value == pytest.approx(6 / 9)


def test_recall_and_lead_time(metrics):
    """The window of the problem at hour 740 of oven-2 lies in the last day, in which oven-2 was not
    evaluated; a reported miss counts."""
    assert (len(metrics.problems), metrics.problems_unevaluated) == (7, 1)
    assert metrics.event_recall.value == pytest.approx(4 / 7)
    # ahead by 3, 2, 2.5 and 2 hours, known a minute after the raise
    assert metrics.lead_time.value == 2.25 * 3600 - 60
    missed = [("oven-1", 100.0), ("oven-2", 232.5), ("oven-1", 620.0)]
    assert [(p.asset, (p.start - MARCH) / H) for p in metrics.missed] == missed


def test_false_alarms_a_week_and_time_in_alarm(metrics):
    """The month has an hour less than its days; oven-2 lacks a day and a gap of ten hours."""
    hours = 743 + 743 - 24 - 10
    assert metrics.evaluated_s == hours * 3600
    assert metrics.false_alarms.value == pytest.approx(3 / (hours / 168))
    # ten alerts of two hours; the first one ends as the month begins, the last one after oven-2
    assert metrics.time_in_alarm.value == pytest.approx((10 * 2) / hours)


def test_money(metrics):
    """Missed: 30 and 25 minutes, and one without minutes; announced: 10, 20, 40 and 15; the usual
    one takes 25, with that of February."""
    money = metrics.money
    assert money.missed == Amount(900 * 3 + 150 * 55, 900 * 3 + 150 * 55)
    assert money.announced == Amount(900 * 4 + 150 * 85, 900 * 4 + 150 * 85)
    assert money.false_alarms == Amount(150, 200)
    assert money.interventions == Amount(20, 20)
    assert money.avoided == Amount(0, 900 + 150 * 25)
    assert money.net == Amount(0 - 200 - 20, 900 + 150 * 25 - 150 - 20)


def test_operators(metrics):
    """The data say "no" where the operator of hour 400 says right."""
    v = metrics.verdicts
    assert (v.response.basis, v.agreement.basis) == (
        "6 of 11 alarms with a notification",
        "4 of 5 verdicts that data can check",
    )
    assert v.response.value == pytest.approx(6 / 11)
    to_acknowledge = v.to_acknowledge.median, v.to_acknowledge.p90
    assert to_acknowledge == (timedelta(minutes=5), timedelta(minutes=30))
    assert [(a.action, a.times, a.helped) for a in v.actions] == [("lowered zone 2", 1, 1)]
    assert v.advice.given == 1


def test_reported_misses_are_listed_and_one_that_the_data_show_is_counted_once(
    month, metrics, page
):
    assert [(m.asset, (m.missed_at - MARCH) / H) for m in month.misses] == MISSES
    assert sum((p.start - MARCH) / H in (100.0, 101.5) for p in metrics.problems) == 1
    assert page.count("soft in the pack") == len(MISSES)


def test_alerts_of_both_revisions_count_and_the_report_names_the_one_in_force_at_the_end(
    month, metrics
):
    thresholds = [e.threshold for e in metrics.episodes]
    assert (thresholds.count(0.4), thresholds.count(0.5)) == (5, 6)
    assert ({e.revision for e in month.raised}, metrics.revision) == ({3, 4}, 4)


def test_what_was_known_before_the_late_answer_differs_in_what_it_changed_alone(month, metrics):
    early = [
        replace(e, feedback=tuple(f for f in e.feedback if f.at <= APRIL)) for e in month.episodes
    ]
    first = key_metrics(compute_metrics(replace(month, episodes=early)))
    changed = {
        name: (first[name], after)
        for name, after in key_metrics(metrics).items()
        if first[name] != after
    }
    assert changed == {"answered": ("5 / 11", "6 / 11")}


def test_the_period_before_stands_beside_where_it_is_long_enough(month, metrics):
    """An alert that began just before gave `before: 0 (0 to 12 395)` false alarms a week."""
    before = metrics.previous
    assert before.false_alarms.value == pytest.approx(1 / 4)
    assert (before.event_recall.value, before.money.missed.low) == (0, 900 + 150 * 50)
    made = tables(metrics)
    beside = {row["figure"]: (row["value"], row["before"]) for row in made["figures"].to_records()}
    assert beside["false_alarms"] == (metrics.false_alarms.value, before.false_alarms.value)
    assert metrics.false_alarms.value != before.false_alarms.value
    raised = made["episodes"].to_records()[0]["raised_at"]
    assert raised == metrics.episodes[0].raised_at.isoformat(), "as in files of earlier reports"
    minutes = {"oven-1": (MARCH - timedelta(minutes=3), MARCH)}
    assert (
        compute_metrics(
            replace(month, previous=replace(month.previous, evaluated=minutes))
        ).previous
        is None
    )


def test_the_model_is_compared_with_its_promotion_and_the_refusal_is_told(metrics):
    assert [d.version for d in metrics.model.decisions] == [2, 3]
    (recall,) = [c for c in metrics.model.came_true if c.metric == "event_recall"]
    is_worse = metrics.event_recall.high < 0.99
    assert (recall.at_promotion, recall.is_worse) == (0.99, is_worse)
    assert head_sentences(metrics, OF_PLANT)[:3] == (
        "4 of 7 problems were predicted, typically 2 h 14 min ahead.",
        "3 false alarms, all of them on Mondays between 12:00 and 16:00. 1 of 11 alarms has no "
        "outcome yet.",
        "The new model was refused: No better on 12 events.",
    )


def test_every_table_and_the_page_are_made_of_the_same_figures(metrics, page):
    found = {name: table.to_records() for name, table in tables(metrics).items()}
    assert [row["value"] for row in found["figures"] if row["figure"] == "recall"] == [
        metrics.event_recall.value
    ]
    assert {r["outcome"]: r["episodes"] for r in found["outcomes"]}["false_alarm"] == 3
    assert found["money"][0]["low"] == metrics.money.missed.low
    assert "2026-03-01 00:00 to 2026-04-01 00:00 Europe/Berlin" in page
    assert len(page.encode()) < 2_000_000


def test_a_threshold_with_costs_has_sums_too_and_alerts_that_nobody_was_sent_have_no_worth(month):
    definition = report_material.THRESHOLD.model_copy(
        update={"costs": Costs(currency="CHF", false_alarm=40)}
    )
    wrong = [
        report_material.episode(h, definition=definition, said=[("false_alarm", False, "anna")])
        for h in (3, 30)
    ]
    money = compute_metrics(
        replace(report_material.threshold_material(wrong), definition=definition)
    ).money
    assert (money.currency, money.false_alarms.low, money.net.high) == ("CHF", 80, -80)
    past = replace(month, episodes=[replace(e, backfilled=True) for e in month.episodes])
    assert compute_metrics(past).money is None


DETECTOR = parse_definition(
    {
        "name": "shifted",
        "kind": "control_chart",
        "assets": ["oven-1"],
        "variable": "temperature",
        "problem": {"variable": "moisture", "above": 4.5},
        "horizon": "1h",
    }
)
# hours of an alarm before the problems of hours 40.5, 101 and 200, which last an hour, the trust,
# and the sentences of the conclusion and of the head in German
FOUND = {
    (-0.5, -0.25, -0.5): (
        "3 of 3 problems were found while they lasted, typically after 31 min",
        "3 von 3 Problemen wurden während ihrer Dauer gefunden, typischerweise nach 31 min.",
    ),
    (0.5, -0.25, 0.5): (
        "3 of 3 problems were found: 1 while they lasted, typically after 16 min; 2 announced, "
        "typically 29 min ahead",
        "3 von 3 Problemen wurden gefunden: 1 während ihrer Dauer, typischerweise nach 16 min; "
        "2 angekündigt, typischerweise 29 min im Voraus.",
    ),
    # open for longer than it can announce; after the problem; over before the window
    (1.5, -1.5, 4): (
        "1 of 3 problems were found while they lasted, typically after 0 s",
        "1 von 3 Problemen wurden während ihrer Dauer gefunden, typischerweise nach 0 s.",
    ),
}


def test_a_detector_is_judged_by_the_problems_that_it_finds_while_they_last():
    said = {}
    for ahead in FOUND:
        m = replace(
            GOOD,
            definition=DETECTOR,
            problems=problems(40.5, 101, 200),
            episodes=[
                episode(hour - lead, outcome="during", definition=DETECTOR)
                for hour, lead in zip((40.5, 101, 200), ahead, strict=True)
            ],
            scores=GOOD.scores.iloc[:0],
        )
        f = compute_metrics(m)
        conclusion = conclude(f)
        assert conclusion.trust != "no"
        assert "at least 70 % of the problems found" in conclusion.rule
        assert f.announced_late == 0
        page = render_page(f, conclusion, draw(f, m))
        assert "announced in time" not in page
        head = head_sentences(f, language=language("de"))[0]
        said[ahead] = (conclusion.sentence.split(": ", 1)[1].split("; 3 of")[0], head)
    assert said == FOUND


def test_an_instant_in_a_reason_is_a_time_of_the_plant(month):
    came = month.raised[0]
    reason = translatable("no reading since {when}", when=APRIL - timedelta(hours=2))
    shown = replace(came, evaluation=replace(came.evaluation, reason=reason), severity="critical")
    material = replace(month, episodes=[shown])
    f = compute_metrics(material)
    page = render_page(f, conclude(f), draw(f, material, OF_PLANT), language=OF_PLANT)
    assert "<p>no reading since 2026-03-31 22:00</p>" in page
