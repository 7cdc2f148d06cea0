"""Kinds of sinks, as one closed union by `kind`, and the reader of their documents."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from alerting.definitions.assets import LongerThanZero
from alerting.definitions.faults import DocumentRefused, Fault, shown
from alerting.definitions.sinks.fields import (
    BrokerSink,
    ConnectedSink,
    SinkContent,
    SinkFields,
)
from alerting.definitions.sources.mapping import Secret, Text, Title
from alerting.definitions.sources.union import KindUnion, kind_document

TableName = Annotated[
    str,
    StringConstraints(
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_{}]*$", max_length=100
    ),
]


Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]+$", max_length=200)]
AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)]


class SinkRefused(DocumentRefused):
    """Refusal of a whole sink because of its faults."""

    what = "sink"


class WebhookSink(ConnectedSink):
    """Each change or value as JSON by POST, signed as Standard Webhooks where it has a secret."""

    kind: Literal["webhook"]
    url: Secret = Field(
        description="Where the address is found, e.g. https://mes.plant/alarms; a host inside the "
        "plant must be in ALERTING_EGRESS_ALLOW."
    )
    secret: Secret | None = Field(
        None,
        description="Where the secret is found that signs: whsec_ and at least 24 bytes in base64.",
    )

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of several fields together."""
        if self.secret is not None and (
            len(self.secret.model_dump(exclude_none=True)) != 1 or self.secret.airflow_connection
        ):
            yield Fault("secret", "give one of env, file", "secret: {env: MES_SECRET}")
        yield from super().faults()


class MqttSink(BrokerSink):
    """Messages to an MQTT 5 broker, with quality of service 1."""

    separator = "/"

    kind: Literal["mqtt"]
    url: Secret = Field(
        description=(
            "Where the address of the broker is found, e.g. mqtts://user:password@broker:8883."
        )
    )
    topic: Text = Field(
        "alerting/{asset}/{definition}/{sends}",
        description=(
            "Topic, with {asset}, {definition}, {severity} and {sends} (alarms, acknowledgements, "
            "scores or forecasts)."
        ),
    )
    retain: bool = Field(
        True,
        description=(
            "Whether the broker keeps the last state of each alarm for those that subscribe later."
        ),
    )


class AmqpSink(BrokerSink):
    """Persistent messages to an exchange of RabbitMQ or another AMQP 0-9-1 broker."""

    separator = "."

    kind: Literal["amqp"]
    url: Secret = Field(
        description=(
            "Where the address of the broker is found, e.g. "
            "amqps://user:password@broker:5671/virtual-host."
        )
    )
    exchange: Title = Field("amq.topic", description="Exchange to which messages are published.")
    topic: Text = Field(
        "alerting.{asset}.{definition}.{sends}",
        description="Routing key, with {asset}, {definition}, {severity} and {sends}.",
    )


class KafkaSink(BrokerSink):
    """Messages to topics of Kafka, by the asset and definition as key. Not tested against a
    server."""

    separator = "."

    kind: Literal["kafka"]
    url: Secret = Field(
        description=(
            "Where the address of a broker is found: kafka://broker:9092, or "
            "kafkas://user:password@broker:9093 with TLS."
        )
    )
    topic: Text = Field(
        "alerting.{sends}",
        description="Topic, with {asset}, {definition}, {severity} and {sends}; it is not created.",
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="How the user of the address signs in (SASL)."
    )


class NatsSink(BrokerSink):
    """Messages to a JetStream of a NATS server, which drops what it has already."""

    separator = "."

    kind: Literal["nats"]
    url: Secret = Field(
        description=(
            "Where the address of the server is found, e.g. tls://user:password@server:4222."
        )
    )
    topic: Text = Field(
        "alerting.{asset}.{definition}.{sends}",
        description=(
            "Subject, with {asset}, {definition}, {severity} and {sends}; a stream must store it."
        ),
    )


class RedisSink(BrokerSink):
    """Entries of streams of a Redis server."""

    separator = ":"

    kind: Literal["redis"]
    url: Secret = Field(
        description=(
            "Where the address of the server is found, e.g. rediss://user:password@server:6379/0."
        )
    )
    topic: Text = Field(
        "alerting:{sends}",
        description="Key of a stream, with {asset}, {definition}, {severity} and {sends}.",
    )
    length: int = Field(
        100_000,
        ge=100,
        le=100_000_000,
        description="Entries that a stream keeps, about; older ones are removed.",
    )


