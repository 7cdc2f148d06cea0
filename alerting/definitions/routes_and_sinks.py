"""Documents on what leaves the platform, and their parsers. Routes: the recipients of alerts, with
times, repeats and escalations. Sinks: what goes out to other systems, how long it waits for its
receiver, and all kinds of sinks as one closed union by `kind`."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from string import Formatter
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, StringConstraints, WithJsonSchema

from alerting.definitions.alert_definition import AssetPattern
from alerting.definitions.asset_documents import Closed, Line, LongerThanZero, Name, Tag
from alerting.definitions.faults import Duration, Fault, format_duration, read_document, shown
from alerting.definitions.fields.names_and_times import Hours, TimeZone, time_zone
from alerting.definitions.fields.shared_fields import Severity
from alerting.definitions.source_fields import Secret, SourceState, Text, Tls, tls_faults
from alerting.definitions.sources import KindUnion
from alerting.definitions.wording.fault_messages import model_faults, name_fault
from alerting.definitions.wording.language import LanguageCode, translatable

ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=100)]


class Match(Closed):
    """Selection of alerts: an alert must fit every given field."""

    severity: tuple[Severity, ...] | None = Field(
        None, min_length=1, max_length=10, description="Severities; every one when left out."
    )
    assets: tuple[AssetPattern, ...] = Field(
        ("*",), min_length=1, max_length=1000, description="Assets: names, or patterns with *."
    )
    definitions: tuple[AssetPattern, ...] = Field(
        ("*",), min_length=1, max_length=1000, description="Definitions: names, or patterns with *."
    )
    tags: tuple[Tag, ...] = Field(
        (),
        max_length=50,
        description="Tags of the definition, of which one is enough; none given: any alert.",
    )


class Escalation(Closed):
    """Further channels to notify while no operator acknowledges the alert."""

    after: Duration = Field(description="Time since the alert was announced, e.g. 15m.")
    channels: tuple[ChannelName, ...] = Field(
        min_length=1, max_length=50, description="Channels to notify then."
    )


class Flood(Closed):
    """Many alerts of one asset become one message: +12 more on oven-1."""

    more_than: int = Field(
        5,
        ge=1,
        le=10_000,
        description=("So many alerts of one asset are announced one by one; critical ones always."),
    )
    within: Duration = Field(
        timedelta(minutes=10),
        description="Time in which they are counted; then one message lists the others.",
    )


class Route(Closed):
    """A route: recipients of alerts, and times."""

    name: Name = Field(description="Unique name.")
    match: Match = Field(
        default_factory=Match, description="Selection of alerts; every alert when left out."
    )
    channels: tuple[ChannelName, ...] = Field(
        min_length=1, max_length=50, description="Names of configured channels, each notified once."
    )
    timezone: TimeZone = Field(
        "UTC",
        description=(
            "IANA time zone of shifts and quiet hours; the plant's (ALERTING_TIMEZONE) when "
            "left out."
        ),
    )
    shifts: tuple[Hours, ...] = Field(
        (),
        max_length=100,
        description="Hours in which the route is in force; always when left out.",
    )
    quiet: tuple[Hours, ...] = Field(
        (),
        max_length=100,
        description=(
            "Hours in which only critical alerts are announced; others that are open then, "
            "afterwards."
        ),
    )
    repeat: Duration | None = Field(
        None,
        description=("Announce again after this time, until acknowledged or over; at least 1m."),
    )
    escalation: tuple[Escalation, ...] = Field(
        (), max_length=20, description="Further channels to notify without acknowledgement."
    )
    flood: Flood | None = Field(
        None,
        description="Grouping of many alerts of one asset into one message; none when left out.",
    )
    heartbeat: Duration | None = Field(
        None,
        description=(
            "Interval of a message that alerting is running; its absence shows a fault. At "
            "least 1m."
        ),
    )

    # the database takes every code, so that a further language changes none of its validators
    language: Annotated[LanguageCode, WithJsonSchema({"type": "string", "maxLength": 8})] | None = (
        Field(
            None,
            description="Language of the messages, by its code: `en`; the plant's "
            "(ALERTING_LANGUAGE) when left out.",
        )
    )
    acknowledge_by_link: bool = Field(
        False,
        description=("Messages carry a link that acknowledges the alert without a login."),
    )
    platform: bool = Field(
        False,
        description=(
            "Announce faults of the platform too, e.g. a full disk. If no route does, they "
            "go to the channel log."
        ),
    )

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of shifts and quiet hours."""
        return time_zone(self.timezone)


def is_for(route: Route, asset: str) -> bool:
    """Return whether a route selects alerts of an asset, apart from its other criteria."""
    return any(fnmatchcase(asset, pattern) for pattern in route.match.assets)


def parse_route(document: Mapping[str, Any]) -> Route:
    """Return the route of a document. Raises DocumentRefused with every fault."""
    return read_document(
        Route.model_validate,
        document,
        "route",
        lambda errors: [_route_fault(error) for error in _first_causes(errors)],
        _cross_faults,
    )


def in_zone(route: Route, zone: str) -> Route:
    """Return a route whose hours are in this zone if it names none."""
    is_stated = "timezone" in route.model_fields_set or not (route.shifts or route.quiet)
    return route if is_stated else route.model_copy(update={"timezone": zone})


