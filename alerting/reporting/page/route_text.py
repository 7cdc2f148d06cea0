"""Routes as text for people."""

from collections.abc import Iterator
from datetime import timedelta

from alerting.definitions.model import SEVERITY_NAMES
from alerting.definitions.routes import Match, Route
from alerting.definitions.wording.language import (
    NATIVE_NAMES,
    Styled,
    join_with_or,
    joined,
    translatable,
)
from alerting.definitions.wording.weekly_hours import hours_in_zone


def route_terms(route: Route) -> list[tuple[str, str]]:
    """Return the terms of a route with their text: alerts, times, frequency, escalation."""
    return [
        (translatable("Alerts"), match_text(route.match)),
        (
            translatable("In force"),
            hours_in_zone(route.shifts, route.timezone) if route.shifts else translatable("always"),
        ),
        (
            translatable("Quiet"),
            translatable(
                "{hours}; critical alerts are sent nevertheless",
                hours=hours_in_zone(route.quiet, route.timezone),
            )
            if route.quiet
            else translatable("never"),
        ),
        *_further_terms(route),
    ]


def _further_terms(route: Route) -> Iterator[tuple[str, str]]:
    if route.repeat is not None:
        yield (
            translatable("Repeated"),
            translatable(
                "every {duration}, until an operator acknowledges it or it is over",
                duration=_duration(route.repeat),
            ),
        )
    for step in route.escalation:
        yield (
            translatable("Escalation"),
            translatable(
                "not acknowledged for {duration}: {channels}",
                duration=_duration(step.after),
                channels=", ".join(step.channels),
            ),
        )
    if flood := route.flood:
        yield (
            translatable("Flood"),
            translatable(
                "more than {number} alerts of one asset within {duration} become one message",
                number=flood.more_than,
                duration=_duration(flood.within),
            ),
        )
    if route.language is not None:
        yield translatable("Language"), NATIVE_NAMES[route.language]
    if route.acknowledge_by_link:
        yield (
            translatable("Links"),
            translatable("each message has a link that acknowledges the alert without a login"),
        )
    if route.platform:
        yield (
            translatable("Platform"),
            translatable("faults of the platform itself are sent as well"),
        )


def match_text(match: Match) -> str:
    """Return which alerts a route matches: `critical or high, of oven-*, tagged line-3`."""
    parts = [
        join_with_or(*(translatable(SEVERITY_NAMES[one]) for one in match.severity))
        if match.severity
        else translatable("every severity")
    ]
    if match.definitions != ("*",):
        parts.append(translatable("alert {names}", names=join_with_or(*match.definitions)))
    if match.assets != ("*",):
        parts.append(translatable("of {names}", names=join_with_or(*match.assets)))
    if match.tags:
        parts.append(translatable("tagged {names}", names=join_with_or(*match.tags)))
    is_any = len(parts) == 1 and not match.severity
    return translatable("every alert") if is_any else joined(", ", *parts)


def _duration(value: timedelta) -> Styled:
    return Styled(value.total_seconds(), "duration")
