"""Conditions of several variables: `any` or `all` of them, of which each may be such a list once
more."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, StrictBool

from alerting.definitions.assets import Closed, Line, VariableName
from alerting.definitions.faults import Duration
from alerting.definitions.fields.condition import Condition
from alerting.definitions.fields.limits import (
    Band,
    FromAttribute,
    LearnableLimit,
    LearnedLimit,
    Limit,
)
from alerting.definitions.fields.names import Number

How = Literal["any", "all"]
MOST_MEMBERS = 20


class PlainLimits(Closed):
    """Limits of one variable among several, and how long its value holds: no earlier reading
    matters."""

    above: LearnableLimit | None = Field(
        None,
        description=(
            "It holds for a value above this limit: a number, {attribute: name}, or {learned: …}."
        ),
    )
    below: LearnableLimit | None = Field(
        None,
        description="It holds for a value below this limit: a number, {attribute: name}, or "
        "{learned: …}. With above too: "
        "outside of both.",
    )
    outside: Band | None = Field(None, description="It holds for a value outside of this band.")
    inside: Band | None = Field(None, description="It holds for a value inside this band.")
    equals: StrictBool | Number | Line | FromAttribute | None = Field(
        None,
        description=(
            "It holds for exactly this value: a number, true or false, the text of a category, or "
            "{attribute: name}."
        ),
    )
    stale_after: Duration | None = Field(
        None,
        description="A value holds until the variable's next reading, at most this long; then this "
        "condition is unknown. That of "
        "the definition when left out.",
    )

    def condition(self, variable: str, shared: Condition) -> Condition:
        """Return it as the condition of one variable, with the severity and the staleness that all
        conditions share."""
        given = {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name in Condition.model_fields
        }
        of_all = {
            "stale_after": shared.stale_after,
            "no_data": "ignore" if shared.no_data == "ignore" else "hold",
        }
        own: dict[str, Any] = {
            name: of_all.get(name) if value is None else value for name, value in given.items()
        }
        return Condition.model_construct(
            **of_all | own | {"variable": variable, "severity": shared.severity}
        )


class MemberLimits(PlainLimits):
    """Limits of one variable among several, with hysteresis or for a rate, and what to do without a
    value that holds."""

    rate_per: Duration | None = Field(
        None, description="The limits are for the change of the value per this time."
    )
    clear_above_at: Limit | None = Field(
        None, description="After `above` held it is over only at or below this value (hysteresis)."
    )
    clear_below_at: Limit | None = Field(
        None, description="After `below` held it is over only at or above this value (hysteresis)."
    )
    clear_inside: Band | None = Field(
        None, description="After `outside` held it is over only inside this band (hysteresis)."
    )
    clear_outside: Band | None = Field(
        None,
        description=(
            "After `inside`, or `equals` with a number, held it is over only outside of this "
            "wider band (hysteresis)."
        ),
    )
    no_data: Literal["hold", "ignore"] | None = Field(
        None,
        description="hold: without a value that holds, this condition is unknown; ignore: each "
        "value counts until the next one "
        "comes, for variables that are sent only when they change. That of the definition when "
        "left out, hold for alert.",
    )


class MemberCondition(MemberLimits):
    """A condition on one variable, in a list within a list."""

    variable: VariableName = Field(description="Variable of this condition.")


class Member(MemberLimits):
    """A condition on one variable, or a list of them."""

    variable: VariableName | None = Field(None, description="Variable of this condition.")
    any: tuple[MemberCondition, ...] | None = Field(
        None,
        max_length=MOST_MEMBERS,
        description="Instead of a variable: one of these conditions holds.",
    )
    all: tuple[MemberCondition, ...] | None = Field(
        None,
        max_length=MOST_MEMBERS,
        description="Instead of a variable: all of these conditions hold.",
    )


class ProblemLimits(PlainLimits):
    """Limits of one variable of a problem: none of them learned, for a problem does not depend on
    an estimate."""

    above: Limit | None = Field(
        None, description="It holds for a value above this limit: a number, or {attribute: name}."
    )
    below: Limit | None = Field(
        None,
        description=(
            "It holds for a value below this limit: a number, or {attribute: name}. With above "
            "too: outside of both."
        ),
    )


class ProblemCondition(ProblemLimits):
    """A condition on one variable of a problem, in a list within a list."""

    variable: VariableName = Field(description="Variable of this condition.")


class ProblemMember(ProblemLimits):
    """A condition on one variable of a problem, or a list of them."""

    variable: VariableName | None = Field(None, description="Variable of this condition.")
    any: tuple[ProblemCondition, ...] | None = Field(
        None,
        max_length=MOST_MEMBERS,
        description="Instead of a variable: one of these conditions holds.",
    )
    all: tuple[ProblemCondition, ...] | None = Field(
        None,
        max_length=MOST_MEMBERS,
        description="Instead of a variable: all of these conditions hold.",
    )


@dataclass(frozen=True)
class Combination:
    """Conditions of single variables, of which any or all must hold; one of them may be a
    combination once more."""

    how: How
    members: tuple["Condition | Combination", ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the variables of its conditions, each once, in the order in which they are
        written."""
        return tuple(dict.fromkeys(leaf.variable for leaf in self.leaves()))

    def leaves(self) -> Iterator[Condition]:
        """Yield the conditions of single variables, in the order in which they are written."""
        for member in self.members:
            yield from member.leaves() if isinstance(member, Combination) else (member,)


class Conditions(Condition):
    """A condition of one variable, or several of them of which any or all must hold."""

    variable: VariableName = Field(
        default_factory=str,
        exclude_if=lambda variable: not variable,
        description=(
            "Variable that is evaluated, reading by reading; left out with `any` and `all`."
        ),
    )
    any: tuple[Member, ...] | None = Field(
        None,
        max_length=MOST_MEMBERS,
        exclude_if=lambda members: members is None,
        description="Instead of a variable and its limits: triggered while one of these conditions "
        "holds. Each is a variable "
        "with limits, or once more any: or all: of such. Where none holds and one is unknown, the "
        "state is unknown.",
    )
    all: tuple[Member, ...] | None = Field(
        None,
        max_length=MOST_MEMBERS,
        exclude_if=lambda members: members is None,
        description="Instead of a variable and its limits: triggered while all of these conditions "
        "hold, each by the last value "
        "of its variable. Where one does not hold it is clear; otherwise, where one is unknown, "
        "the state is unknown.",
    )

    @property
    def combination(self) -> Combination | None:
        """Return the conditions of several variables; None for a condition of one."""
        return combination_of(self, self)


def single_condition(definition: object) -> Condition | None:
    """Return the condition of a definition on one variable with limits that are stated; None for
    any other definition."""
    if not isinstance(definition, Condition) or not definition.variable:
        return None
    levels = (
        [level for level in vars(definition.levels).values() if level] if definition.levels else []
    )
    limits = [limit for one in (definition, *levels) for limit in (one.above, one.below)]
    return None if any(isinstance(limit, LearnedLimit) for limit in limits) else definition


def combination_of(written: Any, shared: Condition) -> Combination | None:
    """Return the conditions of a definition, problem or member that has several, with what they
    share; None without any."""
    how: How = "any" if written.any is not None else "all"
    members = getattr(written, how)
    if members is None:
        return None
    return Combination(how, tuple(_member(member, shared) for member in members))


def _member(member: Any, shared: Condition) -> Condition | Combination:
    nested = combination_of(member, shared) if hasattr(member, "any") else None
    return nested if nested is not None else member.condition(member.variable or "", shared)
