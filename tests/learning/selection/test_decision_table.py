"""The table that decides on a challenger: every objection, its verdict, and the rows in order."""

import json
import re
from typing import get_args

import pytest

from alerting.definitions.wording.language import Styled, language, translatable
from alerting.learning.selection.decision import Proposal, add_objection, decide
from alerting.learning.selection.decision_rules import (
    RULES,
    Objection,
    Outcome,
    explain,
)
from alerting.learning.selection.operating_point import VALIDATION
from alerting.ports import DecisionRecord
from alerting.reporting.definition.decision_reason import explain_waiting, summarise_decision
from alerting.stores.database.documents import from_document, to_document
from tests.builders import at
from tests.helpers.learning.proposals import carried_out, proposal

VALUES = {
    "variable": "moisture", "number": 4, "least": 5, "version": 3, "start": at(0),
    "assets": "press-2", "constant": "flow", "in_alarm": Styled(0.3, "share"),
    "most_in_alarm": Styled(0.2, "share"), "reason": "It is better.",
    "period": translatable(VALIDATION), "problems_found": 1, "repeated": "the last known value",
    "until": at(60), "before": 2, "actor": "ann", "why": "too late.",
    "serving": 2, "since": at(90), "compared": 1,
}  # fmt: skip
# The table once more: row -> verdict, whether a person decides, and the text.
EXPECTED = {
    "values_without_alarm": (
        "no_challenger", False,
        "Predicted values of moisture are better than the last known one and the mean, but they "
        "give no alarm, and the model in service may give one.",
    ),
    "nothing_to_forecast": (
        "no_challenger", False,
        "Nothing shows this problem before it is there, so there is nothing to forecast. An alert "
        "at the limit says as much, without a model.",
    ),
    "too_few_values": (
        "no_challenger", False,
        "Whether predicted values of moisture are better than the last known one cannot be told "
        "from 4 unseen values.",
    ),
    "no_better_values": (
        "no_challenger", False,
        "Predicted values of moisture are not clearly better than the last known one and the mean.",
    ),
    "too_few_for_threshold": (
        "no_challenger", False,
        "4 problems in the validation period are too few to set a threshold; 5 are needed.",
    ),
    "threshold_finds_none": (
        "no_challenger", False,
        "Its threshold would find 0 of 4 problems in the validation period.",
    ),
    "too_few_to_tell": (
        "no_challenger", False,
        "4 problems to learn from are too few to tell a model from chance; 5 are needed.",
    ),
    "not_above_chance": (
        "no_challenger", False,
        "No candidate ranks better than chance (4 problems in the training period).",
    ),
    "same_model": ("keep", False, "It is the same model as the one in service."),
    "same_estimate": (
        "keep", False, "Nothing has changed: it is the same as the one in service.",
    ),
    "unreadable_champion": (
        "provisional", True,
        "The model in service, version 3, cannot be read, so the two could not be compared.",
    ),
    "no_champion": ("provisional", False, "It ranks better than chance."),
    "first_values": (
        "provisional", False,
        "On readings that it had not seen its values were better than the last known one and the "
        "mean; it raises no alarm.",
    ),
    "no_mature_label": (
        "cannot_tell", False,
        "Whether it is better cannot be told: no outcome is known yet after 2026-01-05 00:00 UTC, "
        "before which the models have learned.",
    ),
    "too_few_problems": (
        "cannot_tell", False,
        "Whether it is better cannot be told from 4 problems that neither model had seen; 5 are "
        "needed.",
    ),
    "one_class": (
        "cannot_tell", False,
        "Whether it is better cannot be told: without the alarms on which operators acted, there "
        "are not both times with and times without a problem ahead.",
    ),
    "verdict_by_acted_rows": (
        "cannot_tell", False,
        "Whether it is better cannot be told: that depends on whether the alarms on which "
        "operators acted announced problems.",
    ),
    "not_better": ("keep", False, "It was no better on 4 problems that neither model had seen."),
    "values_not_better": ("keep", False, "Its values were no better."),
    "worse_forecasts": ("keep", False, "Its warnings were better, but its forecasts worse."),
    "lost_assets": (
        "provisional", True, "It no longer watches press-2, which the one in service watches.",
    ),
    "moved": ("provisional", True, "Its limits are far from those in service."),
    "constant": (
        "provisional", True,
        "flow never changes in these readings, so nothing shows what a usual value is.",
    ),
    "no_unseen_time": (
        "provisional", True,
        "There is no normal time that it has not seen, in which its false alarms could be counted.",
    ),
    "champion_raises_too_many": (
        "provisional", True,
        "The model in service raises too many false alarms: normal operation has moved, or a fault "
        "goes on.",
    ),
    "lasting_alarms": (
        "provisional", True,
        "It is in alarm for 30 % of the normal time that it has not seen; at most 20 % are "
        "allowed.",
    ),
    "too_many_alarms": (
        "provisional", True,
        "It raises too many false alarms in the normal time that it has not seen.",
    ),
    "lasting_signals": (
        "provisional", True,
        "Its signals last for 30 % of the points that it has not seen; at most 20 % are allowed.",
    ),
    "too_many_signals": (
        "provisional", True, "It has too many signals at points that it has not seen.",
    ),
    "too_little_time": (
        "provisional", True,
        "There is too little normal time that it has not seen to count its false alarms.",
    ),
    "finds_no_problem": (
        "provisional", True, "In the time that it has not seen it finds none of the problems.",
    ),
    "too_few_points": (
        "provisional", True, "There are too few points that it has not seen to count its signals.",
    ),
    "too_few_points_of_first": (
        "provisional", False,
        "There are too few points yet that it has not seen to count its signals.",
    ),
    "fewer_problems": (
        "provisional", True, "It finds fewer of the problems than the one in service.",
    ),
    "no_synthetic_time": (
        "provisional", True,
        "There is no time that it has not seen in which synthetic anomalies could be tried.",
    ),
    "fewer_synthetic": (
        "provisional", True, "It finds fewer synthetic anomalies than the one in service.",
    ),
    "too_many_on_new_assets": (
        "provisional", True,
        "It raises too many false alarms on assets that the one in service does not watch.",
    ),
    "finds_no_anomaly": (
        "provisional", True,
        "In the time that it has not seen it finds neither a problem nor a synthetic anomaly.",
    ),
    "finds_nothing": (
        None, True,
        "It is better. But no threshold finds a problem in the validation period within the "
        "limits.",
    ),
    "fixed_finds_nothing": (
        None, True,
        "It is better. But the threshold that the definition fixes finds no problem in the "
        "validation period.",
    ),
    "nothing_to_find": (
        None, True,
        "It is better. But no problem occurs in the validation period, so nothing shows that its "
        "threshold finds one.",
    ),
    "worse_than_last": (
        None, True,
        "It is better. But on the test period the values that it predicts were worse than the last "
        "known value alone.",
    ),
    "none_of_few_found": (
        None, True,
        "It is better. But its threshold finds 0 of 4 problems of the validation period.",
    ),
    "found_by_chance": (
        None, True,
        "It is better. But its threshold finds 1 of 4 problems of the validation period, and its "
        "scores before them are no higher than chance explains.",
    ),
    "finds_few": (
        None, True,
        "It is better. But it announces only 1 of 4 problems of the validation period.",
    ),
    "last_value_serves": (
        None, True,
        "It is better. But it is the last known value alone: no other candidate is better beyond "
        "chance.",
    ),
    "better": ("promote", False, "It ranked better on 4 problems that neither model had seen."),
    "better_forecasts": (
        "promote", False, "Its forecasts were better, and its warnings no worse.",
    ),
    "better_values": ("promote", False, "Its values were better."),
    "as_allowed": (
        "promote", False,
        "In the time that it has not seen it raised no more false alarms than chance explains at "
        "the allowed rate.",
    ),
    "newest_limits": ("promote", False, "Its limits follow the newest readings."),
    "refreshed": (
        "refreshed", False,
        "The model in service was fitted again on the readings up to 2026-01-05 01:00 UTC, as "
        "version 3.",
    ),
    "gave_way": (
        "gave_way", False,
        "Fitted on all data, the model did worse than the same one fitted on the training part "
        "alone, which serves from now on.",
    ),
    "rejected": ("rejected", False, "ann rejected it: too late."),
    "rollback": ("rollback", False, "ann rolled back from version 2 to version 3: too late."),
    "stale": (
        "stale", False,
        "Version 2 is in service since 2026-01-05 01:30 UTC; this one was compared with version 1: "
        "train again.",
    ),
    "stale_first": (
        "stale", False,
        "Version 2 is in service since 2026-01-05 01:30 UTC, with which this one was not compared: "
        "train again.",
    ),
    "stale_alone": (
        "stale", False,
        "Version 1, with which this one was compared, is not in service any more: train again.",
    ),
}  # fmt: skip
CONSEQUENCES = re.compile(r"[Pp]erson|goes into service|champion|challenger|stays|[Ff]irst model")
DECIDING = [rule.ground for rule in RULES if rule.verdict and rule.ground in get_args(Objection)]


