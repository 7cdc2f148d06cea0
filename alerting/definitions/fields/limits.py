"""Limits of a variable: numbers, attributes of the asset, or learned; bands, severities, and shares
of the last readings."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import Discriminator, Field
from pydantic import Tag as PydanticTag

from alerting.definitions.assets import Closed, Tag, VariableName
from alerting.definitions.faults import Duration
from alerting.definitions.fields.names import Number

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
        description="Share of the readings below the limit, e.g. 0.999 for above and 0.001 for "
        "below. A group needs so many "
        "readings that its greatest or smallest one lies beyond the quantile with 95 %: 2,995 for "
        "0.999, 299 for 0.99.",
    )
    over: Duration = Field(
        timedelta(days=28),
        description=(
            "Time before an estimate that it is made from; suppressed times and problems do not "
            "count."
        ),
    )
    by: tuple[VariableName, ...] = Field(
        (),
        max_length=3,
        description="Groups with a limit of their own, the coarsest first: names of categories, "
        "and hour_of_day (in the time "
        "zone of `schedule`). A group never seen, or with too few readings, takes the limit "
        "without the last name, at last the "
        "one of all readings.",
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


class Levels(Closed):
    """Limits by severity; the worst one that holds counts."""

    low: LevelLimits | None = Field(None, description="Limits of severity low.")
    medium: LevelLimits | None = Field(None, description="Limits of severity medium.")
    high: LevelLimits | None = Field(None, description="Limits of severity high.")
    critical: LevelLimits | None = Field(None, description="Limits of severity critical.")
