"""Port `Trainings`."""

from dataclasses import replace

from alerting.definitions.wording.language import language, translatable
from alerting.ports import Training
from tests.builders import at
from tests.helpers.stores import broken_in_memory

FIRST = Training("too-moist", "q1", "question-q1-1", 1, at(0))
AGAIN = replace(FIRST, run="question-q1-2", started_at=at(10), attempts=2, failures=1)


def test_the_newest_training_of_each_question_is_kept_in_the_order_in_which_they_began(stores):
    other = Training("too-moist", "q2", "question-q2-1", 2, at(5))
    for one in (other, FIRST, AGAIN):
        stores.trainings.begin(one)
    assert stores.trainings.for_definitions(["too-moist", "unknown"]) == [other, AGAIN]
    assert stores.trainings.for_definitions([]) == []


def test_only_the_newest_training_of_a_question_ends_with_all_that_is_said_of_it(stores):
    stores.trainings.begin(FIRST)
    ended = replace(FIRST, ended_at=at(2), failure="cancelled by ann: x", cancelled_by="ann")
    asked = replace(ended, requested_by="bea", requested_at=at(4), failures=1)
    assert [stores.trainings.end(one) for one in (ended, asked)] == [True, True]
    assert stores.trainings.for_definitions(["too-moist"]) == [asked]
    stores.trainings.begin(AGAIN)
    assert not stores.trainings.end(ended)
    assert stores.trainings.for_definitions(["too-moist"]) == [AGAIN]


def test_why_a_training_failed_comes_back_for_readers_of_every_language(real):
    reason = translatable("cancelled by {person}: {reason}", person="ann", reason="wrong {period}")
    real.trainings.begin(FIRST)
    real.trainings.end(replace(FIRST, ended_at=at(3), failure=reason, failures=1))
    (stored,) = real.trainings.for_definitions(["too-moist"])
    assert stored.failure == "cancelled by ann: wrong {period}"
    assert language("de").translate(stored.failure) == "abgebrochen von ann: wrong {period}"


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