def test_every_objection_and_outcome_stands_once_in_the_table():
    rows = [rule.ground for rule in RULES]
    assert sorted(rows) == sorted([*get_args(Objection), *get_args(Outcome)])
    assert rows == list(EXPECTED)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.ground)
def test_a_row_says_its_finding_alone_with_its_values_in_every_form(rule):
    text = explain(rule.ground, **VALUES)
    assert (rule.verdict, rule.by_person, text) == EXPECTED[rule.ground]
    assert not CONSEQUENCES.search(text)
    forms = [rule.text] if isinstance(rule.text, str) else rule.text
    named = {name for form in forms for name in re.findall(r"\{(\w+)\}", form)}
    assert text.values.keys() == named
    assert not rule.verdict or not {"reason"} & named
    one = explain(rule.ground, **VALUES | {"number": 1})
    assert not re.search(r"\b1 (problems|values|false alarms)", one)
    assert "{" not in language("de").translate(text)


def test_a_value_that_a_row_names_must_be_given():
    with pytest.raises(KeyError, match="number"):
        explain("better")


@pytest.mark.parametrize("objection", DECIDING)
def test_an_objection_gives_its_verdict_its_text_and_says_whether_a_person_decides(objection):
    decision = decide({objection: True}, VALUES, "better", {"rows": 1}, "Counted.", "One stays.")
    verdict, by_person, text = EXPECTED[objection]
    assert (decision.verdict, decision.by_person, decision.reason) == (verdict, by_person, text)
    assert decision.evidence == {"rows": 1}
    serves = verdict == "provisional"
    assert (decision.promote, decision.provisional) == (serves, serves)
    assert decision.details == ("Counted. One stays." if serves else "Counted.")


