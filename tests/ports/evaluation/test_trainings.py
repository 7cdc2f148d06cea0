"""Port `Trainings`."""

from dataclasses import replace

from alerting.ports import Training
from tests.builders import at
from tests.helpers.contracts import step

FIRST = Training("too-moist", "q1", "question-q1-1", 1, at(0))
AGAIN = replace(FIRST, run="question-q1-2", started_at=at(10), attempts=2, failures=1)
OTHER = Training("too-moist", "q2", "question-q2-1", 2, at(5))
ENDED = replace(FIRST, ended_at=at(2), failure="cancelled by ann: x", cancelled_by="ann")
ASKED = replace(ENDED, requested_by="bea", requested_at=at(4), failures=1)
CLAIMS = {
    "the newest training of each question is kept in the order in which they began": [
        *(step("trainings.begin", one) for one in (OTHER, FIRST, AGAIN)),
        step("trainings.for_definitions", ["too-moist", "unknown"], gives=[OTHER, AGAIN]),
        step("trainings.for_definitions", [], gives=[]),
    ],
    "only the newest training of a question ends, with all that is said of it": [
        step("trainings.begin", FIRST),
        step("trainings.end", ENDED, gives=True),
        step("trainings.for_definitions", ["too-moist"], gives=[ENDED]),
        step("trainings.end", ASKED, gives=True),
        step("trainings.for_definitions", ["too-moist"], gives=[ASKED]),
        step("trainings.begin", AGAIN),
        step("trainings.end", ENDED, gives=False),
        step("trainings.for_definitions", ["too-moist"], gives=[AGAIN]),
    ],
}


def test_the_stores_of_trainings_keep_every_claim(broken):
    assert broken(CLAIMS) == {}
