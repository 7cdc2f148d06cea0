"""Routes: recipients of alerts, with times, repeats, escalations: a closed document."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints

from alerting.definitions.assets import Closed, Name, Tag
from alerting.definitions.faults import (
    Duration,
    Fault,
    format_duration,
    read_document,
    shown,
)
from alerting.definitions.fields.hours import Hours, TimeZone, time_zone
from alerting.definitions.model import AssetPattern, Severity
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

    after: Duration = Field(
        description="Time since the alert was announced without being acknowledged, e.g. 15m."
    )
    channels: tuple[ChannelName, ...] = Field(
        min_length=1, max_length=50, description="Channels to notify then."
    )


class Flood(Closed):
    """Many alerts of one asset become one message: +12 more on oven-1."""

    more_than: int = Field(
        5,
        ge=1,
        le=10_000,
        description=(
            "This many alerts of one asset are announced one by one; critical ones always are."
        ),
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
        description="IANA time zone of shifts and quiet hours, e.g. Europe/Berlin; that of the "
        "plant (ALERTING_TIMEZONE) when left out.",
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
            "Hours in which only critical alerts are announced; other open alerts are announced "
            "afterwards."
        ),
    )
    repeat: Duration | None = Field(
        None,
        description=(
            "Announce again after this time, until the alert is acknowledged or over; at least 1m."
        ),
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
            "Interval of a message that alerting is running; its absence shows a fault; at least "
            "1m."
        ),
    )

    language: LanguageCode | None = Field(
        None,
        description=(
            "Language of the messages: en, de or fr; that of the plant (ALERTING_LANGUAGE) when "
            "left out."
        ),
    )
    acknowledge_by_link: bool = Field(
        False,
        description=(
            "Messages carry a link that acknowledges the alert, without a login, in the name of "
            "the channel."
        ),
    )
    platform: bool = Field(
        False,
        description="Announce faults of the platform itself too: a failed training, a late "
        "evaluation, a full disk. "
        "If no route does, they go to the channel log.",
    )

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of shifts and quiet hours."""
        return time_zone(self.timezone)


def is_for(route: Route, asset: str) -> bool:
    """Return whether a route is for an asset, whatever else it selects by."""
    return any(fnmatchcase(asset, pattern) for pattern in route.match.assets)


def parse_route(document: Mapping[str, Any]) -> Route:
    """Return the route of a document. Raises DocumentRefused with every fault."""
    return read_document(
        Route.model_validate,
        document,
        "route",
        lambda errors: [_fault(error) for error in _first_causes(errors)],
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
    """Return the errors without lists that are too short only because their items are faulty."""
    paths = [e["loc"] for e in errors]
    return [
        e
        for e in errors
        if e["type"] != "too_short" or not any(p[: len(e["loc"])] == e["loc"] != p for p in paths)
    ]


def _fault(error: Any) -> Fault:
    path = ".".join(str(p) for p in error["loc"])
    if error["type"] != "string_pattern_mismatch":
        return model_faults([error], Route.model_fields, "route")[0]
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
