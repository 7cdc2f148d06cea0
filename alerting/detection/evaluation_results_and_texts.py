"""Result of an evaluation: triggered, clear or unknown, with value, threshold and reason; and
sentences in terms of the plant: why a condition is met or unknown, and how a predicted problem
develops."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from alerting.definitions.alert_definition import Condition, Problem, Severity, TrainedDefinition
from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.fields.condition_fields import Combination
from alerting.definitions.fields.problem import count_phrase, title_in_sentence, variable_title
from alerting.definitions.threshold_limits import Level, level_delays, levels_on, unknown_limits
from alerting.definitions.wording.language import (
    Styled,
    Translatable,
    digits_beside,
    join_with_and,
    join_with_or,
    joined,
    measured,
    template,
    translatable,
)

Status = Literal["triggered", "clear", "unknown"]
Fact = Literal[
    "waiting", "stale", "frozen", "out_of_range", "bad_quality", "no_rate", "no_limit", "ended"
]
# what `no_data` decides about
MISSING: tuple[Fact, ...] = ("stale", "frozen", "out_of_range", "bad_quality")
_IS = template("{name} is {value}")
_IS_AT = template("{name} is {value} ({at})")
_IS_SINCE = template("{name} is {value}, since {since}")
_IS_BEYOND_AT = template("{name} is {value}, limit {limit} ({at})")
_IS_BEYOND_SINCE = template("{name} is {value}, limit {limit}, since {since}")
OF_A_READING = frozenset({_IS, _IS_AT, _IS_SINCE, _IS_BEYOND_AT, _IS_BEYOND_SINCE})
"""Templates of the texts that state a reading, the value `name` of a variable."""


@dataclass(frozen=True)
class Evaluation:
    """Result of evaluating one target at one instant.

    `value` is the evaluated number (a reading, or a probability), None when unknown. `reason` is a
    sentence in plain words. `model_version` is the registry version that scored, None for threshold
    kinds. `cause`: as of `StatusInterval`, None if it is not known.
    """

    at: datetime
    status: Status
    reason: str
    value: float | None = None
    threshold: float | None = None
    model_version: int | None = None
    cause: str | None = None


UNKNOWN = "unknown"  # the cause while no condition is known to be true


@dataclass(frozen=True)
class StatusInterval:
    """Interval [start, end) with a single status.

    `severity`: the worst severity reached while triggered (None: the least severe). `fact`: the
    fault of the data, if any: `waiting` for the first reading, `stale` since the last, `frozen` at
    one value, `out_of_range` of the engineering range, `bad_quality` according to its source,
    `no_rate` without an earlier reading to compare with, `no_limit` where the asset does not state
    it, `ended`: no reading since a person ended the alarm. `cause`: while triggered, which of
    several conditions are true, joined by `+`: a variable and a side of its limits, a fault of the
    data, a rule; empty for a kind with a single one.
    """

    start: datetime
    end: datetime
    status: Status
    severity: Severity | None = None
    fact: Fact | None = None
    cause: str = ""


INSIDE = "inside"  # the side of a band


@dataclass(frozen=True)
class LimitInForce:
    """A learned limit for one reading, with its severity and side; None if it is unknown.
    `description`: how it was determined."""

    severity: Severity
    side: str
    limit: float | None
    description: str


@dataclass(frozen=True)
class ReadingInForce:
    """The reading in force at an instant: when it was taken, its value, and the evaluated number (a
    value or a rate).

    `learned`: the learned limits for this reading.
    """

    at: datetime
    value: float | str | None
    evaluated: float | None
    fact: Fact | None
    learned: tuple[LimitInForce, ...] = ()


class ConditionAt(NamedTuple):
    """One condition at an instant: its status, the fault of its data if that is unknown, and the
    reading in force, None without one."""

    condition: Condition
    status: Status
    fact: Fact | None
    reading: ReadingInForce | None


def limit_message(
    definition: Condition,
    asset: Asset,
    reading: ReadingInForce,
    severity: Severity | None,
    *,
    lasted: bool = True,
) -> tuple[str, float | None]:
    """Return why the condition is met, and the limit: `Zone 2 temperature is 221 °C, above 215 °C
    for 3 min`. `lasted`: whether it has been met for its on-delay."""
    if reading.fact is not None:
        return fact_message(definition, asset, reading.fact, reading), None
    levels = levels_on(definition, asset)
    level = next((x for x in levels if x.severity == severity), levels[0])
    duration = _duration(definition, level.severity) if lasted else []
    learned = [in_force for in_force in reading.learned if in_force.severity == level.severity]
    numbers = {in_force.side: in_force.limit for in_force in learned}
    level = replace(
        level, above=numbers.get("above", level.above), below=numbers.get("below", level.below)
    )
    name = variable_title(definition.variable, asset.variables)
    if isinstance(reading.value, str) and reading.evaluated is None:
        return joined(
            "",
            translatable(_IS, name=name, value=reading.value),
            *duration,
        ), None
    number = reading.value if reading.evaluated is None else reading.evaluated
    if number is None or isinstance(number, str):
        return translatable("{name} is not known", name=name), None
    relation, limit = _beyond_message(definition, asset, level, number)
    style = (
        "g"
        if level.equals is not None
        else f".{digits_beside(number, level.below, level.above, *(level.inside or ()))}g"
    )
    value = rated(definition, asset, number, style)
    if definition.count_within:
        counted = count_phrase(definition, asset.variables)
        state = translatable("{name}: {value}", name=counted, value=value)
    elif definition.rate_per:
        state = translatable("{name} changes by {value}", name=name, value=value)
    else:
        state = translatable(_IS, name=name, value=value)
    descriptions = [
        translatable(" ({learned})", learned=in_force.description)
        for in_force in learned
        if in_force.limit == limit and limit is not None
    ]
    return joined("", state, relation, *descriptions[:1], *duration), limit


def _beyond_message(
    definition: Condition, asset: Asset, level: Level, number: float
) -> tuple[str, float | None]:
    if level.inside is not None:
        low_end = Styled(level.inside[0], "g")
        high_end = rated(definition, asset, level.inside[1])
        return translatable(", inside {low} … {high}", low=low_end, high=high_end), None
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
    definition: Condition,
    asset: Asset,
    conditions: Sequence[ConditionAt],
    is_missing: bool = False,
    *,
    lasted: bool = True,
) -> str:
    """Return which of several conditions hold, with their values, and which data are missing.
    `lasted`: whether they have held for their on-delay."""
    met = _met_messages(asset, conditions)
    sentences: list[str] = []
    if met:
        duration = _duration(definition) if lasted and not is_missing else []
        sentences.append(joined("", join_with_and(*met), *duration))
    if is_missing or not met:
        return joined("; ", *sentences, unknown_message(asset, conditions))
    return sentences[0]


def _met_messages(asset: Asset, conditions: Sequence[ConditionAt]) -> list[str]:
    return [
        limit_message(condition.condition, asset, condition.reading, None)[0]
        for condition in conditions
        if condition.status == "triggered" and condition.reading
    ]


def unknown_message(asset: Asset, conditions: Sequence[ConditionAt]) -> str:
    """Return why conditions are unknown."""
    reasons = (
        fact_message(condition.condition, asset, condition.fact, condition.reading)
        for condition in conditions
        if condition.fact is not None
    )
    return joined("; ", *dict.fromkeys(reasons))


def fact_message(
    definition: Condition, asset: Asset, fact: Fact, reading: ReadingInForce | None
) -> str:
    """Return a description of the fault of the data."""
    variable = asset.variables.get(definition.variable)
    name = variable_title(definition.variable, asset.variables)
    if definition.count_within and not definition.variable:
        name = count_phrase(definition, asset.variables)
    match fact:
        case "waiting" | "ended":
            return translatable(_WITHOUT_READING[fact], name=name)
        case "stale":
            return stale_message(name, definition.stale_after)
        case "frozen" if definition.frozen_after is not None:
            frozen = template("{name} has not changed for {duration}: the sensor may be frozen")
            return translatable(frozen, name=name, duration=duration_value(definition.frozen_after))
        case "out_of_range" if variable is not None:
            return _out_of_range_message(name, variable, reading)
        case "no_limit":
            unknown = [fault.message for fault in unknown_limits(definition, asset)]
            unknown += [
                limit.description
                for limit in (reading.learned if reading else ())
                if limit.limit is None and limit.description
            ]
            return (
                joined("; ", *dict.fromkeys(unknown))
                if unknown
                else translatable("a limit is not known")
            )
    return (
        bad_quality_message(name) if fact == "bad_quality" else _no_number_message(definition, name)
    )


def _no_number_message(definition: Condition, name: str) -> str:
    """Return why a rate, or a number in a time, is not known."""
    if definition.count_within is None:
        return translatable("no earlier reading of {name} to compare with", name=name)
    gap = template("{name} has no readings without a gap for {duration}, in which to count")
    return translatable(gap, name=name, duration=duration_value(definition.count_within))


def _out_of_range_message(name: str, variable: Variable, reading: ReadingInForce | None) -> str:
    low = "…" if variable.low is None else Styled(variable.low, "g")
    high = "…" if variable.high is None else Styled(variable.high, "g")
    if reading and isinstance(reading.value, float):
        sentence = template(
            "the value {value} of {name} lies outside its engineering range, {low} to {high}"
        )
        shown = Styled(
            reading.value, f".{digits_beside(reading.value, variable.low, variable.high)}g"
        )
        return translatable(sentence, value=shown, name=name, low=low, high=high)
    return translatable(
        "the value of {name} lies outside its engineering range, {low} to {high}",
        name=name,
        low=low,
        high=high,
    )


WAITING_FOR_READING = template("{name} has no reading since this alert is in service")
_WITHOUT_READING = {
    "waiting": WAITING_FOR_READING,
    "ended": template("{name} has no reading since a person ended the alarm"),
}
NO_READING_WITHIN = template("no reading of {name} within {duration}")
NO_READINGS_FOR_MODEL = template("no readings in the last {duration}, which the model needs")


def waiting_message(title: str) -> str:
    """Return the reason for a target without any reading since its definition is in service."""
    return translatable(WAITING_FOR_READING, name=title)


def bad_quality_message(title: str) -> str:
    """Return the reason for a last sample that its source calls bad."""
    return translatable(
        "bad quality: the source marks the last sample of {name} as bad", name=title
    )


def stale_message(title: str, stale_after: timedelta) -> str:
    """Return the reason for a last reading that is too old."""
    return translatable(NO_READING_WITHIN, name=title, duration=duration_value(stale_after))


def unit_of(asset: Asset, variable: str) -> str:
    """Return the unit of a variable; empty without one."""
    declared = asset.variables.get(variable)
    return declared.unit if declared and declared.unit else ""


def rated(
    definition: Condition, asset: Asset, value: float, style: str = "g"
) -> Styled | Translatable:
    """Return a value in the condition's unit: the variable's unit, for a rate per its time."""
    unit = "" if definition.count_within else unit_of(asset, definition.variable)
    number = measured(value, style, unit)
    if not definition.rate_per:
        return number
    return translatable(
        "{value} per {duration}", value=number, duration=duration_value(definition.rate_per)
    )


def _duration(definition: Condition, severity: Severity | None = None) -> list[str]:
    texts: list[str] = []
    if definition.at_least:
        counts = {"number": str(definition.at_least.readings), "all": str(definition.at_least.of)}
        texts.append(translatable(" in {number} of {all} readings", **counts))
    hold = level_delays(definition).get(severity or definition.severity, definition.hold)
    if hold:
        texts.append(translatable(" for {duration}", duration=duration_value(hold)))
    return texts


def duration_value(value: timedelta) -> Styled:
    """Return a duration as a value that each language formats in its own way."""
    return Styled(value.total_seconds(), "duration")


_EQUALS = template("{name} may be {value}"), template("{name} will probably be {value}")
_LEAVES = (
    template("{name} may leave {low} … {high}"),
    template("{name} will probably leave {low} … {high}"),
)
_EXCEEDS = template("{name} may exceed {limit}"), template("{name} will probably exceed {limit}")
_FALLS = (
    template("{name} may fall below {limit}"),
    template("{name} will probably fall below {limit}"),
)
_SIDES = {"above": template("{name} above {limit}"), "below": template("{name} below {limit}")}
_OCCURS = template("{event} may occur"), template("{event} will probably occur")
_GOES_ON = template("{event} may go on now"), template("{event} probably goes on now")
_BAD_UNIT = (
    template("The unit just made may be bad"),
    template("The unit just made is probably bad"),
)


def risk_message(
    definition: TrainedDefinition,
    asset: Asset,
    event_types: Iterable[EventType],
    risk: float,
    threshold: float | None,
) -> str:
    """Return what a model predicts: `Moisture will probably exceed 4.5 % within 30 min (89 %; alarm
    at 89 %)`."""
    is_probable = risk >= 0.5
    problem = definition.problem
    window = "" if definition.is_of_unit else _window(definition)
    if not definition.is_of_unit:
        expected = _expected_problem(problem, asset, event_types, is_probable)
    elif problem.event is None:
        expected = translatable(_BAD_UNIT[is_probable])
    else:
        expected = translatable(_GOES_ON[is_probable], event=_event_name(problem, event_types))
    share = Styled(risk, "share")
    if threshold is None:
        return joined("", expected, window, translatable(" ({risk})", risk=share))
    alarm = translatable(
        " ({risk}; alarm at {threshold})", risk=share, threshold=Styled(threshold, "threshold")
    )
    return joined("", expected, window, alarm)


def combination_message(combination: Combination, asset: Asset) -> str:
    """Describe conditions of several variables: `Moisture above 4.5 % and Zone 2 temperature below
    180 °C`."""
    texts = [
        translatable("({conditions})", conditions=combination_message(member, asset))
        if isinstance(member, Combination)
        else _condition_message(member, asset)
        for member in combination.members
    ]
    return join_with_and(*texts) if combination.how == "all" else join_with_or(*texts)


def _condition_message(condition: Condition, asset: Asset) -> str:
    name = title_in_sentence(asset, condition.variable)
    if unknown_limits(condition, asset):
        return name
    level = levels_on(condition, asset)[0]
    if condition.equals is not None:
        value = condition.equals if isinstance(condition.equals, bool) else level.equals
        spoken = "" if value is None else _spoken_value(value, unit_of(asset, condition.variable))
        return translatable(_IS, name=name, value=spoken)
    texts = [
        translatable(_SIDES[side], name=name, limit=rated(condition, asset, limit))
        for side, limit in {"above": level.above, "below": level.below}.items()
        if limit is not None
    ]
    if level.inside is not None:
        low = Styled(level.inside[0], "g")
        high = rated(condition, asset, level.inside[1])
        texts.append(translatable("{name} inside {low} … {high}", name=name, low=low, high=high))
    return join_with_or(*texts)


def _expected_problem(
    problem: Problem, asset: Asset, event_types: Iterable[EventType], is_probable: bool
) -> str:
    if (combination := problem.combination) is not None:
        return translatable(_OCCURS[is_probable], event=combination_message(combination, asset))
    if problem.variable is None:
        return translatable(_OCCURS[is_probable], event=_event_name(problem, event_types))
    name = title_in_sentence(asset, problem.variable)
    unit = unit_of(asset, problem.variable)
    if problem.equals is not None:
        return translatable(
            _EQUALS[is_probable], name=name, value=_spoken_value(problem.equals, unit)
        )
    if problem.above is not None and problem.below is not None:
        low = Styled(problem.below, "g")
        high = measured(problem.above, "g", unit)
        return translatable(_LEAVES[is_probable], name=name, low=low, high=high)
    if problem.above is not None:
        return translatable(
            _EXCEEDS[is_probable], name=name, limit=measured(problem.above, "g", unit)
        )
    return translatable(
        _FALLS[is_probable], name=name, limit=measured(problem.below or 0.0, "g", unit)
    )


def happening_message(
    problem: Problem,
    asset: Asset,
    event_types: Iterable[EventType],
    value: float | str | None,
    since: datetime,
) -> str:
    """Describe the problem that has come: `Moisture is 4.7 %, limit 4.5 %, since
    today 17:07`. `value`: None if not known."""
    if problem.variable is None:
        return translatable(
            "{event} since {since}", event=_event_name(problem, event_types), since=since
        )
    name = title_in_sentence(asset, problem.variable)
    unit = unit_of(asset, problem.variable)
    if problem.equals is not None or isinstance(value, str):
        return translatable(
            _IS_SINCE,
            name=name,
            value=_spoken_state(problem, value, unit),
            since=since,
        )
    limit = _limit_message(problem, value, unit)
    if value is None:
        return translatable(
            "{name}, limit {limit}, since {since}", name=name, limit=limit, since=since
        )
    return translatable(
        _IS_BEYOND_SINCE,
        name=name,
        value=measured(value, f".{digits_beside(value, problem.below, problem.above)}g", unit),
        limit=limit,
        since=since,
    )


def instant_event_message(problem: Problem, event_types: Iterable[EventType], at: datetime) -> str:
    """Describe the event without a duration that has come: `Failure, today 17:07`."""
    return translatable("{event}, {when}", event=_event_name(problem, event_types), when=at)


def combined_happening_message(
    combination: Combination,
    asset: Asset,
    conditions: Sequence[ConditionAt],
    since: datetime | None = None,
) -> str:
    """Describe the conditions that hold, with their values; all conditions without values if none
    is known to hold.

    With `since`: `Moisture is 4.7 %, above 4.5 % and Oven is 170 °C, below 180 °C since
    today 17:07`.
    """
    met = _met_messages(asset, conditions)
    text = join_with_and(*met) if met else combination_message(combination, asset)
    return text if since is None else translatable("{event} since {since}", event=text, since=since)


def current_value_message(problem: Problem, asset: Asset, value: float | str, at: datetime) -> str:
    """Return the last value of a problem that goes on: `Moisture is 4.9 %, limit 4.5 %
    (today 17:40)`."""
    variable = problem.variable or ""
    name = title_in_sentence(asset, variable)
    unit = unit_of(asset, variable)
    if problem.equals is not None or isinstance(value, str):
        return translatable(
            _IS_AT,
            name=name,
            value=_spoken_state(problem, value, unit),
            at=at,
        )
    now = measured(value, f".{digits_beside(value, problem.below, problem.above)}g", unit)
    limit = _limit_message(problem, value, unit)
    return translatable(_IS_BEYOND_AT, name=name, value=now, limit=limit, at=at)


def unknown_since_message(asset: Asset, variable: str, at: datetime) -> str:
    """Return the message that the variable of an ongoing problem has no value."""
    name = title_in_sentence(asset, variable)
    return translatable(
        "Not known since {since}: no reading of {name}; it may be over", since=at, name=name
    )


def _spoken_value(value: bool | float | str, unit: str) -> str | Styled:
    if isinstance(value, bool):
        return translatable("true") if value else translatable("false")
    return value if isinstance(value, str) else measured(value, "g", unit)


def _spoken_state(problem: Problem, value: float | str | None, unit: str) -> str | Styled:
    """Return the text of a value, for a problem that is one value: true or false for a boolean; the
    problem's value if the value is not known."""
    if value is None:
        return "" if problem.equals is None else _spoken_value(problem.equals, unit)
    return _spoken_value(bool(value) if isinstance(problem.equals, bool) else value, unit)


def _limit_message(problem: Problem, value: float | None, unit: str) -> Styled | Translatable:
    limits = [limit for limit in (problem.below, problem.above) if limit is not None]
    if len(limits) == 1 or value is None:
        last = measured(limits[-1], "g", unit)
        return (
            last
            if len(limits) == 1
            else translatable("{low} … {high}", low=Styled(limits[0], "g"), high=last)
        )
    return measured(min(limits, key=lambda limit: abs(value - limit)), "g", unit)


def _event_name(problem: Problem, event_types: Iterable[EventType]) -> str:
    """Return the title of a problem's event type; without one its name in words."""
    name = problem.event or ""
    title = next(
        (
            event_type.title
            for event_type in event_types
            if event_type.name == name and event_type.title
        ),
        None,
    )
    event = title or name.rstrip("*-_. ").replace("_", " ")
    return event[:1].upper() + event[1:] if event else translatable("The problem")


def _window(definition: TrainedDefinition) -> str:
    end = duration_value(definition.gap + definition.horizon)
    if not definition.gap:
        return translatable(" within {duration}", duration=end)
    return translatable(" in {start} to {end}", start=duration_value(definition.gap), end=end)
