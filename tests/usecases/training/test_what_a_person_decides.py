"""A model that announces little of what it was to announce, and the last known value, serve only if
a person says so, whatever was in service; and no reason contradicts itself."""

from types import SimpleNamespace

import pytest
import yaml

from alerting.definitions.fields.learning import PERSISTENCE, SEASONAL
from alerting.learning.selection.challenger import ChallengerEvidence
from alerting.learning.selection.choice import ChanceTest, ValidationChance
from alerting.learning.selection.decision import (
    PromotionDecision,
    decide,
    threshold_alert,
)
from alerting.learning.selection.decision_rules import explain
from alerting.learning.selection.operating_point import OUT_OF_FOLD, VALIDATION, ThresholdChoice
from alerting.reporting.definition.decision_reason import explain_waiting, summarise_decision
from alerting.reporting.definition.decision_text import proposed_alert
from alerting.usecases.training.objections import object_to_threshold
from tests.builders import classifier
from tests.helpers.learning.proposals import carried_out, proposal

pytestmark = pytest.mark.models
ALERT = threshold_alert(classifier())
BETTER = explain("better", number=4)
READY = "An alert at the limit would show each as it begins."
ANY = "lightgbm"
# family, problems found and all of them in validation, probability of its scores by chance, rows
# that chose the threshold; objection to a first model, to a challenger, and words of the reason
ROWS = [
    (ANY, 9, 15, 0.001, VALIDATION, None, None, ""),
    (ANY, 3, 15, 0.001, VALIDATION, None, None, ""),
    (ANY, 2, 10, 0.001, VALIDATION, None, None, ""),
    (ANY, 1, 9, 0.001, VALIDATION, None, None, ""),
    (
        ANY,
        2,
        15,
        0.001,
        VALIDATION,
        "finds_few",
        "finds_few",
        "only 2 of 15 problems of the",
    ),
    (ANY, 1, 15, 0.9, VALIDATION, "finds_few", "finds_few", "validation period. An"),
    (ANY, 0, 10, 0.001, VALIDATION, "finds_few", "finds_few", " 0 of 10 problems of the"),
    (ANY, 0, 9, 0.001, VALIDATION, "finds_nothing", "finds_nothing", "threshold finds a"),
    (ANY, 0, 4, 0.001, OUT_OF_FOLD, *["none_of_few_found"] * 2, "finds 0 of 4 problems of"),
    (ANY, 0, 9, 0.9, VALIDATION, "finds_nothing", "finds_nothing", "threshold finds a"),
    (ANY, 1, 5, 0.9, VALIDATION, "found_by_chance", None, ""),
    (ANY, 0, 0, 1.0, OUT_OF_FOLD, None, None, "threshold was chosen on"),
    (ANY, 0, 0, 1.0, VALIDATION, "nothing_to_find", "nothing_to_find", "no problem occurs in"),
    (SEASONAL, 9, 15, 0.001, VALIDATION, *["last_value_serves"] * 2, "one season before alone"),
    (PERSISTENCE, 9, 15, 0.001, VALIDATION, *["last_value_serves"] * 2, " 9 of 15 problems"),
    (PERSISTENCE, 1, 15, 0.001, VALIDATION, *["last_value_serves"] * 2, " 1 of 15 problems"),
    (PERSISTENCE, 0, 1, 0.9, VALIDATION, *["last_value_serves"] * 2, " 0 of 1 problem of"),
    (PERSISTENCE, 0, 0, 1.0, OUT_OF_FOLD, *["last_value_serves"] * 2, "No problem occurs in the"),
]


def made_of(decision):
    told = {name: getattr(decision, name) for name in ("reason", "details", "verdict")}
    return proposal(waiting=True, objection=decision.objection, evidence=decision.evidence, **told)


