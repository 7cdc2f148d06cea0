"""Fields of sources: name, secrets, and how rows become readings or events; and fields of sources
that the stream service reads: topics of brokers, nodes of an OPC UA server."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from alerting.definitions.asset_documents import (
    Closed,
    Line,
    LongerThanZero,
    Name,
    Tag,
    VariableName,
)
from alerting.definitions.faults import Duration, Fault, shown
from alerting.definitions.fields.names_and_times import TimeZone

Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$", max_length=100)]
SourceState = Literal["active", "paused", "retired"]
QualityCodes = Literal["opc-ua", "opc-da", "siemens", "flag"]
_PARTS = re.compile(r"(.*(?:\[\]|\{\}))(?:\.(.*))?", re.DOTALL)
_FOREIGN_PATH = re.compile(r"^\$\.|\[(?:\d+|\*)\]")  # of JSONPath


def split_path(path: str) -> tuple[str, str]:
    """Split a path after its last `[]` (each item of a list) or `{}` (each name of an object):
    `values[].id` gives `values[]` and `id`. The first part is empty if it has none."""
    parts = _PARTS.fullmatch(path)
    return (parts[1], parts[2] or "") if parts else ("", path)


class Secret(Closed):
    """Where a secret is found; it is never in the document itself. Exactly one of the fields is
    given."""

    env: EnvironmentName | None = Field(None, description="Environment variable.")
    file: Title | None = Field(None, description="Mounted file, which only its owner may read.")
    airflow_connection: Title | None = Field(
        None,
        description="Connection of Airflow, for the DAGs alone.",
    )


class SourceVariable(Closed):
    """The variable that a column or field becomes."""

    name: VariableName | None = Field(
        None, description="Name of the variable; derived from the column when left out."
    )
    unit: Tag | None = Field(
        None,
        description=(
            "Unit of the values, converted into that of a declared variable; that in the column's "
            "title when left out."
        ),
    )


class SourceEvents(Closed):
    """Where a row of events has its type and its end; the column of `time` is its start."""

    type: Name | None = Field(None, description="The one type of all events.")
    type_column: Title = Field(
        "type", description="Column with the type of each event, where `type` is left out."
    )
    type_prefix: str = Field(
        "", max_length=50, description="Text before every type of `type_column`."
    )
    end_column: Title = Field(
        "end", description="Column with the end; a lasting event without one is still going on."
    )
    lasting: bool | None = Field(
        None,
        description=(
            "Whether events of new types have a duration; if rows have `end_column`, when left out."
        ),
    )


class SourceFields(Closed):
    """Fields that every kind of source has."""

    word: ClassVar[str] = "source"
    is_nested: ClassVar[bool] = False
    """Whether its rows are JSON, of which `[]` and `{}` in a path make several."""

    name: Name = Field(description="Unique name.")
    title: Line | None = Field(None, description="Name for people; the name when left out.")
    state: SourceState = Field(
        "active",
        description=(
            "active: rows are stored. paused: none is read or accepted for now. retired: no "
            "longer in use."
        ),
    )
    delivers: Literal["readings", "events"] = Field(
        "readings", description="What its rows are: readings or events."
    )
    time: Title = Field("ts", description="Column with the time stamp, of events with the start.")
    timezone: TimeZone | None = Field(
        None,
        description=("Time zone of stamps that name none; the plant's when left out."),
    )
    asset: Name | None = Field(
        None,
        description="The one asset of all rows; `asset_column` names it in each row when left out.",
    )
    asset_column: Title = Field(
        "asset", description="Column with the name of the asset, where `asset` is left out."
    )
    asset_prefix: str = Field(
        "", max_length=50, description="Text before every name of `asset_column`."
    )
    variables: dict[Title, SourceVariable] = Field(
        default_factory=dict,
        max_length=10_000,
        description="Variables by the title of their column; of events, attributes.",
    )
    others: Literal["include", "ignore"] = Field(
        "include",
        description=(
            "Columns that `variables` does not name: include makes variables of them, ignore "
            "leaves them out."
        ),
    )
    variable: Title | None = Field(
        None,
        description=(
            "Column with the name of the variable, where a row or a part of it is one value: "
            "values[].id."
        ),
    )
    value: Title | None = Field(
        None, description="Column with the value of `variable`: values[].v."
    )
    quality: Title | None = Field(
        None,
        description=(
            "Column with the quality of all samples of a row: good, uncertain, bad, or codes of "
            "OPC UA or OPC DA."
        ),
    )
    quality_codes: QualityCodes | None = Field(
        None,
        description=(
            "Kind of numeric codes of quality, where they are ambiguous. siemens: 0 bad, 1 "
            "uncertain, 2 and 3 good. flag: 0 bad, 1 good."
        ),
    )
    events: SourceEvents = Field(
        default_factory=SourceEvents, description="Type and end of events."
    )
    latency: Duration | None = Field(
        None,
        description=(
            "Time for which evaluation waits for its values. When left out: of a polled "
            "source its interval plus 10 s, of others ALERTING_LATENCY."
        ),
    )
    stale_after: LongerThanZero = Field(
        timedelta(hours=1),
        description=(
            "Time without a row after which the platform raises an alert about this source."
        ),
    )

    @property
    def waits(self) -> timedelta | None:
        """Return how long evaluation waits for values of this source; None for the platform's
        latency."""
        return self.latency

    @property
    def paths(self) -> Mapping[str, str]:
        """Return where a row has its time, asset, variable, value, quality, type and end, by
        field."""
        columns = {
            "time": self.time,
            "asset_column": None if self.asset else self.asset_column,
            "variable": self.variable,
            "value": self.value,
            "quality": self.quality,
        }
        if self.delivers == "events":
            events = self.events
            columns["events.type_column"] = None if events.type else events.type_column
            columns["events.end_column"] = events.end_column
        return {field: path for field, path in columns.items() if path is not None}

    @property
    def parts(self) -> str:
        """Return the path of the parts of a message that are its rows, e.g. `values[]`; empty if a
        message is one row."""
        paths = [split_path(path)[0] for path in self.paths.values()] if self.is_nested else []
        return max(paths, key=len, default="")

    def mapped(self, title: str) -> SourceVariable | None:
        """Return the entry of `variables` for a column: for its title, or for its path in the
        message."""
        if title in self.variables or not self.variables:
            return self.variables.get(title)
        return self.variables.get(f"{self.parts or 'values'}.{title}")

    @property
    def is_named_by_topic(self) -> bool:
        """Return whether a topic names the variable."""
        return False

    def path_faults(self) -> Iterator[Fault]:
        """Yield the faults of paths: parts of different lists, other ways of writing, a variable
        without its value."""
        parts = self.parts
        for field, path in self.paths.items() if self.is_nested else ():
            if _FOREIGN_PATH.search(path):
                line = _FOREIGN_PATH.sub(lambda match: "[]" if "[" in match[0] else "", path)
                yield Fault(
                    field, f"{shown(path)} is no path here; [] is each item of a list", line
                )
            if path.count(".") > _MOST_DOTS:
                yield Fault(field, f"has more than {_MOST_DOTS} levels", "name a part further up")
            through = split_path(path)[0]
            if through and not re.match(rf"{re.escape(through)}($|[.\[{{])", parts):
                yield Fault(
                    field,
                    f"{through} and {parts} are different parts of a message",
                    "name parts of one list, and make a source for each other list",
                )
        if self.value is None and self.variable is not None:
            yield Fault("value", "is missing beside variable", "value: values[].v")
        if self.value is not None and self.variable is None and not self.is_named_by_topic:
            yield Fault("variable", "is missing beside value", "variable: values[].id")
        if self.value is not None and self.delivers == "events":
            yield Fault("value", "is of readings, and the source delivers events", "leave it out")


_MOST_DOTS = 10
_ASSET = "{asset}"
_VARIABLE = "{variable}"
_WORD = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@dataclass(frozen=True)
class TopicForm:
    """How the topics of a broker are written.

    `any_level` stands for any one level; `all_below`, only as the last level, for any number of
    levels.
    """

    separator: str
    any_level: str
    all_below: str | None = None

    def pattern(self, topic: str) -> re.Pattern[str]:
        """Return a pattern of topics, with a group for each named level; `BELOW`: of all levels
        below {variable}."""
        between = re.escape(self.separator)
        levels = topic.split(self.separator)
        below = ""
        if levels[-1] == self.all_below:
            levels.pop()
            group = "?P<BELOW>" if levels and levels[-1] == _VARIABLE else ""
            below = f"({group}(?:{between}.*)?)" if levels else ".*"
        return re.compile(between.join(map(self._level_pattern, levels)) + below, re.DOTALL)

    def _level_pattern(self, level: str) -> str:
        pattern = f"[^{re.escape(self.separator)}]*"
        if word := _WORD.fullmatch(level):
            return f"(?P<{word[1]}>{pattern})"
        return pattern if level == self.any_level else re.escape(level)

    def subscription(self, topic: str) -> str:
        """Return the topic to subscribe, in which `any_level` stands for each named level."""
        levels = topic.split(self.separator)
        return self.separator.join(self.any_level if _WORD.fullmatch(x) else x for x in levels)

    def example(self, *levels: str) -> str:
        return self.separator.join(levels)


class Tls(Closed):
    """Certificates of an encrypted connection; without them the system's certificates are trusted,
    and the platform shows none of its own."""

    ca: Text | None = Field(
        None, description="File of the authority that signed the certificate of the server, in PEM."
    )
    certificate: Text | None = Field(
        None, description="File of the certificate by which the server knows the platform, in PEM."
    )
    key: Text | None = Field(
        None,
        description=(
            "File of its private key, which only its owner may read; in that of it, if left out."
        ),
    )


def tls_faults(tls: Tls | None) -> Iterator[Fault]:
    """Yield the fault of a private key without its certificate."""
    if tls is not None and tls.key is not None and tls.certificate is None:
        yield Fault(
            "tls.key",
            "is the key of no certificate",
            "tls: {certificate: /run/secrets/line.pem, key: …}",
        )


class StreamedSource(SourceFields):
    """Fields of the kinds that the stream service reads: `alerting stream`."""

    client: ClassVar[str] = ""
    """Where the class behind the port `BrokerClient` is, of a kind that a package adds:
    `module:Class`."""
    is_nested = True
    is_sent_once: ClassVar[bool] = False
    """Whether the server sends a value once, and keeps none that is not stored."""

    url: Secret = Field(description="Where the address of the server is found.")
    tls: Tls | None = Field(
        None,
        description="Certificates of an encrypted connection; those of the system when left out.",
    )

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of several fields together."""
        if self.url.airflow_connection is not None:
            yield Fault(
                "url", "the stream service knows no connection of Airflow", "url: {env: BROKER_URL}"
            )
        yield from tls_faults(self.tls)


