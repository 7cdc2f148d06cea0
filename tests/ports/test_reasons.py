"""Reasons come back for readers of every language."""

from dataclasses import replace
from datetime import timedelta

from alerting.definitions.wording.language import language, translatable
from alerting.detection.messages.condition_messages import stale_message
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable
from alerting.ports import Delivered, FileMark, SourceLoss, Training
from alerting.stores.evaluation.states import MongoStates
from tests.builders import at
from tests.helpers.notifications import notice

HOT = "too-hot", "oven-1"
CANCELLED = translatable("cancelled by {person}: {reason}", person="ann", reason="wrong {period}")
ANSWERED = translatable("{receiver} answered {status}", receiver="webhook", status=503)
REFUSED = translatable("the broker refuses: {reason}", reason="x")
LINE = translatable("{name}: {text}", name="ts", text=translatable("there is no time"))


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
    stores.notifications.change([(waiting, replace(waiting, status="dead", error=ANSWERED))])
    stores.states.advance(ConditionTable([HOT]), state)
    stores.deliveries.record("gate", Delivered(at(1), 0, 1, why=LINE))
    stores.deliveries.record_loss("gate", SourceLoss(REFUSED, 2), at(1))
    stores.deliveries.set_fault("gate", REFUSED)
    stores.deliveries.mark_file(FileMark("gate", "/a.csv", 1, 1, "h", at(1), fault=REFUSED))
    progress = stores.deliveries.progress("gate")
    return {
        "training": stores.trainings.for_definitions(["too-moist"])[0].failure,
        "notification": stores.notifications.dead()[0].error,
        "state": MongoStates(stores.database).load_many([HOT]).unknown_reason[0],
        "refused": progress.last_refused,
        "lost": progress.last_lost,
        "fault": progress.fault,
        "file": stores.deliveries.file_marks("gate", ["/a.csv"])[0].fault,
    }


def test_reasons_come_back_for_readers_of_every_language(real):
    found = stored_reasons(real)
    german = language("de").translate
    refused = ("the broker refuses: x", "der Broker lehnt ab: x")
    assert {what: (str(text), german(text)) for what, text in found.items()} == {
        "training": (
            "cancelled by ann: wrong {period}",
            "abgebrochen von ann: wrong {period}",
        ),
        "notification": ("webhook answered 503", "webhook hat mit 503 geantwortet"),
        "state": (
            "no reading of temperature within 10 min",
            "kein Messwert von temperature innerhalb von 10 min",
        ),
        "refused": ("ts: there is no time", "ts: die Zeit fehlt"),
        "lost": refused,
        "fault": refused,
        "file": refused,
    }
    for fault in ("earlier text", None):
        real.deliveries.set_fault("gate", fault)
        assert german(real.deliveries.progress("gate").fault or "") == (fault or "")
