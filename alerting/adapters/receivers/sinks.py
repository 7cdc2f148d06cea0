"""The client of each kind of sink, imported when a sink uses it."""

from collections.abc import Mapping
from dataclasses import dataclass

from alerting.adapters.receivers.egress import Egress
from alerting.adapters.sources.addresses_and_secrets import Resolve
from alerting.adapters.sources.brokers import load_client
from alerting.definitions.faults import UserError
from alerting.definitions.routes_and_sinks import Sink
from alerting.ports import ReceiverAway, SinkClient

_HERE = "alerting.adapters.receivers"
RECEIVERS: Mapping[str, str] = {
    "webhook": f"{_HERE}.http_channels:WebhookReceiver",
    "mqtt": f"{_HERE}.mqtt_sink:MqttReceiver",
    "sql": f"{_HERE}.sql_sink:SqlReceiver",
}
"""Class of the port `SinkClient` by kind; that of a kind which a package adds is its `client`."""


@dataclass(frozen=True)
class Surroundings:
    """What receivers need of the process. `resolve`: finds secrets; `egress`: rule for the
    addresses of web servers."""

    resolve: Resolve
    egress: Egress


def open_receiver(sink: Sink, surroundings: Surroundings) -> SinkClient:
    """Return the open connection to the receiver of a sink.

    Raises UserError if its document or a secret cannot be used, or if the client is not installed;
    ReceiverAway if it does not answer.
    """
    made = load_client(sink, RECEIVERS.get(sink.kind, sink.client))
    try:
        opened: SinkClient = made(sink, surroundings)
    except (UserError, ReceiverAway):
        raise
    except Exception as error:
        # of any client library; its text can hold the address, with a password
        raise ReceiverAway(f"the connection fails: {type(error).__name__!s}") from error
    return opened