class MessageSource(StreamedSource):
    """Fields of the kinds that read the messages of a broker."""

    form: ClassVar[TopicForm]

    topic: Text = Field(description="Topic to subscribe.")
    payload: Literal["json", "value"] = Field(
        "json",
        description=(
            "json: each message is a row or a list of rows. value: it is the one value of the "
            "topic's {variable}."
        ),
    )
    stamp: Literal["message", "receipt"] = Field(
        "message",
        description=(
            "Where a row has its time: in the message, or when it is received; a payload of one "
            "value has none."
        ),
    )

    @property
    def plain_topic(self) -> str:
        """Return the topic as messages have it."""
        return self.topic

    @property
    def is_named_by_topic(self) -> bool:
        return _VARIABLE in self.plain_topic.split(self.form.separator)

    @property
    def levels_of_asset(self) -> Sequence[str]:
        """Return the named levels that are the name of the asset: {asset}, and all before it."""
        words = self._named_levels
        if "asset" in words:
            words = words[: words.index("asset") + 1]
        elif self.asset is not None:
            return ()
        return [word for word in words if word != "variable"]

    @property
    def levels_of_variable(self) -> Sequence[str]:
        """Return the named levels that are the name of the variable: all others."""
        return [word for word in self._named_levels if word not in self.levels_of_asset]

    @property
    def _named_levels(self) -> list[str]:
        levels = self.plain_topic.split(self.form.separator)
        return [word[1] for level in levels if (word := _WORD.fullmatch(level))]

    def faults(self) -> Iterator[Fault]:
        form = self.form
        levels = self.topic.split(self.form.separator)
        all_below = form.all_below
        if (
            all_below
            and all_below in self.topic
            and (levels[-1] != all_below or self.topic.count(all_below) > 1)
        ):
            line = form.example("line-3", all_below)
            yield Fault(
                "topic",
                f"{all_below} stands for all levels below, so it is the last level alone",
                line,
            )
        for level in levels:
            if (form.any_level in level and level != form.any_level) or (
                "{" in level and not _WORD.fullmatch(level)
            ):
                remedy = (
                    f"write a name, {form.any_level}, {_ASSET}, {_VARIABLE} or another word such "
                    f"as {{line}} between two {form.separator}"
                )
                yield Fault("topic", f"{shown(level)} is not a level", remedy)
        words = [level for level in levels if _WORD.fullmatch(level)]
        for word in sorted({word for word in words if words.count(word) > 1}):
            yield Fault(
                "topic",
                f"names {word} at {words.count(word)} levels",
                f"keep one, and write {form.any_level} for the others",
            )
        of_variable = self.levels_of_variable
        if of_variable and not self.is_named_by_topic:
            yield Fault(
                "topic",
                f"{{{of_variable[0]}}} is a part of the variable's name, and there is no "
                f"{_VARIABLE}",
                f"write {form.any_level} in its place",
            )
        if self.payload == "value":
            if self.value is not None:
                yield Fault("value", "is a part of JSON, and the payload is not", "payload: json")
            if not self.is_named_by_topic:
                line = form.example("line-3", _ASSET, _VARIABLE)
                yield Fault("topic", "names no {variable}, of which a payload is the value", line)
            if self.stamp == "message":
                yield Fault("stamp", "a payload of one value has no time", "stamp: receipt")
            if self.delivers == "events":
                yield Fault("payload", "a value is no event", "payload: json")
        yield from super().faults()


