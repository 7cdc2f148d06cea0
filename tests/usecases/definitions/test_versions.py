import pytest

from alerting.definitions.revisions import question_of
from alerting.ports import DecisionRecord
from alerting.usecases.definitions.versions import (
    answer_at,
    champion_at,
    line_of_champions,
    segments,
)
from tests.builders import at, classifier, revision

pytestmark = pytest.mark.fast

FIRST = revision(classifier(), at(0))
LONGER = revision(classifier(horizon="1h"), at(40), before=FIRST)


def decision(minute, version, promoted=True, verdict="promote", of=None):
    question = None if of is None else question_of(of)
    return DecisionRecord(
        "too-moist",
        at(minute),
        1,
        version,
        None,
        promoted,
        False,
        verdict,
        "better",
        {},
        f"run-{version}",
        "platform",
        question,
    )


def test_a_stretch_is_cut_where_the_revision_or_the_champion_changed():
    first = revision(classifier(), at(0))
    second = revision(classifier(horizon="1h"), at(40), before=first)
    parts = segments(
        [first, second], [decision(20, 1), decision(30, 2, promoted=False)], at(-10), at(60)
    )
    assert [(p.start, p.end, p.revision and p.revision.number, p.model_version) for p in parts] == [
        (at(-10), at(0), None, None),
        (at(0), at(20), 1, None),
        (at(20), at(40), 1, 1),
        (at(40), at(60), 2, 1),
    ]


def test_a_rejected_challenger_never_comes_into_service():
    assert champion_at([decision(10, 1), decision(20, 2, promoted=False)], at(30), None) == 1
    assert champion_at([decision(10, 1)], at(9), None) is None


def test_a_refit_that_gave_way_serves_no_more_from_then_on_also_after_a_rollback_to_its_version():
    made = [
        decision(0, 1),
        decision(20, 1, verdict="gave_way"),
        decision(30, 2),
        decision(40, 1, verdict="rollback"),
    ]
    parts = segments([revision(classifier(), at(0))], made, at(0), at(60))
    assert [(p.start, p.model_version, p.by_twin) for p in parts] == [
        (at(0), 1, False),
        (at(20), 1, True),
        (at(30), 2, False),
        (at(40), 1, True),
    ]
    assert line_of_champions(made[:3], None) == [1, 2]
    assert line_of_champions(made, None) == [1]


def test_until_the_new_question_has_a_champion_the_revision_before_goes_on():
    made = [decision(10, 1, of=FIRST), decision(60, 2, of=LONGER)]
    parts = segments([FIRST, LONGER], made, at(20), at(80))
    assert [(p.start, p.revision.number, p.model_version, p.awaited, p.is_new) for p in parts] == [
        (at(20), 1, 1, None, False),
        (at(40), 1, 1, 2, False),
        (at(60), 2, 2, None, True),
    ]
    assert (
        answer_at([FIRST, LONGER], made, at(50)).message
        == "answers revision 1; revision 2 is being trained"
    )
    assert answer_at([FIRST, LONGER], made, at(60)).message is None


def test_the_words_of_an_edit_that_keeps_the_question_are_used_at_once():
    titled = revision(classifier(title="Too moist"), at(20), before=FIRST)
    longer = revision(classifier(title="Too moist", horizon="1h"), at(40), before=titled)
    made = [decision(10, 1, of=FIRST)]
    assert [
        answer_at([FIRST, titled, longer], made, at(t)).revision.number for t in (15, 20, 40)
    ] == [1, 2, 2]


def test_going_back_to_an_earlier_question_brings_its_champion_back_at_once():
    back = revision(classifier(), at(70), before=LONGER)
    made = [decision(10, 1, of=FIRST), decision(60, 2, of=LONGER)]
    assert answer_at([FIRST, LONGER, back], made, at(70)) == (back, 1, None)


def test_a_definition_out_of_service_is_not_answered_by_an_earlier_revision():
    retired = revision(classifier(horizon="1h", state="retired"), at(40), before=FIRST)
    again = revision(classifier(horizon="1h"), at(60), before=retired)
    made = [decision(10, 1, of=FIRST)]
    assert answer_at([FIRST, retired], made, at(50)) == (retired, None, None)
    assert answer_at([FIRST, retired, again], made, at(70)) == (again, None, None)


def test_a_decision_of_an_earlier_release_answers_any_question():
    assert answer_at([FIRST, LONGER], [decision(10, 1)], at(50)) == (LONGER, 1, None)
