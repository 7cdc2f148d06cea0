"""Reasons come back for readers of every language."""

from dataclasses import replace
from datetime import timedelta

from alerting.definitions.wording.language import language, translatable
from alerting.detection.evaluation_results_and_texts import stale_message
from alerting.episodes.evaluation_plan import ConditionTable
from alerting.episodes.lifecycle import ConditionState
from alerting.ports import Training
from alerting.stores.states import MongoStates
from tests.builders import at
from tests.helpers.notifications import notice

HOT = "too-hot", "oven-1"
CANCELLED = translatable("cancelled by {person}: {reason}", person="ann", reason="wrong {period}")


def stored_reasons(stores):
    """Store a reason wherever there is one; return each as it comes back."""
    training = Training("too-moist", "q1", "question-q1-1", 1, at(0))
    waiting = notice("k:raised:shift", 1)
    state = ConditionTable([HOT])
    stale = stale_message("temperature", timedelta(minutes=10))
    state.write_state(0, ConditionState(at(1), unknown_count=1, unknown_reason=stale))
    stores.trainings.begin(training)
    stores.trainings.end(replace(training, ended_at=at(3), failure=CANCELLED, failures=1))
    stores.notifications.add([waiting])
    stores.notifications.change([(waiting, replace(waiting, status="dead", error=CANCELLED))])
    stores.states.advance(ConditionTable([HOT]), state)
    return {
        "training": stores.trainings.for_definitions(["too-moist"])[0].failure,
        "notification": stores.notifications.dead()[0].error,
        "state": MongoStates(stores.database).load_many([HOT]).unknown_reason[0],
    }


def test_reasons_come_back_for_readers_of_every_language(real):
    found = stored_reasons(real)
    german = language("de").translate
    cancelled = ("cancelled by ann: wrong {period}", "abgebrochen von ann: wrong {period}")
    assert {what: (str(text), german(text)) for what, text in found.items()} == {
        "training": cancelled,
        "notification": cancelled,
        "state": (
            "no reading of temperature within 10 min",
            "kein Messwert von temperature innerhalb von 10 min",
        ),
    }
