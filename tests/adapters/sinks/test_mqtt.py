"""At a real Mosquitto: the last state of each alarm is retained by its topic, values are not."""

import pytest

from alerting.adapters.receivers.mqtt_sink import MqttReceiver
from alerting.definitions.routes_and_sinks import parse_sink
from alerting.ports import ReceiverAway, Score, TargetScore
from alerting.usecases.sink_delivery import alarm_messages, message_for_a_test, value_messages
from tests.builders import at
from tests.helpers.episodes import episode
from tests.helpers.receivers import RECEIVERS, surroundings, wait_until

SINK = parse_sink(
    {
        "name": "scada",
        "kind": "mqtt",
        "url": {"env": "RECEIVER_URL"},
        "topic": "plant/{asset}/{definition}/{severity}/{sends}",
        "sends": ["alarms", "acknowledgements", "scores"],
    }
)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with RECEIVERS["mqtt"](tmp_path_factory.mktemp("mqtt")) as made:
        yield made
        made.close()


def test_the_last_state_of_an_alarm_is_retained_and_a_value_is_not(broker):
    receiver = MqttReceiver(SINK, surroundings(broker.address(broker.port)))
    raised = episode(1).with_transition("raised", at(1), "too hot")
    seen = raised.with_transition("acknowledged", at(2), "seen", "ben")
    closed = seen.with_transition("closed", at(3), "cool", condition="closed", closed_at=at(3))
    value = TargetScore("moist", "oven-1", Score(at(1), 0.5, 0.7, 3))
    [*receiver.send([*alarm_messages(SINK, closed, 0), *value_messages(SINK, value)])]
    wait_until(lambda: len(broker.topics()) == 4)
    assert broker.topics() == [
        "plant/oven-1/too-hot/high/alarms",
        "plant/oven-1/too-hot/high/acknowledgements",
        "plant/oven-1/too-hot/high/alarms",
        "plant/oven-1/moist/none/scores",
    ]
    kept = broker.retained("plant/#")
    assert (kept["transition"], kept["state"]) == ("closed", "over")
    receiver.close()


def test_a_test_is_marked_and_not_retained(broker):
    receiver = MqttReceiver(SINK, surroundings(broker.address(broker.port)))
    broker.reset()
    done = receiver.probe(message_for_a_test(SINK, "ada", at(1)))
    assert "plant/test/test/none/alarms" in done
    wait_until(broker.contents)
    assert broker.contents()[0]["test"] is True
    receiver.close()


def test_a_broker_that_does_not_answer_is_away():
    with pytest.raises(ReceiverAway, match="cannot be reached"):
        MqttReceiver(SINK, surroundings("mqtt://127.0.0.1:1"))
