"""The problem that an alert warns of, where it is expected, and how long an alarm of a model lasts;
and phrases of a problem or condition for people, with titles and units of the variables."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple

from pydantic import Field, StrictBool

from alerting.definitions.asset_documents import Asset, Closed, Line, Tag, Variable, VariableName
from alerting.definitions.faults import Duration, format_duration
from alerting.definitions.fields.condition_fields import (
    DEFAULTS,
    MOST_MEMBERS,
    Band,
    Combination,
    Condition,
    FromAttribute,
    LearnedLimit,
    ProblemMember,
    combination_of,
)
from alerting.definitions.fields.names_and_times import LongerThanZero, Number
from alerting.definitions.wording.language import (
    Styled,
    Value,
    join_with_and,
    join_with_or,
    spoken_number,
    translatable,
)


class ClearDifference(Closed):
    """How far a value must be back within its limit."""

    difference: Number = Field(gt=0, description="Difference, in the unit of the variable.")


class ClearLimits(NamedTuple):
    """The values at or below, and at or above which a problem is over; where it has the limit."""

    above: float
    below: float


class Problem(Closed):
    """The problem to prevent: a condition on a variable, or on several, that holds for a time, or
    an event type."""

    variable: VariableName | None = Field(
        None,
        description="Variable whose value is the problem; give above, below or equals with it.",
    )
    above: Number | None = Field(None, description="The problem is a value above this limit.")
    below: Number | None = Field(None, description="The problem is a value below this limit.")
    equals: StrictBool | Number | Line | None = Field(
        None,
        description=(
            "The problem is exactly this value: a number, true or false, or the text of a category."
        ),
    )
    any: tuple[ProblemMember, ...] | None = Field(
        None,
        max_length=MOST_MEMBERS,
        exclude_if=lambda members: members is None,
        description="Instead of a variable and its limits: the problem is that one of these "
        "conditions holds, each by the last "
        "value of its variable. Each is a variable with limits, or once more any: or all: of such. "
        "Where none holds and one is "
        "unknown, the problem is unknown.",
    )
    all: tuple[ProblemMember, ...] | None = Field(
        None,
        max_length=MOST_MEMBERS,
        exclude_if=lambda members: members is None,
        description="Instead of a variable and its limits: the problem is that all of these "
        "conditions hold. Where one does not, "
        "there is none; otherwise, where one is unknown, the problem is unknown.",
    )
    hold: Duration = Field(
        timedelta(0), alias="for", description="Time for which it must hold to count."
    )
    clear: Number | ClearDifference | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description=(
            "Hysteresis: it is over only at this value, or {difference: …} to each limit, or "
            "beyond. Left out: at the first value within the limit."
        ),
    )
    merge_within: LongerThanZero | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description=(
            "Problems less than this apart are one, which is known to be over this much "
            "later. Left out: each one counts."
        ),
    )
    event: Tag | None = Field(
        None,
        description=("Event type that is the problem, e.g. failure-*."),
    )
    predict: Literal["onset", "state"] | None = Field(
        None,
        description=(
            "onset: will it start within the horizon? state: will it hold at some sample in "
            "it? Left out: state for a variable with a delay and with horizon: 0s, else "
            "onset."
        ),
    )
    recovery: Duration | None = Field(
        None,
        description=(
            "Time after a problem (onset) that does not count: no score, no alarm, no row of "
            "learning. Left out: one horizon after an instant event, else none."
        ),
    )

    @property
    def combination(self) -> Combination | None:
        """Return the conditions of several variables; None for a condition of one, and events."""
        return combination_of(self, DEFAULTS)

    @property
    def merge(self) -> timedelta:
        """Return the time within which problems count as one; 0 if none is stated."""
        return self.merge_within or timedelta(0)

    @property
    def clear_limits(self) -> ClearLimits:
        """Return the values at which the problem is over: its limits where `clear` states no other
        value."""
        above = 0.0 if self.above is None else self.above
        below = 0.0 if self.below is None else self.below
        if self.clear is None:
            return ClearLimits(above, below)
        if isinstance(self.clear, ClearDifference):
            return ClearLimits(above - self.clear.difference, below + self.clear.difference)
        return ClearLimits(self.clear, self.clear)

    @property
    def has_condition(self) -> bool:
        """Return whether the problem can occur: it cannot with a variable that has no limit."""
        return self.variable is None or (self.above, self.below, self.equals) != (None,) * 3

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the variables whose values show the problem, as written; none for events."""
        if (combination := self.combination) is not None:
            return combination.variables
        return () if self.variable is None else (self.variable,)