class MqttSource(MessageSource):
    """Messages of an MQTT broker, which the stream service stores: `alerting stream`."""

    form = TopicForm("/", "+", "#")

    kind: Literal["mqtt"]
    url: Secret = Field(
        description=("Where its address is found, e.g. mqtts://user:password@broker:8883.")
    )
    topic: Text = Field(
        description=(
            "Topic to subscribe, with + and #, and with {asset} and {variable} for levels "
            "that name these: line-3/{asset}/{variable}. Other words in braces before {asset} "
            "are a part of its name, those behind it of the variable's."
        )
    )

    @property
    def plain_topic(self) -> str:
        """Return the topic without the prefix of a shared subscription."""
        return re.sub(r"^\$share/[^/]*/", "", self.topic)


class AmqpSource(MessageSource):
    """Messages of an AMQP 0-9-1 broker such as RabbitMQ, which the stream service stores: `alerting
    stream`."""

    form = TopicForm(".", "*", "#")

    kind: Literal["amqp"]
    url: Secret = Field(
        description=(
            "Where its address is found, e.g. amqps://user:password@broker:5671/virtual-host."
        )
    )
    topic: Text = Field(
        "#",
        description=(
            "Routing keys, with * and #, and with {asset} and {variable} for words that name "
            "these: line-3.{asset}.{variable}."
        ),
    )
    exchange: Title = Field(
        "amq.topic",
        description=(
            "Exchange to which the platform binds a durable queue of its own, where `queue` is "
            "left out."
        ),
    )
    queue: Title | None = Field(
        None,
        description=("A queue that is there already: all its messages must fit `topic`."),
    )


