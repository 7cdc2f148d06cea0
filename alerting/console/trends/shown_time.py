"""The time that a trend shows: what its address asks for, and the times beside it."""

from datetime import UTC, datetime, timedelta

from fastapi import Request

from alerting.adapters.platform import Platform
from alerting.console.api.parameters import EARLIEST, LATEST
from alerting.console.trends.address import Asked
from alerting.console.trends.picture import ShownTime
from alerting.console.web.rendering import zone_of
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.usecases.explain.explain import LONGEST_SELECTED

SPANS = {
    "1h": (timedelta(hours=1), translatable("1 h")),
    "8h": (timedelta(hours=8), translatable("8 h")),
    "1d": (timedelta(days=1), translatable("1 day")),
    "7d": (timedelta(days=7), translatable("1 week")),
    "28d": (timedelta(days=28), translatable("4 weeks")),
}
USUAL_SPAN = "8h"


def read_time(
    request: Request, platform: Platform, asked: Asked, now: datetime
) -> tuple[ShownTime, str, str]:
    """Return the time that is asked for, a sentence if it is another one, and why what was asked
    for cannot be shown; then the usual time is."""
    try:
        return *_find_time(request, platform, asked, now), ""
    except UserError as fault:
        return ShownTime(now - SPANS[USUAL_SPAN][0], now), "", fault.message


def read_instant(request: Request, text: str) -> datetime:
    """Return an instant that a person wrote: without a zone, in that of their pages. Raises
    UserError, also where no time beside it could be computed."""
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
        at = found if found.tzinfo else found.replace(tzinfo=zone_of(request))
        at = at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(translatable("“{text}” is not a time", text=text)) from None
    if not EARLIEST <= at <= LATEST:
        raise UserError(translatable("“{text}” lies not between 1900 and 2200", text=text))
    return at


def moved(asked: Asked, shown: ShownTime) -> dict[str, str]:
    """Return the addresses of the time before and after, and of half and twice the time."""
    width = shown.end - shown.start
    middle = shown.start + width / 2
    wide = min(width, LONGEST_SELECTED / 2)
    return {
        "earlier": asked.over(shown.start - width, shown.start),
        "later": asked.over(shown.end, shown.end + width),
        "closer": asked.over(middle - width / 4, middle + width / 4),
        "wider": asked.over(middle - wide, middle + wide),
    }


def _find_time(
    request: Request, platform: Platform, asked: Asked, now: datetime
) -> tuple[ShownTime, str]:
    length = SPANS.get(asked.span or USUAL_SPAN, SPANS[USUAL_SPAN])[0]
    if not asked.span and (asked.start or asked.end):
        end = read_instant(request, asked.end) if asked.end else now
        start = read_instant(request, asked.start) if asked.start else end - length
        if start >= end:
            raise UserError(translatable("the time must begin before it ends"))
        if end - start > LONGEST_SELECTED:
            raise UserError(translatable("show at most a year at once"))
        return ShownTime(start, end), ""
    last = platform.readings.span(asked.asset, now)
    if last is not None and last[1] < now - length:
        note = translatable("There are no newer readings; this is the time up to the last one.")
        return ShownTime(last[1] - length, last[1]), note
    return ShownTime(now - length, now), ""
