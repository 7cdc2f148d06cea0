from dataclasses import replace
from itertools import product

import pytest

from alerting.episodes.episode import Feedback
from alerting.episodes.lifecycle import Observed, acted_within, consensus, determine_outcome
from tests.builders import at

pytestmark = pytest.mark.fast

SAID = Feedback("e", "true_alarm", False, None, None, "ann", at(10))

# occurred, acted, verdict -> outcome; the table of the design, row by row
TABLE = {
    **{
        ("in_time", acted, verdict): "hit"
        for acted in (True, False)
        for verdict in (None, "true_alarm", "false_alarm", "unsure")
    },
    **{
        ("too_late", acted, verdict): "hit"
        for acted in (True, False)
        for verdict in (None, "true_alarm", "false_alarm", "unsure")
    },
    ("no", True, "true_alarm"): "avoided",
    ("no", True, None): "avoided",
    ("no", False, "true_alarm"): "hit",
    ("no", True, "false_alarm"): "false_alarm",
    ("no", False, "false_alarm"): "false_alarm",
    ("no", False, None): "false_alarm",
    ("no", True, "unsure"): "undetermined",
    ("no", False, "unsure"): "undetermined",
    **{
        ("unknown", acted, verdict): "undetermined"
        for acted in (True, False)
        for verdict in (None, "true_alarm", "false_alarm", "unsure")
    },
}


def test_the_whole_product_of_inputs_follows_the_table():
    verdicts = (None, "true_alarm", "false_alarm", "unsure")
    inputs = [*product(("in_time", "too_late", "no", "unknown"), (True, False), verdicts)]
    found = {
        (occurred, acted, verdict): determine_outcome(
            True, Observed(occurred, at(5), "not yet"), acted, verdict
        )
        for occurred, acted, verdict in inputs
    }
    assert {given: record.outcome for given, record in found.items()} == TABLE
    assert {one[0] for one, record in found.items() if record.too_late} == {"too_late"}
    assert all(record.too_late for one, record in found.items() if one[0] == "too_late")
    assert [given for given, record in found.items() if not record.reason] == []


def test_without_a_problem_the_operators_word_decides_and_nothing_is_avoided():
    words = {"true_alarm": "hit", "false_alarm": "false_alarm", "unsure": "undetermined"}
    table = {**words, None: "undetermined"}
    for acted in (True, False):
        found = {
            verdict: determine_outcome(False, Observed("no"), acted, verdict).outcome
            for verdict in table
        }
        assert found == table


def test_hits_say_when_acting_did_not_help_and_when_the_operator_disagrees():
    assert (
        "without preventing it" in determine_outcome(True, Observed("in_time"), True, None).reason
    )
    assert "conflict" in determine_outcome(True, Observed("in_time"), False, "false_alarm").reason


def test_people_who_disagree_make_it_unsure_and_the_last_word_of_each_counts():
    ann = SAID
    bob = replace(SAID, actor="bob", verdict="false_alarm")
    assert consensus([ann, bob]) == ("unsure", True)
    assert consensus([ann, bob, replace(bob, verdict="true_alarm")]) == ("true_alarm", False)
    assert consensus([replace(SAID, verdict=None, acted=True)]) == (None, False)


def test_an_action_counts_only_within_the_outcome_window():
    acted = replace(SAID, acted=True, at=at(50))
    assert not acted_within([acted], at(0), at(30))
    assert acted_within([replace(acted, acted_at=at(20))], at(0), at(30))
    assert not acted_within([replace(acted, acted_at=at(-1))], at(0), at(30))
