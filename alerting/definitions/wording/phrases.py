"""Phrases of what a definition watches, with titles and units of the variables."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from alerting.definitions.fields.conditions import (
    Band,
    Combination,
    Condition,
    FromAttribute,
    LearnedLimit,
)
from alerting.definitions.fields.problem import Problem
from alerting.definitions.fields.variables import Variable
from alerting.definitions.wording.language import (
    Styled,
    Value,
    join_with_and,
    join_with_or,
    translatable,
)

Variables = Mapping[str, Variable]
"""Declarations of variables by name; one that is absent is shown by its name."""
Titles = Mapping[str, str]
"""Titles of event types by name; one that is absent is shown by its name."""
NO_TITLES: Titles = MappingProxyType({})


def problem_phrase(problem: Problem, variables: Variables, events: Titles) -> str:
    """Return the phrase of a problem, e.g. `Moisture above 4.5 % for 5 min`."""
    if problem.event:
        title = events.get(problem.event, problem.event)
        return translatable("event {event}", event=title)
    combination = problem.combination
    phrase = (
        _limits(problem, variables) if combination is None else _several(combination, variables)
    )
    return _lasting(phrase, problem.hold)


def prediction_phrase(
    problem: Problem, horizon: timedelta, variables: Variables, events: Titles
) -> str:
    """Return the phrase of a problem that is predicted; horizon 0: that of the unit just made."""
    phrase = problem_phrase(problem, variables, events)
    if not horizon:
        return translatable("{problem} in the unit just made", problem=phrase)
    ahead = Styled(horizon.total_seconds(), "duration")
    return translatable("{problem}, {duration} ahead", problem=phrase, duration=ahead)


def condition_phrase(
    condition: Condition, combination: Combination | None, variables: Variables
) -> str:
    """Return the phrase of the condition of a definition, of one variable or of several."""
    phrase = (
        _limits(condition, variables) if combination is None else _several(combination, variables)
    )
    return _lasting(phrase, condition.hold)


def variable_title(name: str | None, variables: Variables) -> str:
    """Return the title of a variable, its name without one."""
    known = variables.get(name or "")
    return (known.title if known else None) or name or "?"


def _lasting(phrase: str, hold: timedelta) -> str:
    if not hold:
        return phrase
    held = Styled(hold.total_seconds(), "duration")
    return translatable("{condition} for {duration}", condition=phrase, duration=held)


def _several(combination: Combination, variables: Variables) -> str:
    parts = [
        translatable("({conditions})", conditions=_several(one, variables))
        if isinstance(one, Combination)
        else _limits(one, variables)
        for one in combination.members
    ]
    return (join_with_or if combination.how == "any" else join_with_and)(*parts)


def _limits(written: Problem | Condition, variables: Variables) -> str:
    name = written.variable
    known = variables.get(name or "")
    unit = known.unit if known else None
    what: str = variable_title(name, variables)
    if isinstance(written, Condition) and written.rate_per:
        rate = Styled(written.rate_per.total_seconds(), "duration")
        what = translatable("change of {variable} in {duration}", variable=what, duration=rate)
    if isinstance(written, Condition) and written.levels is not None:
        return translatable("{variable} beyond the limits of its severities", variable=what)
    found = _sides(written, what, unit)
    return join_with_or(*found) if found else what


def _sides(written: Problem | Condition, what: str, unit: str | None) -> list[str]:
    found: list[str] = []
    above = written.above
    below = written.below
    if isinstance(above, LearnedLimit):
        found.append(translatable("{variable} unusually high", variable=what))
    elif above is not None:
        limit = _limit(above, unit)
        found.append(translatable("{variable} above {limit}", variable=what, limit=limit))
    if isinstance(below, LearnedLimit):
        found.append(translatable("{variable} unusually low", variable=what))
    elif below is not None:
        limit = _limit(below, unit)
        found.append(translatable("{variable} below {limit}", variable=what, limit=limit))
    if isinstance(written, Condition) and isinstance(written.outside, Band):
        band = _band(written.outside, unit)
        found.append(translatable("{variable} outside {low} to {high}", variable=what, **band))
    if isinstance(written, Condition) and isinstance(written.inside, Band):
        band = _band(written.inside, unit)
        found.append(translatable("{variable} between {low} and {high}", variable=what, **band))
    if written.equals is not None:
        value = _limit(written.equals, unit)
        found.append(translatable("{variable} is {value}", variable=what, value=value))
    return found


def _band(band: Band, unit: str | None) -> dict[str, Value]:
    return {"low": _limit(band.low, None), "high": _limit(band.high, unit)}


def _limit(limit: float | str | bool | FromAttribute, unit: str | None) -> Value:
    if isinstance(limit, FromAttribute):
        return translatable("its {attribute}", attribute=limit.attribute)
    if isinstance(limit, bool):
        return str(limit).lower()
    if isinstance(limit, float | int):
        return Styled(float(limit), f"g {unit}" if unit else "g")
    return limit
