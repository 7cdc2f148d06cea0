"""The client of each kind of sink, imported when a sink uses it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from alerting.adapters.channels.egress import Egress
from alerting.adapters.sources.secrets import Resolve
from alerting.definitions.faults import UserError
from alerting.definitions.sinks.sink import Sink
from alerting.definitions.wording.language import translatable
from alerting.ports import ReceiverAway, SinkClient

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform

_HERE = "alerting.adapters.sinks"
RECEIVERS: Mapping[str, tuple[str, str]] = {
    "webhook": (f"{_HERE}.webhook", "WebhookReceiver"),
    "mqtt": (f"{_HERE}.mqtt", "MqttReceiver"),
    "amqp": (f"{_HERE}.amqp", "AmqpReceiver"),
    "kafka": (f"{_HERE}.kafka_topics", "KafkaReceiver"),
    "nats": (f"{_HERE}.nats_jetstream", "NatsReceiver"),
    "redis": (f"{_HERE}.redis_streams", "RedisReceiver"),
    "alertmanager": (f"{_HERE}.alertmanager", "AlertmanagerReceiver"),
    "sql": (f"{_HERE}.sql", "SqlReceiver"),
    "parquet": (f"{_HERE}.parquet", "ParquetReceiver"),
    "opcua_alarms": (f"{_HERE}.opcua_alarms.sink", "OpcUaAlarms"),
}
"""Module and class of the port `SinkClient` by kind; the extra of the package with the client of a
broker has the name of the kind, or that of `_EXTRAS`."""
_EXTRAS = {"opcua_alarms": "opcua"}


@dataclass(frozen=True)
class Surroundings:
    """What receivers need of the process. `resolve`: finds secrets; `egress`: addresses that web
    servers may have; `page`: the address of a page of the console by its path."""

    resolve: Resolve
    egress: Egress
    page: Callable[[str], str]


@runtime_checkable
class SinkServer(Protocol):
    """A sink to which receivers connect, instead of a client that connects to one."""

    def serve(self, plant: "Platform", stopped: Event) -> None:
        """Serve the alarms of a platform until `stopped` is set. Raises UserError."""


def open_receiver(sink: Sink, surroundings: Surroundings) -> SinkClient:
    """Return the open connection to the receiver of a sink.

    Raises UserError if its document or a secret cannot be used, or if the client is not installed;
    ReceiverAway if it does not answer.
    """
    module, name = RECEIVERS[sink.kind]
    try:
        opened: SinkClient = getattr(import_module(module), name)(sink, surroundings)
    except ModuleNotFoundError as error:
        raise UserError(
            translatable(
                "sink {name}: the client of {kind} is not installed ({module}): {remedy}",
                name=sink.name,
                kind=sink.kind,
                module=str(error.name),
                remedy=f"pip install 'alerting[{_EXTRAS.get(sink.kind, sink.kind)}]'",
            )
        ) from error
    except (UserError, ReceiverAway):
        raise
    except Exception as error:
        # of any client library; its text can hold the address, with a password
        raise ReceiverAway(
            translatable("the connection fails: {reason}", reason=str(type(error).__name__))
        ) from error
    return opened
