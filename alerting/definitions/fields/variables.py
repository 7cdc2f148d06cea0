"""Variables of an asset: measured, set, or computed of others; and relations between them."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from alerting.definitions.faults import Duration
from alerting.definitions.fields.names import (
    Closed,
    Line,
    LongerThanZero,
    Name,
    Number,
    Tag,
    VariableName,
)

VariableType = Literal["number", "category", "boolean"]
TYPES: dict[VariableType, tuple[type, str]] = {
    "number": (float, "number"),
    "boolean": (bool, "true or false"),
    "category": (str, "text"),
}
Direction = Literal["up", "down", "both"]
LAG_LENGTHS = (
    5  # time constants after which less than 1 % of an earlier value is left in a computed lag
)


class Link(Closed):
    """How a variable follows from others: the closed list of ways."""

    of: VariableName = Field(description="The variable that it follows.")
    minus: VariableName | None = Field(
        None, description="With difference: the variable that is subtracted."
    )
    gain: Number = Field(
        1.0,
        description=(
            "Change of the variable for each unit by which `of` changes, once it has followed."
        ),
    )
    time_constant: LongerThanZero | None = Field(
        None, description="With lag: time after which 63 % of a change has arrived, e.g. 5m."
    )

    @property
    def drivers(self) -> tuple[str, ...]:
        """Return the variables that this one follows."""
        return (self.of,) if self.minus is None else (self.of, self.minus)

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        for kind, name in (("lag", "time_constant"), ("difference", "minus"), ("ratio", "by")):
            if (getattr(self, "kind", None) == kind) != (getattr(self, name, None) is not None):
                raise ValueError(f"{name} goes together with kind: {kind}")
        return self


class Relation(Link):
    """A variable that follows others: recommendations move it together with them."""

    variable: VariableName = Field(description="The variable that follows.")
    kind: Literal["equal", "lag", "difference"] = Field(
        description="equal: it follows at once. lag: it follows as a first-order lag with "
        "`time_constant`. difference: it is "
        "`of` less `minus`."
    )


class Computed(Link):
    """A variable that is not measured: it is computed of others whenever they are read."""

    kind: Literal["equal", "lag", "difference", "ratio"] = Field(
        description="equal: `of` itself. lag: `of` behind a first-order lag with `time_constant`. "
        "difference: `of` less `minus`. "
        "ratio: `of` divided by `by`. Each times `gain`."
    )
    by: VariableName | None = Field(
        None,
        description="With ratio: the variable that `of` is divided by; no value where it is 0.",
    )
    within: LongerThanZero = Field(
        timedelta(minutes=10),
        description=(
            "A part counts by its last value, at most this old; without such a value of every "
            "part there is none."
        ),
    )

    @property
    def drivers(self) -> tuple[str, ...]:
        """Return the variables that it is computed of."""
        return tuple(name for name in (self.of, self.minus, self.by) if name is not None)

    @property
    def lookback(self) -> timedelta:
        """Return how far before an instant values of its parts lie that decide its value."""
        return max(self.within, LAG_LENGTHS * (self.time_constant or timedelta(0)))


_MEASURED = (
    *(
        "type",
        "delay",
        "latency",
        "source",
        "controllable",
        "min",
        "max",
        "step",
        "max_change",
        "direction",
        "rate",
    ),
    *("tolerance", "values"),
)
"""Fields of a variable that is measured or set. Delay and latency of a computed one follow from its
parts."""


class Variable(Closed):
    """One quantity of an asset: measured, or set."""

    title: Line | None = Field(
        None,
        description=(
            "Name for people, as at the beginning of a sentence (`Belt speed`); the variable's "
            "name when left out."
        ),
    )
    type: VariableType = Field("number", description="number, category (text) or boolean.")
    unit: Tag | None = Field(
        None,
        description="Unit of the values, shown beside every figure. Values are never converted.",
    )
    low: Number | None = Field(
        None, description="Lower end of the engineering range; lower values are measuring faults."
    )
    high: Number | None = Field(
        None, description="Upper end of the engineering range; higher values are measuring faults."
    )
    sampling: Duration | None = Field(
        None, description="Usual time between two values; found from the data when left out."
    )
    delay: Duration = Field(
        timedelta(0),
        description=(
            "Time from the time stamp of a value until it is known, e.g. 1h for a laboratory."
        ),
    )
    carry_forward: LongerThanZero | None = Field(
        None,
        description="Longest time for which models carry a value forward until the next one, e.g. "
        "14d for a recipe; found from the data when left out.",
    )
    latency: Duration | None = Field(
        None,
        description="Time for which evaluation waits for values under way, e.g. 30s: alerts come "
        "later by this time; "
        "even later values are evaluated again. When left out: its source's, else the platform's "
        "(`ALERTING_LATENCY`, 10s).",
    )
    source: Name | None = Field(
        None, description="The source that delivers it, as the platform notes with its first value."
    )
    controllable: bool = Field(
        False, description="True if operators can set it; recommendations use only such variables."
    )
    min: Number | None = Field(None, description="Lowest value an operator may set.")
    max: Number | None = Field(None, description="Highest value an operator may set.")
    step: Number | None = Field(None, gt=0, description="Smallest step an operator can set.")
    max_change: Number | None = Field(
        None, gt=0, description="Largest change an operator may make at once."
    )
    cost: Number = Field(
        1.0,
        gt=0,
        description=(
            "Relative effort of changing it by its whole range; recommendations prefer changes of "
            "little effort."
        ),
    )
    direction: Direction = Field(
        "both", description="Direction in which an operator may change it: up, down or both."
    )
    rate: Number | None = Field(
        None,
        gt=0,
        description="Largest change a minute, in its unit; a recommended change is a ramp from "
        "now. At once when left out.",
    )
    tolerance: Number | None = Field(
        None,
        ge=0,
        description="Distance by which the line may miss a setting; advice must hold within it. "
        "One step when left out.",
    )
    values: tuple[Tag, ...] = Field(
        (),
        max_length=100,
        description=(
            "Of a controllable category: the values that an operator may choose, e.g. recipes."
        ),
    )
    computed: Computed | None = Field(
        None,
        exclude_if=lambda computed: computed is None,
        description="Of a variable that is not measured: how it is computed of other numbers of "
        "the asset, e.g. "
        "{kind: ratio, of: gas_flow, by: belt_speed}. It is usable like a measured one.",
    )

    @model_validator(mode="after")
    def _check_computed(self) -> Self:
        if self.computed is None:
            return self
        if given := [
            name for name in _MEASURED if getattr(self, name) != Variable.model_fields[name].default
        ]:
            raise ValueError(
                "a computed variable is a number that no sensor delivers; remove "
                f"{', '.join(given)}"
            )
        return self
