"""Why a model waits for a person, in a sentence for people."""

from alerting.learning.selection.decision_table import RULES
from alerting.reporting.definition.decisions import explain_waiting


def test_each_objection_that_a_person_decides_on_has_a_sentence_of_its_own():
    names = {rule.objection for rule in RULES if rule.by_person}
    sentences = {str(explain_waiting(name)) for name in (*names, None)}
    assert len(sentences) == len(names) + 1