def test_without_an_objection_that_holds_the_challenger_replaces_the_champion():
    decision = decide({"not_better": False}, VALUES, "better_values", note="One asset stays.")
    assert (decision.verdict, decision.promote, decision.by_person) == ("promote", True, False)
    assert (decision.reason, decision.details) == ("Its values were better.", "One asset stays.")
    assert not decision.provisional


@pytest.mark.parametrize(
    ("objections", "first"),
    [
        (("too_many_signals", "moved"), "moved"),
        (("worse_forecasts", "values_not_better"), "values_not_better"),
        (("worse_forecasts", "not_better"), "not_better"),
        (("not_above_chance", "values_without_alarm"), "values_without_alarm"),
    ],
)
def test_of_several_objections_the_first_row_decides_whatever_their_order(objections, first):
    both = dict.fromkeys(objections, True) | {"same_estimate": False}
    for given in (both, dict(reversed(both.items()))):
        assert decide(given, VALUES).reason == EXPECTED[first][2]


def test_an_added_objection_leaves_the_verdict_asks_a_person_and_keeps_what_was_counted():
    better = decide({}, VALUES, details="Counted.")
    decision = add_objection(better, "worse_than_last", {}, "Off by 2.5.", {"error": 2.5})
    decision = add_objection(
        decision, "finds_few", VALUES, evidence={"alert": "name: x"}, remedy="Make an alert."
    )
    assert decision.reason == (
        "It ranked better on 4 problems that neither model had seen. But on the test period the "
        "values that it predicts were worse than the last known value alone. But it announces only "
        "1 of 4 problems of the validation period. Make an alert."
    )
    assert decision.details == "Counted. Off by 2.5."
    assert (decision.verdict, decision.objection) == ("promote", "finds_few")
    assert decision.evidence == {
        "worse_than_last": {"error": 2.5},
        "finds_few": {"alert": "name: x"},
    }


def test_an_added_objection_does_not_decide():
    assert decide({"finds_nothing": True}, VALUES).verdict == "promote"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.ground)
def test_a_stored_decision_is_read_in_german_by_every_row(rule):
    text = explain(rule.ground, **VALUES)
    made = carried_out(proposal(reason=text))
    read = from_document(DecisionRecord, to_document(made))
    said = [language("de").translate(summarise_decision(decision)) for decision in (read, made)]
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("objection", "reason"),
    [
        ("moved", "Its limits are far from those in service."),
        ("finds_few", "Whether it goes into service is for a person to decide."),
        ("unreadable_champion", "Whether it goes into service is for a person to decide."),
    ],
)
def test_a_waiting_proposal_of_an_earlier_version_says_its_objection_and_keeps_its_text(
    objection, reason
):
    told = "Its limits moved: it goes into service only if a person approves."
    document = json.loads(proposal(reason=told, waiting=True, objection=objection).to_json())
    del document["templates"], document["details"]
    read = Proposal.from_json(json.dumps(document).encode(), "run")
    assert (str(explain_waiting(read)), read.details) == (reason, told)
    approved = summarise_decision(carried_out(read, "kim"))
    assert approved == f"{reason} kim approved it."


def test_without_an_objection_a_proposal_of_an_earlier_version_says_its_own_reason():
    document = json.loads(proposal(reason="It is better.").to_json())
    del document["templates"], document["details"]
    read = Proposal.from_json(json.dumps(document).encode(), "run")
    assert (read.reason, read.details) == ("It is better.", "")


def test_a_proposal_keeps_the_templates_of_its_reason_and_details_in_its_file():
    decided = decide({"no_mature_label": True}, {"start": at(0)}, details=translatable("So."))
    made = proposal(reason=decided.reason, details=decided.details)
    read = Proposal.from_json(made.to_json(), "run")
    assert read == made
    assert language("en").with_clock(at(0).tzinfo, at(30)).translate(read.reason) == (
        "Whether it is better cannot be told: no outcome is known yet after today 00:00, before "
        "which the models have learned."
    )
    older = {
        k: v for k, v in json.loads(made.to_json()).items() if k not in ("templates", "details")
    }
    assert Proposal.from_json(json.dumps(older).encode(), "run").reason == str(decided.reason)
