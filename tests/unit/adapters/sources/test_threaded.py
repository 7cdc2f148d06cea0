"""A connection to a broker holds a bounded amount in memory, and puts aside messages that are too large."""

from datetime import UTC, datetime

from alerting.adapters.sources.threaded import LARGEST_MESSAGE, MOST_BYTES, Received, _Connection

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
