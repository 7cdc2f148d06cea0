"""Fields of every sink: name, what goes out, and for how long it waits for its receiver."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from string import Formatter
from typing import ClassVar, Literal

from pydantic import Field

from alerting.definitions.assets import Closed, Line, LongerThanZero, Name
from alerting.definitions.faults import Fault, shown
from alerting.definitions.fields.common import Severity
from alerting.definitions.model import AssetPattern
from alerting.definitions.sources.mapping import Secret, SourceState

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
