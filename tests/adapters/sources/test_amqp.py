"""Acknowledgements to a broker of AMQP: none of a message that is not stored."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

pytestmark = pytest.mark.fast

pytest.importorskip("pika", reason="pip install pika")


def client(**state):
    """Return a client without its connection."""
    from alerting.adapters.sources.amqp import AmqpClient

    made = AmqpClient.__new__(AmqpClient)
    made.__dict__ |= {"_received": [], "_bytes": 0, "_cancelled": False, "_unacknowledged": {}}
    made.__dict__ |= state
    return made


def test_messages_before_the_first_that_waits_are_acknowledged_at_once_and_later_ones_each():
    channel = Mock()
    one = client(_channel=channel, _unacknowledged=dict.fromkeys(range(1, 8)))
    for tokens in ([1, 2, 3, 5], [6], [4, 7]):
        one.acknowledge(tokens)
    tags = [
        (call.args[0], call.kwargs.get("multiple", False)) for call in channel.basic_ack.mock_calls
    ]
    assert tags == [(3, True), (5, False), (6, False), (7, True)]
    assert one._unacknowledged == {}


def receiving(counts, body=b"{}"):
    """Return a client that is given so many messages at each call, and how long it was to wait for
    them."""
    one = client(_connection=Mock())
    waits = []

    def deliver(wait):
        waits.append(wait)
        for _ in range(counts.pop(0) if counts else 0):
            delivered = SimpleNamespace(delivery_tag=len(one._received), routing_key="line")
            one._receive(None, delivered, None, body)

    one._connection.process_data_events = deliver
    return one, waits


def test_large_messages_are_received_a_few_at_a_time_so_that_memory_stays_bounded():
    one, _ = receiving([3, 3, 3, 3], bytes(200_000))
    assert [len(one.receive(1000)) for _ in range(3)] == [6, 6, 0]
