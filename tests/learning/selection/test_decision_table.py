"""The table that decides on a challenger: every objection, its verdict, and the rows in order."""

from typing import get_args

from alerting.learning.selection.decision import (
    RULES,
    Objection,
    PromotionDecision,
    add_objection,
    decide,
    without_condition,
)
from alerting.learning.selection.operating_point import VALIDATION

FACTS = {
    "chance": "It is no better than chance.", "stays": " Version 3 stays.", "remedy": "Wait.",
    "subject": "limits are", "version": 3, "fault": "gone", "start": "2026-03-01",
    "problems": "2 problems", "least": 5, "period": "between May and June",
    "summary": "0.8 beside 0.7",
    "acted": 9, "positive": "95%", "negative": "4%", "lost": "press-2", "moved": "It moved",
    "new": "new", "found": "Found.", "in_alarm": "30 %", "most_in_alarm": "20 %",
    "constant": "flow", "least_allowed": 0.5, "alone": " Alone.", "on_new_assets": 7,
}  # fmt: skip
PERSON = "goes into service only if a person approves."
OF_ALL = "go into service only if a person approves."

# The table once more: objection -> verdict, whether a person decides, and the sentence.
EXPECTED = {
    "not_above_chance": (
        "no_challenger", False, "It is no better than chance. Version 3 stays. Wait.",
    ),
    "same_model": (
        "keep", False, "The challenger is the same model as the champion; the champion stays.",
    ),
    "same_estimate": ("keep", False, "The limits are the same."),
    "unreadable_champion": (
        "provisional", True,
        "The champion, version 3, cannot be read, so the comparison is impossible (gone). The "
        f"challenger {PERSON}",
    ),
    "no_champion": (
        "provisional", False,
        "First model. It ranks better than chance.",
    ),
    "first_values": (
        "provisional", False,
        "First model. Its values serve, without an alarm, until a better one comes.",
    ),
    "no_mature_label": (
        "cannot_tell", False,
        "Cannot tell: no row after 2026-03-01, the first instant that neither model has used, has "
        "a mature label. The champion stays.",
    ),
    "too_few_problems": (
        "cannot_tell", False,
        "Cannot tell: 2 problems between May and June, 5 are needed. The champion stays.",
    ),
    "one_class": (
        "cannot_tell", False,
        "Cannot tell: the rows between May and June are all of one class once acted-upon episodes "
        "are left out. The champion stays.",
    ),
    "verdict_by_acted_rows": (
        "cannot_tell", False,
        "Cannot tell: 0.8 beside 0.7, but the answer depends on 9 rows of acted-upon episodes: "
        "better in 95% if they count as problems, in 4% if not. The champion stays.",
    ),
    "not_better": ("keep", False, "The champion stays: 0.8 beside 0.7."),
    "worse_forecasts": (
        "keep", False,
        "The champion stays: the challenger warns better, but forecasts worse: 0.8 beside 0.7.",
    ),
    "lost_assets": ("provisional", True, f"Found. It no longer watches press-2. It {PERSON}"),
    "moved": ("provisional", True, f"It moved. The new limits {OF_ALL} Found."),
    "no_unseen_time": (
        "provisional", True,
        "Found. There is no unseen normal time on which its false alarms could be counted. It "
        f"{PERSON}",
    ),
    "champion_raises_too_many": (
        "provisional", True,
        "Found. Those of the one in service are too many: normal operation has moved, or a fault "
        f"goes on. It {PERSON}",
    ),
    "lasting_alarms": (
        "provisional", True,
        "Found. It is in alarm for 30 % of unseen normal time, and at most 20 % are allowed. It "
        f"{PERSON}",
    ),
    "too_many_alarms": (
        "provisional", True, f"Found. These false alarms are too many. It {PERSON}",
    ),
    "lasting_signals": (
        "provisional", True,
        "Found. They last for 30 % of these points, of which at most 20 % are allowed, so it "
        f"{PERSON}",
    ),
    "too_many_signals": ("provisional", True, f"Found. These are too many, so it {PERSON}"),
    "too_little_time": (
        "provisional", True,
        "Found. This is too little unseen normal time: 0.5 false alarms must be allowed in it. "
        f"Alone. It {PERSON}",
    ),
    "finds_no_problem": (
        "provisional", True,
        f" Version 3 stays.Found. Nothing shows yet that it finds a problem. It {PERSON}",
    ),
    "too_few_points": ("provisional", True, f" Version 3 stays.Found. So it {PERSON}"),
    "too_few_points_of_first": ("provisional", False, "Found."),
    "constant": (
        "provisional", True,
        "Found. flow never changes in these readings, so nothing shows what a usual value is. The "
        f"new limits {OF_ALL}",
    ),
    "finds_no_anomaly": (
        "provisional", True,
        f"Found. It finds nothing there, so nothing shows that it ever would. It {PERSON}",
    ),
    "fewer_problems": (
        "provisional", True,
        f"Found. It finds fewer of the problems than the one in service. It {PERSON}",
    ),
    "no_synthetic_time": (
        "provisional", True,
        f"Found. There is no unseen time for synthetic anomalies. It {PERSON}",
    ),
    "fewer_synthetic": (
        "provisional", True,
        f"Found. It finds fewer synthetic anomalies than the one in service. It {PERSON}",
    ),
    "too_many_on_new_assets": (
        "provisional", True,
        "Found. On assets that the one in service does not watch it raises 7 false alarms: too "
        f"many. It {PERSON}",
    ),
}  # fmt: skip


