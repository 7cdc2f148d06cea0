"""Sentences on a predicted problem and its course, in the language of the plant."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.fields.conditions import Combination
from alerting.definitions.limits import levels_on, unknown_limits
from alerting.definitions.model import Condition, Problem, TrainedDefinition
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
from alerting.detection.messages.condition_messages import (
    duration_value,
    limit_message,
    rated,
    unit_of,
)

if TYPE_CHECKING:  # it loads the library of frames
    from alerting.detection.conditions import ConditionAt

_PROBABLE = 0.5
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
    is_probable = risk >= _PROBABLE
    if definition.is_of_unit:
        expected = _problem_of_unit(definition.problem, event_types, is_probable)
        window = ""
    else:
        expected = _expected_problem(definition.problem, asset, event_types, is_probable)
        window = _window(definition)
    share = Styled(risk, "share")
    if threshold is None:
        return joined("", expected, window, translatable(" ({risk})", risk=share))
    alarm = translatable(
        " ({risk}; alarm at {threshold})", risk=share, threshold=Styled(threshold, "threshold")
    )
    return joined("", expected, window, alarm)


def combination_message(combination: Combination, asset: Asset) -> str:
    """Return conditions of several variables in words: `Moisture above 4.5 % and Zone 2 temperature
    below 180 °C`."""
    said = [
        translatable("({conditions})", conditions=combination_message(one, asset))
        if isinstance(one, Combination)
        else _condition_message(one, asset)
        for one in combination.members
    ]
    return join_with_and(*said) if combination.how == "all" else join_with_or(*said)


def _condition_message(condition: Condition, asset: Asset) -> str:
    name = _name(asset, condition.variable)
    if condition.equals is not None and not unknown_limits(condition, asset):
        value = (
            condition.equals
            if isinstance(condition.equals, bool)
            else levels_on(condition, asset)[0].equals
        )
        spoken = "" if value is None else _spoken_value(value, unit_of(asset, condition.variable))
        return translatable("{name} is {value}", name=name, value=spoken)
    if unknown_limits(condition, asset):
        return name
    level = levels_on(condition, asset)[0]
    sides = {"above": level.above, "below": level.below}
    said = [
        translatable(_SIDES[side], name=name, limit=rated(condition, asset, limit))
        for side, limit in sides.items()
        if limit is not None
    ]
    if level.inside is not None:
        low = Styled(level.inside[0], "g")
        high = rated(condition, asset, level.inside[1])
        said.append(translatable("{name} inside {low} … {high}", name=name, low=low, high=high))
    return join_with_or(*said)


def _problem_of_unit(problem: Problem, event_types: Iterable[EventType], is_probable: bool) -> str:
    if problem.event is not None:
        return translatable(_GOES_ON[is_probable], event=_event_name(problem, event_types))
    return translatable(_BAD_UNIT[is_probable])


def _expected_problem(
    problem: Problem, asset: Asset, event_types: Iterable[EventType], is_probable: bool
) -> str:
    if (combination := problem.combination) is not None:
        return translatable(_OCCURS[is_probable], event=combination_message(combination, asset))
    if problem.variable is None:
        return translatable(_OCCURS[is_probable], event=_event_name(problem, event_types))
    name = _name(asset, problem.variable)
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
    """Return what has come: `Moisture is 4.7 %, limit 4.5 %, since 2026-01-05T17:07:00+00:00`.
    `value`: None if not known."""
    begun = since.isoformat()
    if problem.variable is None:
        return translatable(
            "{event} since {since}", event=_event_name(problem, event_types), since=begun
        )
    name = _name(asset, problem.variable)
    unit = unit_of(asset, problem.variable)
    if problem.equals is not None or isinstance(value, str):
        return translatable(
            "{name} is {value}, since {since}",
            name=name,
            value=_spoken_state(problem, value, unit),
            since=begun,
        )
    limit = _limit_message(problem, value, unit)
    if value is None:
        return translatable(
            "{name}, limit {limit}, since {since}", name=name, limit=limit, since=begun
        )
    now = measured(value, f".{digits_beside(value, problem.below, problem.above)}g", unit)
    return translatable(
        "{name} is {value}, limit {limit}, since {since}",
        name=name,
        value=now,
        limit=limit,
        since=begun,
    )


def instant_event_message(problem: Problem, event_types: Iterable[EventType], at: datetime) -> str:
    """Return which event without a duration has come: `Failure, 2026-01-05T17:07:00+00:00`."""
    return translatable(
        "{event}, {when}", event=_event_name(problem, event_types), when=at.isoformat()
    )


def combined_happening_message(
    combination: Combination,
    asset: Asset,
    found: "Sequence[ConditionAt]",
    since: datetime | None = None,
) -> str:
    """Return the conditions that hold, with their values; all of them without values where none is
    known to hold.

    `since`: as in `Moisture is 4.7 %, above 4.5 % and Oven is 170 °C, below 180 °C since
    2026-01-05T17:07:00+00:00`.
    """
    met = [
        limit_message(one.condition, asset, one.reading, None)[0]
        for one in found
        if one.status == "triggered" and one.reading
    ]
    said = join_with_and(*met) if met else combination_message(combination, asset)
    return (
        said
        if since is None
        else translatable("{event} since {since}", event=said, since=since.isoformat())
    )


def current_value_message(problem: Problem, asset: Asset, value: float | str, at: datetime) -> str:
    """Return the last value of a problem that goes on: `Moisture is 4.9 %, limit 4.5 %
    (2026-01-05T17:40:00+00:00)`."""
    variable = problem.variable or ""
    stamp = at.isoformat()
    name = _name(asset, variable)
    unit = unit_of(asset, variable)
    if problem.equals is not None or isinstance(value, str):
        return translatable(
            "{name} is {value} ({at})",
            name=name,
            value=_spoken_state(problem, value, unit),
            at=stamp,
        )
    now = measured(value, f".{digits_beside(value, problem.below, problem.above)}g", unit)
    limit = _limit_message(problem, value, unit)
    return translatable(
        "{name} is {value}, limit {limit} ({at})", name=name, value=now, limit=limit, at=stamp
    )


def unknown_since_message(asset: Asset, variable: str, at: datetime) -> str:
    """Return that the variable of a problem that goes on has no value."""
    name = _name(asset, variable)
    since = at.isoformat()
    return translatable(
        "Not known since {since}: no reading of {name}; it may be over", since=since, name=name
    )


def _spoken_value(value: bool | float | str, unit: str) -> str | Styled:
    if isinstance(value, bool):
        return translatable("true") if value else translatable("false")
    return value if isinstance(value, str) else measured(value, "g", unit)


def _spoken_state(problem: Problem, value: float | str | None, unit: str) -> str | Styled:
    """Return a value beside a problem that is one value: true or false where that is; the problem's
    own if it is not known."""
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
    title = next((one.title for one in event_types if one.name == name and one.title), None)
    event = title or name.rstrip("*-_. ").replace("_", " ")
    return event[:1].upper() + event[1:] if event else translatable("The problem")


def _window(definition: TrainedDefinition) -> str:
    end = duration_value(definition.gap + definition.horizon)
    if not definition.gap:
        return translatable(" within {duration}", duration=end)
    return translatable(" in {start} to {end}", start=duration_value(definition.gap), end=end)


def _name(asset: Asset, variable: str) -> str:
    declared = asset.variables.get(variable)
    if declared and declared.title:
        return declared.title
    return variable[:1].upper() + variable[1:].replace("_", " ")