def describe_problem(problem: Problem) -> str:
    """Return the description of a problem, e.g. `moisture above 4.5 for 5m`."""
    merged = (
        f", one problem within {format_duration(problem.merge_within)}"
        if problem.merge_within
        else ""
    )
    if problem.event:
        return f"event {problem.event}{merged}"
    combination = problem.combination
    hold = f" for {format_duration(problem.hold)}" if problem.hold else ""
    condition = (
        f"{problem.variable} {_limits(problem)}" if combination is None else _describe(combination)
    )
    return condition + hold + _clearing(problem.clear) + merged


def _clearing(clear: float | ClearDifference | None) -> str:
    if clear is None:
        return ""
    if isinstance(clear, ClearDifference):
        return f", over {spoken_number(clear.difference)} within the limit"
    return f", over at {spoken_number(clear)}"


def _describe(combination: Combination) -> str:
    word = " or " if combination.how == "any" else " and "
    return word.join(
        f"({_describe(member)})"
        if isinstance(member, Combination)
        else f"{member.variable} {_limits(member)}"
        for member in combination.members
    )


def _limits(written: Problem | Condition) -> str:
    sides = [
        f"{side} {_limit(limit)}"
        for side in ("above", "below")
        if (limit := getattr(written, side)) is not None
    ]
    if isinstance(written, Condition):
        sides += [
            f"{side} {_limit(band.low)} … {_limit(band.high)}"
            for side, band in {"outside": written.outside, "inside": written.inside}.items()
            if isinstance(band, Band)
        ]
    if written.equals is not None:
        sides.append(f"equal to {_limit(written.equals)}")
    return " or ".join(sides)


def _limit(limit: float | str | bool | FromAttribute) -> str:
    if isinstance(limit, FromAttribute):
        return f"its {limit.attribute}"
    if isinstance(limit, bool):
        return str(limit).lower()
    return spoken_number(limit) if isinstance(limit, float) else limit


class PredictionWindow(NamedTuple):
    """Where a problem is predicted, relative to the instant of the prediction: (after, until]."""

    after: timedelta
    until: timedelta

    @property
    def length(self) -> timedelta:
        """Return its length."""
        return self.until - self.after


class AlarmFields(Closed):
    """When a model's alarm ends if its problem does not come."""

    clear_at: Number | None = Field(
        None,
        gt=0,
        lt=1,
        exclude_if=lambda value: value is None,
        description=(
            "Hysteresis: risk below which an alarm clears, from 0 to the threshold. Left "
            "out: 0.5 in log-odds below the threshold, e.g. 0.71 for 0.8."
        ),
    )
    clear_for: Duration | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="Off-delay: the risk must be low this long; two strides when left out.",
    )
    longest_time: Duration | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="Longest alarm whose problem does not come; four horizons when left out.",
    )


Variables = Mapping[str, Variable]
"""Declarations of variables by name; one that is absent is shown by its name."""
Titles = Mapping[str, str]
"""Titles of event types by name; one that is absent is shown by its name."""
NO_TITLES: Titles = MappingProxyType({})


def problem_phrase(problem: Problem, variables: Variables, events: Titles) -> str:
    """Return the phrase of a problem, e.g. `Moisture above 4.5 % for 5 min`."""
    if problem.event:
        return translatable("event {event}", event=events.get(problem.event, problem.event))
    combination = problem.combination
    phrase = (
        _limits_of(problem, variables) if combination is None else _several(combination, variables)
    )
    return _lasting(phrase, problem.hold)


def prediction_phrase(
    problem: Problem, horizon: timedelta, variables: Variables, events: Titles
) -> str:
    """Return the phrase of a predicted problem; with horizon 0 it is the problem of the unit just
    made."""
    phrase = problem_phrase(problem, variables, events)
    if not horizon:
        return translatable("{problem} in the unit just made", problem=phrase)
    ahead = Styled(horizon.total_seconds(), "duration")
    return translatable("{problem}, {duration} ahead", problem=phrase, duration=ahead)