def test_every_objection_stands_once_in_the_table():
    assert sorted(rule.objection for rule in RULES) == sorted(get_args(Objection))
    assert EXPECTED.keys() == {rule.objection for rule in RULES if rule.verdict is not None}


def test_an_objection_gives_its_verdict_its_sentence_and_says_whether_a_person_decides():
    found = {o: decide({o: True}, FACTS, "It is better.", {"rows": 1}) for o in EXPECTED}
    assert {o: (d.verdict, d.by_person, d.reason) for o, d in found.items()} == EXPECTED
    assert [o for o, d in found.items() if d.evidence != {"rows": 1}] == []
    serving = [o for o, d in found.items() if d.promote]
    assert serving == [o for o, d in found.items() if d.provisional]
    assert serving == [o for o, d in found.items() if d.verdict == "provisional"]


def test_a_headline_that_says_who_decides_leaves_the_rest_of_each_reason_as_it_is():
    for objection, (_, by_person, reason) in EXPECTED.items():
        said = without_condition(reason)
        assert (said != reason) == by_person, objection
        assert "person" not in said
        assert said.endswith("."), said
        assert reason.startswith(said[:10])
    mended = without_condition("Better. But 0.5 of it is chance: a person decides.")
    assert mended == "Better. But 0.5 of it is chance."


def test_without_an_objection_that_holds_the_challenger_replaces_the_champion():
    decision = decide({"not_better": False}, {}, "It is better.", note=" One asset stays.")
    assert (decision.verdict, decision.promote, decision.by_person) == ("promote", True, False)
    assert (decision.reason, decision.provisional) == ("It is better. One asset stays.", False)


def test_of_several_objections_the_first_row_decides_whatever_their_order():
    both = {"too_many_signals": True, "moved": True, "same_estimate": False}
    assert decide(both, FACTS).reason.startswith("It moved.")
    assert decide(dict(reversed(both.items())), FACTS) == decide(both, FACTS)


def test_the_note_on_what_stays_is_said_of_a_promotion_alone():
    assert decide({"moved": True}, FACTS, note=" Note.").reason.endswith("Found. Note.")
    assert decide({"same_estimate": True}, FACTS, note=" Note.").reason.endswith("the same.")


def test_a_threshold_that_finds_nothing_leaves_the_verdict_and_asks_a_person():
    better = PromotionDecision(verdict="promote", reason="It is better.", evidence={"rows": 1})
    decision = add_objection(better, "finds_nothing", {"period": VALIDATION})
    assert decision.reason == (
        "It is better. But no threshold finds a problem in the validation period within the "
        "limits: a person decides."
    )
    assert (decision.verdict, decision.by_person) == ("promote", True)
    assert decide({"finds_nothing": True}, {}, "It is better.").verdict == "promote"


def test_a_threshold_that_finds_none_of_few_problems_waits_and_the_reason_says_so():
    first = decide({"no_champion": True}, {})
    decision = add_objection(first, "none_of_few_found", {"found": 0, "problems": 4})
    assert decision.reason.endswith(
        "But in the validation period its threshold finds 0 of 4: a person decides."
    )
    assert (decision.verdict, decision.by_person) == ("provisional", True)
    assert decision.evidence["none_of_few_found"] == {"found": 0, "problems": 4}


def test_a_first_model_with_later_scores_by_chance_waits_and_the_evidence_has_the_figures():
    first = decide({"no_champion": True}, {})
    facts = {"found": 1, "problems": 5, "share": 0.37, "alarms": 2}
    facts |= {"together": 0.041, "most": 0.025}
    decision = add_objection(first, "found_by_chance", facts)
    assert decision.reason == (
        f"{first.reason} But of the problems in the validation period its threshold finds 1 of 5, "
        "and its scores before them are no higher than chance explains: a person decides."
    )
    assert (decision.verdict, decision.by_person) == ("provisional", True)
    assert decision.evidence == {"found_by_chance": facts}
