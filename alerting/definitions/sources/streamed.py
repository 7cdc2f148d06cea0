"""Sources that the stream service reads: brokers' messages, by topics of some levels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from alerting.definitions.assets import Closed
from alerting.definitions.faults import Fault, shown
from alerting.definitions.sources.mapping import Secret, SourceFields, Text, Title

_NAMED = {"{asset}": "asset", "{variable}": "variable"}


@dataclass(frozen=True)
class TopicForm:
    """How the topics of a broker are written.

    `one` stands for any one level; `rest`, as the last level alone, for all levels below, or none.
    """

    separator: str
    one: str
    rest: str | None = None

    def pattern(self, topic: str) -> re.Pattern[str]:
        """Return a pattern of topics, with groups `asset` and `variable` of named levels."""
        between = re.escape(self.separator)
        any_level = f"[^{re.escape(self.separator)}]*"
        levels = topic.split(self.separator)
        has_rest = self.rest is not None and levels[-1] == self.rest
        if has_rest:
            levels.pop()
        written = [self._written(level, any_level) for level in levels]
        below = "" if not has_rest else ".*" if not levels else f"({between}.*)?"
        return re.compile(between.join(written) + below, re.DOTALL)

    def _written(self, level: str, any_level: str) -> str:
        return (
            f"(?P<{_NAMED[level]}>{any_level})"
            if level in _NAMED
            else any_level
            if level == self.one
            else re.escape(level)
        )

    def subscription(self, topic: str) -> str:
        """Return the topic to subscribe, in which `one` stands for each named level."""
        return topic.replace("{asset}", self.one).replace("{variable}", self.one)

    def example(self, *levels: str) -> str:
        return self.separator.join(levels)


class Tls(Closed):
    """Certificates of an encrypted connection; without them those of the system are trusted, and
    none is shown."""

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


class StreamedSource(SourceFields):
    """Fields of the kinds that the stream service reads: `alerting stream`."""

    client: ClassVar[str] = ""
    """Where the class behind the port `BrokerClient` is, of a kind that a package adds:
    `module:Class`."""
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
        if self.tls is not None and self.tls.key is not None and self.tls.certificate is None:
            yield Fault(
                "tls.key",
                "is the key of no certificate",
                "tls: {certificate: /run/secrets/line.pem, key: …}",
            )


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

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of several fields together."""
        form = self.form
        levels = self.topic.split(self.form.separator)
        rest = form.rest
        if rest and rest in self.topic and (levels[-1] != rest or self.topic.count(rest) > 1):
            line = form.example("line-3", rest)
            yield Fault(
                "topic", f"{rest} stands for all levels below, so it is the last level alone", line
            )
        for level in levels:
            if (form.one in level and level != form.one) or ("{" in level and level not in _NAMED):
                remedy = (
                    f"write a name, {form.one}, {{asset}} or {{variable}} between two "
                    f"{form.separator}"
                )
                yield Fault("topic", f"{shown(level)} is not a level", remedy)
        for name in sorted(name for name in _NAMED if levels.count(name) > 1):
            yield Fault(
                "topic",
                f"names {name} at {levels.count(name)} levels",
                f"keep one, and write {form.one} for the others",
            )
        if self.payload == "value":
            if "{variable}" not in levels:
                line = form.example("line-3", "{asset}", "{variable}")
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
        description=(
            "Where the address of the broker is found, e.g. mqtts://user:password@broker:8883."
        )
    )
    topic: Text = Field(
        description="Topic to subscribe, with + and # as in MQTT, and with {asset} and {variable} "
        "for levels that name these: "
        "line-3/{asset}/{variable}."
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
            "Where the address of the broker is found, e.g. "
            "amqps://user:password@broker:5671/virtual-host."
        )
    )
    topic: Text = Field(
        "#",
        description="Routing keys, with * and # as in AMQP, and with {asset} and {variable} for "
        "words that name these: "
        "line-3.{asset}.{variable}.",
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
        description=(
            "A queue that is there already: nothing is declared or bound, and all its messages "
            "must fit `topic`."
        ),
    )
