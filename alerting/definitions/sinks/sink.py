"""Kinds of sinks, as one closed union by `kind`, and the reader of their documents."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from alerting.definitions.faults import Fault
from alerting.definitions.sinks.fields import SinkFields, pattern_faults
from alerting.definitions.sources.mapping import Secret, Text
from alerting.definitions.sources.streamed import Tls
from alerting.definitions.sources.union import KindUnion

TableName = Annotated[
    str,
    StringConstraints(
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_{}]*$", max_length=100
    ),
]


class WebhookSink(SinkFields):
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


class MqttSink(SinkFields):
    """Messages to an MQTT 5 broker, with quality of service 1."""

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
    tls: Tls | None = Field(
        None,
        description="Certificates of an encrypted connection; those of the system when left out.",
    )

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of several fields together."""
        if self.tls is not None and self.tls.key is not None and self.tls.certificate is None:
            hint = "tls: {certificate: /run/secrets/line.pem, key: …}"
            yield Fault("tls.key", "is the key of no certificate", hint)
        yield from pattern_faults("topic", self.topic)
        yield from super().faults()


class SqlSink(SinkFields):
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


Sink = WebhookSink | MqttSink | SqlSink
SINK_KINDS: Mapping[str, type[SinkFields]] = {
    "webhook": WebhookSink,
    "mqtt": MqttSink,
    "sql": SqlSink,
}


SINK_UNION: KindUnion[Sink] = KindUnion(SINK_KINDS, SinkFields, lambda sink: sink.faults(), "sink")
parse_sink = SINK_UNION.parse


def sink_kinds() -> Mapping[str, type[BaseModel]]:
    """Return the models of all kinds of sinks, those that installed packages add among them."""
    return SINK_UNION.kinds