class AlertmanagerSink(ConnectedSink):
    """Alarms to Prometheus Alertmanager (API v2): firing while they are open, then resolved."""

    alarms_only = True

    kind: Literal["alertmanager"]
    url: Secret = Field(
        description="Where the address is found, e.g. http://alertmanager:9093; a host inside the "
        "plant must be in ALERTING_EGRESS_ALLOW."
    )
    sends: tuple[SinkContent, ...] = Field(
        ("alarms",), min_length=1, max_length=4, description="Only alarms."
    )
    resend: LongerThanZero = Field(
        timedelta(minutes=1),
        description=(
            "Interval at which open alarms are sent again; Alertmanager resolves one that it has "
            "not got for four of them."
        ),
    )

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of several fields together."""
        if self.resend < timedelta(seconds=1) or self.resend > timedelta(hours=1):
            yield Fault("resend", "is not from 1s to 1h", "resend: 1m")
        yield from super().faults()


class SqlSink(ConnectedSink):
    """Rows of a table of a database, one for each change or value, each once by its key."""

    kind: Literal["sql"]
    url: Secret = Field(
        description=(
            "Where the address of the database is found, e.g. postgresql://user:password@host/name."
        )
    )
    table: TableName = Field(
        "alerting_{sends}",
        description=(
            "Table, with its schema before a dot; {sends} is alarms, acknowledgements, scores or "
            "forecasts. It is created if it is missing."
        ),
    )

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of several fields together."""
        if self.table.replace("{sends}", "").count("{"):
            yield Fault("table", "knows {sends} only", "table: alerting_{sends}")
        shapes = {"alarms" if one == "acknowledgements" else one for one in self.sends}
        if "{sends}" not in self.table and len(shapes) > 1:
            what = "is one, and alarms, scores and forecasts have other columns each"
            yield Fault("table", what, "table: alerting_{sends}")
        yield from super().faults()


class ParquetSink(SinkFields):
    """Parquet files in a folder, for Power BI, a historian or a notebook."""

    kind: Literal["parquet"]
    folder: Text = Field(
        description=(
            "Absolute path of the folder on the machine of the stream service; its files stand in "
            "folders by content and day."
        )
    )
    every: LongerThanZero = Field(
        timedelta(minutes=5), description="Interval at which a file is written, from 1s to 1d."
    )

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of several fields together."""
        if not self.folder.startswith("/") or "/../" in f"{self.folder}/":
            hint = "write for example /data/out"
            yield Fault("folder", f"{shown(self.folder)} is not an absolute path", hint)
        if self.every < timedelta(seconds=1) or self.every > timedelta(days=1):
            yield Fault("every", "is not from 1s to 1d", "every: 5m")
        yield from super().faults()


class OpcUaAlarmsSink(SinkFields):
    """A server of OPC UA alarms and conditions, which control systems subscribe to and answer."""

    alarms_only = True

    kind: Literal["opcua_alarms"]
    sends: tuple[SinkContent, ...] = Field(
        ("alarms",), min_length=1, max_length=4, description="Only alarms."
    )
    folder: Text = Field(
        description=(
            "Absolute path of a folder on the machine of the stream service, with certificate and "
            "key of the server, which are made if they are missing, and in clients/ the "
            "certificates of the clients that it trusts."
        )
    )
    accounts: tuple[AccountName, ...] = Field(
        min_length=1,
        max_length=100,
        description=(
            "Accounts that may sign in, each with a token as its password; role and scope of the "
            "token say what they see and may do."
        ),
    )
    host: Host = Field(
        "127.0.0.1",
        description="Address on which it listens; other machines reach it only on one of theirs.",
    )
    port: int = Field(4841, ge=1, le=65_535, description="Port on which it listens.")
    public_host: Host | None = Field(
        None, description="Name by which clients know this machine; the address when left out."
    )

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of several fields together."""
        if not self.folder.startswith("/") or "/../" in f"{self.folder}/":
            hint = "write for example /data/opcua"
            yield Fault("folder", f"{shown(self.folder)} is not an absolute path", hint)
        if "alarms" not in self.sends:
            yield Fault("sends", "a server of alarms sends alarms", "sends: [alarms]")
        if self.public_host is None and self.host in ("0.0.0.0", "::"):  # noqa: S104 - a check
            hint = "public_host: alerting.plant"
            yield Fault("public_host", "is needed where it listens on all addresses", hint)
        yield from super().faults()


Sink = (
    WebhookSink
    | MqttSink
    | AmqpSink
    | KafkaSink
    | NatsSink
    | RedisSink
    | AlertmanagerSink
    | SqlSink
    | ParquetSink
    | OpcUaAlarmsSink
)
SINK_KINDS: Mapping[str, type[SinkFields]] = {
    "webhook": WebhookSink,
    "mqtt": MqttSink,
    "amqp": AmqpSink,
    "kafka": KafkaSink,
    "nats": NatsSink,
    "redis": RedisSink,
    "alertmanager": AlertmanagerSink,
    "sql": SqlSink,
    "parquet": ParquetSink,
    "opcua_alarms": OpcUaAlarmsSink,
}


def _faults(sink: Sink) -> Iterator[Fault]:
    return sink.faults()


_UNION: KindUnion[Sink] = KindUnion(SINK_KINDS, Sink, _faults, SinkRefused)


def sink_union() -> TypeAdapter[Sink]:
    """Return the closed union of all kinds of sinks, told apart by `kind`."""
    return _UNION.adapter


def parse_sink(document: Mapping[str, Any]) -> Sink:
    """Return the sink of a document. Raises SinkRefused with every fault."""
    return _UNION.parse(document)


def sink_document(sink: Sink) -> dict[str, Any]:
    """Return the document of a sink as people would write it: without fields at their default."""
    return kind_document(sink, sink.name, sink.kind)
