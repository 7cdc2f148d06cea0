"""Text on how much of a period was evaluated."""

from datetime import timedelta, tzinfo

from alerting.alarm_kpis.metrics import Kpis
from alerting.definitions.wording.language import ENGLISH, Styled, template, translatable

NOTHING = translatable("nothing was evaluated in this period, so its rates are not known")
_LENGTHS = {"days": timedelta(days=1), "hours": timedelta(hours=1), "minutes": timedelta(minutes=1)}
_COUNTED = {
    "days": template("{number} days"),
    "hours": template("{number} hours"),
    "minutes": template("{number} minutes"),
}


def observation(kpis: Kpis, zone: tzinfo) -> str:
    """Return `observed 6 of 30 days, since 15 Nov`; empty if all was evaluated."""
    if kpis.observed_since is None:
        return NOTHING
    if kpis.observed >= kpis.asked:
        return ""
    whole = _unit(kpis.asked)
    own = whole if kpis.observed >= _LENGTHS[whole] else _unit(kpis.observed)
    observed = _number(kpis.observed / _LENGTHS[own])
    asked = _number(kpis.asked / _LENGTHS[whole])
    if own == whole and ENGLISH.show(observed) == ENGLISH.show(asked):
        return ""
    since = kpis.observed_since.astimezone(zone)
    day = (
        f"{since.day} {since:%b}"
        if since.year == kpis.end.astimezone(zone).year
        else f"{since.day} {since:%b %Y}"
    )
    at = day if own == "days" else f"{day} {since:%H:%M}"
    return translatable(
        "observed {part} of {whole}, since {when}",
        part=observed if own == whole else translatable(_COUNTED[own], number=observed),
        whole=translatable(_COUNTED[whole], number=asked),
        when=at,
    )


def _unit(duration: timedelta) -> str:
    """Return the largest unit of which a duration has at least two, or minutes."""
    return next((unit for unit, one in _LENGTHS.items() if duration >= 2 * one), "minutes")


def _number(value: float) -> Styled:
    return Styled(value, ".0f") if value >= 9.95 else Styled(round(value, 1), "g")