_NODE = re.compile(r"(ns=[0-9]{1,5};)?(i=[0-9]{1,10}|[sgb]=.+)")


class OpcUaNode(Closed):
    """The value that a node holds."""

    variable: Title = Field(
        description="Title of the value, which `variables` may map as the title of a column."
    )
    asset: Name | None = Field(
        None, description="Asset of the value, where the source names none for all."
    )


class OpcUaSource(StreamedSource):
    """Values of nodes of an OPC UA server, which the stream service subscribes: `alerting
    stream`."""

    is_sent_once = True

    kind: Literal["opcua"]
    url: Secret = Field(
        description=("Where its address is found, e.g. opc.tcp://user:password@server:4840/path.")
    )
    quality: Title | None = Field(
        "quality",
        description=(
            "Field of a row with the quality of its values: that of the server, good, uncertain "
            "or bad."
        ),
    )
    nodes: dict[Text, OpcUaNode] = Field(
        max_length=10_000, description="Nodes by their identifier, e.g. ns=2;s=Oven1.Zone2."
    )
    interval: LongerThanZero = Field(
        timedelta(seconds=1),
        description="Interval at which the server samples the nodes; it sends values that changed.",
    )
    history: Duration = Field(
        timedelta(0),
        description=("History that is read whenever a connection is opened, e.g. 8h; at most 31d."),
    )
    security: Literal["none", "sign", "encrypt"] = Field(
        "none",
        description="sign or encrypt: the connection by Basic256Sha256, with certificate and key "
        "of `tls`; its `ca` is then the "
        "certificate of the server.",
    )

    def faults(self) -> Iterator[Fault]:
        if self.quality is None:
            yield Fault("quality", "is needed for the quality of values", "leave it out")
        if not self.nodes:
            yield Fault(
                "nodes",
                "names no node",
                "nodes: {ns=2;s=Oven1.Zone2: {variable: zone_2, asset: oven-1}}",
            )
        if unreadable := [node for node in self.nodes if not _NODE.fullmatch(node)]:
            yield Fault(
                "nodes",
                f"{shown(unreadable[0])} is no identifier of a node",
                "write for example ns=2;s=Oven1.Zone2",
            )
        without = [node for node, value in self.nodes.items() if value.asset is None]
        if self.asset is None and without:
            yield Fault(
                "nodes",
                f"{without[0]!r} names no asset",
                "asset: oven-1, of the node or of the source",
            )
        if self.asset is not None and len(without) < len(self.nodes):
            yield Fault(
                "asset", "is given for all nodes, and nodes name their own", "give one of both"
            )
        if self.delivers == "events":
            yield Fault("delivers", "values of nodes are no events", "delivers: readings")
        if self.value is not None:
            yield Fault("value", "is not used: a node is one value", "leave it out")
        if self.history > timedelta(days=31):
            yield Fault("history", "is too long", "the longest is 31d")
        tls = self.tls
        if self.security != "none" and not (tls and tls.ca and tls.certificate and tls.key):
            yield Fault(
                "tls",
                "needs ca, certificate and key for an encrypted connection",
                "tls: {ca: …, certificate: …, key: …}",
            )
        if self.security == "none" and tls is not None:
            yield Fault("tls", "is not used by a connection without security", "security: encrypt")
        yield from super().faults()
