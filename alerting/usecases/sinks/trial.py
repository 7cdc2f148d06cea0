"""A test of a sink by a person."""

from collections.abc import Callable
from datetime import datetime

from alerting.definitions.faults import UserError
from alerting.definitions.sinks.sink import Sink
from alerting.ports import ReceiverAway, SinkClient
from alerting.usecases.sinks.deliver import message_for_a_test

OpenSink = Callable[[Sink], SinkClient]


def try_sink(opened: OpenSink, sink: Sink, actor: str, now: datetime) -> str:
    """Connect the receiver, and send a message that is marked as a test. Return what was done.
    Raises UserError if it cannot be."""
    try:
        client = opened(sink)
        try:
            return client.probe(message_for_a_test(sink, actor, now))
        finally:
            client.close()
    except ReceiverAway as fault:
        raise UserError(f"sink {sink.name}: {fault}") from fault
