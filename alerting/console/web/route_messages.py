"""What a route says, in words."""

from collections.abc import Iterator, Sequence

from alerting.definitions.hours import DAYS, Hours
from alerting.definitions.routes import Match, Route
from alerting.reporting.messages import seconds


def route_words(route: Route) -> list[tuple[str, str]]:
    """The terms of a route, each with what it says: which alerts, when, how often, who next."""
    zone = f" ({route.timezone})"
    quiet = f"{hours_words(route.quiet)}{zone}; critical alerts are told all the same" if route.quiet else "never"
    terms = [
        ("Which alerts", match_words(route.match)),
        ("In force", f"{hours_words(route.shifts)}{zone}" if route.shifts else "always"),
        ("Quiet", quiet),
    ]
    return terms + list(_further_terms(route))


def _further_terms(route: Route) -> Iterator[tuple[str, str]]:
    if route.repeat is not None:
        yield "Repeated", f"every {seconds(route.repeat.total_seconds())}, until somebody acknowledges or it is over"
    for step in route.escalation:
        yield "Escalation", f"not acknowledged for {seconds(step.after.total_seconds())}: {', '.join(step.channels)}"
    if flood := route.flood:
        within = seconds(flood.within.total_seconds())
        yield "Flood", f"more than {flood.more_than} alerts of one asset within {within} become one message"
    if route.acknowledge_by_link:
        yield "Links", "one in each message acknowledges the alert without a login"
    if route.platform:
        yield "Platform", "faults of the platform itself are told as well"


def match_words(match: Match) -> str:
    """Which alerts: `critical or high, of oven-*, tagged line-3`."""
    parts = [" or ".join(match.severity) if match.severity else "every severity"]
    if match.definitions != ("*",):
        parts.append(f"alert {' or '.join(match.definitions)}")
    if match.assets != ("*",):
        parts.append(f"of {' or '.join(match.assets)}")
    if match.tags:
        parts.append(f"tagged {' or '.join(match.tags)}")
    return ", ".join(parts) if len(parts) > 1 or match.severity else "every alert"


def hours_words(stretches: Sequence[Hours]) -> str:
    """Hours of the week: `mon to fri 22:00 to 06:00; sat, sun all day`."""
    return "; ".join(f"{_days(h)} {'all day' if h.start == h.to else f'{h.start} to {h.to}'}" for h in stretches)


def _days(hours: Hours) -> str:
    places = sorted(DAYS.index(day) for day in hours.days)
    if len(places) == len(DAYS):
        return "daily"
    if len(places) > 2 and places[-1] - places[0] == len(places) - 1:
        return f"{DAYS[places[0]]} to {DAYS[places[-1]]}"
    return ", ".join(DAYS[place] for place in places)
