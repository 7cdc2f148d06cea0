"""Routes as text for people."""

from collections.abc import Iterator, Sequence

from alerting.definitions.hours import DAYS, Hours
from alerting.definitions.routes import Match, Route
from alerting.definitions.wording.language import NATIVE_NAMES
from alerting.reporting.base.messages import seconds


def route_terms(route: Route) -> list[tuple[str, str]]:
    """Return the terms of a route with their text: alerts, times, frequency, escalation."""
    zone = f" ({route.timezone})"
    quiet = (
        f"{hours_text(route.quiet)}{zone}; critical alerts are sent nevertheless"
        if route.quiet
        else "never"
    )
    return [
        ("Alerts", match_text(route.match)),
        ("In force", f"{hours_text(route.shifts)}{zone}" if route.shifts else "always"),
        ("Quiet", quiet),
        *_further_terms(route),
    ]


def _further_terms(route: Route) -> Iterator[tuple[str, str]]:
    if route.repeat is not None:
        yield (
            "Repeated",
            f"every {seconds(route.repeat.total_seconds())}, until an operator acknowledges it or "
            "it is over",
        )
    for step in route.escalation:
        yield (
            "Escalation",
            f"not acknowledged for {seconds(step.after.total_seconds())}: "
            f"{', '.join(step.channels)}",
        )
    if flood := route.flood:
        within = seconds(flood.within.total_seconds())
        yield (
            "Flood",
            f"more than {flood.more_than} alerts of one asset within {within} become one message",
        )
    if route.language is not None:
        yield "Language", NATIVE_NAMES[route.language]
    if route.acknowledge_by_link:
        yield "Links", "each message has a link that acknowledges the alert without a login"
    if route.platform:
        yield "Platform", "faults of the platform itself are sent as well"


def match_text(match: Match) -> str:
    """Return which alerts a route matches: `critical or high, of oven-*, tagged line-3`."""
    parts = [" or ".join(match.severity) if match.severity else "every severity"]
    if match.definitions != ("*",):
        parts.append(f"alert {' or '.join(match.definitions)}")
    if match.assets != ("*",):
        parts.append(f"of {' or '.join(match.assets)}")
    if match.tags:
        parts.append(f"tagged {' or '.join(match.tags)}")
    return ", ".join(parts) if len(parts) > 1 or match.severity else "every alert"


def hours_text(weekly: Sequence[Hours]) -> str:
    """Return hours of the week: `mon to fri 22:00 to 06:00; sat, sun all day`."""
    return "; ".join(
        f"{_days(h)} {'all day' if h.start == h.to else f'{h.start} to {h.to}'}" for h in weekly
    )


def _days(hours: Hours) -> str:
    days = sorted(DAYS.index(day) for day in hours.days)
    if len(days) == len(DAYS):
        return "daily"
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{DAYS[days[0]]} to {DAYS[days[-1]]}"
    return ", ".join(DAYS[day] for day in days)
