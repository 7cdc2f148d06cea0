"""A connection to a broker holds a bounded amount in memory, and puts aside messages that are too large."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.sources.threaded import LARGEST_MESSAGE, MOST_BYTES, Received, ThreadedStream, _Connection, _Stamps

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
        connection.messages.get_nowait().acknowledge()
    assert connection.take_done(0)[0] == 1
    assert connection.headroom == 10


def test_the_beginning_of_a_message_that_is_too_large_is_kept_with_the_reason():
    connection = _Connection()
    connection.add(Received("t", b"x" * (LARGEST_MESSAGE + 1), 1), NOON)
    message = connection.messages.get_nowait()
    assert (len(message.payload), message.received_at) == (65536, NOON)
    assert message.fault == "has 1048577 bytes, more than 1048576; only its first 65536 are kept"


def test_messages_of_one_topic_have_stamps_at_least_a_millisecond_apart_and_the_clock_is_asked_once_for_many():
    stamps = _Stamps()

    def stamped(topics, now):
        found = stamps.of([Received(topic, b"1", None) for topic in topics], NOON + timedelta(milliseconds=now))
        return [(at - NOON) // timedelta(milliseconds=1) for at in found]

    assert stamped("abaa", 0) == [0, 0, 1, 2]
    assert stamped("aba", 1) == [3, 1, 4]  # not 1 again, which would replace an earlier message
    assert stamped("ab", 100) == [100, 100]


class Broken:
    """A client that delivers one message, then breaks."""

    def __init__(self, number, sends_again):
        self.sends_again, self._found = sends_again, [Received("t", b"%d" % number, number)]

    def receive(self, _):
        if not self._found:
            raise ConnectionError("away")
        return [self._found.pop()]

    def acknowledge(self, tokens):
        raise AssertionError(tokens)

    def close(self):
        pass


@pytest.mark.parametrize(("sends_again", "kept"), [(True, [b"2"]), (False, [b"1", b"2"])])
def test_messages_of_a_broken_connection_are_kept_where_they_do_not_come_again(sends_again, kept):
    stream = ThreadedStream.__new__(ThreadedStream)
    stream._closed, stream._connection, stream._now = threading.Event(), _Connection(), lambda: NOON
    stream._stamps = _Stamps()
    for number in (1, 2):
        stream._connect = lambda number=number: Broken(number, sends_again)
        with pytest.raises(ConnectionError):
            stream._serve_connection()
    stream._fault, found = None, stream.batch()
    assert [message.payload for message in found] == kept
    for message in found[:-1]:
        message.acknowledge()  # of the connection that is gone: to no effect
    assert stream._connection.take_done(0) == []
