"""What a threshold judgement saw, in words."""

from datetime import timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.durations import format_duration
from alerting.definitions.limits import Level, levels_on, unknown_limits
from alerting.definitions.model import Severity, ThresholdDefinition
from alerting.detection.evaluation import Fact
from alerting.detection.threshold import Seen


def limit_words(definition: ThresholdDefinition, asset: Asset, seen: Seen, severity: Severity | None) -> tuple[str, float | None]:
    """Why the condition is met, and the limit it is beyond: `Zone 2 temperature is 221 °C, above 215 °C for 3m`."""
    if seen.fact is not None:
        return fact_words(definition, asset, seen.fact, seen), None
    levels = levels_on(definition, asset)
    level = next((x for x in levels if x.severity == severity), levels[0])
    if isinstance(seen.value, str):
        return f"{_title(definition, asset)} is {seen.value}{_held(definition)}", None
    number = seen.judged if seen.judged is not None else seen.value
    if number is None:
        return f"{_title(definition, asset)} is not known", None
    unit = _unit(definition, asset)
    words, limit = _beyond_words(level, number, unit)
    verb = "changes by" if definition.rate_per else "is"
    return f"{_title(definition, asset)} {verb} {number:g}{unit}{words}{_held(definition)}", limit


def _beyond_words(level: Level, number: float, unit: str) -> tuple[str, float | None]:
    if level.inside is not None:
        return f", inside {level.inside[0]:g} … {level.inside[1]:g}{unit}", None
    if level.equals is not None:
        return "", None
    low = level.below is not None and (level.above is None or abs(number - level.below) < abs(number - level.above))
    limit = level.below if low else level.above
    return (f", {'below' if low else 'above'} {limit:g}{unit}" if limit is not None else ""), limit


def fact_words(definition: ThresholdDefinition, asset: Asset, fact: Fact, seen: Seen | None) -> str:
    """What is the matter with the data, in words."""
    variable, name = asset.variables.get(definition.variable), definition.variable
    match fact:
        case "waiting":
            return waiting_words(name)
        case "stale":
            return stale_words(name, definition.stale_after)
        case "frozen" if definition.frozen_after is not None:
            return f"{name} has not changed for {format_duration(definition.frozen_after)}: the sensor may be frozen"
        case "out_of_range" if variable is not None:
            value = f" {seen.value:g}" if seen and isinstance(seen.value, float) else ""
            low, high = ("…" if x is None else f"{x:g}" for x in (variable.low, variable.high))
            return f"the value{value} of {name} lies outside its engineering range, {low} to {high}"
        case "no_limit":
            return "; ".join(sentence for _, sentence in unknown_limits(definition, asset)) or "a limit is not known"
    return bad_quality_words(name) if fact == "bad_quality" else f"no earlier reading of {name} to compare with"


def waiting_words(variable: str) -> str:
    """No reading has come since the definition is in service."""
    return f"no reading of {variable} yet"


def bad_quality_words(variable: str) -> str:
    """The source itself says that its last sample is bad."""
    return f"bad quality: the last sample of {variable} is bad by its source's own word"


def stale_words(variable: str, stale_after: timedelta) -> str:
    """The last reading is too old."""
    return f"no reading of {variable} within {format_duration(stale_after)}"


def _title(definition: ThresholdDefinition, asset: Asset) -> str:
    variable = asset.variables.get(definition.variable)
    return (variable and variable.title) or definition.variable


def _unit(definition: ThresholdDefinition, asset: Asset) -> str:
    variable = asset.variables.get(definition.variable)
    unit = f" {variable.unit}" if variable and variable.unit else ""
    return f"{unit} per {format_duration(definition.rate_per)}" if definition.rate_per else unit


def _held(definition: ThresholdDefinition) -> str:
    count = f" in {definition.at_least.readings} of {definition.at_least.of} readings" if definition.at_least else ""
    return count + (f" for {format_duration(definition.hold)}" if definition.hold else "")
