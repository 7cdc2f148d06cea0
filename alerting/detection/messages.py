"""Reasons of an evaluation in the language of the plant: a threshold, or the risk that a model gives."""

from datetime import datetime, timedelta

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
    alarm = "" if threshold is None else f"; alarm at {spoken_share(threshold)}"
    if definition.is_of_unit:
        expected = _problem_of_unit(definition.problem, is_probable=risk >= _PROBABLE)
    else:
        likely = "will probably" if risk >= _PROBABLE else "may"
        expected = f"{_expected_problem(definition.problem, asset, likely)} {_window(definition)}"
    return f"{expected} ({spoken_share(risk)}{alarm})"


def _problem_of_unit(problem: Problem, is_probable: bool) -> str:
    if problem.variable is None:
        return f"{_event_name(problem)} {'probably goes on' if is_probable else 'may go on'} now"
    return f"The unit just made {'is probably' if is_probable else 'may be'} bad"


def _expected_problem(problem: Problem, asset: Asset, likely: str) -> str:
    if problem.variable is None:
        return f"{_event_name(problem)} {likely} occur"
    name, unit = _name(asset, problem.variable), _variable_unit(asset, problem.variable)
    if problem.equals is not None:
        return f"{name} {likely} be {_spoken_value(problem.equals, unit)}"
    if problem.above is not None and problem.below is not None:
        return f"{name} {likely} leave {problem.below:g} … {problem.above:g}{unit}"
    if problem.above is not None:
        return f"{name} {likely} exceed {problem.above:g}{unit}"
    return f"{name} {likely} fall below {problem.below:g}{unit}"


def happening_message(problem: Problem, asset: Asset, value: float | str | None, since: datetime) -> str:
    """Return what has come: `Moisture is 4.7 %, limit 4.5 %, since 2026-01-05T17:07:00+00:00`. `value`: None if not known."""
    if problem.variable is None:
        return f"{_event_name(problem)} since {since.isoformat()}"
    name, unit = _name(asset, problem.variable), _variable_unit(asset, problem.variable)
    if problem.equals is not None or isinstance(value, str):
        return f"{name} is {_spoken_state(problem, value, unit)}, since {since.isoformat()}"
    now = f" is {value:g}{unit}" if value is not None else ""
    return f"{name}{now}, {_limit_message(problem, value, unit)}, since {since.isoformat()}"


def current_value_message(problem: Problem, asset: Asset, value: float | str, at: datetime) -> str:
    """Return the last value of a problem that goes on: `Moisture is 4.9 %, limit 4.5 % (2026-01-05T17:40:00+00:00)`."""
    variable = problem.variable or ""
    unit = _variable_unit(asset, variable)
    if problem.equals is not None or isinstance(value, str):
        return f"{_name(asset, variable)} is {_spoken_state(problem, value, unit)} ({at.isoformat()})"
    return f"{_name(asset, variable)} is {value:g}{unit}, {_limit_message(problem, value, unit)} ({at.isoformat()})"


def unknown_since_message(asset: Asset, variable: str, at: datetime) -> str:
    """Return that the variable of a problem that goes on has no value."""
    return f"Not known since {at.isoformat()}: no reading of {_name(asset, variable)}; it may be over"


def _spoken_value(value: bool | float | str, unit: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value:g}{unit}"


def _spoken_state(problem: Problem, value: float | str | None, unit: str) -> str:
    """Return a value beside a problem that is one value: true or false where that is; the problem's own if it is not known."""
    if value is None:
        return "" if problem.equals is None else _spoken_value(problem.equals, unit)
    return _spoken_value(bool(value) if isinstance(problem.equals, bool) else value, unit)


def _limit_message(problem: Problem, value: float | None, unit: str) -> str:
    limits = [limit for limit in (problem.below, problem.above) if limit is not None]
    if len(limits) == 1 or value is None:
        return f"limit {' … '.join(f'{limit:g}' for limit in limits)}{unit}"
    return f"limit {min(limits, key=lambda limit: abs(value - limit)):g}{unit}"


def _event_name(problem: Problem) -> str:
    event = (problem.event or "").rstrip("*-_. ").replace("_", " ") or "the problem"
    return event[:1].upper() + event[1:]


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