def route_document(route: Route) -> dict[str, Any]:
    """Return the document of a route as people would write it: without fields at their default,
    but with the zone of its hours."""
    document = route.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return document | ({"timezone": route.timezone} if route.shifts or route.quiet else {})


def _first_causes(errors: Sequence[Any]) -> list[Any]:
    """Return the errors without those of lists that are too short only because items in them are
    faulty."""
    paths = [e["loc"] for e in errors]
    return [
        e
        for e in errors
        if e["type"] != "too_short" or not any(p[: len(e["loc"])] == e["loc"] != p for p in paths)
    ]


def _route_fault(error: Any) -> Fault:
    path = ".".join(str(p) for p in error["loc"])
    if error["type"] != "string_pattern_mismatch":
        return model_faults([error], Route.model_fields)[0]
    if path.endswith((".from", ".to")):
        message = translatable("{value} is not a time of day", value=shown(error["input"]))
        return Fault(path, message, translatable("e.g. 06:00"))
    return name_fault(path, error["input"], translatable("channels are lower case with -"))


def _cross_faults(route: Route) -> Iterable[Fault]:
    durations = {"repeat": route.repeat, "heartbeat": route.heartbeat}
    durations |= {"flood.within": route.flood.within} if route.flood else {}
    durations |= {f"escalation.{i}.after": step.after for i, step in enumerate(route.escalation)}
    for path, value in durations.items():
        if value is not None and value < timedelta(minutes=1):
            yield Fault(
                path,
                translatable("{duration} is too short", duration=format_duration(value)),
                translatable("the shortest is 1m"),
            )


SinkContent = Literal["alarms", "acknowledgements", "scores", "forecasts", "readings"]
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
        max_length=5,
        description=(
            "alarms: each change of an alarm. acknowledgements: what people do with it. "
            "scores: of models, with their limit. forecasts: predicted values. readings: values "
            "of variables, with their limits."
        ),
    )
    match: SinkMatch = Field(
        default_factory=SinkMatch, description="Selection of what goes out; all when left out."
    )
    values_wait: LongerThanZero = Field(
        timedelta(days=1),
        description=(
            "Time for which scores, forecasts and readings wait for a receiver that is away; older "
            "readings are not sent. Alarms always wait."
        ),
    )
    stale_after: LongerThanZero = Field(
        timedelta(minutes=10),
        description=(
            "Time by which it may be behind before the platform raises an alert about this sink."
        ),
    )

    url: Secret = Field(description="Where the address of the receiver is found.")

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
    """Yield the faults of the pattern of a topic."""
    placeholders = " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError:
        yield Fault(
            field, f"{shown(pattern)} has a brace without its other one", f"known: {placeholders}"
        )
        return
    yield from (
        Fault(field, f"{shown('{' + name + '}')} is not known", f"known: {placeholders}")
        for _, name, form, conversion in parts
        if name is not None and (name not in PLACEHOLDERS or form or conversion)
    )
    if re.search(r"[\s+#*>]", pattern):
        yield Fault(field, f"{shown(pattern)} has a character that no topic may have", placeholders)


def fill_pattern(pattern: str, values: Mapping[str, str]) -> str:
    """Return a topic: the pattern with these values. A / in a value becomes _, so that each value
    stays one level."""
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
        description=(
            "Where its address is found, e.g. https://mes.plant/alarms; a host inside the "
            "plant must be in ALERTING_EGRESS_ALLOW."
        )
    )
    secret: Secret | None = Field(
        None,
        description="Where the secret is found that signs: whsec_ and at least 24 bytes in base64.",
    )

    def faults(self) -> Iterator[Fault]:
        if self.secret is not None and (
            len(self.secret.model_dump(exclude_none=True)) != 1 or self.secret.airflow_connection
        ):
            yield Fault("secret", "give one of env, file", "secret: {env: MES_SECRET}")
        yield from super().faults()


class MqttSink(SinkFields):
    """Messages to an MQTT 5 broker, with quality of service 1."""

    kind: Literal["mqtt"]
    url: Secret = Field(
        description=("Where its address is found, e.g. mqtts://user:password@broker:8883.")
    )
    topic: Text = Field(
        "alerting/{asset}/{definition}/{sends}",
        description=(
            "Topic, with {asset}, {definition}, {severity} and {sends} (alarms, acknowledgements, "
            "scores, forecasts or readings)."
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
        yield from tls_faults(self.tls)
        yield from pattern_faults("topic", self.topic)
        yield from super().faults()


class SqlSink(SinkFields):
    """Rows of a table of a database, one for each change or value, each once by its key."""

    kind: Literal["sql"]
    url: Secret = Field(
        description=("Where its address is found, e.g. postgresql://user:password@host/name.")
    )
    table: TableName = Field(
        "alerting_{sends}",
        description=(
            "Table, with its schema before a dot; {sends} is alarms, acknowledgements, scores, "
            "forecasts or readings. It is created if it is missing."
        ),
    )

    def faults(self) -> Iterator[Fault]:
        if self.table.replace("{sends}", "").count("{"):
            yield Fault("table", "knows {sends} only", "table: alerting_{sends}")
        shapes = {"alarms" if content == "acknowledgements" else content for content in self.sends}
        if "{sends}" not in self.table and len(shapes) > 1:
            message = "is one, and alarms, scores, forecasts and readings have other columns each"
            yield Fault("table", message, "table: alerting_{sends}")
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
    """Return the models of all kinds of sinks, including those that installed packages add."""
    return SINK_UNION.kinds
