"""Delivery of one sink: what goes out, what waits, what is given up, and how far it is stored."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.asset_documents import Asset
from alerting.ports import (
    ACCEPTED,
    Answer,
    Predicted,
    ReceiverAway,
    Score,
    SinkChange,
    SinkChanges,
    StoredReading,
    TargetScore,
)
from alerting.usecases import sink_delivery
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply, current_plan
from alerting.usecases.sink_delivery import (
    SINKS,
    DeliveredElsewhere,
    SinkDelivery,
    retry_letters,
    selection_of,
)
from tests.builders import at, oven, too_hot
from tests.helpers.episodes import episode
from tests.in_memory_platform import memory_platform

ALL = ["alarms", "acknowledgements", "scores", "forecasts", "readings"]


class Receiver:
    """Answers each message as `answers` says of its definition, and notes what it accepted."""

    def __init__(self):
        self.answers = {}
        self.tried = []
        self.got = []

    def send(self, messages):
        for one in messages:
            self.tried.append(one.key)
            answer = self.answers.get(one.definition, ACCEPTED)
            if answer is None:
                raise ReceiverAway("it is away")
            if answer == ACCEPTED:
                self.got.append(one)
            yield answer

    @property
    def keys(self):
        return [one.key for one in self.got]


class Sink:
    """A sink in memory with its receiver, at changes that a test gives."""

    def __init__(self, **fields):
        self.plant = memory_platform()
        document = {"name": "out", "kind": "webhook", "url": {"env": "A_URL"}, "sends": ALL}
        SINKS.apply(self.plant, [document | fields], "ada", at(0))
        self.receiver = Receiver()
        self.position = self.begin = self.progress.position
        self.count = 0
        self._deliver = SinkDelivery(
            self.plant, SINKS.get(self.plant, "out"), self.receiver, self.selection()
        )

    def selection(self):
        return selection_of(self.plant, SINKS.get(self.plant, "out"))

    @property
    def progress(self):
        return self.plant.sink_deliveries.progress("out")

    def change(self, *changed, age=timedelta(0), now=None):
        """Deliver changes that were committed so long ago."""
        now = now or at(100)
        first = self.count
        self.count += len(changed)
        changes = [SinkChange(f"p{first + n + 1}", now - age, one) for n, one in enumerate(changed)]
        found = SinkChanges(changes, f"p{self.count}", now, is_all=True)
        try:
            self.position = self._deliver.deliver(found, self.position, now)
        except ReceiverAway:
            self.position = self.progress.position
            self.count = 0 if self.position == self.begin else int(self.position[1:])
            raise

    def retry(self):
        return self._deliver.retry(at(200))


def alarm(minute=1, definition="too-hot", **more):
    return episode(minute, definition=definition, **more).with_transition(
        "raised", at(minute), "too hot"
    )


def score(minute, definition="moist", **more):
    return TargetScore(definition, "oven-1", Score(at(minute), 0.5, 0.7, 3, **more))


def test_each_change_of_an_alarm_goes_out_once_with_the_state_after_it():
    sink = Sink()
    sink.change(alarm(9, "other", backfilled=True))  # of past times: it does not go out
    one = alarm()
    sink.change(one)
    seen = one.with_transition("acknowledged", at(2), "seen", "ben")
    sink.change(seen)
    over = replace(seen, condition="closed", closed_at=at(3))
    over = over.with_transition("closed", at(3), "cool")
    sink.change(over)
    sink.change(over)  # as after a fault
    assert sink.receiver.keys == [f"out:{one.id}:{n}" for n in (1, 2, 3)]
    contents = [m.content for m in sink.receiver.got]
    assert [c["sends"] for c in contents] == ["alarms", "acknowledgements", "alarms"]
    assert [c["state"] for c in contents] == ["happening", "happening", "over"]
    assert (contents[1]["actor"], contents[2]["closed_at"]) == ("ben", "2026-01-05T00:03:00.000Z")


def test_scores_and_forecasts_have_keys_of_their_instant():
    sink = Sink()
    values = (Predicted(timedelta(minutes=5), 1.0, 2.0, 3.0),)
    sink.change(score(1, values=values))
    first, second = sink.receiver.got
    assert first.key == "out:moist:oven-1:2026-01-05T00:01:00.000Z"
    assert second.key == f"{first.key}:forecast"
    ahead = {"ahead_s": 300.0, "low": 1.0, "median": 2.0, "high": 3.0}
    assert (first.content["score"], second.content["values"]) == (0.5, [ahead])


def test_parts_definitions_and_severities_select():
    fields = {"parts": ["line-3"], "definitions": ["too-*"], "severity": ["critical"]}
    sink = Sink(match=fields)
    assets = [Asset(name="line-3"), Asset(name="oven-1", parent="line-3"), Asset(name="oven-9")]
    sink.plant.assets.store_assets(assets)
    sink._deliver.selection = sink.selection()
    sink.change(alarm(1, severity="high"))
    sink.change(alarm(2, definition="moist", severity="critical"))
    sink.change(alarm(3, asset="oven-9", severity="critical"))
    assert sink.receiver.got == []
    rose = alarm(4, severity="critical", severity_peak="critical")
    sink.change(rose)
    sink.change(replace(rose, severity="low").with_transition("closed", at(5), "cool"))
    assert [m.content["transition"] for m in sink.receiver.got] == ["raised", "closed"]


def test_a_receiver_that_is_away_keeps_the_position_before_the_first_message_it_did_not_get():
    sink = Sink()
    sink.receiver.answers["second"] = None
    with pytest.raises(ReceiverAway):
        sink.change(alarm(1), alarm(2, definition="second"), alarm(3))
    assert (sink.progress.position, sink.progress.sent) == ("p1", 1)
    sink.receiver.answers.clear()
    sink.change(alarm(2, definition="second"), alarm(3))
    assert [m.definition for m in sink.receiver.got] == ["too-hot", "second", "too-hot"]
    assert sink.progress.position == "p3"


def test_a_refused_message_is_a_dead_letter_that_can_be_sent_again():
    sink = Sink()
    sink.receiver.answers["bad"] = Answer("refused", "no such machine")
    sink.change(alarm(1, definition="bad"), alarm(2))
    assert (sink.progress.sent, len(sink.receiver.got)) == (1, 1)
    (letter,) = sink.plant.sink_deliveries.letters("out", 9)
    assert (letter.reason, letter.message.definition) == ("no such machine", "bad")
    assert sink.retry() == 0  # no person asked for it
    assert retry_letters(sink.plant, "out", "ada", at(9)) == 1
    assert sink.retry() == 0  # it is refused again, and waits for a person
    assert sink.retry() == 0
    sink.receiver.answers.clear()
    retry_letters(sink.plant, "out", "ada", at(9))
    assert sink.retry() == 1
    assert sink.receiver.keys[-1] == letter.id
    assert sink.plant.sink_deliveries.count_letters("out") == 0


def test_a_message_that_fails_again_and_again_is_given_up():
    sink = Sink()
    sink.receiver.answers["bad"] = Answer("failed", "an error of its own")
    for _ in range(sink_delivery.GIVE_UP_AFTER - 1):
        with pytest.raises(ReceiverAway):
            sink.change(alarm(1, definition="bad"), alarm(2))
    sink.change(alarm(1, definition="bad"), alarm(2))
    assert sink.plant.sink_deliveries.count_letters("out") == 1
    assert [m.definition for m in sink.receiver.got] == ["too-hot"]


def test_a_sink_with_too_many_dead_letters_stands_still(monkeypatch):
    monkeypatch.setattr(sink_delivery, "MOST_LETTERS", 1)
    sink = Sink()
    sink.receiver.answers["bad"] = Answer("refused", "no")
    sink.change(alarm(1, definition="bad"))
    with pytest.raises(ReceiverAway, match="then send them again"):
        sink.change(alarm(2, definition="bad"))
    assert sink.progress.position == "p1"


def test_values_that_waited_too_long_are_left_out_and_counted_and_alarms_are_not():
    sink = Sink(values_wait="1h")
    sink.change(score(1), score(2), alarm(3), age=timedelta(hours=2))
    assert (sink.progress.left_out, sink.progress.sent) == (2, 1)
    sink.change(score(4), age=timedelta(minutes=59))
    assert (sink.progress.left_out, sink.progress.sent) == (2, 2)


def test_two_processes_do_not_both_store_what_they_delivered():
    sink = Sink()
    sink.change(alarm(1))
    sink.position = sink.begin  # the other process began where this one did
    with pytest.raises(DeliveredElsewhere):
        sink.change(alarm(2))
    assert sink.progress.position == "p1"


def reading(minute, arrived=None, **values):
    return StoredReading("oven-1", at(minute), values, at(minute if arrived is None else arrived))


def test_a_reading_goes_out_with_the_limits_that_are_in_force_for_its_variables():
    sink = Sink(match={"definitions": ["of-no-reading"]})
    sink.plant.assets.store_assets([oven()])
    documents = [too_hot(above=240, below=180), too_hot(name="warm", above=230)]
    apply(sink.plant, documents, "ada", at(0), "test")
    targets = current_plan(sink.plant).targets
    sink._deliver.selection = selection_of(sink.plant, SINKS.get(sink.plant, "out"), targets)
    sink.change(reading(1, temperature=219.5, moisture=4.0, recipe="rye"))
    (message,) = sink.receiver.got
    assert message.content["values"] == {"temperature": 219.5, "moisture": 4.0, "recipe": "rye"}
    assert message.content["limits"] == {
        "temperature": {"low": 180.0, "high": 230.0},
        "moisture": {"low": None, "high": None},
        "recipe": {"low": None, "high": None},
    }
    assert message.content["ts"] == "2026-01-05T00:01:00.000Z"


def test_values_that_come_later_for_the_same_instant_go_out_under_another_key():
    sink = Sink()
    sink.change(reading(1, temperature=219.5))
    sink.change(reading(1, temperature=219.5))  # as after a fault
    sink.change(reading(1, arrived=2, temperature=219.5, moisture=4.0))
    assert len(sink.receiver.keys) == 3
    assert len(set(sink.receiver.keys)) == 2


def test_history_that_is_imported_and_assets_of_other_parts_do_not_go_out():
    sink = Sink(values_wait="1h", match={"parts": ["line-9"]})
    sink.change(reading(1, temperature=219.5))
    assert sink.receiver.got == []
    sink = Sink(values_wait="1h")
    sink.change(reading(1, arrived=62, temperature=219.5), reading(2, arrived=3, temperature=1.0))
    assert [m.content["values"] for m in sink.receiver.got] == [{"temperature": 1.0}]
    assert sink.progress.left_out == 0
