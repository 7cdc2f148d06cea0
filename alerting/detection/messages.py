"""Reasons of an evaluation in the language of the plant: a threshold, or the risk that a model gives."""

from datetime import timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.limits import Level, levels_on, unknown_limits
from alerting.definitions.model import Condition, Problem, Severity, TrainedDefinition
from alerting.definitions.wording.spoken import spoken_duration, spoken_share
from alerting.detection.carried import ReadingInForce
from alerting.detection.evaluation import Fact

_PROBABLE = 0.5


def limit_message(
    definition: Condition, asset: Asset, reading: ReadingInForce, severity: Severity | None
) -> tuple[str, float | None]:
    """Return why the condition is met, and the limit: `Zone 2 temperature is 221 °C, above 215 °C for 3 min`."""
    if reading.fact is not None:
        return fact_message(definition, asset, reading.fact, reading), None
    levels = levels_on(definition, asset)
    level = next((x for x in levels if x.severity == severity), levels[0])
    if isinstance(reading.value, str):
        return f"{_title(definition, asset)} is {reading.value}{_duration(definition)}", None
    number = reading.evaluated if reading.evaluated is not None else reading.value
    if number is None:
        return f"{_title(definition, asset)} is not known", None
    unit = _rate_unit(definition, asset)
    relation, limit = _beyond_message(level, number, unit)
    verb = "changes by" if definition.rate_per else "is"
    return f"{_title(definition, asset)} {verb} {number:g}{unit}{relation}{_duration(definition)}", limit


def _beyond_message(level: Level, number: float, unit: str) -> tuple[str, float | None]:
    if level.inside is not None:
        return f", inside {level.inside[0]:g} … {level.inside[1]:g}{unit}", None
    if level.equals is not None:
        return "", None
    low = level.below is not None and (level.above is None or abs(number - level.below) < abs(number - level.above))
    limit = level.below if low else level.above
    return (f", {'below' if low else 'above'} {limit:g}{unit}" if limit is not None else ""), limit


def fact_message(definition: Condition, asset: Asset, fact: Fact, reading: ReadingInForce | None) -> str:
    """Return a description of the fault of the data."""
    variable, name = asset.variables.get(definition.variable), definition.variable
    match fact:
        case "waiting":
            return waiting_message(name)
        case "stale":
            return stale_message(name, definition.stale_after)
        case "frozen" if definition.frozen_after is not None:
            return f"{name} has not changed for {spoken_duration(definition.frozen_after)}: the sensor may be frozen"
        case "out_of_range" if variable is not None:
            value = f" {reading.value:g}" if reading and isinstance(reading.value, float) else ""
            low, high = ("…" if x is None else f"{x:g}" for x in (variable.low, variable.high))
            return f"the value{value} of {name} lies outside its engineering range, {low} to {high}"
        case "no_limit":
            return "; ".join(sentence for _, sentence in unknown_limits(definition, asset)) or "a limit is not known"
    return bad_quality_message(name) if fact == "bad_quality" else f"no earlier reading of {name} to compare with"


def waiting_message(variable: str) -> str:
    """Return the reason for a target without any reading since its definition is in service."""
    return f"no reading of {variable} yet"


def bad_quality_message(variable: str) -> str:
    """Return the reason for a last sample that its source calls bad."""
    return f"bad quality: the source marks the last sample of {variable} as bad"


def stale_message(variable: str, stale_after: timedelta) -> str:
    """Return the reason for a last reading that is too old."""
    return f"no reading of {variable} within {spoken_duration(stale_after)}"


def risk_message(definition: TrainedDefinition, asset: Asset, risk: float, threshold: float | None) -> str:
    """Return what a model predicts: `Moisture will probably exceed 4.5 % within 30 min (89 %; alarm at 89 %)`."""
    likely = "will probably" if risk >= _PROBABLE else "may"
    alarm = "" if threshold is None else f"; alarm at {spoken_share(threshold)}"
    return f"{_expected_problem(definition.problem, asset, likely)} {_window(definition)} ({spoken_share(risk)}{alarm})"


def _expected_problem(problem: Problem, asset: Asset, likely: str) -> str:
    if problem.variable is None:
        event = (problem.event or "").rstrip("*-_. ").replace("_", " ") or "the problem"
        return f"{event[:1].upper()}{event[1:]} {likely} occur"
    name, unit = _name(asset, problem.variable), _variable_unit(asset, problem.variable)
    if problem.above is not None and problem.below is not None:
        return f"{name} {likely} leave {problem.below:g} … {problem.above:g}{unit}"
    if problem.above is not None:
        return f"{name} {likely} exceed {problem.above:g}{unit}"
    return f"{name} {likely} fall below {problem.below:g}{unit}"


def _window(definition: TrainedDefinition) -> str:
    if not definition.gap:
        return f"within {spoken_duration(definition.horizon)}"
    return f"in {spoken_duration(definition.gap)} to {spoken_duration(definition.gap + definition.horizon)}"


def _name(asset: Asset, variable: str) -> str:
    declared = asset.variables.get(variable)
    if declared and declared.title:
        return declared.title
    return variable[:1].upper() + variable[1:].replace("_", " ")


def _variable_unit(asset: Asset, variable: str) -> str:
    declared = asset.variables.get(variable)
    return f" {declared.unit}" if declared and declared.unit else ""


def _title(definition: Condition, asset: Asset) -> str:
    variable = asset.variables.get(definition.variable)
    return (variable and variable.title) or definition.variable


def _rate_unit(definition: Condition, asset: Asset) -> str:
    unit = _variable_unit(asset, definition.variable)
    return f"{unit} per {spoken_duration(definition.rate_per)}" if definition.rate_per else unit


def _duration(definition: Condition) -> str:
    count = f" in {definition.at_least.readings} of {definition.at_least.of} readings" if definition.at_least else ""
    return count + (f" for {spoken_duration(definition.hold)}" if definition.hold else "")
