"""The client of each kind of source that the stream service reads. A client library is imported when a source uses it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib import import_module

from alerting.definitions.faults import UserError
from alerting.definitions.sources.streamed import StreamedSource
from alerting.usecases.sources.stream import MessageStream

_HERE = "alerting.adapters.sources"
STREAMS: Mapping[str, tuple[str, str]] = {
    "mqtt": (f"{_HERE}.mqtt", "MqttStream"),
    "amqp": (f"{_HERE}.amqp", "open_amqp"),
    "redis": (f"{_HERE}.redis_streams", "open_redis"),
    "nats": (f"{_HERE}.nats_jetstream", "open_nats"),
    "kafka": (f"{_HERE}.kafka_topics", "open_kafka"),
    "opcua": (f"{_HERE}.opcua", "open_opcua"),
}
"""Module and maker of the port `MessageStream` by kind; the extra of the package with its client has the name of the kind."""


def open_stream(
    kind: str, source: StreamedSource, address: str, now: Callable[[], datetime], earlier: Sequence[str]
) -> MessageStream:
    """Return the subscription of a source, which connects in the background.

    `earlier`: topics that the broker may still have for it, to be given back. Raises UserError if the address is none, or if the
    client of the broker is not installed.
    """
    module, name = STREAMS[kind]
    try:
        make = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        remedy = f"pip install 'alerting[{kind}]'"
        raise UserError(f"source {source.name}: the client of {kind} is not installed ({error.name}): {remedy}") from error
    stream: MessageStream = make(source, address, now, earlier)
    return stream