def condition_phrase(
    condition: Condition,
    combination: Combination | None,
    variables: Variables,
    events: Titles = NO_TITLES,
) -> str:
    """Return the phrase of a definition's condition, which is on one variable or on several."""
    phrase = (
        _limits_of(condition, variables, events)
        if combination is None
        else _several(combination, variables)
    )
    return _lasting(phrase, condition.hold)


def variable_title(name: str | None, variables: Variables) -> str:
    """Return the title of a variable, its name without one."""
    variable = variables.get(name or "")
    return (variable.title if variable else None) or name or "?"


def count_phrase(condition: Condition, variables: Variables, events: Titles = NO_TITLES) -> str:
    """Return what a condition counts: `number of jam in 1 h`, `changes of Valve in 10 min`."""
    within = Styled((condition.count_within or timedelta(0)).total_seconds(), "duration")
    if condition.event is not None:
        title = events.get(condition.event, condition.event)
        return translatable("number of {event} in {duration}", event=title, duration=within)
    name = variable_title(condition.variable, variables)
    return translatable("changes of {variable} in {duration}", variable=name, duration=within)


def title_in_sentence(asset: Asset, variable: str) -> str:
    """Return the title of a variable; without one its name in words."""
    declared = asset.variables.get(variable)
    if declared and declared.title:
        return declared.title
    return variable[:1].upper() + variable[1:].replace("_", " ")


def _lasting(phrase: str, hold: timedelta) -> str:
    if not hold:
        return phrase
    duration = Styled(hold.total_seconds(), "duration")
    return translatable("{condition} for {duration}", condition=phrase, duration=duration)


def _several(combination: Combination, variables: Variables) -> str:
    parts = [
        translatable("({conditions})", conditions=_several(member, variables))
        if isinstance(member, Combination)
        else _limits_of(member, variables)
        for member in combination.members
    ]
    return (join_with_or if combination.how == "any" else join_with_and)(*parts)


def _limits_of(
    written: Problem | Condition, variables: Variables, events: Titles = NO_TITLES
) -> str:
    name = written.variable
    declared = variables.get(name or "")
    unit = declared.unit if declared else None
    subject: str = variable_title(name, variables)
    if isinstance(written, Condition) and written.rate_per:
        rate = Styled(written.rate_per.total_seconds(), "duration")
        subject = translatable(
            "change of {variable} in {duration}", variable=subject, duration=rate
        )
    if isinstance(written, Condition) and written.count_within:
        subject = count_phrase(written, variables, events)
        unit = None
    if isinstance(written, Condition) and written.levels is not None:
        return translatable("{variable} beyond the limits of its severities", variable=subject)
    sides = _sides(written, subject, unit)
    return join_with_or(*sides) if sides else subject


def _sides(written: Problem | Condition, subject: str, unit: str | None) -> list[str]:
    sides: list[str] = []
    above = written.above
    below = written.below
    if isinstance(above, LearnedLimit):
        sides.append(translatable("{variable} unusually high", variable=subject))
    elif above is not None:
        limit = _limit_text(above, unit)
        sides.append(translatable("{variable} above {limit}", variable=subject, limit=limit))
    if isinstance(below, LearnedLimit):
        sides.append(translatable("{variable} unusually low", variable=subject))
    elif below is not None:
        limit = _limit_text(below, unit)
        sides.append(translatable("{variable} below {limit}", variable=subject, limit=limit))
    if isinstance(written, Condition) and isinstance(written.outside, Band):
        band = _band(written.outside, unit)
        sides.append(translatable("{variable} outside {low} to {high}", variable=subject, **band))
    if isinstance(written, Condition) and isinstance(written.inside, Band):
        band = _band(written.inside, unit)
        sides.append(translatable("{variable} between {low} and {high}", variable=subject, **band))
    if written.equals is not None:
        value = _limit_text(written.equals, unit)
        sides.append(translatable("{variable} is {value}", variable=subject, value=value))
    return sides


def _band(band: Band, unit: str | None) -> dict[str, Value]:
    return {"low": _limit_text(band.low, None), "high": _limit_text(band.high, unit)}


def _limit_text(limit: float | str | bool | FromAttribute, unit: str | None) -> Value:
    if isinstance(limit, FromAttribute):
        return translatable("its {attribute}", attribute=limit.attribute)
    if isinstance(limit, bool):
        return str(limit).lower()
    if isinstance(limit, float | int):
        return Styled(float(limit), f"g {unit}" if unit else "g")
    return limit
