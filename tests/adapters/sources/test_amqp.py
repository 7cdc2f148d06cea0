"""Acknowledgements to a broker of AMQP: none of a message that is not stored."""

from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.fast

pytest.importorskip("pika", reason="pip install pika")


class Channel:
    """A channel that notes its acknowledgements."""

    def __init__(self):
        self.acknowledged = []

    def basic_ack(self, tag, multiple=False):
        self.acknowledged.append((tag, multiple))


def test_messages_before_the_first_that_waits_are_acknowledged_at_once_and_later_ones_each():
    from alerting.adapters.sources.amqp import AmqpClient

    client = AmqpClient.__new__(AmqpClient)
    client._channel = Channel()
    client._unacknowledged = dict.fromkeys(range(1, 8))
    client.acknowledge([1, 2, 3, 5])
    assert client._channel.acknowledged == [(3, True), (5, False)]
    client.acknowledge([6])
    client.acknowledge([4, 7])
    assert client._channel.acknowledged[2:] == [(6, False), (7, True)]
    assert client._unacknowledged == {}


class Connection:
    """A connection that gives a client some messages at each call, and notes how long it was to
    wait for them."""

    def __init__(self, counts, body):
        self.counts = counts
        self.waits = []
        self.client = None
        self.body = body

    def process_data_events(self, wait):
        self.waits.append(wait)
        for _ in range(self.counts.pop(0) if self.counts else 0):
            delivered = SimpleNamespace(delivery_tag=len(self.client._received), routing_key="line")
            self.client._receive(None, delivered, None, self.body)


def receiving(counts, unacknowledged=(), body=b"{}"):
    from alerting.adapters.sources.amqp import AmqpClient

    client = AmqpClient.__new__(AmqpClient)
    client._received = []
    client._bytes = 0
    client._cancelled = False
    client._connection = Connection(counts, body)
    client._connection.client = client
    client._unacknowledged = dict.fromkeys(unacknowledged)
    return client


@pytest.mark.parametrize(
    ("counts", "most", "received", "calls"),
    [([0], 500, 0, 1), ([70, 70, 0, 9], 500, 140, 3), ([70, 70, 70], 100, 140, 2)],
)
def test_messages_that_have_come_are_received_together_so_that_the_clock_is_asked_once(
    counts, most, received, calls
):
    client = receiving(counts)
    assert len(client.receive(most)) == received
    assert len(client._connection.waits) == calls
    assert not any(client._connection.waits[1:])
    assert client._received == []


def test_large_messages_are_received_a_few_at_a_time_so_that_memory_stays_bounded():
    client = receiving([3, 3, 3, 3], body=bytes(200_000))
    assert [len(client.receive(1000)) for _ in range(3)] == [6, 6, 0]
