"""Sinks: what goes out, how long it waits for its receiver, and the kinds of sinks as one closed
union by `kind`, with the reader of their documents."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from string import Formatter
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, StringConstraints

from alerting.definitions.assets import Closed, Line, LongerThanZero, Name
from alerting.definitions.faults import Fault, shown
from alerting.definitions.fields.common import Severity
from alerting.definitions.model import AssetPattern
from alerting.definitions.source_fields import Secret, SourceState, Text, Tls
from alerting.definitions.sources import KindUnion

SinkContent = Literal["alarms", "acknowledgements", "scores", "forecasts"]
VALUES: frozenset[SinkContent] = frozenset({"scores", "forecasts"})
PLACEHOLDERS = ("asset", "definition", "severity", "sends")
"""Names that a pattern of topics may hold: nothing in a document is code."""


class SinkMatch(Closed):
    """Selection of what goes out: it must fit every given field."""

    parts: tuple[Name, ...] = Field(
        (),
        max_length=1000,
        description="Assets, each with everything below it; the whole plant when left out.",
    )
    definitions: tuple[AssetPattern, ...] = Field(
        ("*",), min_length=1, max_length=1000, description="Definitions: names, or patterns with *."
    )
    severity: tuple[Severity, ...] | None = Field(
        None,
        min_length=1,
        max_length=10,
        description="Severities of alarms; every one when left out. Values have none.",
    )


class SinkFields(Closed):
    """Fields that every kind of sink has."""

    word: ClassVar[str] = "sink"
    client: ClassVar[str] = ""
    """Where the class behind the port `SinkClient` is, of a kind that a package adds:
    `module:Class`."""

    name: Name = Field(description="Unique name.")
    title: Line | None = Field(None, description="Name for people; the name when left out.")
    state: SourceState = Field(
        "active",
        description=(
            "active: it delivers. paused: what happens meanwhile waits, within `values_wait`. "
            "retired: no longer in use."
        ),
    )
    sends: tuple[SinkContent, ...] = Field(
        ("alarms", "acknowledgements"),
        min_length=1,
        max_length=4,
        description=(
            "alarms: each change of an alarm, with its state, value and limit. acknowledgements: "
            "what people do with alarms. scores: those of models, with their limit. forecasts: the "
            "values that are predicted."
        ),
    )
    match: SinkMatch = Field(
        default_factory=SinkMatch, description="Selection of what goes out; all when left out."
    )
    values_wait: LongerThanZero = Field(
        timedelta(days=1),
        description=(
            "Time for which scores and forecasts wait for a receiver that is away; then the "
            "oldest are left out, and counted. Alarms are never left out."
        ),
    )
    stale_after: LongerThanZero = Field(
        timedelta(minutes=10),
        description=(
            "Time by which it may be behind before the platform raises an alert about this sink."
        ),
    )

    url: Secret = Field(description="Where the address of the receiver is found.")

    @property
    def sends_alarms(self) -> bool:
        """Return whether changes of episodes go out."""
        return not VALUES.issuperset(self.sends)

    @property
    def sends_values(self) -> bool:
        """Return whether scores or forecasts go out."""
        return not VALUES.isdisjoint(self.sends)

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of several fields together."""
        if len(set(self.sends)) < len(self.sends):
            yield Fault("sends", "names something twice", "name each once")
        if len(self.url.model_dump(exclude_none=True)) != 1:
            yield Fault("url", "give one of env, file", "url: {env: BROKER_URL}")
        if self.url.airflow_connection is not None:
            hint = "url: {env: BROKER_URL}"
            yield Fault("url", "the stream service knows no connection of Airflow", hint)


def pattern_faults(field: str, pattern: str) -> Iterator[Fault]:
    """Yield what is wrong with the pattern of a topic."""
    known = " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError:
        yield Fault(field, f"{shown(pattern)} has a brace without its other one", f"known: {known}")
        return
    for _, name, form, conversion in parts:
        if name is not None and (name not in PLACEHOLDERS or form or conversion):
            yield Fault(field, f"{shown('{' + name + '}')} is not known", f"known: {known}")
    if re.search(r"[\s+#*>]", pattern):
        yield Fault(field, f"{shown(pattern)} has a character that no topic may have", known)


def fill_pattern(pattern: str, values: Mapping[str, str]) -> str:
    """Return a topic. In a value / becomes _, so that each stays one level."""
    return pattern.format_map({name: values[name].replace("/", "_") for name in PLACEHOLDERS})


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
