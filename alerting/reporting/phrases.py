"""Numbers in a readable format, the same on pages and in sentences."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from alerting.definitions.alert_definition import SEVERITY_NAMES
from alerting.definitions.fields.names_and_times import hours_in_zone
from alerting.definitions.routes_and_sinks import Match, Route
from alerting.definitions.wording.language import (
    ENGLISH,
    NATIVE_NAMES,
    Language,
    Styled,
    Translatable,
    join_with_or,
    joined,
    spoken_number,
    template,
    translatable,
)

if TYPE_CHECKING:
    from alerting.reporting.estimates import Estimate

OUTCOME_NAMES = {
    "hit": translatable("right"),
    "avoided": translatable("avoided"),
    "false_alarm": translatable("false alarm"),
    "undetermined": translatable("undetermined"),
}
NONE = "\u2013"
VERDICT_NAMES = {
    "true_alarm": translatable("right"),
    "false_alarm": translatable("wrong"),
    "unsure": translatable("unsure"),
}
TAKEN_NAMES = {
    "yes": translatable("followed the recommendation"),
    "partly": translatable("followed it in part"),
    "other": translatable("changed something else"),
    "no": translatable("did not follow the recommendation"),
}
OPERATOR_TOOK = {
    "yes": translatable("The operator followed the recommendation"),
    "partly": translatable("The operator followed it in part"),
    "other": translatable("The operator changed something else"),
    "no": translatable("The operator did not follow the recommendation"),
}
NO_VERDICT = translatable("no verdict")


def line_clock(speed: float | None, language: Language = ENGLISH) -> str | None:
    """Name the clock of a simulated line of this speed, 0 while it stands; None for none."""
    if speed is None:
        return None
    if speed == 0:
        return language.say("time of the simulated line, which stands still")
    return language.say(
        "time of the simulated line, {speed} times real time", speed=language.digits(f"{speed:g}")
    )


def number(value: float | None, digits: int = 3, language: Language = ENGLISH) -> str:
    """Format with significant digits and a thin space between thousands; a dash for none."""
    if value is None:
        return NONE
    if abs(value) >= 10**digits - 0.5:
        return f"{value:,.0f}".replace(",", "\u202f")
    return language.digits(spoken_number(value, f".{digits}g"))


def percent(value: float | None, language: Language = ENGLISH) -> str:
    """Format a share as whole percent, with one decimal below 10 %."""
    return NONE if value is None else language.share(value)


TITLES_AT_PROMOTION = {
    "event_recall": template("problems announced in time"),
    "episode_precision": template("alarms that were right"),
    "false_alarms_per_week": template("false alarms a week and asset"),
}
"""Of the metrics that are measured at a promotion."""


def false_alarms(per_asset: float, assets: int) -> Translatable:
    """Return a weekly number per asset as that of all: `60 … on all 20 assets (3 on each)`."""
    if assets <= 1:
        return translatable("{rate} false alarms a week", rate=Styled(per_asset, ".3g"))
    return translatable(
        "{rate} false alarms a week on all {assets} assets together ({each} on each)",
        rate=Styled(per_asset * assets, ".3g"),
        assets=assets,
        each=Styled(per_asset, ".3g"),
    )


def money(low: float, high: float, currency: str, language: Language = ENGLISH) -> str:
    """Format a sum of money between its bounds: `EUR 1,200`, `EUR -300 to 4,500`."""
    if round(low) == round(high):
        return f"{currency} {number(round(low))}"
    return (
        f"{currency} "
        f"{language.say('{low} to {high}', low=number(round(low)), high=number(round(high)))}"
    )


def seconds(value: float | None, language: Language = ENGLISH) -> str:
    """Format a duration in its two largest units: `2 h 10 min`; a dash for none."""
    return NONE if value is None else language.format_rough_duration(timedelta(seconds=value))


def instant(value: datetime | None, zone: tzinfo = UTC) -> str:
    """Format an instant to the minute, in this zone: `2026-01-05 06:00`."""
    return value.astimezone(zone).strftime("%Y-%m-%d %H:%M") if value else NONE


def moment(value: datetime, zone: tzinfo) -> str:
    """Format an instant with its zone: `2026-01-05 07:00 CET`, `UTC-03` without letters."""
    return ENGLISH.with_clock(zone).instant(value.replace(second=0))


def data_up_to(
    watermark: datetime, now: datetime, zone: tzinfo, language: Language = ENGLISH
) -> str:
    """Say up to when readings are evaluated: `Evaluated up to 19:52 (2 min ago).`"""
    local = watermark.astimezone(zone)
    age = max(now - watermark, timedelta(0))
    until = (
        f"{local:%H:%M}"
        if local.date() == now.astimezone(zone).date()
        else instant(watermark, zone)
    )
    if age < timedelta(minutes=1):
        return language.say("Evaluated up to {until}.", until=until)
    old = language.format_rough_duration(age // timedelta(minutes=1) * timedelta(minutes=1))
    return language.say("Evaluated up to {until} ({duration} ago).", until=until, duration=old)


def evaluated_to(
    watermark: datetime, latency: timedelta, zone: tzinfo, language: Language = ENGLISH
) -> str:
    """Say how far targets are evaluated: `evaluated to 2026-01-05 11:59:50 (latency 10 s)`."""
    until = f"{watermark.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    if not latency:
        return language.say("evaluated to {until}", until=until)
    return language.say(
        "evaluated to {until} (latency {duration})",
        until=until,
        duration=language.duration(latency),
    )


def amount(value: float | None, unit: str, language: Language = ENGLISH) -> str:
    """Format a value in the unit of its estimate."""
    if unit == "%":
        return percent(value, language)
    return seconds(value, language) if unit == "s" else number(value, 2, language)


def interval(estimate: "Estimate", language: Language = ENGLISH) -> str:
    """Format the 95 % interval of an estimate: `38 % to 86 %`; empty without an interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    return language.say(
        "{low} to {high}",
        low=amount(estimate.low, estimate.unit, language),
        high=amount(estimate.high, estimate.unit, language),
    )


