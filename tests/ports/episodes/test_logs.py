"""Ports `FeedbackLog`, `Decisions`, `PastEvaluations`, `Audit`, `PlatformAlerts`: what is only ever
added to."""

from dataclasses import replace

import numpy as np

from alerting.episodes.episode import Feedback
from alerting.ports import DecisionRecord, PastEvaluation
from tests.builders import at
from tests.helpers.stores import audit_entries, broken_in_memory

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


def test_feedback_is_kept_once_in_the_order_in_which_it_was_given(stores):
    second = replace(
        FIRST, verdict="true_alarm", acted=True, action="lowered zone 2", acted_at=at(0)
    )
    third = replace(FIRST, verdict=None, comment="sorry")
    earlier = replace(FIRST, at=at(0))
    for one in (FIRST, second, third, earlier, FIRST, replace(FIRST, episode="e-2")):
        stores.feedback.append(one)
    assert stores.feedback.for_episode("e-1") == [earlier, FIRST, second, third]


def test_of_all_that_count_once_the_first_is_kept_and_given_back(stores):
    later = replace(FIRST, at=at(7))
    given = [(FIRST, "anna 1"), (later, "anna 1"), (later, "anna 2")]
    assert [stores.feedback.append(*one) for one in given] == [FIRST, FIRST, later]
    assert stores.feedback.for_episode("e-1") == [FIRST, later]


def test_decisions_come_back_oldest_first_a_run_decides_once_and_a_person_as_often_as_they_like(
    stores,
):
    by_hand = replace(DECISION, run_id=None, at=at(6), challenger_version=None, champion_version=3)
    before = replace(DECISION, run_id="run-0", at=at(1))
    foreign = replace(DECISION, definition="other")
    added = [by_hand, DECISION, before, replace(DECISION, verdict="keep"), by_hand, foreign]
    assert [stores.decisions.add(one) for one in added] == [True, True, True, False, True, True]
    assert stores.decisions.for_definition("too-moist") == [before, DECISION, by_hand, by_hand]
    assert stores.decisions.for_definition("too-hot") == []
    assert stores.decisions.add(replace(DECISION, run_id="run-2"), rank=1)
    assert not stores.decisions.add(replace(DECISION, run_id="run-3"), rank=1)


def test_decisions_on_many_definitions_are_read_at_once_oldest_first_and_without_their_evidence(
    stores,
):
    first = replace(DECISION, definition="moist", at=at(10))
    second = replace(first, at=at(20), run_id="run-2")
    other = replace(first, definition="dry", at=at(15))
    for decision in (second, first, other, replace(other, definition="left-out")):
        stores.decisions.add(decision)
    first, second, other = (replace(one, evidence={}) for one in (first, second, other))
    decisions = stores.decisions
    names = ["moist", "dry", "unknown"]
    assert decisions.histories(names) == {"moist": [first, second], "dry": [other]}
    assert decisions.histories([]) == {}
    assert decisions.newest_decisions(names, 1) == {"moist": [second], "dry": [other]}
    assert decisions.newest_decisions(["moist"], 3) == {"moist": [first, second]}


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


def test_past_evaluations_are_found_oldest_first_and_by_the_times_that_they_evaluated(stores):
    late = PastEvaluation("too-hot", "oven-1", at(0), at(60), 1, None, at(200))
    early = replace(late, at=at(100))
    other = PastEvaluation("too-moist", "oven-2", at(60), at(120), 1, 3, at(150))
    for record in (late, early, other):
        stores.past_evaluations.add(record)
    assert stores.past_evaluations.for_definition("too-hot") == [early, late]
    intervals = [(30, 90), (60, 90), (120, 900)]
    found = [stores.past_evaluations.for_interval(at(a), at(b)) for a, b in intervals]
    assert found == [[early, other, late], [other], []]


def test_an_audit_entry_says_who_did_what_and_is_kept_once(stores):
    promoted = ("ann", "promoted", "too-moist")
    for minute in (1, 1, 2):
        stores.audit.add(*promoted, at(minute), {"champion": 1}, {"champion": 2}, "better")
    first, second = audit_entries(stores)
    assert first.items() >= {
        "actor": "ann", "what": "promoted", "subject": "too-moist", "at": at(1),
        "before": {"champion": 1}, "after": {"champion": 2}, "why": "better",
    }.items()  # fmt: skip
    assert second["at"] == at(2)


def test_a_platform_alert_is_open_once_keeps_its_newest_reason_and_can_open_again(stores):
    alerts = stores.platform_alerts
    unreadable = ("champion unreadable", "too-moist")
    alerts.report(*unreadable, "the registry does not answer", at(0))
    alerts.report(*unreadable, "no such version", at(1))
    (one,) = alerts.open()
    assert (one.opened_at, one.reason, one.resolved_at) == (at(0), "no such version", None)
    for minute in (5, 6):
        alerts.resolve(*unreadable, at(minute))
    assert alerts.open() == []
    alerts.report(*unreadable, "again", at(7))
    found = [*alerts.resolved_since(at(0)), *alerts.open()]
    assert [(a.opened_at, a.resolved_at) for a in found] == [(at(0), at(5)), (at(7), None)]
    subjects = [alerts.subjects(kind) for kind in ("champion unreadable", "definition faulty")]
    assert subjects == [{"too-moist"}, set()]


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
