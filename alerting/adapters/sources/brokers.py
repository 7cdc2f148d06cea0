"""The client of each kind of source of the stream service, imported when a source uses it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from alerting.adapters.sources.threaded import Received
from alerting.definitions.faults import UserError, first_line
from alerting.definitions.sources.streamed import StreamedSource
from alerting.definitions.wording.language import translatable
from alerting.usecases.sources.stream import BrokerMessage, MessageStream
from alerting.usecases.sources.trial import Look

_HERE = "alerting.adapters.sources"
STREAMS: Mapping[str, tuple[str, str]] = {
    "mqtt": (f"{_HERE}.mqtt", "open_mqtt"),
    "amqp": (f"{_HERE}.amqp", "open_amqp"),
    "redis": (f"{_HERE}.redis_streams", "open_redis"),
    "nats": (f"{_HERE}.nats_jetstream", "open_nats"),
    "kafka": (f"{_HERE}.kafka_topics", "open_kafka"),
    "opcua": (f"{_HERE}.opcua", "open_opcua"),
}
"""Module and maker of the port `MessageStream` by kind; the extra of the package with its client
has the name of the kind.

The function `look` of the module copies some messages for a trial: it takes source, address and
seconds, and returns what it received, with notes.
"""


def open_stream(
    kind: str,
    source: StreamedSource,
    address: str,
    now: Callable[[], datetime],
    earlier: Sequence[str],
) -> MessageStream:
    """Return the subscription of a source, which connects in the background.

    `earlier`: topics that the broker may still have for it, to be given back. Raises UserError if
    the address is none, or if the client of the broker is not installed.
    """
    stream: MessageStream = _function(kind, source, STREAMS[kind][1])(source, address, now, earlier)
    return stream


def look_at(kind: str, source: StreamedSource, address: str, seconds: float) -> Look:
    """Return copies of some messages of a source: those that its broker stores, else those that
    come within some seconds.

    None is taken from the stream service or acknowledged. Raises UserError if the broker cannot be
    reached or refuses.
    """
    look = _function(kind, source, "look")
    try:
        received: Sequence[Received]
        received, notes = look(source, address, seconds)
    except UserError as fault:
        text = fault.message
        raise UserError(
            text
            if text.startswith("source ")
            else translatable("source {name}: {text}", name=source.name, text=text)
        ) from fault
    except Exception as error:  # of any client library
        raise UserError(
            translatable(
                "source {name}: the connection to the broker fails: {reason}",
                name=source.name,
                reason=first_line(error),
            )
        ) from error
    now = datetime.now(UTC)
    return Look(
        [BrokerMessage(one.topic, one.payload, one.at or now, lambda: None) for one in received],
        notes,
    )


def _function(kind: str, source: StreamedSource, name: str) -> Any:
    """Return a function of a kind's module. Raises UserError if the client is not installed."""
    try:
        return getattr(import_module(STREAMS[kind][0]), name)
    except ModuleNotFoundError as error:
        remedy = f"pip install 'alerting[{kind}]'"
        raise UserError(
            translatable(
                "source {name}: the client of {kind} is not installed ({module}): {remedy}",
                name=source.name,
                kind=kind,
                module=str(error.name),
                remedy=remedy,
            )
        ) from error
