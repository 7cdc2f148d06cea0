"""A connection to a broker holds a bounded amount in memory, and puts aside messages that are too
large."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.sources import brokers
from alerting.adapters.sources.brokers import (
    LARGEST_MESSAGE,
    MOST_BYTES,
    Received,
    ThreadedStream,
    _Connection,
    _Stamps,
)
from alerting.definitions.faults import UserError

pytestmark = pytest.mark.fast

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_as_many_messages_may_come_as_have_place_and_more_after_an_acknowledgement():
    connection = _Connection()
    assert connection.headroom == MOST_BYTES // LARGEST_MESSAGE
    connection.add(Received("t", b"x" * 1000, 1), NOON)
    assert connection.headroom == 999
    for i in range(62):
        connection.add(Received("t", b"x" * LARGEST_MESSAGE, i), NOON)
    assert connection.headroom == 1
    connection.add(Received("t", b"x" * LARGEST_MESSAGE, 63), NOON)
    connection.add(Received("t", b"x" * LARGEST_MESSAGE, 64), NOON)
    assert connection.headroom == 0
    for _ in range(11):
        connection.messages.popleft().acknowledge()
    assert connection.take_done(0)[0] == 1
    assert connection.headroom == 10


def test_a_message_that_is_stored_twice_is_acknowledged_once_and_one_too_large_kept_in_part():
    connection = _Connection()
    for number in (1, 2):
        connection.add(Received("t", b"x" * 1000, number), NOON)
    message = connection.messages.popleft()
    for _ in range(2):
        message.acknowledge()
    assert connection.take_done(0) == [1]
    assert (connection.unacknowledged, connection.bytes) == (1, 1000)
    connection.add(Received("t", b"x" * (LARGEST_MESSAGE + 1), 3), NOON)
    large = connection.messages.pop()
    assert (len(large.payload), large.received_at) == (65536, NOON)
    assert large.fault == "has 1048577 bytes, more than 1048576; only its first 65536 are kept"


def test_messages_one_topic_have_stamps_at_least_millisecond_apart_clock_is_asked_once_for_many():
    stamps = _Stamps()

    def stamped(topics, now):
        found = stamps.stamp_messages(
            [Received(topic, b"1", None) for topic in topics], NOON + timedelta(milliseconds=now)
        )
        return [(at - NOON) // timedelta(milliseconds=1) for at in found]

    assert stamped("abaa", 0) == [0, 0, 1, 2]
    assert stamped("aba", 1) == [3, 1, 4]  # not 1 again, which would replace an earlier message
    assert stamped("ab", 100) == [100, 100]


def idle_stream(**others):
    """Return a stream without its thread."""
    stream = ThreadedStream.__new__(ThreadedStream)
    given = {"name": "line", "connect": None, "now": lambda: NOON, **others}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading.Thread, "start", lambda _: None)
        stream.__init__(**given)
    return stream


class Client:
    """A client that delivers these values one by one; then it ends its stream, or breaks."""

    def __init__(self, values, stream=None, sends_again=False):
        self.sends_again = sends_again
        self._stream = stream
        self._values = list(values)

    def receive(self, _):
        if self._values:
            return [Received("t", self._values.pop(0), None)]
        if self._stream is None:
            raise ConnectionError("away")
        self._stream._closed.set()
        return []

    def acknowledge(self, tokens):
        assert self._stream, tokens

    def close(self):
        pass


def serve(stream, *values):
    """Serve a connection that delivers these values and ends; return the fault of the stream,
    which then is over."""
    stream._connect = lambda: Client(values, stream)
    stream._closed.clear()
    stream._serve_connection()
    fault = stream._fault
    stream._fault = None
    return fault


@pytest.mark.parametrize(("sends_again", "kept"), [(True, [b"2"]), (False, [b"1", b"2"])])
def test_messages_of_a_broken_connection_are_kept_where_they_do_not_come_again(sends_again, kept):
    stream = idle_stream()
    for number in (1, 2):
        client = Client([b"%d" % number], sends_again=sends_again)
        stream._connect = lambda client=client: client
        with pytest.raises(UserError, match="the connection to the broker fails: away"):
            stream._serve_connection()
    stream._fault = None
    found = stream.batch()
    assert [message.payload for message in found] == kept
    for message in found[:-1]:
        message.acknowledge()  # of the connection that is gone: to no effect
    assert stream._connection.take_done(0) == []


FIVE = [b"%d" % i for i in range(5)]


def test_of_values_that_are_sent_once_the_oldest_are_lost_beyond_a_bound_and_counted(monkeypatch):
    monkeypatch.setattr(brokers, "MOST_WAITING", 3)
    stream = idle_stream(is_sent_once=True)
    serve(stream, *FIVE)
    assert [message.payload for message in stream.batch()] == [b"2", b"3", b"4"]
    assert [(loss.reason, loss.count) for loss in stream.losses()] == [(brokers._TOO_MANY, 2)]
    assert stream.losses() == []


@pytest.mark.parametrize(("history", "is_lost"), [(0, True), (5, True), (15, False)])
def test_the_time_without_a_connection_is_stated_unless_history_fills_it(history, is_lost):
    minutes = iter((0, 0, 10, 10, 10))
    now = lambda: NOON + timedelta(minutes=next(minutes))  # noqa: E731
    stream = idle_stream(now=now, is_sent_once=True, history=timedelta(minutes=history))
    stream._connect = lambda: Client([b"1"])
    for _ in range(2):
        with pytest.raises(UserError):
            stream._serve_connection()
    lost = [loss.reason.split(" to ")[0] for loss in stream.losses()]
    assert lost == (["there was no connection from 2026-01-05 12:00 UTC"] if is_lost else [])
