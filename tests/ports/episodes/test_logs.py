"""Ports `FeedbackLog`, `Decisions`, `PastEvaluations`, `Audit`: what is only ever added to."""

from dataclasses import replace

import numpy as np

from alerting.episodes.episode import Feedback
from alerting.ports import DecisionRecord, PastEvaluation
from tests.builders import at
from tests.helpers.stores import audit_entries

FIRST = Feedback("e-1", "false_alarm", False, None, "nothing there", "ann", at(1))
DECISION = DecisionRecord(
    definition="too-moist",
    at=at(5),
    revision=2,
    challenger_version=3,
    champion_version=None,
    promoted=True,
    provisional=True,
    verdict="provisional",
    reason="there is no champion yet",
    evidence={
        "average_precision": 0.8,
        "window": ["2026-01-01", "2026-01-02"],
        "per.asset": {"oven-1": None},
    },
    run_id="run-1",
    actor="platform",
)


def test_feedback_is_kept_in_the_order_in_which_it_was_given(stores):
    second = replace(
        FIRST, verdict="true_alarm", acted=True, action="lowered zone 2", acted_at=at(0)
    )
    third = replace(FIRST, verdict=None, comment="sorry")
    earlier = replace(FIRST, at=at(0))
    for one in (FIRST, second, third, earlier, replace(FIRST, episode="e-2")):
        stores.feedback.append(one)
    assert stores.feedback.for_episode("e-1") == [earlier, FIRST, second, third]


def test_the_very_same_feedback_sent_again_is_kept_once(stores):
    stores.feedback.append(FIRST)
    stores.feedback.append(FIRST)
    assert stores.feedback.for_episode("e-1") == [FIRST]


def test_of_all_that_count_once_the_first_is_kept_and_given_back(stores):
    later = replace(FIRST, at=at(7))
    assert stores.feedback.append(FIRST, "anna 1") == FIRST
    assert stores.feedback.append(later, "anna 1") == FIRST
    assert stores.feedback.append(later, "anna 2") == later
    assert stores.feedback.for_episode("e-1") == [FIRST, later]


def test_a_decision_comes_back_equal_oldest_first(stores):
    by_hand = replace(DECISION, run_id=None, at=at(6), challenger_version=None, champion_version=3)
    before = replace(DECISION, run_id="run-0", at=at(1))
    for one in (by_hand, DECISION, before):
        assert stores.decisions.add(one)
    assert stores.decisions.for_definition("too-moist") == [before, DECISION, by_hand]
    assert stores.decisions.for_definition("too-hot") == []


def test_a_run_decides_once_and_a_person_as_often_as_they_like(stores):
    assert stores.decisions.add(DECISION)
    assert not stores.decisions.add(replace(DECISION, verdict="keep"))
    assert stores.decisions.add(replace(DECISION, definition="other"))
    assert stores.decisions.add(replace(DECISION, run_id=None))
    assert stores.decisions.add(replace(DECISION, run_id=None))


def test_evidence_may_hold_what_numerics_give(stores):
    evidence = {
        "score": np.float64(0.5),
        "count": np.int64(3),
        "better": np.bool_(True),
        "curve": np.array([0.1, 0.2]),
        7: (1, 2),
    }
    stores.decisions.add(replace(DECISION, evidence=evidence))
    assert stores.decisions.for_definition("too-moist")[0].evidence == {
        "score": 0.5,
        "count": 3,
        "better": True,
        "curve": [0.1, 0.2],
        "7": [1, 2],
    }


def test_replays_are_listed_oldest_first(stores):
    late, early = (
        PastEvaluation("too-hot", "oven-1", at(0), at(60), 1, None, at(minute))
        for minute in (200, 100)
    )
    stores.past_evaluations.add(late)
    stores.past_evaluations.add(early)
    assert stores.past_evaluations.for_definition("too-hot") == [early, late]


def test_past_evaluations_are_found_by_the_times_that_they_evaluated(stores):
    first = PastEvaluation("too-hot", "oven-1", at(0), at(60), 1, None, at(200))
    second = PastEvaluation("too-moist", "oven-2", at(60), at(120), 1, 3, at(100))
    for record in (first, second):
        stores.past_evaluations.add(record)
    assert stores.past_evaluations.for_interval(at(30), at(90)) == [second, first]
    assert stores.past_evaluations.for_interval(at(60), at(90)) == [second]
    assert stores.past_evaluations.for_interval(at(120), at(900)) == []


def test_an_audit_entry_says_who_did_what_and_is_kept_once(stores):
    for _ in range(2):
        stores.audit.add(
            "ann",
            "promoted",
            "too-moist",
            at(1),
            before={"champion": 1},
            after={"champion": 2},
            why="better",
        )
    stores.audit.add("ann", "promoted", "too-moist", at(2))
    entries = audit_entries(stores)
    first = {
        "actor": "ann", "what": "promoted", "subject": "too-moist", "at": at(1),
        "before": {"champion": 1}, "after": {"champion": 2}, "why": "better",
    }  # fmt: skip
    assert {name: entries[0][name] for name in first} == first
    assert len(entries) == 2