def decided(row, is_first, alert=ALERT, is_fixed=False, errors=None):
    family, found, problems, share, period = row[:5]
    validation = ValidationChance(found, problems, 4, share)
    finds = found > 0 or period != VALIDATION
    threshold = ThresholdChoice(0.5, finds, "", (), period, is_fixed)
    evidence = ChallengerEvidence(
        threshold, {}, {}, (), {}, (), (), validation=validation, errors=errors
    )
    chosen = SimpleNamespace(candidate=SimpleNamespace(family=family), evidence=evidence)
    chance = ChanceTest(0.5, 0.3, 16, 20, share=0.02, validation=validation)
    better = PromotionDecision(verdict="promote", reason=BETTER, details="Counted.")
    first = decide({"no_champion": True}, details="Counted.") if is_first else better
    return object_to_threshold(first, chance, chosen, is_first, alert)


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, row[:5])))
def test_a_person_decides_by_what_validation_counts_and_by_the_family(row, is_first):
    expected = row[5] if is_first else row[6]
    decision = decided(row, is_first)
    assert decision.objection == expected
    assert decision.waits(classifier()) == (expected is not None)
    assert row[7] in decision.reason or expected is None
    assert ("can be used" in decision.reason) <= (row[1] > 0 or row[4] != VALIDATION)
    assert not (decision.by_person and "can be used" in decision.reason)
    is_elsewhere = expected is None and row[4] != VALIDATION
    assert decision.details.startswith("Counted.")
    assert decision.details.endswith(f"its threshold was chosen on {row[4]}.") == is_elsewhere
    is_proposed = expected in ("finds_few", "last_value_serves")
    assert proposed_alert(decision.evidence) == (ALERT if is_proposed else "")
    assert (READY in decision.reason) == is_proposed
    if is_proposed:
        nouns = "problem" if row[2] == 1 else "problems"
        counts = f"{row[1]} of {row[2]} {nouns} of the validation period"
        words = counts if row[2] else "No problem occurs in the validation period."
        waiting = str(explain_waiting(made_of(decision)))
        approved = str(
            summarise_decision(carried_out(made_of(decision), "ann", champion_version=None))
        )
        assert words in waiting
        assert words in approved
        assert ("alert at the limit" in waiting, "ann" in approved) == (True, True)
        assert ("one season before" in waiting) == (row[0] == SEASONAL)


def test_of_a_fixed_threshold_it_is_not_said_that_another_finds_nothing_or_that_it_was_chosen():
    nothing = decided(ROWS[9], is_first=False, is_fixed=True)
    assert (nothing.objection, nothing.by_person) == ("fixed_finds_nothing", True)
    waiting = str(explain_waiting(made_of(nothing)))
    assert "the threshold that the definition fixes finds no problem" in nothing.reason
    assert "the threshold that the definition fixes finds no problem" in waiting
    assert decided(ROWS[11], is_first=False, is_fixed=True).reason == BETTER


@pytest.mark.parametrize("is_first", [True, False])
def test_a_forecast_that_is_worse_than_the_last_value_waits_although_it_warns_well(is_first):
    decision = decided(ROWS[0], is_first, errors=(2.5, 1.5))
    assert decision.waits(classifier())
    assert decision.reason.endswith(
        " But on the test period the values that it predicts were worse than the last known value "
        "alone."
    )
    assert decision.details == (
        "Counted. Their median is off by 2.5 on average, the last known value by 1.5."
    )
    assert str(explain_waiting(made_of(decision))) == decision.reason
    assert not decided(ROWS[0], is_first, errors=(1.5, 2.5)).by_person
    few = decided(ROWS[4], is_first, errors=(2.5, 1.5))
    assert "the last known value alone. But it announces only 2 of 15" in few.reason
    assert few.evidence["worse_than_last"] == {"error": 2.5, "last_error": 1.5}


def test_the_ready_alert_stands_on_the_limit_of_the_problem_and_none_is_said_to_be_ready():
    document = yaml.safe_load(ALERT)
    assert (document["kind"], document["variable"], document["above"]) == (
        "threshold",
        "moisture",
        4.5,
    )
    by_event = decided(ROWS[4], is_first=True, alert="")
    assert (by_event.objection, READY in by_event.reason) == ("finds_few", False)
    assert proposed_alert(by_event.evidence) == ""
    assert "alert" not in by_event.reason
