"""Ports `FeedbackLog`, `Decisions`, `PastEvaluations`, `Audit`, `PlatformAlerts`: what is only ever
added to."""

from dataclasses import replace
from unittest.mock import ANY

import numpy as np

from alerting.adapters.memory.platform import memory_platform
from alerting.episodes.episode import Feedback
from alerting.ports import DecisionRecord, PastEvaluation
from tests.builders import at
from tests.helpers.contracts import each, having, step
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
SECOND = replace(FIRST, verdict="true_alarm", acted=True, action="lowered zone 2", acted_at=at(0))
THIRD = replace(FIRST, verdict=None, comment="sorry")
EARLIER = replace(FIRST, at=at(0))
LATER = replace(FIRST, at=at(7))
BY_HAND = replace(DECISION, run_id=None, at=at(6), challenger_version=None, champion_version=3)
BEFORE = replace(DECISION, run_id="run-0", at=at(1))
MOIST = [replace(DECISION, definition="moist", run_id=f"{m}", at=at(m)) for m in (10, 20)]
DRY = replace(DECISION, definition="dry", at=at(15))
MOIST_SHORT = [replace(one, evidence={}) for one in MOIST]
DRY_SHORT = replace(DRY, evidence={})
NAMES = ["moist", "dry", "unknown"]
NUMERIC = {
    "score": np.float64(0.5),
    "count": np.int64(3),
    "better": np.bool_(True),
    "curve": np.array([0.1, 0.2]),
    7: (1, 2),
}
PLAIN = {"score": 0.5, "count": 3, "better": True, "curve": [0.1, 0.2], "7": [1, 2]}
LATE = PastEvaluation("too-hot", "oven-1", at(0), at(60), 1, None, at(200))
EARLY = replace(LATE, at=at(100))
OTHER = PastEvaluation("too-moist", "oven-2", at(60), at(120), 1, 3, at(150))
UNREADABLE = ("champion unreadable", "too-moist")


def append(one, key=None, gives=ANY):
    return step("feedback.append", one, *([key] if key else []), gives=gives)


CLAIMS = {
    "feedback is kept once, in the order in which it was given": [
        *map(append, (FIRST, SECOND, THIRD, EARLIER, FIRST, replace(FIRST, episode="e-2"))),
        step("feedback.for_episode", "e-1", gives=[EARLIER, FIRST, SECOND, THIRD]),
    ],
    "of all that count once the first is kept and given back": [
        append(FIRST, "anna 1", gives=FIRST),
        append(LATER, "anna 1", gives=FIRST),
        append(LATER, "anna 2", gives=LATER),
        step("feedback.for_episode", "e-1", gives=[FIRST, LATER]),
    ],
    "decisions come back oldest first; a run decides once, and a person as often as they like": [
        *(step("decisions.add", one, gives=True) for one in (BY_HAND, DECISION, BEFORE, BY_HAND)),
        step("decisions.add", replace(DECISION, verdict="keep"), gives=False),
        step("decisions.add", replace(DECISION, definition="other"), gives=True),
        step("decisions.for_definition", "too-moist", gives=[BEFORE, DECISION, BY_HAND, BY_HAND]),
        step("decisions.for_definition", "too-hot", gives=[]),
    ],
    "the number of a promotion is given once": [
        step("decisions.add", DECISION, rank=1, gives=True),
        step("decisions.add", BEFORE, rank=1, gives=False),
        step("decisions.add", BEFORE, rank=2, gives=True),
    ],
    "decisions on many definitions are read at once, oldest first, without their evidence": [
        *(step("decisions.add", one) for one in (MOIST[1], MOIST[0], DRY, DECISION)),
        step("decisions.histories", NAMES, gives={"moist": MOIST_SHORT, "dry": [DRY_SHORT]}),
        step("decisions.histories", [], gives={}),
        step(
            "decisions.newest_decisions",
            NAMES,
            1,
            gives={"moist": MOIST_SHORT[1:], "dry": [DRY_SHORT]},
        ),
        step("decisions.newest_decisions", ["moist"], 3, gives={"moist": MOIST_SHORT}),
    ],
    "evidence may hold what numerics give": [
        step("decisions.add", replace(DECISION, evidence=NUMERIC)),
        step("decisions.for_definition", "too-moist", gives=each(evidence=[PLAIN])),
    ],
    "past evaluations are found oldest first, and by the times that they evaluated": [
        *(step("past_evaluations.add", one) for one in (LATE, EARLY, OTHER)),
        step("past_evaluations.for_definition", "too-hot", gives=[EARLY, LATE]),
        step("past_evaluations.for_interval", at(30), at(90), gives=[EARLY, OTHER, LATE]),
        step("past_evaluations.for_interval", at(60), at(90), gives=[OTHER]),
        step("past_evaluations.for_interval", at(120), at(900), gives=[]),
    ],
    "a platform alert is open once, keeps its newest reason and can open again": [
        step("platform_alerts.report", *UNREADABLE, "the registry does not answer", at(0)),
        step("platform_alerts.report", *UNREADABLE, "no such version", at(1)),
        step(
            "platform_alerts.open",
            gives=[having(opened_at=at(0), reason="no such version", resolved_at=None)],
        ),
        *(step("platform_alerts.resolve", *UNREADABLE, at(minute)) for minute in (5, 6)),
        step("platform_alerts.open", gives=[]),
        step("platform_alerts.report", *UNREADABLE, "again", at(7)),
        step(
            "platform_alerts.resolved_since",
            at(0),
            gives=[having(opened_at=at(0), resolved_at=at(5))],
        ),
        step("platform_alerts.open", gives=[having(opened_at=at(7), resolved_at=None)]),
        step("platform_alerts.subjects", UNREADABLE[0], gives={"too-moist"}),
        step("platform_alerts.subjects", "definition faulty", gives=set()),
    ],
}


def test_the_logs_keep_every_claim(broken):
    assert broken(CLAIMS) == {}


def test_an_audit_entry_says_who_did_what_and_is_kept_once(real):
    for stores in (real, memory_platform()):
        for minute in (1, 1, 2):
            stores.audit.add(
                "ann", "promoted", "too-moist", at(minute), {"champion": 1}, {"champion": 2}, "why"
            )
        first, second = audit_entries(stores)
        assert first == having(
            actor="ann", what="promoted", subject="too-moist", at=at(1), why="why",
            before={"champion": 1}, after={"champion": 2},
        )  # fmt: skip
        assert second["at"] == at(2)
