"""Why a condition is met or unknown, in the language of the plant."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.limits import Level, levels_on, unknown_limits
from alerting.definitions.model import Condition, Severity
from alerting.definitions.wording.language import (
    Styled,
    Translatable,
    digits_beside,
    join_with_and,
    joined,
    measured,
    template,
    translatable,
)
from alerting.definitions.wording.phrases import variable_title
from alerting.detection.evaluation import Fact, ReadingInForce

if TYPE_CHECKING:  # it loads the library of frames
    from alerting.detection.conditions import ConditionAt


def limit_message(
    definition: Condition, asset: Asset, reading: ReadingInForce, severity: Severity | None
) -> tuple[str, float | None]:
    """Return why the condition is met, and the limit: `Zone 2 temperature is 221 °C, above 215 °C
    for 3 min`."""
    if reading.fact is not None:
        return fact_message(definition, asset, reading.fact, reading), None
    levels = levels_on(definition, asset)
    level = next((x for x in levels if x.severity == severity), levels[0])
    learned = [one for one in reading.learned if one.severity == level.severity]
    numbers = {one.side: one.limit for one in learned}
    level = replace(
        level, above=numbers.get("above", level.above), below=numbers.get("below", level.below)
    )
    name = _title(definition, asset)
    if isinstance(reading.value, str):
        return joined(
            "",
            translatable("{name} is {value}", name=name, value=reading.value),
            *_duration(definition),
        ), None
    number = reading.evaluated if reading.evaluated is not None else reading.value
    if number is None:
        return translatable("{name} is not known", name=name), None
    relation, limit = _beyond_message(definition, asset, level, number)
    style = (
        "g"
        if level.equals is not None
        else f".{digits_beside(number, level.below, level.above, *(level.inside or ()))}g"
    )
    value = rated(definition, asset, number, style)
    if definition.rate_per:
        state = translatable("{name} changes by {value}", name=name, value=value)
    else:
        state = translatable("{name} is {value}", name=name, value=value)
    found = [
        translatable(" ({learned})", learned=one.description)
        for one in learned
        if one.limit == limit and limit is not None
    ]
    return joined("", state, relation, *found[:1], *_duration(definition)), limit


def _beyond_message(
    definition: Condition, asset: Asset, level: Level, number: float
) -> tuple[str, float | None]:
    if level.inside is not None:
        low_end = Styled(level.inside[0], "g")
        high_end = rated(definition, asset, level.inside[1])
        return translatable(", inside {low} … {high}", low=low_end, high=high_end), None
    if level.equals is not None:
        return "", None
    low = level.below is not None and (
        level.above is None or abs(number - level.below) < abs(number - level.above)
    )
    limit = level.below if low else level.above
    if limit is None:
        return "", None
    beyond = rated(definition, asset, limit)
    return translatable(", below {limit}", limit=beyond) if low else translatable(
        ", above {limit}", limit=beyond
    ), limit


def combined_message(
    definition: Condition, asset: Asset, found: "Sequence[ConditionAt]", is_missing: bool = False
) -> str:
    """Return which of several conditions hold, with their values; where data are missing, also
    which."""
    met = [
        limit_message(one.condition, asset, one.reading, None)[0]
        for one in found
        if one.status == "triggered" and one.reading
    ]
    said = (
        [joined("", join_with_and(*met), *(() if is_missing else _duration(definition)))]
        if met
        else []
    )
    return joined("; ", *said, unknown_message(asset, found)) if is_missing or not met else said[0]


def unknown_message(asset: Asset, found: "Sequence[ConditionAt]") -> str:
    """Return why conditions are unknown."""
    reasons = (
        fact_message(one.condition, asset, one.fact, one.reading)
        for one in found
        if one.fact is not None
    )
    return joined("; ", *dict.fromkeys(reasons))


def fact_message(
    definition: Condition, asset: Asset, fact: Fact, reading: ReadingInForce | None
) -> str:
    """Return a description of the fault of the data."""
    variable = asset.variables.get(definition.variable)
    name = _title(definition, asset)
    match fact:
        case "waiting":
            return waiting_message(name)
        case "stale":
            return stale_message(name, definition.stale_after)
        case "frozen" if definition.frozen_after is not None:
            frozen = template("{name} has not changed for {duration}: the sensor may be frozen")
            return translatable(frozen, name=name, duration=duration_value(definition.frozen_after))
        case "out_of_range" if variable is not None:
            return _out_of_range_message(name, variable, reading)
        case "no_limit":
            unknown = [sentence for _, sentence in unknown_limits(definition, asset)]
            unknown += [
                one.description
                for one in (reading.learned if reading else ())
                if one.limit is None and one.description
            ]
            return (
                joined("; ", *dict.fromkeys(unknown))
                if unknown
                else translatable("a limit is not known")
            )
    return (
        bad_quality_message(name)
        if fact == "bad_quality"
        else translatable("no earlier reading of {name} to compare with", name=name)
    )


def _out_of_range_message(name: str, variable: Variable, reading: ReadingInForce | None) -> str:
    low, high = ("…" if x is None else Styled(x, "g") for x in (variable.low, variable.high))
    if reading and isinstance(reading.value, float):
        known = template(
            "the value {value} of {name} lies outside its engineering range, {low} to {high}"
        )
        shown = Styled(
            reading.value, f".{digits_beside(reading.value, variable.low, variable.high)}g"
        )
        return translatable(known, value=shown, name=name, low=low, high=high)
    return translatable(
        "the value of {name} lies outside its engineering range, {low} to {high}",
        name=name,
        low=low,
        high=high,
    )


def waiting_message(title: str) -> str:
    """Return the reason for a target without any reading since its definition is in service."""
    return translatable("no reading of {name} since this alert is evaluated", name=title)


def bad_quality_message(title: str) -> str:
    """Return the reason for a last sample that its source calls bad."""
    return translatable(
        "bad quality: the source marks the last sample of {name} as bad", name=title
    )


def stale_message(title: str, stale_after: timedelta) -> str:
    """Return the reason for a last reading that is too old."""
    return translatable(
        "no reading of {name} within {duration}",
        name=title,
        duration=duration_value(stale_after),
    )


def unit_of(asset: Asset, variable: str) -> str:
    """Return the unit of a variable; empty without one."""
    declared = asset.variables.get(variable)
    return declared.unit if declared and declared.unit else ""


def _title(definition: Condition, asset: Asset) -> str:
    return variable_title(definition.variable, asset.variables)


def rated(
    definition: Condition, asset: Asset, value: float, style: str = "g"
) -> Styled | Translatable:
    """Return a value of the condition: in the variable's unit, of a rate per its time."""
    number = measured(value, style, unit_of(asset, definition.variable))
    if not definition.rate_per:
        return number
    return translatable(
        "{value} per {duration}", value=number, duration=duration_value(definition.rate_per)
    )


def _duration(definition: Condition) -> list[str]:
    found: list[str] = []
    if definition.at_least:
        counts = {"number": str(definition.at_least.readings), "all": str(definition.at_least.of)}
        found.append(translatable(" in {number} of {all} readings", **counts))
    if definition.hold:
        found.append(translatable(" for {duration}", duration=duration_value(definition.hold)))
    return found


def duration_value(value: timedelta) -> Styled:
    """Return a duration that each language writes in its own way."""
    return Styled(value.total_seconds(), "duration")
