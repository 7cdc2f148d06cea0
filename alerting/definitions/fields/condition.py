"""The group of fields of a condition: the limits of one variable, reading by reading, and what to
do without data."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, StrictBool

from alerting.definitions.assets import Closed, Line, VariableName
from alerting.definitions.faults import Duration
from alerting.definitions.fields.common import Severity
from alerting.definitions.fields.limits import (
    AtLeast,
    Band,
    FromAttribute,
    LearnableLimit,
    Levels,
    Limit,
)
from alerting.definitions.fields.names import Number


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
        description=(
            "After `above` was triggered it clears only at or below this value (hysteresis)."
        ),
    )
    clear_below_at: Limit | None = Field(
        None,
        description=(
            "After `below` was triggered it clears only at or above this value (hysteresis)."
        ),
    )
    outside: Band | None = Field(
        None, description="Triggered by a value outside of this band; the same as below and above."
    )
    inside: Band | None = Field(None, description="Triggered by a value inside this band.")
    equals: StrictBool | Number | Line | FromAttribute | None = Field(
        None,
        description=(
            "Triggered by exactly this value: a number, true or false, the text of a category, or "
            "{attribute: name}."
        ),
    )
    clear_inside: Band | None = Field(
        None,
        description="After `outside` was triggered it clears only inside this band (hysteresis): "
        "after too high at or below its "
        "upper end, after too low at or above its lower end; the same as clear_above_at and "
        "clear_below_at.",
    )
    clear_outside: Band | None = Field(
        None,
        description="After `inside`, or `equals` with a number, was triggered it clears only "
        "outside of this wider band "
        "(hysteresis).",
    )
    levels: Levels | None = Field(
        None,
        description="Instead of one limit: limits by severity. One episode, whose severity rises "
        "and falls; the worst one counts. The field severity then counts for missing "
        "data only.",
    )
    rate_per: Duration | None = Field(
        None,
        description="Evaluate the change of the value per this time instead of the value: the "
        "limits are rates.",
    )
    at_least: AtLeast | None = Field(
        None, description="Triggered only by this many of the last readings, not by each one."
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
            "Off-delay: the condition must be gone this long, and still be gone then, before the "
            "episode closes."
        ),
    )
    stale_after: Duration = Field(
        timedelta(minutes=10),
        description="A value holds until the next reading, which may come at the last instant, at "
        "most this long; "
        "then data are missing.",
    )
    frozen_after: Duration | None = Field(
        None,
        description="A sensor with the same value for this long is frozen, also across a gap in "
        "the data: "
        "its value counts as missing from then on.",
    )
    no_data: Literal["hold", "alert", "ignore"] = Field(
        "hold",
        description="Policy where data are missing, frozen, of bad quality, or outside the "
        "variable's engineering range. "
        "hold: the state is unknown, which neither raises nor closes an episode; alert: that is "
        "itself a reason to raise; "
        "ignore: each value counts, until the next one comes (for values that are sent only when "
        "they change); a value of bad "
        "quality is unknown nevertheless.",
    )


DEFAULTS = Condition.model_construct(variable="")
"""A condition without limits, for the defaults that the conditions of a problem share."""