# Pages translate the phase of an episode itself: these give its words to the language files.
PHASE_NAMES = {
    "expected": translatable("expected"),
    "happening": translatable("happening"),
    "over": translatable("over"),
}
GUIDANCE_NAMES = {
    "cause": translatable("Cause"),
    "consequence": translatable("Consequence"),
    "action": translatable("Action"),
    "time_to_respond": translatable("Time to respond"),
}


def distance(value: datetime, now: datetime, language: Language = ENGLISH) -> str:
    """Describe the distance of an instant from now: `just now`, `12 min ago`, `in 18 min`."""
    passed = now - value
    if abs(passed) < timedelta(minutes=1):
        return language.say("just now")
    duration = language.minutes(abs(passed))
    return (
        language.say("{duration} ago", duration=duration)
        if passed > timedelta(0)
        else language.say("in {duration}", duration=duration)
    )


def route_terms(route: Route) -> list[tuple[str, str]]:
    """Return the terms of a route with their text: alerts, times, frequency, escalation."""
    quiet = hours_in_zone(route.quiet, route.timezone) if route.quiet else ""
    repeated = translatable(
        "every {duration}, until an operator acknowledges it or it is over",
        duration=_duration(route.repeat),
    )
    escalations = (
        translatable(
            "not acknowledged for {duration}: {channels}",
            duration=_duration(step.after),
            channels=", ".join(step.channels),
        )
        for step in route.escalation
    )
    flood = translatable(
        "more than {number} alerts of one asset within {duration} become one message",
        number=route.flood.more_than if route.flood else 0,
        duration=_duration(route.flood.within if route.flood else None),
    )
    terms = (
        (translatable("Alerts"), match_text(route.match)),
        (
            translatable("In force"),
            hours_in_zone(route.shifts, route.timezone) if route.shifts else translatable("always"),
        ),
        (
            translatable("Quiet"),
            translatable("{hours}; critical alerts are sent nevertheless", hours=quiet)
            if quiet
            else translatable("never"),
        ),
        (translatable("Repeated"), repeated if route.repeat else ""),
        *((translatable("Escalation"), text) for text in escalations),
        (translatable("Flood"), flood if route.flood else ""),
        (translatable("Language"), NATIVE_NAMES[route.language] if route.language else ""),
        (
            translatable("Links"),
            translatable("each message has a link that acknowledges the alert without a login")
            if route.acknowledge_by_link
            else "",
        ),
        (
            translatable("Platform"),
            translatable("faults of the platform itself are sent as well")
            if route.platform
            else "",
        ),
    )
    return [(term, text) for term, text in terms if text]


def match_text(match: Match) -> str:
    """Return which alerts a route matches: `critical or high, of oven-*, tagged line-3`."""
    names = (
        (template("alert {names}"), match.definitions),
        (template("of {names}"), match.assets),
        (template("tagged {names}"), match.tags),
    )
    parts = [
        translatable(text, names=join_with_or(*chosen))
        for text, chosen in names
        if chosen and chosen != ("*",)
    ]
    severities = [translatable(SEVERITY_NAMES[severity]) for severity in match.severity or ()]
    if not severities and not parts:
        return translatable("every alert")
    return joined(", ", join_with_or(*severities or [translatable("every severity")]), *parts)


def _duration(value: timedelta | None) -> Styled:
    return Styled(value.total_seconds() if value else 0.0, "duration")
