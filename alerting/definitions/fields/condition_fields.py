"""Fields of conditions: the limits of one variable, for each reading, what to do without data, and
conditions of several variables.

Limits are numbers, attributes of the asset, or learned. `any` or `all` of several conditions must
hold; each of them may be such a list again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool
from pydantic import Tag as PydanticTag

from alerting.definitions.asset_documents import Closed, Line, Tag, VariableName
from alerting.definitions.faults import Duration
from alerting.definitions.fields.names_and_times import Number
from alerting.definitions.fields.shared_fields import Severity

HOUR_OF_DAY = "hour_of_day"


class FromAttribute(Closed):
    """A limit that every asset states for itself."""

    attribute: Tag = Field(
        description=(
            "Name of the asset attribute that holds the limit; an asset without it is refused."
        )
    )


class Learned(Closed):
    """A quantile of the variable's own readings over the last time before each estimate, in
    groups."""

    quantile: Number = Field(
        gt=0,
        lt=1,
        description=(
            "Share of the readings below the limit, e.g. 0.999 for above and 0.001 for "
            "below. A group needs enough readings: 2,995 for 0.999, 299 for 0.99."
        ),
    )
    over: Duration = Field(
        timedelta(days=28),
        description=("Time before an estimate; suppressed times and problems do not count."),
    )
    by: tuple[VariableName, ...] = Field(
        (),
        max_length=3,
        description=(
            "Groups with a limit of their own, the coarsest first: categories, and "
            "hour_of_day. One with too few readings takes the limit without the last name."
        ),
    )


class LearnedLimit(Closed):
    """A limit that is estimated from readings, again by schedule."""

    learned: Learned = Field(
        description="The limit is a quantile of the readings before the estimate."
    )


Limit = Number | FromAttribute


def limit_form(value: object) -> str:
    """Return how a limit is written, as the name of its group of fields."""
    if isinstance(value, float | int):
        return "float"
    if isinstance(value, LearnedLimit) or (isinstance(value, Mapping) and "learned" in value):
        return "LearnedLimit"
    return "FromAttribute" if isinstance(value, Mapping | FromAttribute) else "float"


LearnableLimit = Annotated[
    Annotated[Number, PydanticTag("float")]
    | Annotated[FromAttribute, PydanticTag("FromAttribute")]
    | Annotated[LearnedLimit, PydanticTag("LearnedLimit")],
    Discriminator(limit_form),
]


class Band(Closed):
    """A range of values; both ends belong to it."""

    low: Limit = Field(description="Lower end of the band: a number, or {attribute: name}.")
    high: Limit = Field(description="Upper end of the band: a number, or {attribute: name}.")


class AtLeast(Closed):
    """A share of the last readings."""

    readings: int = Field(
        ge=1, le=100, description="This many readings must be beyond the limit ..."
    )
    of: int = Field(
        ge=2,
        le=100,
        description="... among this many last ones; missing, frozen, impossible and bad readings "
        "do not count.",
    )


class LevelLimits(Closed):
    """The limits of one severity."""

    above: LearnableLimit | None = Field(
        None,
        description=(
            "This severity is reached by a value above: a number, {attribute: name}, or {learned: "
            "…}."
        ),
    )
    below: LearnableLimit | None = Field(
        None,
        description=(
            "This severity is reached by a value below: a number, {attribute: name}, or {learned: "
            "…}."
        ),
    )
    clear_above_at: Limit | None = Field(
        None, description="After `above` it is left only at or below this value (hysteresis)."
    )
    clear_below_at: Limit | None = Field(
        None, description="After `below` it is left only at or above this value (hysteresis)."
    )
    hold: Duration | None = Field(
        None,
        alias="for",
        exclude_if=lambda hold: hold is None,
        description=(
            "On-delay of this severity; the definition's `for` when left out. A worse one may have "
            "the same limit and a longer time, e.g. critical after 10m."
        ),
    )


class Levels(Closed):
    """Limits by severity; the worst one that holds counts."""

    low: LevelLimits | None = Field(None, description="Limits of severity low.")
    medium: LevelLimits | None = Field(None, description="Limits of severity medium.")
    high: LevelLimits | None = Field(None, description="Limits of severity high.")
    critical: LevelLimits | None = Field(None, description="Limits of severity critical.")


class Condition(Closed):
    """A variable leaves its limits."""

    severity: Severity = Field(
        "medium", description="Severity of an episode: low, medium, high, critical."
    )
    variable: VariableName = Field(description="Variable that is evaluated, reading by reading.")
    above: LearnableLimit | None = Field(
        None,
        description=(
            "Triggered by a value above this limit: a number, {attribute: name}, or {learned: …}."
        ),
    )
    below: LearnableLimit | None = Field(
        None,
        description="Triggered by a value below this limit: a number, {attribute: name}, or "
        "{learned: …}. With above too: "
        "outside of both.",
    )
    clear_above_at: Limit | None = Field(
        None,
        description=("Hysteresis: after `above` it clears only at or below this value."),
    )
    clear_below_at: Limit | None = Field(
        None,
        description=("Hysteresis: after `below` it clears only at or above this value."),
    )
    outside: Band | None = Field(
        None, description="Triggered by a value outside of this band; the same as below and above."
    )
    inside: Band | None = Field(None, description="Triggered by a value inside this band.")
    equals: StrictBool | Number | Line | FromAttribute | None = Field(
        None,
        description=("Triggered by exactly this value."),
    )
    clear_inside: Band | None = Field(
        None,
        description=(
            "Hysteresis: after `outside` it clears only inside this band; the same as "
            "clear_above_at and clear_below_at."
        ),
    )
    clear_outside: Band | None = Field(
        None,
        description=(
            "Hysteresis: after `inside`, or `equals` with a number, it clears only outside "
            "of this wider band."
        ),
    )
    levels: Levels | None = Field(
        None,
        description=(
            "Instead of one limit: limits by severity. One episode, whose severity rises and "
            "falls; `severity` then counts for missing data only."
        ),
    )
    rate_per: Duration | None = Field(
        None,
        description="The limits are for the change of the value per this time.",
    )
    counter: StrictBool | None = Field(
        None,
        exclude_if=lambda counter: counter is None,
        description=(
            "With rate_per: the variable only rises, and begins again at 0; as the asset declares "
            "it when left out."
        ),
    )
    rolls_over_at: Number | None = Field(
        None,
        gt=0,
        exclude_if=lambda values: values is None,
        description="Of a counter: the number of its values, e.g. 65536.",
    )
    event: Tag | None = Field(
        None,
        exclude_if=lambda event: event is None,
        description=(
            "With count_within: the type of the events that are counted by their starts (* matches "
            "any text). A variable beside it shows that the asset is heard: without a reading of "
            "it the number is unknown, otherwise no event is none."
        ),
    )
    count_within: Duration | None = Field(
        None,
        exclude_if=lambda within: within is None,
        description=(
            "The limits are for a number in this time: of the events, or without event of the "
            "changes of the variable's value. Unknown until readings cover this time."
        ),
    )
    at_least: AtLeast | None = Field(
        None, description="Triggered only by this many of the last readings."
    )
    hold: Duration = Field(
        timedelta(0),
        alias="for",
        description=(
            "On-delay: the condition must hold this long, and still hold then, before the episode "
            "opens."
        ),
    )
    clear_for: Duration = Field(
        timedelta(0),
        description=(
            "Off-delay: the condition must be gone this long, and still be gone then, before "
            "it closes."
        ),
    )
    stale_after: Duration = Field(
        timedelta(minutes=10),
        description="A value holds until the next one, at most this long; then data are missing.",
    )
    frozen_after: Duration | None = Field(
        None,
        description=(
            "A sensor with the same value for this long, also across a gap, is frozen: its "
            "value counts as missing from then on."
        ),
    )
    no_data: Literal["hold", "alert", "ignore", "clear"] = Field(
        "hold",
        description=(
            "Without usable data (missing, frozen, bad, out of range): hold: the state is "
            "unknown, which neither raises nor closes an episode; alert: that is a reason to "
            "raise; ignore: each value counts until the next one comes (for values sent only "
            "when they change), but one of bad quality is unknown; clear: no sample for "
            "`stale_after` is clear (for pulses, such as a 1 at each detection, never a 0)."
        ),
    )


DEFAULTS = Condition.model_construct(variable="")
"""A condition without limits, for the defaults that the conditions of a problem share."""


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
        description="As of the definition, for this condition; the definition's when left out.",
    )

    def condition(self, variable: str, shared: Condition) -> Condition:
        """Return these limits as the condition of one variable, with the severity and the staleness
        that all conditions share."""
        written = {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name in Condition.model_fields
        }
        of_all = {
            "stale_after": shared.stale_after,
            "no_data": "hold" if shared.no_data == "alert" else shared.no_data,
        }
        limits: dict[str, Any] = {
            name: of_all.get(name) if value is None else value for name, value in written.items()
        }
        return Condition.model_construct(
            **of_all | limits | {"variable": variable, "severity": shared.severity}
        )


class MemberLimits(PlainLimits):
    """Limits of one variable among several, with hysteresis or for a rate, and what to do without a
    value that holds."""

    rate_per: Duration | None = Field(
        None, description="The limits are for the change of the value per this time."
    )
    counter: StrictBool | None = Field(
        None,
        exclude_if=lambda counter: counter is None,
        description=(
            "With rate_per: the variable only rises, and begins again at 0; as the asset declares "
            "it when left out."
        ),
    )
    rolls_over_at: Number | None = Field(
        None,
        gt=0,
        exclude_if=lambda values: values is None,
        description="Of a counter: the number of its values, e.g. 65536.",
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
    no_data: Literal["hold", "ignore", "clear"] | None = Field(
        None,
        description=(
            "hold, ignore or clear, for this condition; the definition's when left out, hold for "
            "alert."
        ),
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
        description=(
            "Instead of a variable: triggered while one of these conditions holds, each by "
            "the last value of its variable; a condition may be any: or all: of others. "
            "Where none holds and one is unknown, the state is unknown."
        ),
    )
    all: tuple[Member, ...] | None = Field(
        None,
        max_length=MOST_MEMBERS,
        exclude_if=lambda members: members is None,
        description=(
            "Instead of a variable: triggered while all of these conditions hold. Where one "
            "does not, it is clear; otherwise, where one is unknown, unknown."
        ),
    )

    @property
    def combination(self) -> Combination | None:
        """Return the conditions of several variables; None for a condition of one variable."""
        return combination_of(self, self)


def single_condition(definition: object) -> Condition | None:
    """Return the condition of a definition that is on one variable and has stated limits; None for
    any other definition."""
    if not isinstance(definition, Condition) or not definition.variable or definition.count_within:
        return None
    levels = (
        [level for level in vars(definition.levels).values() if level] if definition.levels else []
    )
    limits = [limit for group in (definition, *levels) for limit in (group.above, group.below)]
    return None if any(isinstance(limit, LearnedLimit) for limit in limits) else definition


def combination_of(written: Any, shared: Condition) -> Combination | None:
    """Return the conditions of a definition, problem or member that has several, with the fields
    that they share; None for any other."""
    how: How = "any" if written.any is not None else "all"
    members = getattr(written, how)
    if members is None:
        return None
    return Combination(how, tuple(_member(member, shared) for member in members))


def _member(member: Any, shared: Condition) -> Condition | Combination:
    nested = combination_of(member, shared) if hasattr(member, "any") else None
    return nested if nested is not None else member.condition(member.variable or "", shared)
