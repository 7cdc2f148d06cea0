"""Port `Trainings`."""

from dataclasses import replace

from alerting.definitions.wording.language import language, translatable
from alerting.ports import Training
from tests.builders import at

FIRST = Training("too-moist", "q1", "question-q1-1", 1, at(0))


def test_the_newest_training_of_each_question_is_kept_in_the_order_in_which_they_began(stores):
    other = Training("too-moist", "q2", "question-q2-1", 2, at(5))
    stores.trainings.begin(other)
    stores.trainings.begin(FIRST)
    again = replace(FIRST, run="question-q1-2", started_at=at(10), attempts=2, failures=1)
    stores.trainings.begin(again)
    assert stores.trainings.for_definitions(["too-moist", "unknown"]) == [other, again]
    assert stores.trainings.for_definitions([]) == []


def test_a_request_for_another_training_and_a_cancellation_are_kept_with_it(stores):
    stores.trainings.begin(FIRST)
    cancelled = replace(FIRST, ended_at=at(2), failure="cancelled by ann: x", cancelled_by="ann")
    assert stores.trainings.end(cancelled)
    asked = replace(cancelled, requested_by="bea", requested_at=at(4))
    assert stores.trainings.end(asked)
    assert stores.trainings.for_definitions(["too-moist"]) == [asked]


def test_only_the_newest_training_of_a_question_can_end(stores):
    stores.trainings.begin(FIRST)
    ended = replace(FIRST, ended_at=at(3), failure="too few rows", failures=1)
    assert stores.trainings.end(ended)
    assert stores.trainings.for_definitions(["too-moist"]) == [ended]
    stores.trainings.begin(replace(FIRST, run="question-q1-2", attempts=2))
    assert not stores.trainings.end(ended)
    assert stores.trainings.for_definitions(["too-moist"])[0].ended_at is None


def test_why_a_training_failed_comes_back_for_readers_of_every_language(real):
    reason = translatable("cancelled by {person}: {reason}", person="ann", reason="wrong {period}")
    real.trainings.begin(FIRST)
    real.trainings.end(replace(FIRST, ended_at=at(3), failure=reason, failures=1))
    (stored,) = real.trainings.for_definitions(["too-moist"])
    assert stored.failure == "cancelled by ann: wrong {period}"
    assert language("de").translate(stored.failure) == "abgebrochen von ann: wrong {period}"
