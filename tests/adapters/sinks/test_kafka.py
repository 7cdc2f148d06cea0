"""The client of Kafka with a producer that behaves as the library's: it is not tested against a
server."""

import pytest

kafka = pytest.importorskip("kafka", reason="pip install kafka-python")
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError  # noqa: E402

from alerting.adapters.sinks.kafka_topics import KafkaReceiver  # noqa: E402
from alerting.definitions.sinks.sink import parse_sink  # noqa: E402
from alerting.ports import ACCEPTED, ReceiverAway, Score, TargetScore  # noqa: E402
from alerting.usecases.sinks.messages import value_messages  # noqa: E402
from tests.builders import at  # noqa: E402
from tests.helpers.receivers import surroundings  # noqa: E402

SINK = parse_sink(
    {"name": "out", "kind": "kafka", "url": {"env": "RECEIVER_URL"}, "sends": ["scores"]}
)


class Future:
    def __init__(self, fault):
        self._fault = fault

    def get(self, timeout):
        if self._fault is not None:
            raise self._fault


class Producer:
    """What was sent, and the fault of each asset."""

    def __init__(self):
        self.sent = []
        self.faults = {}
        self.flushed = 0

    def send(self, topic, value, key, headers):
        self.sent.append((topic, key, dict(headers)["key"], value))
        return Future(self.faults.get(key))

    def flush(self, timeout):
        self.flushed += 1


def messages(*assets):
    scores = [TargetScore("moist", asset, Score(at(1), 0.5, 0.7, 3)) for asset in assets]
    return [message for one in scores for message in value_messages(SINK, one)]


@pytest.fixture
def producer():
    return Producer()


@pytest.fixture
def receiver(producer):
    return KafkaReceiver(SINK, surroundings("kafka://127.0.0.1:9092"), producer)


def test_a_record_has_its_target_as_key_and_the_key_of_the_message_as_header(receiver, producer):
    assert [*receiver.send(messages("a", "b"))] == [ACCEPTED, ACCEPTED]
    topic, key, header, value = producer.sent[0]
    assert (topic, key) == ("alerting.scores", b"moist|a")
    assert header == b"out:moist:a:2026-01-05T00:01:00.000Z"
    assert b'"score":0.5' in value
    assert producer.flushed == 1


def test_a_record_that_is_too_large_is_refused_and_others_are_accepted(receiver, producer):
    producer.faults[b"moist|a"] = MessageSizeTooLargeError("12 MB")
    first, second = receiver.send(messages("a", "b"))
    assert (first.verdict, second) == ("refused", ACCEPTED)


def test_brokers_that_do_not_answer_are_away(receiver, producer):
    producer.faults[b"moist|b"] = KafkaTimeoutError("no metadata")
    answers = receiver.send(messages("a", "b"))
    assert next(answers) == ACCEPTED
    with pytest.raises(ReceiverAway):
        next(answers)
